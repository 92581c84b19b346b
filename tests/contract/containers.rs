//! Containers: what each call makes of them.

use super::{World, assert_kind, created, eventually, inspect, plan, pulled};
use futures::StreamExt;
use windlass::effect::{EngineErrorKind, LogStream, LogsRequest, NewContainer, Node};
use windlass::fleet::State;
use windlass::name::ContainerId;
use windlass::secret::Secret;
use windlass::spec::{PublishedPort, RestartPolicy};

pub(crate) async fn states_follow_from_calls(world: &dyn World) {
    let node = world.node().await;
    let (id, name) = created(world, &node, &world.healthy_image()).await;
    let container = inspect(&node, &id).await;
    assert_eq!(container.state, State::Created);
    assert_eq!((container.started_at, container.name.as_str()), (None, name.as_str()));
    assert_eq!(world.seen_from_outside(&name).await.as_deref(), Some("created"));

    node.engine.start(&id).await.unwrap();
    let container = inspect(&node, &id).await;
    assert!(matches!(container.state, State::Running(_)), "{:?}", container.state);
    assert!(container.started_at.is_some() && container.addresses.contains_key(super::NETWORK), "{container:?}");
    assert_eq!(world.seen_from_outside(&name).await.as_deref(), Some("running"));
    let listed = node.engine.list().await.unwrap();
    assert!(listed.iter().any(|brief| brief.id == id && brief.running && brief.name == name), "{listed:?}");

    node.engine.stop(&id, Some(5)).await.unwrap();
    let container = inspect(&node, &id).await;
    assert!(matches!(container.state, State::Exited { .. }), "{:?}", container.state);
    assert!(container.finished_at.is_some());
    assert_eq!(container.addresses.get(super::NETWORK), None, "a stopped container has no address");
    assert_eq!(world.seen_from_outside(&name).await.as_deref(), Some("exited"));

    node.engine.remove(&id).await.unwrap();
    assert_eq!(world.seen_from_outside(&name).await, None);
}

pub(crate) async fn further_networks_are_joined(world: &dyn World) {
    let node = world.node().await;
    node.engine.create_network(super::NETWORK).await.unwrap();
    let image = pulled(world, &node, &world.healthy_image()).await;
    let further = format!("{}-further", world.name());
    let mut container = plan(&world.name(), &image);
    container.options.network = vec![further.clone()];
    assert_kind(node.engine.create(&container).await, EngineErrorKind::NotFound);
    node.engine.create_network(&further).await.unwrap();
    let id = node.engine.create(&container).await.expect("what failed has left the name free");
    let networks = inspect(&node, &id).await.networks;
    assert!(networks.contains(&further) && networks.iter().any(|n| n == super::NETWORK), "{networks:?}");
    let copy = node.engine.create_like(&id, &format!("{}-copy", container.name)).await.unwrap();
    assert!(inspect(&node, &copy).await.networks.contains(&further));
    node.engine.remove(&copy).await.unwrap();
    node.engine.remove(&id).await.unwrap();
}

pub(crate) async fn start_and_stop_are_idempotent(world: &dyn World) {
    let node = world.node().await;
    let (id, _) = created(world, &node, &world.healthy_image()).await;
    node.engine.start(&id).await.unwrap();
    let first = inspect(&node, &id).await.started_at;
    node.engine.start(&id).await.expect("starting a running one is fine");
    assert_eq!(inspect(&node, &id).await.started_at, first, "it was not restarted");
    node.engine.stop(&id, Some(1)).await.unwrap();
    node.engine.stop(&id, Some(1)).await.expect("stopping a stopped one is fine");
    node.engine.start(&id).await.expect("a stopped one can be started again");
    assert!(inspect(&node, &id).await.state.is_running());
}

pub(crate) async fn remove_refuses_a_running_one(world: &dyn World) {
    let node = world.node().await;
    let (id, name) = created(world, &node, &world.healthy_image()).await;
    node.engine.start(&id).await.unwrap();
    assert_kind(node.engine.remove(&id).await, EngineErrorKind::Conflict);
    assert_eq!(world.seen_from_outside(&name).await.as_deref(), Some("running"));
    node.engine.stop(&id, Some(1)).await.unwrap();
    node.engine.remove(&id).await.unwrap();
    node.engine.remove(&id).await.expect("removing one that is gone is fine");
}

pub(crate) async fn a_name_is_taken_once(world: &dyn World) {
    let node = world.node().await;
    let (id, name) = created(world, &node, &world.healthy_image()).await;
    let again = plan(&name, &world.healthy_image().to_string());
    assert_kind(node.engine.create(&again).await, EngineErrorKind::Conflict);
    node.engine.remove(&id).await.unwrap();
    node.engine.create(&again).await.expect("the name is free again");
}

pub(crate) async fn the_restart_policy_can_be_changed(world: &dyn World) {
    let node = world.node().await;
    let (id, _) = created(world, &node, &world.healthy_image()).await;
    for policy in
        [RestartPolicy::Always, RestartPolicy::UnlessStopped, RestartPolicy::OnFailure(Some(3)), RestartPolicy::No]
    {
        node.engine.set_restart(&id, policy).await.unwrap();
        assert_eq!(inspect(&node, &id).await.restart, policy);
    }
}

pub(crate) async fn a_missing_container_is_not_found(world: &dyn World) {
    let node = world.node().await;
    let id: ContainerId = "0".repeat(64).parse().unwrap();
    assert_kind(node.engine.inspect(&id).await, EngineErrorKind::NotFound);
    assert_kind(node.engine.start(&id).await, EngineErrorKind::NotFound);
    assert_kind(node.engine.stop(&id, None).await, EngineErrorKind::NotFound);
    assert_kind(node.engine.set_restart(&id, RestartPolicy::No).await, EngineErrorKind::NotFound);
    assert_kind(node.engine.environment(&id).await, EngineErrorKind::NotFound);
    assert_kind(node.engine.create_like(&id, &world.name()).await, EngineErrorKind::NotFound);
    assert_kind(node.engine.logs(&id, LogsRequest::default()).await.map(|_| ()), EngineErrorKind::NotFound);
}

async fn exit_code(node: &Node, id: &ContainerId) -> Option<i64> {
    match inspect(node, id).await.state {
        State::Exited { code, .. } => Some(code),
        _ => None,
    }
}

pub(crate) async fn a_crash_leaves_its_exit_code(world: &dyn World) {
    let node = world.node().await;
    let (id, _) = created(world, &node, &world.crashing_image()).await;
    node.engine.start(&id).await.unwrap();
    let code = eventually("the container exits", || exit_code(&node, &id)).await;
    assert_eq!(code, world.crash().0);
    node.engine.set_restart(&id, RestartPolicy::Always).await.unwrap();
    node.engine.start(&id).await.unwrap();
    let restarted = async || (inspect(&node, &id).await.restart_count >= 2).then_some(());
    eventually("the engine restarts it more than once", restarted).await;
    node.engine.stop(&id, Some(1)).await.unwrap();
    assert!(!inspect(&node, &id).await.state.is_running(), "stopped by hand it stays stopped");
}

pub(crate) async fn the_environment_comes_back(world: &dyn World) {
    let node = world.node().await;
    node.engine.create_network(super::NETWORK).await.unwrap();
    let image = pulled(world, &node, &world.healthy_image()).await;
    let wanted =
        [("EMPTY", ""), ("EQUALS", "a=b=c"), ("SPACES", " x  y "), ("LINES", "one\ntwo"), ("UMLAUT", "größer")];
    let mut container = plan(&world.name(), &image);
    container.env = wanted.map(|(name, value)| (name.to_string(), Secret::new(value.to_string()))).into();
    let id = node.engine.create(&container).await.unwrap();
    let env = node.engine.environment(&id).await.unwrap();
    for (name, value) in wanted {
        assert_eq!(env.get(name).map(|v| v.expose().as_str()), Some(value), "{name}");
    }
}

pub(crate) async fn logs_have_a_tail_and_an_end(world: &dyn World) {
    let node = world.node().await;
    let (id, _) = created(world, &node, &world.crashing_image()).await;
    node.engine.start(&id).await.unwrap();
    let request = LogsRequest { follow: true, timestamps: true, ..LogsRequest::default() };
    let followed = node.engine.logs(&id, request).await.unwrap().collect::<Vec<_>>();
    let followed = tokio::time::timeout(super::DEADLINE, followed).await.expect("following ends with the container");
    let followed: Vec<_> = followed.into_iter().map(Result::unwrap).collect();
    assert!(followed.iter().any(|line| line.text == world.crash().1 && line.at.is_some()), "{followed:?}");

    node.engine.start(&id).await.unwrap();
    eventually("it exits again", || exit_code(&node, &id)).await;
    let all = read(&node, &id, None).await;
    assert_eq!(
        all.iter().filter(|(_, text)| text == world.crash().1).count(),
        2,
        "a restart keeps what was printed: {all:?}"
    );
    assert_eq!(read(&node, &id, Some(1)).await, all[all.len() - 1..], "the last line");
    assert!(read(&node, &id, Some(0)).await.is_empty());
}

async fn read(node: &Node, id: &ContainerId, tail: Option<u64>) -> Vec<(LogStream, String)> {
    let lines = node.engine.logs(id, LogsRequest { tail, ..LogsRequest::default() }).await.unwrap();
    lines.map(|line| line.map(|line| (line.stream, line.text)).unwrap()).collect().await
}

pub(crate) async fn create_like_makes_an_equal(world: &dyn World) {
    let node = world.node().await;
    let (original, name) = created(world, &node, &world.healthy_image()).await;
    let copy_name = format!("{name}-copy");
    let copy = node.engine.create_like(&original, &copy_name).await.unwrap();
    let (a, b) = (inspect(&node, &original).await, inspect(&node, &copy).await);
    assert_ne!(a.id, b.id);
    assert_eq!((b.name.as_str(), &b.state), (copy_name.as_str(), &State::Created));
    assert_eq!((&a.image, &a.image_id, &a.labels), (&b.image, &b.image_id, &b.labels));
    assert_eq!((a.restart, &a.networks, &a.ports, a.stop_timeout), (b.restart, &b.networks, &b.ports, b.stop_timeout));
    let (env_a, env_b) = (node.engine.environment(&original).await, node.engine.environment(&copy).await);
    assert!(env_a.unwrap() == env_b.unwrap(), "the environments differ");
    node.engine.start(&copy).await.expect("the copy can be started");
    assert_kind(node.engine.create_like(&original, &copy_name).await, EngineErrorKind::Conflict);
}

pub(crate) async fn a_taken_port_leaves_it_created(world: &dyn World) {
    let node = world.node().await;
    node.engine.create_network(super::NETWORK).await.unwrap();
    let image = pulled(world, &node, &world.healthy_image()).await;
    let mut ids = Vec::new();
    for n in 1..=2 {
        let mut container = plan(&format!("{}-{n}", world.name()), &image);
        let port = PublishedPort { host_ip: None, host_port: Some(18080), container_port: 80, protocol: "tcp".into() };
        container.options.publish.push(port);
        ids.push(node.engine.create(&container).await.expect("creating does not take the port"));
    }
    node.engine.start(&ids[0]).await.unwrap();
    assert_kind(node.engine.start(&ids[1]).await, EngineErrorKind::Conflict);
    assert_eq!(inspect(&node, &ids[1]).await.state, State::Created);
    assert!(node.host.probe().await.unwrap().listening.contains_key(&18080));
    node.engine.stop(&ids[0], Some(1)).await.unwrap();
    node.engine.start(&ids[1]).await.expect("the port is free again");
}

pub(crate) async fn an_address_lasts_while_it_runs(world: &dyn World) {
    let node = world.node().await;
    let (first, name) = created(world, &node, &world.healthy_image()).await;
    let image = world.healthy_image().to_string();
    let second = node.engine.create(&plan(&format!("{name}-2"), &image)).await.unwrap();
    node.engine.start(&first).await.unwrap();
    node.engine.start(&second).await.unwrap();
    let address = async |id| inspect(&node, id).await.addresses.get(super::NETWORK).cloned();
    let (a, b) = (address(&first).await, address(&second).await);
    assert!(a.is_some() && b.is_some() && a != b, "{a:?} {b:?}");
    node.engine.stop(&first, Some(1)).await.unwrap();
    assert_eq!((address(&first).await, address(&second).await), (None, b));
}

/// All that an archive holds: name and content of its files.
async fn files_of(archive: windlass::effect::Archive) -> Vec<(String, Vec<u8>)> {
    use futures::TryStreamExt;
    use std::io::Read;
    let bytes: Vec<u8> = archive
        .try_fold(Vec::new(), async |mut all, piece| {
            all.extend(piece);
            Ok(all)
        })
        .await
        .expect("an archive");
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut files = Vec::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a name").display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        if entry.header().entry_type().is_file() {
            files.push((name, content));
        }
    }
    files
}

fn archive_of(files: &[(&str, &str)]) -> windlass::effect::Archive {
    use futures::StreamExt;
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o640);
        builder.append_data(&mut header, name, content.as_bytes()).expect("an entry");
    }
    let bytes = builder.into_inner().expect("an archive");
    futures::stream::iter([Ok(bytes::Bytes::from(bytes))]).boxed()
}

pub(crate) async fn files_go_in_and_out(world: &dyn World) {
    let node = world.node().await;
    let (id, _) = created(world, &node, &world.healthy_image()).await;
    node.engine.copy_in(&id, "/", archive_of(&[("pages/a.js", "one"), ("pages/deep/b.js", "two")])).await.unwrap();
    let out = |path: &'static str| {
        let (engine, id) = (node.engine.clone(), id.clone());
        async move { files_of(engine.copy_out(&id, path).await.expect("it is there")).await }
    };
    assert_eq!(out("/pages/a.js").await, [("a.js".to_string(), b"one".to_vec())]);
    let mut inside = out("/pages/.").await;
    inside.sort();
    let expected = [("a.js", "one"), ("deep/b.js", "two")].map(|(n, c)| (n.to_string(), c.as_bytes().to_vec()));
    let inside: Vec<_> = inside.into_iter().map(|(n, c)| (n.trim_start_matches("./").to_string(), c)).collect();
    assert_eq!(inside, expected);
    // While it runs, and over what is there.
    node.engine.start(&id).await.unwrap();
    node.engine.copy_in(&id, "/pages", archive_of(&[("a.js", "three")])).await.unwrap();
    assert_eq!(out("/pages/a.js").await, [("a.js".to_string(), b"three".to_vec())]);
    assert_kind(node.engine.copy_out(&id, "/nowhere/.").await.map(drop), EngineErrorKind::NotFound);
    assert_kind(node.engine.copy_in(&id, "/nowhere", archive_of(&[("a", "b")])).await, EngineErrorKind::NotFound);
}

pub(crate) async fn an_anonymous_volume_is_one_containers_own(world: &dyn World) {
    let node = world.node().await;
    let (bare, _) = created(world, &node, &world.healthy_image()).await;
    node.engine.copy_in(&bare, "/", archive_of(&[("pages/a.js", "one")])).await.unwrap();
    let reference = pulled(world, &node, &world.healthy_image()).await;
    let name = format!("{}-volume", world.name());
    let with_volume = NewContainer { volumes: vec!["/pages".to_string()], ..plan(&name, &reference) };
    let id = node.engine.create(&with_volume).await.expect("a container with an anonymous volume");
    node.engine.copy_in(&id, "/pages", archive_of(&[("a.js", "two")])).await.expect("the volume takes files");
    let read = files_of(node.engine.copy_out(&id, "/pages/a.js").await.unwrap()).await;
    assert_eq!(read, [("a.js".to_string(), b"two".to_vec())]);
    let other = files_of(node.engine.copy_out(&bare, "/pages/a.js").await.unwrap()).await;
    assert_eq!(other, [("a.js".to_string(), b"one".to_vec())], "each container has its own");
    node.engine.remove(&id).await.expect("it goes with its volume");
}

pub(crate) async fn a_published_port_is_asked_on_the_host(world: &dyn World) {
    const PORT: u16 = 18_437;
    let node = world.node().await;
    let reference = pulled(world, &node, &world.healthy_image()).await;
    node.engine.create_network(super::NETWORK).await.unwrap();
    let mut container = plan(&world.name(), &reference);
    let port = PublishedPort { host_ip: None, host_port: Some(PORT), container_port: 80, protocol: "tcp".to_string() };
    container.options.publish = vec![port];
    let id = node.engine.create(&container).await.unwrap();
    let ask = || node.host.ask_port("127.0.0.1", PORT, b"GET / HTTP/1.0\r\nHost: x.example.com\r\n\r\n");
    assert!(ask().await.is_err(), "nobody listens before it starts");
    node.engine.start(&id).await.unwrap();
    let answered = async || ask().await.ok().filter(|a| a.starts_with(b"HTTP/1.") && a[8..].starts_with(b" 200"));
    eventually("the port answers with 200", answered).await;
    node.engine.stop(&id, None).await.unwrap();
    assert!(ask().await.is_err(), "nobody listens after its end");
}
