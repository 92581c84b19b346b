//! Where to connect and with what: all that this room needs to know from outside.

use std::path::PathBuf;

/// A host's address and login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// DNS name or IP address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login.
    pub user: String,
}

/// Keys and trust, the same for every host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Private key files (`ssh.keys`).
    pub keys: Vec<PathBuf>,
    /// Use no other key: neither other keys of the agent nor the default identities.
    pub keys_only: bool,
    /// The agent's socket, usually `SSH_AUTH_SOCK`.
    pub agent: Option<PathBuf>,
    /// Tried when there are no `keys` and not `keys_only`; missing ones are passed over.
    pub default_identities: Vec<PathBuf>,
    /// Files with host keys. A new key is enrolled in the first.
    pub known_hosts: Vec<PathBuf>,
    /// Enrol the key of a host of which nothing is known.
    pub accept_new: bool,
}

impl Settings {
    /// OpenSSH's defaults for a user with this home directory and agent socket.
    pub fn for_home(home: &std::path::Path, agent: Option<PathBuf>) -> Self {
        let ssh = home.join(".ssh");
        Self {
            agent,
            default_identities: ["id_ed25519", "id_ecdsa", "id_rsa"].map(|n| ssh.join(n)).to_vec(),
            known_hosts: vec![
                ssh.join("known_hosts"),
                ssh.join("known_hosts2"),
                "/etc/ssh/ssh_known_hosts".into(),
                "/etc/ssh/ssh_known_hosts2".into(),
            ],
            ..Self::default()
        }
    }
}
