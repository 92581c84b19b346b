//! Leases against a real OpenSSH server: races, killed, sleeping and vanished coordinators, Kamal's lock.

mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::sshd::Sshd;
use support::wait::until_async;
use windlass::effect::{Host, Lease, LeaseError, LeaseRequest};
use windlass::fleet::Holder;
use windlass::ssh::{Connection, Endpoint, Settings, SshHost};

fn request(dir: &str, kamal: Option<&str>, actor: &str) -> LeaseRequest {
    LeaseRequest {
        dir: dir.to_string(),
        holder: Holder {
            actor: actor.to_string(),
            run: ulid::Ulid::generate().to_string().parse().unwrap(),
            what: "deploy \\n \"v43\" it's".to_string(),
            since: jiff::Timestamp::now(),
        },
        kamal_lock: kamal.map(str::to_string),
    }
}

async fn host(sshd: &Sshd) -> SshHost {
    SshHost::new(Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap())
}

fn lease_dir(sshd: &Sshd) -> String {
    sshd.path("state/app/_").display().to_string()
}

/// Tries until the lease is ours; how long it took.
async fn take(host: &SshHost, dir: &str, within: Duration) -> (Box<dyn Lease>, Duration) {
    let start = Instant::now();
    let lease = until_async("the lease is free again", within, || async {
        match host.lease(&request(dir, None, "second@test")).await {
            Ok(lease) => Some(lease),
            Err(LeaseError::Held(_)) => None,
            Err(e) => panic!("{e}"),
        }
    })
    .await;
    (lease, start.elapsed())
}

#[tokio::test]
async fn one_holds_it_and_the_other_learns_who() {
    let sshd = Sshd::start();
    let (a, b) = (host(&sshd).await, host(&sshd).await);
    let dir = lease_dir(&sshd);
    assert_eq!(b.lease_holder(&dir).await.unwrap(), None);
    let asked = request(&dir, None, "ann@laptop");
    let lease = a.lease(&asked).await.unwrap();
    lease.check().unwrap();
    match b.lease(&request(&dir, None, "bob@ci")).await {
        Err(LeaseError::Held(Some(holder))) => assert_eq!(holder, asked.holder),
        other => panic!("{:?}", other.map(drop)),
    }
    assert_eq!(b.lease_holder(&dir).await.unwrap(), Some(Some(asked.holder)));
    lease.release().await.unwrap();
    assert_eq!(b.lease_holder(&dir).await.unwrap(), None);
    // Confirmed means free: no waiting now.
    let lease = b.lease(&request(&dir, None, "bob@ci")).await.unwrap();
    drop(lease);
    let (lease, _) = take(&a, &dir, Duration::from_secs(5)).await;
    lease.release().await.unwrap();
}

#[tokio::test]
async fn of_many_at_once_exactly_one_gets_it() {
    let sshd = Sshd::start();
    let dir = lease_dir(&sshd);
    let hosts = futures::future::join_all((0..6).map(|_| host(&sshd))).await;
    let request = request(&dir, None, "x@y");
    let results = futures::future::join_all(hosts.iter().map(|h| h.lease(&request))).await;
    let held = results.iter().filter(|r| r.is_ok()).count();
    assert_eq!(held, 1);
    assert!(results.iter().all(|r| matches!(r, Ok(_) | Err(LeaseError::Held(_)))));
}

#[tokio::test]
async fn it_outlives_the_hosts_patience_while_the_coordinator_beats() {
    let sshd = Sshd::start();
    let (a, b) = (host(&sshd).await, host(&sshd).await);
    let dir = lease_dir(&sshd);
    let lease = a.lease(&request(&dir, None, "a@b")).await.unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(18) {
        lease.check().unwrap();
        assert!(b.lease_holder(&dir).await.unwrap().is_some());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    lease.release().await.unwrap();
}

#[tokio::test]
async fn kamals_lock_is_held_too_reclaimed_when_ours_and_respected_when_not() {
    let sshd = Sshd::start();
    let (a, b) = (host(&sshd).await, host(&sshd).await);
    let dir = lease_dir(&sshd);
    // Relative to the home directory in real life; an absolute one keeps the test out of it.
    let kamal = sshd.path(".kamal/lock-app").display().to_string();
    let lease = a.lease(&request(&dir, Some(&kamal), "ann@laptop")).await.unwrap();
    let details = std::fs::read_to_string(format!("{kamal}/details")).unwrap();
    let text = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, details).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("Locked by: ann@laptop at ") && text.lines().count() == 3, "{text}");
    lease.release().await.unwrap();
    assert!(!PathBuf::from(&kamal).exists());

    // Left by a run of ours whose host lost power.
    std::fs::create_dir(&kamal).unwrap();
    std::fs::write(format!("{kamal}/windlass"), "old run").unwrap();
    a.lease(&request(&dir, Some(&kamal), "ann@laptop")).await.unwrap().release().await.unwrap();
    assert!(!PathBuf::from(&kamal).exists());

    // Kamal's own.
    std::fs::create_dir(&kamal).unwrap();
    let theirs =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "Locked by: CI\nVersion: abc\nMessage: m");
    std::fs::write(format!("{kamal}/details"), theirs).unwrap();
    match a.lease(&request(&dir, Some(&kamal), "ann@laptop")).await {
        Err(LeaseError::HeldByKamal(text)) => assert_eq!(text, "Locked by: CI, Version: abc, Message: m"),
        other => panic!("{:?}", other.map(drop)),
    }
    assert!(PathBuf::from(&kamal).join("details").exists());
    // The flock was given back.
    b.lease(&request(&dir, None, "bob@ci")).await.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn a_command_that_starts_elsewhere_than_under_sshd_cannot_be_fenced() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let wrapper = dir.path().join("wrapper");
    std::fs::write(&wrapper, "#!/bin/sh\nsh -c \"$SSH_ORIGINAL_COMMAND\"\nexit $?\n").unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let sshd = Sshd::with(&format!("ForceCommand {}", wrapper.display()));
    let result = host(&sshd).await.lease(&request(&lease_dir(&sshd), None, "a@b")).await;
    match result {
        Err(LeaseError::Host(e)) => assert!(e.to_string().contains("by wrapper"), "{e}"),
        other => panic!("{:?}", other.map(drop)),
    }
}

#[tokio::test]
async fn missing_commands_are_named() {
    let bin = bin_with_few_tools();
    let sshd = Sshd::with(&format!("SetEnv PATH={}", bin.path().display()));
    match host(&sshd).await.lease(&request(&lease_dir(&sshd), None, "a@b")).await {
        Err(LeaseError::MissingCommand(name)) => assert_eq!(name, "flock"),
        other => panic!("{:?}", other.map(drop)),
    }
}

/// A directory with everything that the script needs before it looks for flock, and without flock.
fn bin_with_few_tools() -> tempfile::TempDir {
    let bin = tempfile::tempdir().unwrap();
    for tool in ["sh", "cat", "timeout"] {
        let found = ["/bin", "/usr/bin"].map(|d| PathBuf::from(d).join(tool)).into_iter().find(|p| p.exists()).unwrap();
        std::os::unix::fs::symlink(found, bin.path().join(tool)).unwrap();
    }
    bin
}

/// A coordinator in a process of its own: this test binary again, running only [`coordinator`].
struct Coordinator {
    child: Child,
    said: mpsc::Receiver<String>,
}

impl Coordinator {
    fn start(sshd: &Sshd, dir: &str) -> Self {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "coordinator", "--nocapture"])
            .env("LEASE_PORT", sshd.port.to_string())
            .env("LEASE_USER", &sshd.user)
            .env("LEASE_KEY", sshd.path("id"))
            .env("LEASE_KNOWN", &sshd.settings().known_hosts[0])
            .env("LEASE_DIR", dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, said) = mpsc::channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let this = Self { child, said };
        this.says("holding", Duration::from_secs(20));
        this
    }

    fn says(&self, word: &str, within: Duration) {
        let start = Instant::now();
        loop {
            let left = within.checked_sub(start.elapsed()).unwrap_or_default();
            match self.said.recv_timeout(left) {
                Ok(line) if line.contains(word) => return,
                Ok(_) => {}
                Err(e) => panic!("the coordinator did not say {word:?} within {} s: {e}", within.as_secs()),
            }
        }
    }

    fn signal(&self, name: &str) {
        let status = Process::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: holds a lease and adds a line to a file as often as it can, checking before each.
#[tokio::test]
#[ignore = "the child process of other tests"]
async fn coordinator() {
    let var = |name: &str| std::env::var(name).unwrap();
    let endpoint =
        Endpoint { host: "127.0.0.1".into(), port: var("LEASE_PORT").parse().unwrap(), user: var("LEASE_USER") };
    let settings = Settings {
        keys: vec![var("LEASE_KEY").into()],
        keys_only: true,
        known_hosts: vec![var("LEASE_KNOWN").into()],
        ..Settings::default()
    };
    let host = SshHost::new(Connection::open(&endpoint, &settings).await.unwrap());
    let dir = var("LEASE_DIR");
    let lease = host.lease(&request(&dir, None, "first@test")).await.unwrap();
    println!("holding");
    loop {
        if let Err(e) = lease.check() {
            println!("lost: {e}");
            break;
        }
        // Between the check and this call a stop may fall: then the host's fence must stop it.
        if host.append(&format!("{dir}/effects"), b"tick\n").await.is_err() {
            println!("effect failed");
            let lost = lease.lost().await;
            println!("lost: {lost}");
            break;
        }
    }
    println!("done");
}

#[tokio::test]
async fn a_killed_coordinator_frees_it_at_once() {
    let sshd = Sshd::start();
    let dir = lease_dir(&sshd);
    let other = host(&sshd).await;
    let mut first = Coordinator::start(&sshd, &dir);
    assert!(other.lease_holder(&dir).await.unwrap().is_some());
    first.signal("KILL");
    first.child.wait().unwrap();
    let (lease, took) = take(&other, &dir, Duration::from_secs(8)).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    lease.release().await.unwrap();
}

#[tokio::test]
async fn a_coordinator_that_slept_does_nothing_more() {
    asleep(&Sshd::start()).await;
}

/// The lease is then on a connection of its own, and must end the other one.
#[tokio::test]
async fn a_coordinator_that_slept_does_nothing_more_where_sshd_has_max_sessions_1() {
    asleep(&Sshd::with("MaxSessions 1")).await;
}

async fn asleep(sshd: &Sshd) {
    let dir = lease_dir(sshd);
    let other = host(sshd).await;
    let first = Coordinator::start(sshd, &dir);
    let effects = PathBuf::from(format!("{dir}/effects"));
    until_async("it works", Duration::from_secs(10), || async { effects.exists().then_some(()) }).await;
    first.signal("STOP");
    let (lease, took) = take(&other, &dir, Duration::from_secs(25)).await;
    assert!(took > Duration::from_secs(8) && took < Duration::from_secs(22), "{took:?}");
    let before = std::fs::read(&effects).unwrap().len();
    first.signal("CONT");
    first.says("lost: ", Duration::from_secs(10));
    first.says("done", Duration::from_secs(10));
    lease.check().unwrap();
    assert_eq!(std::fs::read(&effects).unwrap().len(), before, "the sleeper did something");
    lease.release().await.unwrap();
}
