//! Ways to a host: jump hosts, proxy commands and SSH configuration files, against real OpenSSH servers.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};
use support::sshd::{Sshd, children, signal};
use windlass::config::{HostAddress, KeySource, Ssh, SshProxy};
use windlass::effect::{ConnectError, ConnectErrorKind, Host, Lease, LeaseRequest};
use windlass::fleet::Holder;
use windlass::real::{Operator, Routes};
use windlass::ssh::{Command, Connection, Dialer, DialerSettings, SshError, SshHost, Target, Via};

fn dialer() -> std::sync::Arc<Dialer> {
    Dialer::new(DialerSettings::default())
}

fn direct(sshd: &Sshd) -> Target {
    Target { endpoint: sshd.endpoint(), settings: sshd.settings(), via: Via::Direct }
}

/// Through these in this order; the last is the host itself.
fn through(hops: &[&Sshd]) -> Target {
    let mut hops = hops.iter();
    let mut target = direct(hops.next().unwrap());
    for hop in hops {
        target = Target { via: Via::Jump(Box::new(target)), ..direct(hop) };
    }
    target
}

fn command(line: &str) -> Command {
    let deadline = Duration::from_secs(60);
    Command { what: "test".into(), line: line.into(), stdin: Default::default(), deadline, limit: 1 << 20 }
}

/// The port of the sshd that a connection ends at.
async fn port_there(connection: &std::sync::Arc<Connection>) -> u16 {
    let output = connection.exec(command("echo $SSH_CONNECTION")).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[tokio::test]
async fn three_hops() {
    let (a, b, c, host) = (Sshd::start(), Sshd::start(), Sshd::start(), Sshd::start());
    let connection = dialer().connect(&through(&[&a, &b, &c, &host])).await.unwrap();
    assert_eq!(port_there(&connection).await, host.port);
    for hop in [&a, &b, &c, &host] {
        assert_eq!(hop.connections().len(), 1);
    }
}

#[tokio::test]
async fn the_host_key_of_every_hop_is_checked() {
    let all = [Sshd::start(), Sshd::start(), Sshd::start()];
    let hops: Vec<&Sshd> = all.iter().collect();
    for (i, hop) in hops.iter().enumerate() {
        let known = hop.settings().known_hosts[0].clone();
        let right = std::fs::read(&known).unwrap();
        std::fs::write(&known, hop.known_line("id")).unwrap();
        let error = dialer().connect(&through(&hops)).await.unwrap_err();
        let named =
            format!("on the way there, jump host {}@127.0.0.1:{}: its host key has CHANGED", hop.user, hop.port);
        match i {
            2 => assert!(matches!(error, SshError::HostKeyChanged { .. }), "{error}"),
            _ => assert!(error.to_string().starts_with(&named), "{error}"),
        }
        assert!(error.hint().unwrap().contains("delete line 1"));
        assert_eq!(ConnectError::from(error).kind, ConnectErrorKind::HostKeyChanged);
        std::fs::write(&known, right).unwrap();
    }
}

#[tokio::test]
async fn a_hop_that_fails_is_named_with_its_reason() {
    let (hop, host) = (Sshd::with("PermitOpen 127.0.0.1:1"), Sshd::start());
    let forbidden = dialer().connect(&through(&[&hop, &host])).await.unwrap_err().to_string();
    assert!(forbidden.contains("its sshd forbids forwarding there"), "{forbidden}");
    let hop = Sshd::start();
    let mut target = through(&[&hop, &host]);
    target.endpoint.port = 1;
    let closed = dialer().connect(&target).await.unwrap_err();
    assert!(closed.to_string().contains("cannot connect to 127.0.0.1:1: nothing listens there"), "{closed}");
    assert_eq!(ConnectError::from(closed).kind, ConnectErrorKind::NoRoute);
    let mut target = through(&[&hop, &host]);
    let Via::Jump(first) = &mut target.via else { unreachable!() };
    first.settings.keys = vec![];
    let refused = dialer().connect(&target).await.unwrap_err();
    assert!(
        refused.to_string().contains(&format!("jump host {}@127.0.0.1:{}: login as", hop.user, hop.port)),
        "{refused}"
    );
}

#[tokio::test]
async fn hosts_behind_one_jump_host_share_its_connection_and_a_further_connection_does_not() {
    let (hop, one, two) = (Sshd::start(), Sshd::start(), Sshd::start());
    let dialer = dialer();
    let (to_one, to_two) = (through(&[&hop, &one]), through(&[&hop, &two]));
    let (one, two) = tokio::join!(dialer.connect(&to_one), dialer.connect(&to_two));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(hop.connections().len(), 1);
    let further = one.another().await.unwrap();
    assert_eq!(port_there(&further).await, port_there(&one).await);
    assert_eq!(hop.connections().len(), 2);
    further.close().await;
    assert_eq!(port_there(&two).await, to_two.endpoint.port);
}

/// What a lease must not wait for: a further connection whose stream nobody reads.
#[tokio::test]
async fn a_further_connection_never_delays_a_lease() {
    let sshd = Sshd::start();
    let connection = Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap();
    let further = connection.another().await.unwrap();
    let _unread = further.open_command("exec cat /dev/zero".to_string()).await.unwrap();
    let lease = lease(&SshHost::new(connection.clone()), &sshd).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(12) {
        lease.check().unwrap();
        assert!(connection.exec(command("exec true")).await.unwrap().success());
    }
    lease.release().await.unwrap();
}

async fn lease(host: &SshHost, sshd: &Sshd) -> Box<dyn Lease> {
    let run = ulid::Ulid::generate().to_string().parse().unwrap();
    let holder = Holder { actor: "a@b".into(), run, what: "deploy".into(), since: jiff::Timestamp::now() };
    let dir = sshd.path("state").display().to_string();
    host.lease(&LeaseRequest { dir, holder, kamal_lock: None }).await.unwrap()
}

/// The host behind the jump host stands still; the jump host itself is well.
async fn dies_within_20_s(stdin: Vec<u8>) {
    let (hop, host) = (Sshd::start(), Sshd::start());
    let connection = dialer().connect(&through(&[&hop, &host])).await.unwrap();
    let session = host.connections()[0];
    let cat = Command { stdin: stdin.into(), ..command("exec sleep 60") };
    let running = connection.clone();
    let command = tokio::spawn(async move { running.exec(cat).await });
    support::wait::until("the command runs", Duration::from_secs(10), || (!children(session).is_empty()).then_some(()));
    signal(session, "STOP");
    let start = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(30), command).await;
    let took = start.elapsed();
    // Or it would not end.
    signal(session, "KILL");
    let result = ended.expect("the connection is given up").unwrap();
    assert!(matches!(&result, Err(SshError::ConnectionLost(_))), "{result:?}");
    assert!(took > Duration::from_secs(8) && took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_falls_silent_behind_a_jump_host_is_noticed() {
    dies_within_20_s(Vec::new()).await;
}

/// More than all windows and buffers hold: the session's own keepalives stand still then.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_falls_silent_in_the_middle_of_data_is_noticed_too() {
    dies_within_20_s(vec![b'x'; 64 << 20]).await;
}

#[tokio::test]
async fn a_proxy_command() {
    let (hop, host) = (Sshd::start(), Sshd::start());
    let ssh = format!(
        "ssh -F none -i {} -o UserKnownHostsFile={} -p {} -W 127.0.0.1:{} {}@127.0.0.1",
        hop.path("id").display(),
        hop.settings().known_hosts[0].display(),
        hop.port,
        host.port,
        hop.user
    );
    let with = |command: &str| Target { via: Via::Command(command.to_string()), ..direct(&host) };
    let connection = dialer().connect(&with(&ssh)).await.unwrap();
    assert_eq!(port_there(&connection).await, host.port);
    drop(connection);
    support::wait::until("the command has ended", Duration::from_secs(10), || {
        hop.connections().is_empty().then_some(())
    });

    let failing = dialer().connect(&with("sh -c 'echo no such network >&2; exit 1'")).await.unwrap_err();
    assert!(failing.to_string().ends_with("failed: no such network"), "{failing}");
    let missing = dialer().connect(&with("/nonexistent/proxy")).await.unwrap_err();
    assert!(
        missing.to_string().contains("/nonexistent/proxy") && missing.to_string().contains("not found"),
        "{missing}"
    );
}

/// A home directory with an SSH configuration, and deploy.yml's part of it.
struct Home(tempfile::TempDir);

impl Home {
    fn with(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".ssh")).unwrap();
        std::fs::write(dir.path().join(".ssh/config"), config).unwrap();
        Self(dir)
    }

    fn routes(&self, ssh: &Ssh) -> Routes {
        Routes::new(ssh, Operator::at_home(self.0.path(), "ann"))
    }

    fn target(&self, ssh: &Ssh, host: &str) -> Target {
        self.routes(ssh).target(&at(host, None, None)).unwrap().0
    }
}

fn at(host: &str, user: Option<&str>, port: Option<u16>) -> HostAddress {
    HostAddress { address: host.into(), port, user: user.map(str::to_string) }
}

fn lines(name: &str, sshd: &Sshd) -> String {
    format!(
        "Host {name}\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n IdentitiesOnly yes\n UserKnownHostsFile {}\n",
        sshd.port,
        sshd.user,
        sshd.path("id").display(),
        sshd.settings().known_hosts[0].display(),
    )
}

#[tokio::test]
async fn a_host_of_the_ssh_configuration() {
    let sshd = Sshd::start();
    let home = Home::with(&lines("web1", &sshd));
    let connection = dialer().connect(&home.target(&Ssh::default(), "web1")).await.unwrap();
    assert_eq!(port_there(&connection).await, sshd.port);
}

#[tokio::test]
async fn proxy_jump_of_the_ssh_configuration_with_each_hops_own_lines() {
    let (a, b, host) = (Sshd::start(), Sshd::start(), Sshd::start());
    let config = [
        lines("edge", &a),
        lines("inner", &b),
        " ProxyJump edge\n".to_string(),
        lines("web1", &host),
        "Host web1\n ProxyJump inner\nHost *\n ProxyJump edge\n".to_string(),
    ];
    let home = Home::with(&config.concat());
    let connection = dialer().connect(&home.target(&Ssh::default(), "web1")).await.unwrap();
    assert_eq!(port_there(&connection).await, host.port);
    assert_eq!((a.connections().len(), b.connections().len()), (1, 1));
}

#[tokio::test]
async fn a_proxy_command_of_the_ssh_configuration() {
    let (hop, host) = (Sshd::start(), Sshd::start());
    let config = format!("{}{} ProxyCommand ssh -F $F -W %h:%p hop\n", lines("hop", &hop), lines("web1", &host));
    let home = Home::with("");
    let file = home.0.path().join(".ssh/config");
    std::fs::write(&file, config.replace("$F", &file.display().to_string())).unwrap();
    let connection = dialer().connect(&home.target(&Ssh::default(), "web1")).await.unwrap();
    assert_eq!((port_there(&connection).await, hop.connections().len()), (host.port, 1));
}

#[test]
fn deploy_yml_goes_before_the_ssh_configuration() {
    let home = Home::with(
        "Host *\n User other\n Port 1\n IdentityFile ~/other\n ProxyJump nowhere\n IdentitiesOnly no\n StrictHostKeyChecking accept-new\n",
    );
    let ssh = Ssh {
        keys: vec!["/mine".into()],
        keys_only: Some(true),
        accept_new: Some(false),
        known_hosts: vec!["/known".into()],
        proxy: Some(SshProxy::Jump(vec![at("edge", None, Some(2222)), at("inner", Some("me"), None)])),
        ..Ssh::default()
    };
    let (target, _) = home.routes(&ssh).target(&at("web1", Some("deploy"), Some(2200))).unwrap();
    assert_eq!(target.endpoint.to_string(), "deploy@web1:2200");
    let settings = &target.settings;
    assert_eq!((settings.keys_only, settings.accept_new), (true, false));
    assert_eq!(settings.known_hosts, [Path::new("/known")]);
    assert_eq!(settings.keys, [Path::new("/mine")]);
    let Via::Jump(inner) = &target.via else { panic!("{target:?}") };
    assert_eq!(inner.endpoint.to_string(), "me@inner:1");
    let Via::Jump(edge) = &inner.via else { panic!("{inner:?}") };
    assert_eq!(edge.endpoint.to_string(), "other@edge:2222");
    // What deploy.yml does not say.
    let target = home.target(&Ssh::default(), "web1");
    assert_eq!(target.endpoint.to_string(), "other@web1:1");
    assert!(target.settings.accept_new && !target.settings.keys_only);
}

#[test]
fn defaults_are_kamals() {
    let home = Home::with("Host x\n User nobody\n");
    let target = home.target(&Ssh::default(), "web1");
    assert_eq!((target.endpoint.to_string().as_str(), &target.via), ("root@web1:22", &Via::Direct));
    let jump = Ssh { proxy: Some(SshProxy::Jump(vec![at("edge", None, None)])), ..Ssh::default() };
    let Via::Jump(edge) = home.target(&jump, "web1").via else { panic!() };
    assert_eq!(edge.endpoint.to_string(), "root@edge:22");
    let command = Ssh { proxy: Some(SshProxy::Command("nc %h %p %r %% %%h".into())), ..Ssh::default() };
    assert_eq!(home.target(&command, "web1").via, Via::Command("nc web1 22 root % %h".into()));
}

#[test]
fn the_config_key_names_other_files_or_none() {
    let home = Home::with("Host web1\n Port 1\n");
    let other = home.0.path().join("other");
    std::fs::write(&other, "Host web1\n Port 2\n").unwrap();
    let port = |config| home.target(&Ssh { config, ..Ssh::default() }, "web1").endpoint.port;
    assert_eq!((port(None), port(Some(vec![])), port(Some(vec![other]))), (1, 22, 2));
}

#[test]
fn a_loop_of_jump_hosts_is_an_error_and_a_jump_host_of_everybody_is_not_its_own() {
    let home = Home::with("Host a\n ProxyJump b\nHost b\n ProxyJump a\n");
    let error = ConnectError::from(home.routes(&Ssh::default()).target(&at("a", None, None)).unwrap_err());
    assert!(error.message.contains("more than 8 jump hosts"), "{error}");
    assert!(error.hint.unwrap().contains("ssh.config: false"));
    let home = Home::with("Host *\n ProxyJump edge\nHost edge\n User me\n");
    let Via::Jump(edge) = home.target(&Ssh::default(), "web1").via else { panic!() };
    assert_eq!((edge.endpoint.to_string().as_str(), &edge.via), ("me@edge:22", &Via::Direct));
}

#[tokio::test]
async fn a_key_from_a_secret_opens_the_jump_host_too() {
    let (hop, host) = (Sshd::start(), Sshd::start());
    std::fs::copy(hop.path("authorized_keys"), host.path("authorized_keys")).unwrap();
    let known = host.path("both");
    std::fs::write(&known, hop.known_line("host_ed25519") + &host.known_line("host_ed25519")).unwrap();
    let home = Home::with("");
    let ssh = Ssh {
        key_data: vec![KeySource::Secret("DEPLOY_KEY".into())],
        keys_only: Some(true),
        known_hosts: vec![known],
        proxy: Some(SshProxy::Jump(vec![at("127.0.0.1", Some(&hop.user), Some(hop.port))])),
        ..Ssh::default()
    };
    let key = std::fs::read_to_string(hop.path("id")).unwrap();
    let operator = Operator {
        secrets: [("DEPLOY_KEY".to_string(), key.into())].into(),
        ..Operator::at_home(home.0.path(), "ann")
    };
    let (target, _) = Routes::new(&ssh, operator).target(&at("127.0.0.1", Some(&host.user), Some(host.port))).unwrap();
    assert_eq!(port_there(&dialer().connect(&target).await.unwrap()).await, host.port);
}
