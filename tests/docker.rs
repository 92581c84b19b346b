//! The docker room against real engines, over real SSH.

#[path = "support/lab.rs"]
mod lab;
mod support;

use async_trait::async_trait;
use futures::StreamExt;
use lab::Lab;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::sshd::Sshd;
use tokio::sync::mpsc;
use windlass::docker::{Dial, DockerEngine, Stream};
use windlass::effect::{
    ConnectErrorKind, Engine, EngineError, EngineErrorKind, LogsRequest, NewContainer, RegistryLogin,
};
use windlass::fleet::{EngineInfo, Health, State};
use windlass::name::{ContainerId, ImageRef};
use windlass::secret::Secret;
use windlass::spec::{ContainerOptions, Logging, PublishedPort, RestartPolicy};
use windlass::ssh::{Connection, Door, Endpoint, EngineDoor, Settings};

struct ThroughSsh(EngineDoor);

#[async_trait]
impl Dial for ThroughSsh {
    async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.0.open().await.map_err(io::Error::other)?))
    }
}

async fn connection(lab: &Lab, host: &str) -> Arc<Connection> {
    let host = lab.host(host);
    let settings = Settings {
        keys: vec![lab.key_ed25519()],
        keys_only: true,
        known_hosts: vec![lab.known_hosts_hashed()],
        ..Settings::default()
    };
    let endpoint = Endpoint { host: host.address, port: host.port, user: host.user };
    Connection::open(&endpoint, &settings).await.unwrap()
}

async fn engine(lab: &Lab, host: &str) -> (DockerEngine, EngineInfo) {
    let door = EngineDoor::find(&connection(lab, host).await, None).await.unwrap();
    DockerEngine::connect(Arc::new(ThroughSsh(door))).await.unwrap()
}

fn login(lab: &Lab) -> (String, RegistryLogin) {
    let (server, username, password) = lab.auth_registry();
    (server.clone(), RegistryLogin { server: Some(server), username: username.into(), password: password.into() })
}

fn new_container(name: &str, image: &str) -> NewContainer {
    NewContainer {
        name: name.to_string(),
        image: image.to_string(),
        hostname: Some("web-1".to_string()),
        command: None,
        env: BTreeMap::from([("TOKEN".to_string(), Secret::new("s3cret=\"x y\"\n2".to_string()))]),
        labels: BTreeMap::from([("service".to_string(), "demo".to_string())]),
        network: "kamal".to_string(),
        volumes: vec!["data:/data".to_string(), "/anonymous".to_string()],
        options: ContainerOptions { memory: Some(64 << 20), network_alias: vec!["web".into()], ..Default::default() },
        logging: Logging::default(),
        restart: RestartPolicy::UnlessStopped,
        stop_timeout: Some(7),
        one_off: false,
    }
}

/// Pulls an image of the lab through the registry with login and tags it, as a deploy does.
async fn have(lab: &Lab, engine: &DockerEngine, tag: &str) -> String {
    let (_, digest) = lab.image(&format!("demo:{tag}"), &["--label", "service=demo"]);
    let (server, login) = login(lab);
    let wanted: ImageRef = format!("{server}/demo:{tag}").parse().unwrap();
    let resolved = engine.resolve(&wanted, Some(&login)).await.unwrap();
    assert_eq!(resolved.digest.to_string(), digest);
    let by_digest = ImageRef { tag: None, digest: Some(resolved.digest), repository: wanted.repository.clone() };
    let (send, mut progress) = mpsc::unbounded_channel();
    engine.pull(&by_digest, Some(&login), send).await.unwrap();
    assert!(progress.recv().await.is_some(), "progress was told");
    engine.tag(&by_digest.to_string(), &wanted).await.unwrap();
    let image = engine.image(&wanted.to_string()).await.unwrap().unwrap();
    assert!(image.tags.contains(&wanted.to_string()) && image.digests.contains(&by_digest.to_string()), "{image:?}");
    assert_eq!(image.labels["service"], "demo");
    wanted.to_string()
}

fn kind<T: std::fmt::Debug>(result: Result<T, EngineError>) -> EngineErrorKind {
    result.unwrap_err().kind
}

async fn wipe(engine: &DockerEngine, name: &str) {
    for brief in engine.list().await.unwrap().into_iter().filter(|b| b.name.starts_with(name)) {
        engine.stop(&brief.id, Some(0)).await.unwrap();
        engine.remove(&brief.id).await.unwrap();
    }
}

/// Counts the streams that it opens.
struct Counted(ThroughSsh, Arc<std::sync::atomic::AtomicUsize>);

#[async_trait]
impl Dial for Counted {
    async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.0.dial().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn followed_output_goes_over_a_further_connection_and_an_excerpt_does_not() {
    let lab = Lab::up(3);
    let connection = connection(lab, "host-1").await;
    let door = EngineDoor::find(&connection, None).await.unwrap();
    let further = EngineDoor::through(&connection.another().await.unwrap(), door.door().clone());
    let aside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (engine, _) = DockerEngine::connect(Arc::new(ThroughSsh(door))).await.unwrap();
    let engine = engine.with_aside(Arc::new(Counted(ThroughSsh(further), aside.clone()))).unwrap();
    engine.create_network("kamal").await.unwrap();
    let image = have(lab, &engine, "aside").await;
    let id = engine.create(&new_container("aside-1", &image)).await.unwrap();
    engine.start(&id).await.unwrap();
    let streams = |follow, tail| LogsRequest { follow, tail, since: None, timestamps: false };
    let asked = || aside.load(std::sync::atomic::Ordering::SeqCst);
    engine.logs(&id, streams(false, Some(5))).await.unwrap().collect::<Vec<_>>().await;
    assert_eq!(asked(), 0);
    let mut followed = engine.logs(&id, streams(true, None)).await.unwrap();
    assert!(followed.next().await.is_some(), "the container prints a line when it starts");
    assert_eq!(asked(), 1);
    drop(followed);
    wipe(&engine, "aside-").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_container() {
    let lab = Lab::up(3);
    let (engine, info) = engine(lab, "host-1").await;
    assert!(info.version.starts_with(|c: char| c.is_ascii_digit()) && info.api_version.starts_with("1."), "{info:?}");
    assert!(!info.rootless && info.root_dir == "/var/lib/docker" && !info.arch.is_empty());
    for _ in 0..2 {
        engine.create_network("kamal").await.unwrap();
    }
    assert!(engine.networks().await.unwrap().contains("kamal"));
    assert_eq!(engine.volume("windlass-test").await.unwrap(), None);
    let labels = BTreeMap::from([("windlass.home".to_string(), "/root/.windlass".to_string())]);
    engine.create_volume("windlass-test", &labels).await.unwrap();
    assert_eq!(engine.volume("windlass-test").await.unwrap().unwrap().labels, labels);

    let image = have(lab, &engine, "life").await;
    let new = new_container("life-1", &image);
    let id = engine.create(&new).await.unwrap();
    assert_eq!(kind(engine.create(&new).await), EngineErrorKind::Conflict);
    assert_eq!(engine.inspect(&id).await.unwrap().state, State::Created);
    for _ in 0..2 {
        engine.start(&id).await.unwrap();
    }
    let container = engine.inspect(&id).await.unwrap();
    assert_eq!(container.state, State::Running(Health::None));
    assert_eq!((container.name.as_str(), container.image.as_str()), ("life-1", image.as_str()));
    assert_eq!((container.restart, container.stop_timeout), (RestartPolicy::UnlessStopped, Some(7)));
    assert!(container.addresses.contains_key("kamal") && container.started_at.is_some());
    assert_eq!(engine.environment(&id).await.unwrap()["TOKEN"].expose(), "s3cret=\"x y\"\n2");
    assert!(engine.list().await.unwrap().iter().any(|b| b.id == id && b.running));
    assert_eq!(kind(engine.remove(&id).await), EngineErrorKind::Conflict);

    engine.set_restart(&id, RestartPolicy::No).await.unwrap();
    for _ in 0..2 {
        engine.stop(&id, None).await.unwrap();
    }
    let stopped = engine.inspect(&id).await.unwrap();
    assert_eq!((&stopped.state, stopped.restart), (&State::Exited { code: 0, oom: false }, RestartPolicy::No));
    assert!(stopped.finished_at.is_some() && stopped.networks == ["kamal"]);

    let copy = engine.create_like(&id, "life-2").await.unwrap();
    engine.start(&copy).await.unwrap();
    let copied = engine.inspect(&copy).await.unwrap();
    assert_eq!((&copied.labels, &copied.image, &copied.image_id), (&stopped.labels, &stopped.image, &stopped.image_id));
    assert_eq!(engine.environment(&copy).await.unwrap(), engine.environment(&id).await.unwrap());
    let of = |field: &str| {
        let read =
            |id: &ContainerId| lab.docker("host-1", &["inspect", "-f", &format!("{{{{json {field}}}}}"), id.as_str()]);
        (read(&id), read(&copy))
    };
    for field in [".HostConfig", ".Config"] {
        let (original, copy) = of(field);
        assert_eq!(original, copy, "{field}");
    }
    let (_, aliases) = of("(index .NetworkSettings.Networks \"kamal\").Aliases");
    assert!(aliases.contains("web") && !aliases.contains(id.short()), "{aliases}");

    wipe(&engine, "life-").await;
    engine.remove(&id).await.unwrap();
    assert_eq!(kind(engine.inspect(&id).await), EngineErrorKind::NotFound);
    engine.remove_image(&image).await.unwrap();
    engine.remove_image(&image).await.unwrap();
}

/// The engine's own check for duplicates loses races, and a network of which there are two cannot be joined.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_created_by_many_at_once_exists_once() {
    let lab = Lab::up(3);
    let (engine, _) = engine(lab, "host-1").await;
    for round in 0..5 {
        let name = format!("race-{round}");
        let all = futures::future::join_all((0..8).map(|_| engine.create_network(&name))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        let found = lab.docker("host-1", &["network", "ls", "-q", "--filter", &format!("name=^{name}$")]);
        assert_eq!(found.lines().count(), 1, "{found}");
        lab.docker("host-1", &["network", "rm", &name]);
    }
}

/// A tag that moved on must not change what the copy is made from.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_bound_to_the_image_and_not_to_its_tag() {
    let lab = Lab::up(3);
    let (engine, _) = engine(lab, "host-2").await;
    engine.create_network("kamal").await.unwrap();
    let (first, second) = (have(lab, &engine, "bound-a").await, have(lab, &engine, "bound-b").await);
    let id = engine.create(&new_container("bound-1", &first).clone()).await.unwrap();
    engine.tag(&second, &first.parse().unwrap()).await.unwrap();
    let copy = engine.create_like(&id, "bound-2").await.unwrap();
    let (original, copied) = (engine.inspect(&id).await.unwrap(), engine.inspect(&copy).await.unwrap());
    assert_eq!(original.image_id, copied.image_id);
    wipe(&engine, "bound-").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_apart() {
    let lab = Lab::up(3);
    let (engine, _) = engine(lab, "host-1").await;
    engine.create_network("kamal").await.unwrap();
    lab.image("demo:errors", &[]);
    let (server, right) = login(lab);
    let wrong = RegistryLogin { password: "wrong".to_string().into(), ..right.clone() };
    let image = |text: &str| format!("{server}/{text}").parse::<ImageRef>().unwrap();
    let pull = |image: ImageRef, login: Option<RegistryLogin>| {
        let engine = engine.clone();
        async move { engine.pull(&image, login.as_ref(), mpsc::unbounded_channel().0).await }
    };
    for login in [Some(wrong), None] {
        assert_eq!(kind(engine.resolve(&image("demo:errors"), login.as_ref()).await), EngineErrorKind::RegistryAuth);
        assert_eq!(kind(pull(image("demo:errors"), login).await), EngineErrorKind::RegistryAuth);
    }
    for missing in ["demo:nope", "nope:nope"] {
        let resolved = engine.resolve(&image(missing), Some(&right)).await;
        assert_eq!(kind(resolved), EngineErrorKind::ImageNotFound, "{missing}");
        assert_eq!(kind(pull(image(missing), Some(right.clone())).await), EngineErrorKind::ImageNotFound, "{missing}");
    }
    let nobody: ImageRef = "10.77.250.250:1/demo:x".parse().unwrap();
    let unreachable = tokio::time::timeout(Duration::from_secs(60), engine.resolve(&nobody, None)).await.unwrap();
    assert_eq!(kind(unreachable), EngineErrorKind::Registry);

    let reference = have(lab, &engine, "errors").await;
    let taken = |name: &str| {
        let mut new = new_container(name, &reference);
        new.options.publish =
            vec![PublishedPort { host_ip: None, host_port: Some(18080), container_port: 80, protocol: "tcp".into() }];
        new
    };
    let (a, b) = (engine.create(&taken("errors-1")).await.unwrap(), engine.create(&taken("errors-2")).await.unwrap());
    engine.start(&a).await.unwrap();
    assert_eq!(kind(engine.start(&b).await), EngineErrorKind::Conflict);
    assert_eq!(engine.inspect(&a).await.unwrap().ports, engine.inspect(&b).await.unwrap().ports);
    assert_eq!(kind(engine.create(&new_container("errors-3", "demo:not-here")).await), EngineErrorKind::NotFound);
    let container_id: ContainerId = "f".repeat(64).parse().unwrap();
    assert_eq!(kind(engine.start(&container_id).await), EngineErrorKind::NotFound);
    assert!(
        matches!(engine.logs(&container_id, LogsRequest::default()).await, Err(e) if e.kind == EngineErrorKind::NotFound)
    );
    assert_eq!(engine.image("demo:not-here").await.unwrap(), None);
    wipe(&engine, "errors-").await;
}

/// A stream that nobody takes from would stall every other call on its connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_that_nobody_reads_stalls_nothing() {
    let lab = Lab::up(3);
    let (engine, _) = engine(lab, "host-2").await;
    engine.create_network("kamal").await.unwrap();
    let image = have(lab, &engine, "flood").await;
    let mut new = new_container("flood-1", &image);
    new.volumes = vec!["/:/host:ro".to_string()];
    new.options.entrypoint = Some("/host/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2".to_string());
    let libraries = "/host/usr/lib/x86_64-linux-gnu".to_string();
    new.command = Some(["--library-path", &libraries, "/host/usr/bin/yes"].map(str::to_string).to_vec());
    let id = engine.create(&new).await.unwrap();
    engine.start(&id).await.unwrap();
    let request = LogsRequest { follow: true, timestamps: true, ..Default::default() };
    let mut unread = engine.logs(&id, request).await.unwrap();
    let first = unread.next().await.unwrap().unwrap();
    assert!(first.text == "y" && first.at.is_some());
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    while start.elapsed() < Duration::from_secs(4) {
        let call = Instant::now();
        engine.inspect(&id).await.unwrap();
        slowest = slowest.max(call.elapsed());
    }
    // A stall would last until somebody reads (more than 20 s were seen); a busy machine is only slow.
    assert!(slowest < Duration::from_secs(8), "{slowest:?}");
    let mut lines = 0;
    while lines < 20_000 {
        match tokio::time::timeout(Duration::from_secs(10), unread.next()).await.unwrap() {
            Some(Ok(_)) => lines += 1,
            other => panic!("the stream ended: {other:?}"),
        }
    }
    drop(unread);
    wipe(&engine, "flood-").await;
}

/// Two tests change host-3 for everybody.
static HOST_3: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_login_outside_the_docker_group_is_told_so() {
    let _alone = HOST_3.lock().await;
    let lab = Lab::up(3);
    // The file is mounted from outside and cannot be replaced, only written.
    let members = |names: &str| {
        let edit =
            format!("sed 's/^\\(docker:.*:\\).*/\\1{names}/' /etc/group > /tmp/group; cat /tmp/group > /etc/group");
        lab.exec("host-3", &["sh", "-c", &edit]);
    };
    members("");
    let result = EngineDoor::find(&connection(lab, "host-3").await, None).await.map(drop);
    members("deploy");
    let error = result.unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::EnginePermission, "{error}");
    assert!(error.hint.unwrap().contains("usermod -aG docker deploy"));
    // A login that is not root, and in the group.
    engine(lab, "host-3").await.0.list().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sshd_forbids_sockets_the_docker_command_is_used() {
    let lab = Lab::up(3);
    let socket = lab.host("host-1").socket.display().to_string();
    let sshd = Sshd::with("DisableForwarding yes");
    let connection = Connection::open(&sshd.endpoint(), &sshd.settings()).await.unwrap();
    let door = EngineDoor::find(&connection, Some(&socket)).await.unwrap();
    assert_eq!(door.door(), &Door::DialStdio(socket));
    let (engine, info) = DockerEngine::connect(Arc::new(ThroughSsh(door))).await.unwrap();
    assert!(!info.version.is_empty());
    // More calls at once than sessions: they share what the pool has.
    let calls = futures::future::join_all((0..6).map(|_| engine.list())).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    let nothing = EngineDoor::find(&connection, Some("/nonexistent/docker.sock")).await.map(drop).unwrap_err();
    assert_eq!(nothing.kind, ConnectErrorKind::NoEngine);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_away_and_comes_back() {
    let _alone = HOST_3.lock().await;
    let lab = Lab::up(3);
    let (engine, _) = engine(lab, "host-3").await;
    lab.kill_dockerd("host-3");
    assert_eq!(kind(engine.list().await), EngineErrorKind::Disconnected);
    lab.start_dockerd("host-3");
    engine.list().await.unwrap();
}
