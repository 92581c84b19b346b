//! A private OpenSSH server on 127.0.0.1, with keys of its own, for whoever runs the tests.

use super::wait::until;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use windlass::ssh::{Endpoint, Settings};

/// Ends with its process and directory when dropped.
pub struct Sshd {
    child: Child,
    dir: tempfile::TempDir,
    pub port: u16,
    pub user: String,
}

impl Sshd {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more lines for sshd_config. They come first, and the first value of a key wins.
    pub fn with(extra: &str) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let user = whoami::username().expect("user name");
        for (name, kind) in [("host_ed25519", "ed25519"), ("host_ecdsa", "ecdsa"), ("id", "ed25519"), ("id_rsa", "rsa")]
        {
            keygen(&dir.path().join(name), kind, "");
        }
        let allowed =
            ["id.pub", "id_rsa.pub"].map(|n| std::fs::read_to_string(dir.path().join(n)).expect("public key"));
        std::fs::write(dir.path().join("authorized_keys"), allowed.concat()).expect("authorized_keys");
        // sshd as root wants this directory for its unprivileged child.
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind("127.0.0.1:0").expect("port").local_addr().expect("address").port();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "{extra}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             MaxStartups 200\n",
            at("host_ed25519"),
            at("host_ecdsa"),
            at("authorized_keys"),
        );
        std::fs::write(at("sshd_config"), config).expect("sshd_config");
        let log = std::fs::File::create(at("log")).expect("log");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &at("sshd_config")])
            .stderr(Stdio::from(log))
            .spawn()
            .expect("these tests need openssh-server (/usr/sbin/sshd)");
        let sshd = Self { child, dir, port, user };
        until("sshd answers", Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).ok());
        sshd
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint { host: "127.0.0.1".into(), port: self.port, user: self.user.clone() }
    }

    /// The key that is allowed, and known_hosts with the ed25519 host key.
    pub fn settings(&self) -> Settings {
        let known = self.path("known_hosts");
        if !known.exists() {
            std::fs::write(&known, self.known_line("host_ed25519")).expect("known_hosts");
        }
        Settings { keys: vec![self.path("id")], keys_only: true, known_hosts: vec![known], ..Settings::default() }
    }

    pub fn known_line(&self, key: &str) -> String {
        let public = std::fs::read_to_string(self.path(&format!("{key}.pub"))).expect("public host key");
        format!("[127.0.0.1]:{} {public}", self.port)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a key pair.
pub fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .expect("these tests need openssh-client (ssh-keygen)");
    assert!(status.success());
}
