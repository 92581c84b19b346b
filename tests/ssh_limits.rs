//! Servers and logins that allow little: few sessions, no forwarding, no privilege. Against a real OpenSSH server.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::sshd::{Sshd, signal};
use support::wait::{until, until_async};
use windlass::effect::{ConnectErrorKind, Host, Lease, LeaseError, LeaseRequest};
use windlass::fleet::Holder;
use windlass::ssh::{
    Command, Connection, Dialer, DialerSettings, Door, Endpoint, EngineDoor, Settings, SshError, SshHost, Target, Via,
};

fn command(line: &str) -> Command {
    let deadline = Duration::from_secs(20);
    Command { what: "test".into(), line: line.into(), stdin: Default::default(), deadline, limit: 1 << 20 }
}

async fn open(sshd: &Sshd) -> std::sync::Arc<Connection> {
    Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap_or_else(|e| panic!("{e}\n{}", sshd.log()))
}

fn request(dir: String) -> LeaseRequest {
    let run = ulid::Ulid::generate().to_string().parse().unwrap();
    let holder = Holder { actor: "a@b".into(), run, what: "deploy".into(), since: jiff::Timestamp::now() };
    LeaseRequest { dir, holder, kamal_lock: None }
}

async fn lease(host: &SshHost, dir: &str) -> Box<dyn Lease> {
    host.lease(&request(dir.to_string())).await.unwrap()
}

/// An engine's socket that answers nothing but accepts; sshd asks for no more.
fn socket(path: &std::path::Path) -> std::os::unix::net::UnixListener {
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o666)).unwrap();
    listener
}

#[tokio::test]
async fn max_sessions_1_has_leases_and_commands_at_the_same_time() {
    let sshd = Sshd::with("MaxSessions 1");
    let (connection, dir) = (open(&sshd).await, sshd.path("state").display().to_string());
    let host = SshHost::new(connection.clone());
    let other = SshHost::new(open(&sshd).await);
    let held = lease(&host, &dir).await;
    // The proxy's own is a second one.
    let second = lease(&host, &sshd.path("proxy").display().to_string()).await;
    let all = futures::future::join_all((0..8).map(|_| connection.exec(command("exec true")))).await;
    assert!(all.into_iter().all(|output| output.unwrap().success()));
    host.write(&format!("{dir}/file"), b"x", 0o600).await.unwrap();
    assert!(matches!(other.lease(&request(dir.clone())).await, Err(LeaseError::Held(Some(_)))));
    held.check().unwrap();
    second.release().await.unwrap();
    held.release().await.unwrap();
    assert_eq!(other.lease_holder(&dir).await.unwrap(), None);
    // A release leaves the connection that the lease was for alone.
    assert!(connection.exec(command("exec true")).await.unwrap().success());
    lease(&other, &dir).await.release().await.unwrap();
}

/// The lease's own connection breaks: what changes are made over must not outlive it.
#[tokio::test]
async fn max_sessions_1_and_the_leases_connection_breaks() {
    let sshd = Sshd::with("MaxSessions 1");
    let (connection, dir) = (open(&sshd).await, sshd.path("state").display().to_string());
    let main = sshd.connections();
    let held = lease(&SshHost::new(connection.clone()), &dir).await;
    let own = sshd.connections().into_iter().find(|pid| !main.contains(pid)).expect("the lease has its own connection");
    signal(own, "KILL");
    let lost = tokio::time::timeout(Duration::from_secs(15), held.lost()).await.expect("the lease is lost");
    assert!(matches!(lost, LeaseError::Lost(_)), "{lost}");
    let closed = connection.closed();
    tokio::time::timeout(Duration::from_secs(15), closed.cancelled())
        .await
        .expect("its connection is ended by the host");
    let other = SshHost::new(open(&sshd).await);
    until_async("the lease is free", Duration::from_secs(15), || async {
        other.lease(&request(dir.clone())).await.ok()
    })
    .await;
}

#[tokio::test]
async fn max_sessions_1_and_the_connection_that_the_lease_is_for_breaks() {
    let sshd = Sshd::with("MaxSessions 1");
    let connection = open(&sshd).await;
    let main = sshd.connections()[0];
    let held = lease(&SshHost::new(connection.clone()), &sshd.path("state").display().to_string()).await;
    signal(main, "KILL");
    tokio::time::timeout(Duration::from_secs(5), held.lost()).await.expect("the lease is lost");
    until("the lease's connection ends", Duration::from_secs(15), || sshd.connections().is_empty().then_some(()));
}

#[tokio::test]
async fn max_sessions_1_reaches_the_engine() {
    let sshd = Sshd::with("MaxSessions 1");
    let _engine = socket(&sshd.path("engine.sock"));
    let path = sshd.path("engine.sock").display().to_string();
    let door = EngineDoor::find(&open(&sshd).await, Some(&path)).await.unwrap();
    assert_eq!(door.door(), &Door::Socket(path));
}

#[tokio::test]
async fn no_forwarding_falls_back_to_dial_stdio_and_says_so_where_sessions_are_too_few() {
    for (sessions, enough) in [(10, true), (1, false)] {
        let sshd = Sshd::prepared(
            &format!("DisableForwarding yes\nMaxSessions {sessions}\nSetEnv PATH={{dir}}:/usr/bin:/bin"),
            |dir| {
                std::fs::write(dir.join("docker"), "#!/bin/sh\nexec cat\n").unwrap();
                std::fs::set_permissions(dir.join("docker"), PermissionsExt::from_mode(0o755)).unwrap();
            },
        );
        let _engine = socket(&sshd.path("engine.sock"));
        let path = sshd.path("engine.sock").display().to_string();
        match EngineDoor::find(&open(&sshd).await, Some(&path)).await {
            Ok(door) => assert!(enough && door.door() == &Door::DialStdio(path)),
            Err(error) => {
                assert!(!enough, "{error}");
                assert!(error.message.contains("too few sessions a connection (MaxSessions)"), "{error}");
                assert!(error.hint.unwrap().contains("AllowStreamLocalForwarding yes, or MaxSessions 10"));
            }
        }
    }
}

#[tokio::test]
async fn a_user_who_is_not_root() {
    let sshd = Sshd::for_deploy_user("");
    let host = SshHost::new(open(&sshd).await);
    let probe = host.probe().await.unwrap();
    assert_eq!((probe.uid, probe.home.as_str()), (4242, sshd.path("home").to_str().unwrap()));
    assert!(probe.missing_commands.is_empty());
    let dir = format!("{}/.windlass/app/_", probe.home);
    host.make_dir(&dir).await.unwrap();
    host.write(&format!("{dir}/file"), b"x", 0o600).await.unwrap();
    host.append(&format!("{dir}/journal.jsonl"), b"{}\n").await.unwrap();
    assert_eq!(host.read_dirs(std::slice::from_ref(&dir)).await.unwrap()[0].len(), 2);
    let held = lease(&host, &dir).await;
    held.check().unwrap();
    assert!(matches!(SshHost::new(open(&sshd).await).lease(&request(dir)).await, Err(LeaseError::Held(Some(_)))));
    held.release().await.unwrap();
    let denied = host.write("/etc/windlass-test", b"x", 0o600).await.unwrap_err();
    assert!(denied.to_string().contains("cannot create"), "{denied}");
}

#[tokio::test]
async fn a_user_who_is_not_root_and_max_sessions_1() {
    let sshd = Sshd::for_deploy_user("MaxSessions 1");
    let connection = open(&sshd).await;
    let host = SshHost::new(connection.clone());
    let held = lease(&host, &sshd.path("home/state").display().to_string()).await;
    assert!(connection.exec(command("exec true")).await.unwrap().success());
    held.release().await.unwrap();
}

#[tokio::test]
async fn a_rootless_engine_is_found() {
    for (environment, place) in [
        ("XDG_RUNTIME_DIR={dir}/run", "run/docker.sock"),
        ("XDG_RUNTIME_DIR={dir}/run", "run/podman/podman.sock"),
        ("DOCKER_HOST=unix://{dir}/mine.sock", "mine.sock"),
    ] {
        let sshd = Sshd::for_deploy_user(&format!("SetEnv {environment}"));
        std::fs::create_dir_all(sshd.path(place).parent().unwrap()).unwrap();
        let _engine = socket(&sshd.path(place));
        let door = EngineDoor::find(&open(&sshd).await, None).await.unwrap();
        assert_eq!(door.door(), &Door::Socket(sshd.path(place).display().to_string()));
    }
}

#[tokio::test]
async fn a_socket_that_the_user_may_not_use_is_named() {
    let sshd = Sshd::for_deploy_user("SetEnv DOCKER_HOST=unix://{dir}/root.sock");
    let _engine = socket(&sshd.path("root.sock"));
    std::fs::set_permissions(sshd.path("root.sock"), PermissionsExt::from_mode(0o660)).unwrap();
    let error = EngineDoor::find(&open(&sshd).await, None).await.map(drop).unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::EnginePermission);
    assert!(
        error.message.contains("user deploy may not use the engine's socket") && error.message.contains("root.sock")
    );
    assert!(error.hint.unwrap().contains("usermod -aG docker deploy"));
}

/// A server that accepts and says nothing, so that every attempt takes its whole time.
#[tokio::test]
async fn no_more_hosts_than_max_concurrent_starts_are_connected_to_at_a_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let (open, most) = (std::sync::Arc::new(AtomicUsize::new(0)), std::sync::Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (open.clone(), most.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = silent.accept().await {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let now = now.clone();
            tokio::spawn(async move {
                // Until the other side hangs up.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                now.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    let dialer = Dialer::new(DialerSettings { max_concurrent_starts: 3, ..DialerSettings::default() });
    let target = Target {
        endpoint: Endpoint { host: "127.0.0.1".into(), port, user: "root".into() },
        settings: Settings { connect_timeout: Some(Duration::from_millis(300)), ..Settings::default() },
        via: Via::Direct,
    };
    let results = futures::future::join_all((0..9).map(|_| dialer.connect(&target))).await;
    assert!(results.iter().all(|r| matches!(r, Err(SshError::NoAnswer { .. }))), "{results:?}");
    assert_eq!(most.load(Ordering::SeqCst), 3);
}
