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

    /// With more lines for sshd_config. They come first, and the first value of a key wins. `{dir}` is the server's directory.
    pub fn with(extra: &str) -> Self {
        Self::prepared(extra, |_| {})
    }

    /// The same with files that are made before the server starts; its keys are there already.
    pub fn prepared(extra: &str, prepare: impl FnOnce(&Path)) -> Self {
        let user = whoami::username().expect("user name");
        Self::launch(extra, user, prepare, Command::new("/usr/sbin/sshd"))
    }

    /// A server whose host knows a user `deploy` without any privilege. Needs root: the user exists in the server's own
    /// mount namespace only.
    pub fn for_deploy_user(extra: &str) -> Self {
        let mut command = Command::new("unshare");
        let script = "for f in passwd group shadow; do mount --bind \"$0/$f\" /etc/$f || exit 1; done; exec /usr/sbin/sshd \"$@\"";
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "{dir}"]);
        Self::launch(extra, "deploy".to_string(), add_deploy_user, command)
    }

    fn launch(extra: &str, user: String, prepare: impl FnOnce(&Path), command: Command) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
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
        prepare(dir.path());
        let at = |name: &str| dir.path().join(name).display().to_string();
        let extra = extra.replace("{dir}", &dir.path().display().to_string());
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
        let words = command.get_args().map(|a| a.to_string_lossy().replace("{dir}", &dir.path().display().to_string()));
        let child = Command::new(command.get_program())
            .args(words)
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

    /// The processes of its connections, oldest first.
    pub fn connections(&self) -> Vec<u32> {
        children(self.child.id())
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

/// The processes that a process started, oldest first.
pub fn children(process: u32) -> Vec<u32> {
    let listed =
        Command::new("ps").args(["-o", "pid=", "--sort", "start_time", "--ppid", &process.to_string()]).output();
    let listed = listed.expect("these tests need ps");
    String::from_utf8_lossy(&listed.stdout).split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Sends a signal to a process.
pub fn signal(process: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().expect("kill");
    assert!(status.success(), "kill -{name} {process}");
}

/// Lets a certificate authority sign a key: `ssh-keygen -s ca ARGS key.pub` makes `key-cert.pub`.
pub fn certify(ca: &Path, args: &[&str], key: &Path) {
    let mut public = key.as_os_str().to_os_string();
    public.push(".pub");
    let status =
        Command::new("ssh-keygen").args(["-q", "-s"]).arg(ca).args(args).arg(public).status().expect("ssh-keygen");
    assert!(status.success());
}

/// passwd, group and shadow with one user more, whose home is here.
fn add_deploy_user(dir: &Path) {
    use std::os::unix::fs::{PermissionsExt, chown};
    let home = dir.join("home");
    std::fs::create_dir(&home).expect("home");
    chown(&home, Some(4242), Some(4242)).expect("this test needs root");
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).expect("mode");
    let more = [
        ("passwd", format!("deploy:x:4242:4242::{}:/bin/sh\n", home.display())),
        ("group", "deploy:x:4242:\n".to_string()),
        ("shadow", "deploy:*:19000:0:99999:7:::\n".to_string()),
    ];
    for (name, line) in more {
        let text = std::fs::read_to_string(Path::new("/etc").join(name)).expect("this test needs root");
        std::fs::write(dir.join(name), text + &line).expect(name);
    }
    std::fs::set_permissions(dir.join("shadow"), PermissionsExt::from_mode(0o600)).expect("mode");
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
