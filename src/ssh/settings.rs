//! Where to connect and with what: all that this room needs to know from outside.

use crate::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

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

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

/// A host with the keys, the trust and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub endpoint: Endpoint,
    /// Keys and trust there.
    pub settings: Settings,
    /// How its sshd is reached.
    pub via: Via,
}

/// How a host's sshd is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// TCP.
    Direct,
    /// A TCP connection that another host makes. That one may itself be reached through a third.
    Jump(Box<Target>),
    /// Standard input and output of a command, for `sh -c`.
    Command(String),
}

/// Keys and trust for one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Private keys from secrets (`ssh.key_data`), offered first.
    pub key_data: Vec<KeyData>,
    /// Private key files (`ssh.keys`, or IdentityFile).
    pub keys: Vec<PathBuf>,
    /// Certificates of users' keys (CertificateFile); `<key>-cert.pub` is found without being named.
    pub certificates: Vec<PathBuf>,
    /// Offer no other key of the agent.
    pub keys_only: bool,
    /// The agent's socket, usually `SSH_AUTH_SOCK`.
    pub agent: Option<PathBuf>,
    /// Tried when there are neither `keys` nor `key_data`; missing ones are passed over.
    pub default_identities: Vec<PathBuf>,
    /// Files with host keys. A new key is enrolled in the first.
    pub known_hosts: Vec<PathBuf>,
    /// The name to look for in them instead of host and port (HostKeyAlias).
    pub host_key_alias: Option<String>,
    /// Enrol the key of a host of which nothing is known.
    pub accept_new: bool,
    /// For the TCP connection, and again for the handshake (ConnectTimeout). None: 10 s and 15 s.
    pub connect_timeout: Option<Duration>,
}

/// A private key from a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyData {
    /// The secret's name, for messages.
    pub name: String,
    /// PEM, as in a key file.
    pub text: Secret<String>,
}

impl Settings {
    /// OpenSSH's defaults for a user with this home directory and agent socket.
    pub fn for_home(home: &std::path::Path, agent: Option<PathBuf>) -> Self {
        let ssh = home.join(".ssh");
        Self {
            agent,
            default_identities: ["id_ed25519", "id_ecdsa", "id_rsa"].map(|n| ssh.join(n)).to_vec(),
            known_hosts: [user_known_hosts(home), system_known_hosts()].concat(),
            ..Self::default()
        }
    }
}

/// OpenSSH's defaults for UserKnownHostsFile.
pub fn user_known_hosts(home: &std::path::Path) -> Vec<PathBuf> {
    ["known_hosts", "known_hosts2"].map(|name| home.join(".ssh").join(name)).to_vec()
}

/// OpenSSH's defaults for GlobalKnownHostsFile.
pub fn system_known_hosts() -> Vec<PathBuf> {
    vec!["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()]
}
