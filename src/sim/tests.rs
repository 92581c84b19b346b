//! What the simulator does beyond the contract: policies after a restart, silence, gaps, and the records of it all.

use super::*;
use crate::effect::{
    Backend, ConnectErrorKind, Connector, EngineErrorKind, LeaseRequest, NewContainer, Node, ProxySettings, Target,
};
use crate::fleet::{BackendName, Holder, State};
use crate::name::{ContainerId, ImageRef};
use crate::spec::{ContainerOptions, HttpCheck, Logging, RestartPolicy, Route};
use std::collections::BTreeMap;
use std::time::Duration;

const HOST: &str = "host-1";
const SECOND: Duration = Duration::from_secs(1);

fn fleet() -> SimFleet {
    let fleet = SimFleet::new().hosts([HOST, "host-2"]).registry_image("app", "v1", ImageBehaviour::healthy());
    fleet.loaded_image(HOST, "app:here", ImageBehaviour::healthy()).loaded_image(
        HOST,
        "haproxy:lts",
        ImageBehaviour::healthy(),
    )
}

async fn node(fleet: &SimFleet) -> Node {
    fleet.connector().connect(&HOST.parse().unwrap()).await.unwrap()
}

async fn create(node: &Node, name: &str, restart: RestartPolicy) -> ContainerId {
    let container = NewContainer {
        name: name.to_string(),
        image: "app:here".to_string(),
        hostname: None,
        command: None,
        env: BTreeMap::new(),
        labels: BTreeMap::new(),
        network: "kamal".to_string(),
        volumes: Vec::new(),
        options: ContainerOptions::default(),
        logging: Logging::default(),
        restart,
        stop_timeout: None,
        one_off: false,
    };
    node.engine.create_network("kamal").await.unwrap();
    node.engine.create(&container).await.unwrap()
}

async fn start(node: &Node, name: &str) -> Target {
    let container = create(node, name, RestartPolicy::UnlessStopped).await;
    node.engine.start(&container).await.unwrap();
    let address = node.engine.inspect(&container).await.unwrap().addresses["kamal"].clone();
    Target { container, address, port: 80 }
}

/// A proxy that routes to a healthy container.
async fn serving(node: &Node) -> (BackendName, Target) {
    let (service, role) = ("app".parse().unwrap(), "web".parse().unwrap());
    let route = Route {
        hosts: vec![],
        path_prefixes: vec!["/".to_string()],
        strip_path_prefix: false,
        app_port: 80,
        check: HttpCheck::default(),
        response_timeout: 30,
        forward_headers: false,
        tls: None,
        limits: Default::default(),
    };
    let name = BackendName::new(&service, &role, None);
    let target = start(node, "app-1").await;
    let settings = ProxySettings {
        image: "haproxy:lts".into(),
        http_port: 80,
        https_port: 443,
        options: Default::default(),
        home: "/root/.windlass".into(),
        uid: 0,
    };
    node.proxy.boot(&settings).await.unwrap();
    node.proxy
        .set_route(&Backend { name: name.clone(), service, role, destination: None, route, edge: Default::default() })
        .await
        .unwrap();
    pass(node, &name, &target).await;
    node.proxy.switch(&name, None, &target).await.unwrap();
    (name, target)
}

async fn pass(node: &Node, backend: &BackendName, target: &Target) {
    node.proxy.load(backend, target).await.unwrap();
    for _ in 0..100 {
        if node.proxy.check(backend, target).await.unwrap().healthy {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} did not pass the gate within 10 s", target.container.short());
}

#[tokio::test(start_paused = true)]
async fn an_engine_restart_brings_back_what_the_policies_say() {
    let fleet = fleet();
    let node = node(&fleet).await;
    let policies =
        [("always", RestartPolicy::Always), ("unless", RestartPolicy::UnlessStopped), ("no", RestartPolicy::No)];
    for (name, policy) in policies {
        for suffix in ["running", "stopped", "created"] {
            let id = create(&node, &format!("{name}-{suffix}"), policy).await;
            if suffix != "created" {
                node.engine.start(&id).await.unwrap();
            }
            if suffix == "stopped" {
                node.engine.stop(&id, None).await.unwrap();
            }
        }
    }
    fleet.restart_engine(HOST);
    assert_eq!(node.engine.list().await.unwrap_err().kind, EngineErrorKind::Disconnected);
    fleet.wait(3 * SECOND).await;
    let containers = fleet.containers(HOST).into_iter().filter(|(_, c)| c.state.is_running());
    assert_eq!(
        containers.map(|(name, _)| name).collect::<Vec<_>>(),
        ["always-running", "always-stopped", "unless-running"]
    );
    node.engine.list().await.expect("an engine's restart does not end the connection");
}

#[tokio::test(start_paused = true)]
async fn a_reboot_ends_connections_and_the_proxy_comes_back_from_its_files() {
    let fleet = fleet();
    let old = node(&fleet).await;
    let (backend, target) = serving(&old).await;
    let loaded = start(&old, "app-2").await;
    pass(&old, &backend, &loaded).await;
    fleet.reboot(HOST);
    assert!(old.engine.list().await.is_err());
    let error = fleet.connector().connect(&HOST.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::NoRoute);
    fleet.wait(30 * SECOND).await;
    let state = node(&fleet).await.proxy.observe().await.unwrap();
    let servers = &state.backends[&backend].servers;
    assert_eq!(state.backends[&backend].active(), Some(&target.container));
    assert!(
        servers.iter().all(|s| s.container.as_ref() != Some(&loaded.container)),
        "what was loaded beside is forgotten"
    );
    let gaps = fleet.gaps(HOST, &backend);
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap.to.is_some()), "down, and up again: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn stopping_what_is_routed_to_is_a_gap_and_a_switch_is_none() {
    let fleet = fleet();
    let node = node(&fleet).await;
    let (backend, a) = serving(&node).await;
    let b = start(&node, "app-2").await;
    pass(&node, &backend, &b).await;
    node.proxy.switch(&backend, Some(&a.container), &b).await.unwrap();
    node.proxy.unload(&backend, &a.container).await.unwrap();
    node.engine.stop(&a.container, None).await.unwrap();
    fleet.wait(60 * SECOND).await;
    assert_eq!(fleet.all_gaps(), []);
    let before = fleet.shared.now();
    node.engine.stop(&b.container, None).await.unwrap();
    let gaps = fleet.gaps(HOST, &backend);
    assert!(matches!(&gaps[..], [gap] if gap.from >= before && gap.to.is_none()), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_a_gap_until_dns_has_followed_the_restarted_container() {
    let fleet = fleet();
    let node = node(&fleet).await;
    let (backend, target) = serving(&node).await;
    fleet.crash(HOST, &target.container, 1);
    // Somebody else gets its address before it is back.
    let other = start(&node, "other").await;
    assert_eq!(other.address, target.address);
    fleet.wait(5 * SECOND).await;
    let gaps = fleet.gaps(HOST, &backend);
    assert!(gaps.iter().any(|gap| gap.why.contains("answers for")), "the wrong one was asked: {gaps:?}");
    assert!(gaps.iter().all(|gap| gap.to.is_some()), "{gaps:?}");
    assert_eq!(fleet.routed(HOST, &backend), Some(target.container));
}

#[tokio::test(start_paused = true)]
async fn silence_costs_the_lease_after_ten_seconds_and_the_connection_after_fifteen() {
    let fleet = fleet();
    let node = node(&fleet).await;
    let holder = Holder {
        actor: "a@b".into(),
        run: "01JGZ3V8Q4N5X6Y7Z8A9B0C1D2".parse().unwrap(),
        what: "deploy".into(),
        since: "2026-01-05T09:00:00Z".parse().unwrap(),
    };
    let request = LeaseRequest { dir: "/root/s".into(), holder, kamal_lock: Some(".kamal/lock-app".into()) };
    let lease = node.host.lease(&request).await.unwrap();
    fleet.cut_off(HOST);
    let since = fleet.shared.now();
    fleet.wait(9 * SECOND).await;
    lease.check().expect("nine seconds are not too long");
    lease.lost().await;
    assert_eq!((fleet.shared.now() - since).as_secs(), 10);
    assert!(lease.check().is_err());
    assert!(node.host.probe().await.is_err());
    assert_eq!((fleet.shared.now() - since).as_secs(), 15);
    fleet.restore(HOST);
    assert!(lease.check().is_err(), "lost for good");
    let other = super::tests::node(&fleet).await;
    other.host.lease(&request).await.expect("the host freed it, Kamal's directory too").release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_silence_delays_and_nothing_else() {
    let fleet = fleet();
    let node = node(&fleet).await;
    fleet.cut_off(HOST);
    let healed = async {
        fleet.wait(5 * SECOND).await;
        fleet.restore(HOST);
    };
    let (answer, ()) = tokio::join!(node.host.probe(), healed);
    answer.expect("the answer came late");
}

#[tokio::test(start_paused = true)]
async fn calls_are_recorded_and_pulls_need_the_registry() {
    let fleet = fleet().registry_login("alice", "secret");
    let node = node(&fleet).await;
    let image: ImageRef = "app:v1".parse().unwrap();
    assert_eq!(node.engine.resolve(&image, None).await.unwrap_err().kind, EngineErrorKind::RegistryAuth);
    fleet.stop_registry();
    assert_eq!(node.engine.resolve(&image, None).await.unwrap_err().kind, EngineErrorKind::Registry);
    let calls: Vec<_> = fleet.calls().into_iter().map(|call| (call.method, call.error.is_some())).collect();
    assert_eq!(calls, [("connect", false), ("engine.resolve", true), ("engine.resolve", true)]);
    assert_eq!((fleet.pulls(), fleet.mutations().len()), (0, 0));
    create(&node, "x", RestartPolicy::No).await;
    let changed: Vec<_> = fleet.mutations().into_iter().map(|call| call.method).collect();
    assert_eq!(changed, ["engine.create_network", "engine.create"]);
}

#[tokio::test(start_paused = true)]
async fn a_torn_append_leaves_its_beginning() {
    let fleet = fleet();
    let node = node(&fleet).await;
    fleet.tear_next_append(HOST, "/root/j", 3);
    assert!(node.host.append("/root/j", b"first\n").await.is_err());
    node.host.append("/root/j", b"second\n").await.unwrap();
    assert_eq!(fleet.file(HOST, "/root/j").as_deref(), Some(b"fir\nsecond\n".as_slice()));
}

#[tokio::test(start_paused = true)]
async fn the_same_calls_make_the_same_world_and_a_seed_another() {
    let mut ids = Vec::new();
    for seed in [1, 1, 2] {
        let fleet = SimFleet::with_seed(seed).hosts([HOST]).loaded_image(HOST, "app:here", ImageBehaviour::healthy());
        let node = node(&fleet).await;
        let target = start(&node, "app").await;
        assert!(matches!(fleet.container(HOST, "app").state, State::Running(_)));
        ids.push((target.container, target.address));
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0].0, ids[2].0);
}

#[tokio::test(start_paused = true)]
async fn three_days_and_a_restart_loop_take_no_time() {
    let fleet = fleet().loaded_image(HOST, "app:here", ImageBehaviour::crashing(SECOND, 7).printing(["boom"]));
    let node = node(&fleet).await;
    let target = start(&node, "loop").await;
    fleet.wait(3 * 24 * 3600 * SECOND).await;
    let container = node.engine.inspect(&target.container).await.unwrap();
    assert!(container.restart_count > 1000, "{}", container.restart_count);
    node.engine.stop(&target.container, None).await.unwrap();
    assert!(!node.engine.inspect(&target.container).await.unwrap().state.is_running());
}
