//! The SSH room against a real OpenSSH server.

mod support;

use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};
use support::sshd::{Sshd, keygen};
use support::wait::until_async;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass::effect::{Host, HostError};
use windlass::ssh::{Command, Connection, Endpoint, Settings, SshError, SshHost};

fn command(line: &str) -> Command {
    Command {
        what: "test".into(),
        line: line.into(),
        stdin: Default::default(),
        deadline: Duration::from_secs(20),
        limit: 1 << 20,
    }
}

#[tokio::test]
async fn commands_have_status_output_and_input() {
    let sshd = Sshd::start();
    let connection = Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap();
    let mut cat = command("cat; echo problem >&2; exit 3");
    cat.stdin = vec![b'x'; 300_000].into();
    let output = connection.exec(cat).await.unwrap();
    assert_eq!((output.status, output.stdout.len(), output.last_words().as_str()), (Some(3), 300_000, "problem"));
    let killed = connection.exec(command("kill -KILL $$")).await.unwrap();
    assert_eq!((killed.status, killed.ending().as_str()), (None, "signal KILL"));
    // A command that does not read its input.
    let mut deaf = command("exec true");
    deaf.stdin = vec![b'x'; 8 << 20].into();
    assert!(connection.exec(deaf).await.unwrap().success());
}

#[tokio::test]
async fn limits_are_errors_and_leave_the_connection_usable() {
    let sshd = Sshd::start();
    let connection = Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap();
    let flood = connection.exec(command("exec cat /dev/zero")).await;
    assert!(matches!(flood, Err(SshError::OutputTooLarge { limit: 1_048_576, .. })), "{flood:?}");
    let slow = Command { deadline: Duration::from_millis(300), ..command("exec sleep 30") };
    assert!(matches!(connection.exec(slow).await, Err(SshError::Deadline { .. })));
    // More than MaxSessions at once: they wait for each other. Callers that go away leave no session behind.
    for _ in 0..10 {
        let gone = tokio::time::timeout(Duration::from_millis(5), connection.exec(command("exec sleep 1"))).await;
        assert!(gone.is_err());
    }
    let all = (0..30).map(|i| connection.exec(command(if i % 2 == 0 { "exec true" } else { "exit 4" })));
    for (i, result) in futures::future::join_all(all).await.into_iter().enumerate() {
        assert_eq!(result.unwrap().status, Some(if i % 2 == 0 { 0 } else { 4 }));
    }
}

#[tokio::test]
async fn unknown_changed_and_revoked_host_keys() {
    let sshd = Sshd::start();
    let mut settings = sshd.settings();
    let file = sshd.path("known_hosts");
    let endpoint = sshd.endpoint();
    let open = |s: Settings| {
        let endpoint = endpoint.clone();
        async move { Connection::open(&endpoint, &s).await }
    };

    std::fs::write(&file, "").unwrap();
    let unknown = open(settings.clone()).await.unwrap_err();
    assert!(matches!(unknown, SshError::HostKeyUnknown { .. }), "{unknown}");
    assert!(unknown.hint().unwrap().contains(&format!("ssh-keyscan -t ed25519 -p {} 127.0.0.1 >> ", sshd.port)));

    std::fs::write(&file, sshd.known_line("id")).unwrap();
    assert!(matches!(open(settings.clone()).await, Err(SshError::HostKeyChanged { line: 1, .. })));

    // Known by its ECDSA key only: that one is asked for, although the server would rather show the other.
    std::fs::write(&file, sshd.known_line("host_ecdsa")).unwrap();
    open(settings.clone()).await.unwrap();

    let revoked = format!("{0}@revoked {0}", sshd.known_line("host_ed25519"));
    std::fs::write(&file, revoked).unwrap();
    assert!(matches!(open(settings.clone()).await, Err(SshError::HostKeyRevoked { line: 2, .. })));

    std::fs::remove_file(&file).unwrap();
    settings.accept_new = true;
    open(settings.clone()).await.unwrap();
    open(settings.clone()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1, "enrolled once");
    settings.accept_new = false;
    open(settings).await.unwrap();
}

#[tokio::test]
async fn login_says_what_was_tried() {
    let sshd = Sshd::start();
    keygen(&sshd.path("stranger"), "ed25519", "");
    keygen(&sshd.path("locked"), "ed25519", "a passphrase");
    let mut settings = sshd.settings();
    settings.keys = vec![sshd.path("stranger"), sshd.path("locked"), sshd.path("missing")];
    let error = Connection::open(&sshd.endpoint(), &settings).await.unwrap_err();
    let SshError::AuthFailed { tried, .. } = &error else { panic!("{error}") };
    let tried = tried.join("\n");
    assert!(tried.contains("stranger: refused"), "{tried}");
    let locked =
        "locked: protected by a passphrase and not in the agent; there is no terminal to ask for it on: run ssh-add ";
    assert!(tried.contains(locked), "{tried}");
    assert!(tried.contains("missing: no such file"), "{tried}");
    // A wrong key first does no harm, and RSA keys sign with SHA-2.
    settings.keys = vec![sshd.path("stranger"), sshd.path("id_rsa")];
    Connection::open(&sshd.endpoint(), &settings).await.unwrap();
}

#[tokio::test]
async fn too_many_refused_keys_are_explained() {
    let sshd = Sshd::with("MaxAuthTries 3");
    let mut settings = sshd.settings();
    settings.keys = (0..5).map(|i| sshd.path(&format!("k{i}"))).collect();
    settings.keys.iter().for_each(|k| keygen(k, "ed25519", ""));
    settings.keys.push(sshd.path("id"));
    let error = Connection::open(&sshd.endpoint(), &settings).await.unwrap_err();
    assert!(matches!(error, SshError::AuthFailed { .. }), "{error}");
    assert!(error.hint().unwrap().contains("ssh.keys_only"), "{:?}", error.hint());
}

#[tokio::test]
async fn keys_of_the_agent() {
    let sshd = Sshd::start();
    let socket = sshd.path("agent.sock");
    let mut agent = Process::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    until_async("the agent's socket", Duration::from_secs(10), || async { socket.exists().then_some(()) }).await;
    let locked = sshd.path("locked");
    std::fs::copy(sshd.path("id"), &locked).unwrap();
    for key in ["id", "id_rsa"] {
        let added =
            Process::new("ssh-add").arg("-q").arg(sshd.path(key)).env("SSH_AUTH_SOCK", &socket).status().unwrap();
        assert!(added.success());
    }
    let encrypt = ["-q", "-p", "-P", "", "-N", "a passphrase", "-f"];
    assert!(Process::new("ssh-keygen").args(encrypt).arg(&locked).status().unwrap().success());
    let mut settings = Settings { agent: Some(socket), keys: vec![], keys_only: false, ..sshd.settings() };
    Connection::open(&sshd.endpoint(), &settings).await.unwrap();
    // keys_only with a key that only the agent can use: its public half is enough here.
    settings.keys = vec![locked];
    settings.keys_only = true;
    let result = Connection::open(&sshd.endpoint(), &settings).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    result.unwrap();
}

#[tokio::test]
async fn hosts_that_are_not_there() {
    let settings = Settings::default();
    let at = |host: &str, port| Endpoint { host: host.into(), port, user: "root".into() };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = Connection::open(&at("127.0.0.1", closed), &settings).await.unwrap_err();
    assert!(matches!(refused, SshError::Refused { .. }), "{refused}");
    let unknown = Connection::open(&at("no-such-host.invalid", 22), &settings).await.unwrap_err();
    assert!(matches!(unknown, SshError::Dns { .. }), "{unknown}");
    // Accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Instant::now();
    let error = Connection::open(&at("127.0.0.1", silent.local_addr().unwrap().port()), &settings).await.unwrap_err();
    assert!(matches!(error, SshError::NoAnswer { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(17));
}

#[tokio::test]
async fn files() {
    let sshd = Sshd::start();
    let host = SshHost::new(Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap());
    let dir = sshd.path("it's a \"dir\" $x").display().to_string();
    let (journal, record) = (format!("{dir}/journal.jsonl"), format!("{dir}/releases/r 1.json"));
    assert_eq!(host.read_dirs(std::slice::from_ref(&dir)).await.unwrap(), vec![Default::default()]);
    let missing = host.write(&record, b"x", 0o600).await.unwrap_err();
    assert!(matches!(&missing, HostError::Failed { message, .. } if message.contains("cannot create")), "{missing}");

    host.make_dir(&format!("{dir}/releases")).await.unwrap();
    let big: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    host.write(&record, &big, 0o640).await.unwrap();
    host.write(&record, &big[1..], 0o640).await.unwrap();
    for line in ["{\"a\":1}\n", "{\"b\":\"\\\\n \\u0041 %s\"}\n"] {
        host.append(&journal, line.as_bytes()).await.unwrap();
    }
    std::fs::write(&journal, std::fs::read_to_string(&journal).unwrap() + "{\"torn").unwrap();
    host.append(&journal, b"{\"c\":3}\n").await.unwrap();

    let sets = host.read_dirs(&[dir.clone(), "/nonexistent".into()]).await.unwrap();
    assert_eq!(sets[0].keys().collect::<Vec<_>>(), ["journal.jsonl", "releases/r 1.json"]);
    assert_eq!(sets[0]["releases/r 1.json"], big[1..]);
    let text = String::from_utf8(sets[0]["journal.jsonl"].clone()).unwrap();
    assert_eq!(text, "{\"a\":1}\n{\"b\":\"\\\\n \\u0041 %s\"}\n{\"torn\n{\"c\":3}\n");
    assert!(sets[1].is_empty());
    let mode = |p: &str| std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(p).unwrap().permissions()) & 0o777;
    assert_eq!((mode(&record), mode(&journal), mode(&dir)), (0o640, 0o600, 0o700));

    host.remove(&record).await.unwrap();
    host.remove(&record).await.unwrap();
    assert_eq!(host.read_dirs(&[dir]).await.unwrap()[0].len(), 1);
}

/// The host's side of a write whose connection dies half-way: sshd ends the script's input early.
#[tokio::test]
async fn half_a_file_never_takes_the_place_of_a_whole_one() {
    let sshd = Sshd::start();
    let connection = Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap();
    let host = SshHost::new(connection.clone());
    let path = sshd.path("file").display().to_string();
    host.write(&path, b"whole", 0o600).await.unwrap();
    let content = vec![b'x'; 200 << 20];
    let target = path.clone();
    let writer = tokio::spawn(async move { host.write(&target, &content, 0o600).await });
    let dir = sshd.path("");
    until_async("the temporary file grows", Duration::from_secs(10), || async {
        let names = std::fs::read_dir(&dir).unwrap().flatten();
        names
            .filter(|e| e.file_name().to_string_lossy().starts_with(".windlass-tmp-"))
            .find(|e| e.metadata().is_ok_and(|m| m.len() > 1 << 20))
            .map(drop)
    })
    .await;
    connection.close().await;
    let result = writer.await.unwrap();
    assert!(matches!(result, Err(HostError::Disconnected(_))), "{result:?}");
    until_async("the temporary file is removed", Duration::from_secs(10), || async {
        let mut names = std::fs::read_dir(&dir).unwrap().flatten();
        names.all(|e| !e.file_name().to_string_lossy().starts_with(".windlass-tmp-")).then_some(())
    })
    .await;
    assert_eq!(std::fs::read(&path).unwrap(), b"whole");
}

#[tokio::test]
async fn probe() {
    let sshd = Sshd::start();
    let host = SshHost::new(Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap());
    let probe = host.probe().await.unwrap();
    assert!(probe.listening[&sshd.port].as_ref().is_some_and(|by| by.starts_with("sshd")), "{:?}", probe.listening);
    assert!(probe.missing_commands.is_empty() && probe.disk.unwrap().total > 0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((probe.unix_time - now).abs() <= 2);
}

#[tokio::test]
async fn sockets() {
    let sshd = Sshd::start();
    let host = SshHost::new(Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap());
    let path = sshd.path("echo.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        }
    });
    let request = vec![b'q'; 400_000];
    assert_eq!(host.ask_socket(&path.display().to_string(), &request).await.unwrap(), request);
    let missing = host.ask_socket("/nonexistent.sock", b"x").await;
    assert!(matches!(missing, Err(HostError::Failed { .. })), "{missing:?}");
}

#[tokio::test]
async fn sockets_where_sshd_forwards_none() {
    let sshd = Sshd::with("DisableForwarding yes");
    let host = SshHost::new(Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap());
    let path = sshd.path("a socket.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let _ = stream.read_to_end(&mut request).await;
            request.reverse();
            let _ = stream.write_all(&request).await;
        }
    });
    assert_eq!(host.ask_socket(&path.display().to_string(), b"show info").await.unwrap(), b"ofni wohs");
    let missing = host.ask_socket("/nonexistent.sock", b"x").await.unwrap_err().to_string();
    assert!(missing.contains("/nonexistent.sock"), "{missing}");
}

#[tokio::test]
async fn a_killed_connection_fails_every_call_at_once() {
    let sshd = Sshd::start();
    let connection = Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap();
    let waiting = connection.exec(command("exec sleep 60"));
    let killer = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        // The shell's parent is this connection's sshd.
        let _ = connection.exec(command("kill $PPID; exec sleep 60")).await;
    };
    let start = Instant::now();
    let (result, ()) = tokio::join!(waiting, killer);
    assert!(matches!(result, Err(SshError::ConnectionLost(_))), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(5) && connection.is_closed());
    assert!(matches!(connection.exec(command("true")).await, Err(SshError::ConnectionLost(_))));
}
