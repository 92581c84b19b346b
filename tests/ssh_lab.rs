//! The SSH room against hosts that vanish: a network black hole, for root and for a login that is not.

#[path = "support/lab.rs"]
mod lab;

use lab::{Lab, wait_for};
use std::sync::Arc;
use std::time::{Duration, Instant};
use windlass::effect::{Host, HostError, LeaseError, LeaseRequest};
use windlass::fleet::Holder;
use windlass::ssh::{Command, Connection, Endpoint, Settings, SshError, SshHost};

async fn connect(lab: &Lab, name: &str) -> Result<Arc<Connection>, SshError> {
    let host = lab.host(name);
    let settings = Settings {
        keys: vec![lab.key_rsa()],
        keys_only: true,
        known_hosts: vec![lab.known_hosts()],
        ..Settings::default()
    };
    Connection::open(&Endpoint { host: host.address, port: host.port, user: host.user }, &settings).await
}

/// One after the other: they share the lab's hosts.
#[tokio::test(flavor = "multi_thread")]
async fn black_holes() {
    let lab = Lab::up(3);
    for (host, home) in [("host-1", "/root"), ("host-3", "/home/deploy")] {
        a_lease_in_a_black_hole_is_lost_here_and_freed_there(lab, host, home).await;
    }
    a_host_that_does_not_answer_is_named_in_time(lab, "host-2").await;
}

async fn a_lease_in_a_black_hole_is_lost_here_and_freed_there(lab: &Lab, name: &str, home: &str) {
    let connection = connect(lab, name).await.unwrap();
    let host = SshHost::new(connection.clone());
    assert_eq!(host.probe().await.unwrap().home, home);
    let dir = format!("{home}/.windlass/app/_");
    let kamal = ".kamal/lock-app";
    let request = LeaseRequest {
        dir: dir.clone(),
        holder: Holder {
            actor: "a@b".into(),
            run: ulid::Ulid::generate().to_string().parse().unwrap(),
            what: "deploy".into(),
            since: jiff::Timestamp::now(),
        },
        kamal_lock: Some(kamal.into()),
    };
    let lease = host.lease(&request).await.unwrap();
    lab.exec(name, &["test", "-f", &format!("{home}/{kamal}/windlass")]);
    // A command that outlives the fence would be a second coordinator's nightmare: its channel must be gone too.
    let sleeper = Command {
        what: "sleep".into(),
        line: "exec sleep 300".into(),
        stdin: Default::default(),
        deadline: Duration::from_secs(300),
        limit: 1000,
    };
    let waiting = tokio::spawn({
        let connection = connection.clone();
        async move { connection.exec(sleeper).await }
    });
    let sshds = "grep -lE '^sshd: .*@notty' /proc/[0-9]*/cmdline";
    wait_for("the connection's sshd is there", Duration::from_secs(5), || {
        !lab.try_run(&["exec", name, "sh", "-c", sshds]).stdout.is_empty()
    });
    lab.cut(name);
    let start = Instant::now();
    let lost = tokio::time::timeout(Duration::from_secs(14), lease.lost()).await.expect("lost within 14 s");
    assert!(matches!(lost, LeaseError::Lost(_)) && lease.check().is_err(), "{lost}");
    assert!(matches!(lease.release().await, Err(LeaseError::Lost(_))));
    let free = format!("flock -n {dir}/lease true && test ! -e {home}/{kamal}");
    wait_for("the host frees the lease", Duration::from_secs(25), || {
        lab.try_run(&["exec", name, "sh", "-c", &free]).status.success()
    });
    assert!(start.elapsed() < Duration::from_secs(24), "{:?}", start.elapsed());
    // The fence: no sshd of a connection is left.
    wait_for("the connection's sshd is gone", Duration::from_secs(5), || {
        lab.try_run(&["exec", name, "sh", "-c", sshds]).stdout.is_empty()
    });
    let result = tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("noticed within 20 s").unwrap();
    assert!(matches!(result, Err(SshError::ConnectionLost(_))), "{result:?}");
    let after = host.append(&format!("{dir}/journal.jsonl"), b"x\n").await;
    assert!(matches!(after, Err(HostError::Disconnected(_))), "{after:?}");
    lab.heal(name);
    let again = SshHost::new(connect(lab, name).await.unwrap());
    again.lease(&request).await.unwrap().release().await.unwrap();
}

async fn a_host_that_does_not_answer_is_named_in_time(lab: &Lab, name: &str) {
    lab.cut(name);
    let start = Instant::now();
    let result = connect(lab, name).await;
    lab.heal(name);
    assert!(matches!(result, Err(SshError::NoAnswer { .. } | SshError::NoRoute { .. })), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
