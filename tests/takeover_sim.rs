//! Taking over from Kamal on the simulator: what routes afterwards, what a failure leaves, what is refused.

#[path = "support/operator.rs"]
mod operator;

use operator::{APP, Ended, Operator, name, operator};
use std::collections::BTreeMap;
use std::time::Duration;
use windlass::effect::{Connector, NewContainer, Node};
use windlass::event::Event;
use windlass::fleet::{BackendName, HostFacts};
use windlass::name::{ContainerId, HostName};
use windlass::plan::Action;
use windlass::release::{Outcome, ReleaseKind};
use windlass::sim::ImageBehaviour;
use windlass::spec::{ContainerOptions, Logging, PublishedPort, RestartPolicy};

const HOSTS: [&str; 3] = ["a", "b", "c"];
const STATE: &str = "/home/kamal-proxy/.config/kamal-proxy/kamal-proxy.state";

fn container(name: &str, image: &str) -> NewContainer {
    NewContainer {
        name: name.to_string(),
        image: image.to_string(),
        hostname: None,
        command: None,
        env: BTreeMap::new(),
        labels: BTreeMap::new(),
        network: "kamal".to_string(),
        volumes: Vec::new(),
        options: ContainerOptions::default(),
        logging: Logging::default(),
        restart: RestartPolicy::UnlessStopped,
        stop_timeout: None,
        one_off: false,
    }
}

async fn node(operator: &Operator, host: &str) -> Node {
    operator.world.connector().connect(&name::<HostName>(host)).await.expect("the host answers")
}

async fn started(node: &Node, container: &NewContainer) -> ContainerId {
    let id = node.engine.create(container).await.expect("a container");
    node.engine.start(&id).await.expect("it starts");
    id
}

/// kamal-proxy as Kamal leaves it: its name, its ports, its state. `others`: routes of other services.
async fn kamal_proxy(operator: &Operator, host: &str, serving: &ContainerId, others: &str) {
    let state = format!(
        r#"[{{"name":"app-web","options":{{"hosts":["app.example.com"],"path_prefixes":["/"]}},
            "active_targets":["{}:80"],"pause_controller":{{"state":0}}}}{others}]"#,
        serving.short()
    );
    let files = [(STATE.to_string(), state.into_bytes())].into();
    let behaviour = ImageBehaviour { files, becomes_healthy_after: Some(Duration::ZERO), ..ImageBehaviour::healthy() };
    let world = operator.world.clone().loaded_image(host, "basecamp/kamal-proxy:v0.9.2", behaviour);
    drop(world);
    let port = |port| PublishedPort {
        host_ip: None,
        host_port: Some(port),
        container_port: port,
        protocol: "tcp".to_string(),
    };
    let options = ContainerOptions { publish: vec![port(80), port(443)], ..ContainerOptions::default() };
    let proxy = NewContainer { options, ..container("kamal-proxy", "basecamp/kamal-proxy:v0.9.2") };
    started(&node(operator, host).await, &proxy).await;
}

/// A host with the version `v1` in front of which kamal-proxy runs.
async fn kamals(operator: &Operator, host: &str, others: &str) -> ContainerId {
    let world = operator.world.clone().loaded_image(host, &format!("{APP}:v1"), ImageBehaviour::healthy());
    drop(world);
    let node = node(operator, host).await;
    node.engine.create_network("kamal").await.expect("a network");
    let labels = [("service", "app"), ("role", "web"), ("destination", "")];
    let labels = labels.map(|(k, v)| (k.to_string(), v.to_string())).into();
    let app = NewContainer { labels, ..container("app-web-v1", &format!("{APP}:v1")) };
    let id = started(&node, &app).await;
    operator.world.wait(Duration::from_secs(1)).await;
    kamal_proxy(operator, host, &id, others).await;
    id
}

async fn fleet_of_kamal() -> (Operator, BTreeMap<&'static str, ContainerId>) {
    let operator = operator(&HOSTS, &["web"]);
    let mut serving = BTreeMap::new();
    for host in HOSTS {
        serving.insert(host, kamals(&operator, host, "").await);
    }
    (operator, serving)
}

async fn facts(operator: &Operator, host: &str) -> HostFacts {
    let fleet = operator.fleet().await;
    fleet.facts(&name(host)).expect("the host answers").clone()
}

fn routed(facts: &HostFacts) -> Option<ContainerId> {
    let backend = BackendName::new(&name("app"), &name("web"), None);
    facts.proxy.backends.get(&backend)?.active().cloned()
}

/// kamal-proxy runs with its policy, windlass has no proxy, and requests to the port are answered.
async fn assert_kamals(operator: &Operator, host: &str) {
    let facts = facts(operator, host).await;
    let kamal = facts.kamal_proxy.as_ref().expect("kamal-proxy is there");
    assert!(kamal.running, "kamal-proxy runs on {host}");
    assert_eq!(kamal.restart, RestartPolicy::UnlessStopped, "on {host}");
    assert!(facts.proxy.container.is_none() && facts.proxy.backends.is_empty(), "{host}: {:?}", facts.proxy);
    let answer = node(operator, host).await.host.ask_port("127.0.0.1", 80, b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.is_ok_and(|a| a.starts_with(b"HTTP/1.0 200")), "{host} answers");
}

fn notes(operator: &Operator) -> Vec<String> {
    let events = operator.events.lock().expect("not poisoned");
    let notes = events.iter().filter_map(|event| match event {
        Event::StepDone { note, .. } => note.clone(),
        _ => None,
    });
    notes.collect()
}

#[tokio::test(start_paused = true)]
async fn the_very_containers_serve_on_and_are_adopted() {
    let (operator, serving) = fleet_of_kamal().await;
    operator.assert_serves("v1").await;
    let report = operator.take_over().await.report();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    operator.assert_serves("v1").await;
    for host in HOSTS {
        let facts = facts(&operator, host).await;
        assert_eq!(routed(&facts).as_ref(), Some(&serving[host]), "{host} routes to the same container");
        let kamal = facts.kamal_proxy.as_ref().expect("kamal-proxy is retained");
        assert!(!kamal.running && kamal.restart == RestartPolicy::No, "{host}: {kamal:?}");
        let proxy = facts.proxy.container.as_ref().expect("windlass's proxy").id.clone();
        let policy = node(&operator, host).await.engine.inspect(&proxy).await.expect("it is there").restart;
        assert_eq!(policy, RestartPolicy::UnlessStopped);
    }
    let gaps = notes(&operator);
    let measured = gaps.iter().filter(|n| n.starts_with("nothing answered for ") && n.contains("on the host itself"));
    assert_eq!(measured.count(), 3, "a gap a host: {gaps:?}");
    let history = operator.history().await;
    let adopted: Vec<_> = history.releases.iter().filter(|r| r.kind == ReleaseKind::Adopted).collect();
    assert_eq!(adopted.len(), 1, "{history:?}");
    assert!(adopted[0].run.is_some() && adopted[0].stable && adopted[0].running.len() == 3, "{adopted:?}");
    assert!(matches!(operator.take_over().await, Ended::NothingToDo), "once is enough");

    assert_eq!(operator.deploy("v2").await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v2").await;
    assert_eq!(operator.rollback(None).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_healthy_for_the_new_proxy_costs_no_request() {
    let (operator, serving) = fleet_of_kamal().await;
    operator.world.set_behaviour("b", &serving["b"], ImageBehaviour::never_healthy());
    let report = operator.take_over().await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    assert!(report.failures[0].1.message.contains("health check"), "{report:?}");
    let stopped = operator.world.calls().into_iter().filter(|c| c.method == "engine.stop").count();
    assert_eq!(stopped, 0, "kamal-proxy was not touched");
    for host in ["a", "c"] {
        assert_kamals(&operator, host).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_cannot_start_gives_its_place_back_everywhere() {
    let (operator, _) = fleet_of_kamal().await;
    // The first host has gone over by then.
    let broken = ImageBehaviour { fails_to_start: Some("exec format error".to_string()), ..ImageBehaviour::healthy() };
    let world = operator.world.clone().loaded_image("c", "haproxy:3.2", broken);
    drop(world);
    let report = operator.take_over().await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    for host in HOSTS {
        assert_kamals(&operator, host).await;
    }
    operator.assert_serves("v1").await;
}

#[tokio::test(start_paused = true)]
async fn what_would_be_lost_is_refused_by_name() {
    let operator = operator(&["a"], &["web"]);
    let other = r#",{"name":"blog-web","active_targets":["0123456789ab:80"]}"#;
    kamals(&operator, "a", other).await;
    let refusal = operator.take_over().await.refusal();
    assert!(
        refusal.message.contains("a: kamal-proxy also routes") && refusal.message.contains("blog-web"),
        "{refusal:?}"
    );
    assert_kamals(&operator, "a").await;
}

#[tokio::test(start_paused = true)]
async fn a_setup_without_the_word_refuses_and_says_it() {
    let (operator, _) = fleet_of_kamal().await;
    let refusal = operator.deploy("v2").await.refusal();
    assert!(refusal.message.contains("held by `kamal-proxy`"), "{refusal:?}");
    assert!(refusal.hints.iter().any(|h| h.contains("windlass setup --take-over")), "{refusal:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_cut_off_in_the_gap_is_finished_by_the_next() {
    let (operator, _) = fleet_of_kamal().await;
    for host in HOSTS {
        let facts = facts(&operator, host).await;
        let kamal = facts.kamal_proxy.expect("kamal-proxy is there").id;
        let engine = node(&operator, host).await.engine;
        engine.set_restart(&kamal, RestartPolicy::No).await.expect("a policy");
        engine.stop(&kamal, None).await.expect("it stops");
    }
    assert_eq!(operator.take_over().await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
    assert_eq!(operator.hand_back().await.report().outcome, Outcome::Succeeded);
    assert_kamals(&operator, "a").await;
}

#[tokio::test(start_paused = true)]
async fn the_way_back_routes_to_what_serves_now() {
    let (operator, _) = fleet_of_kamal().await;
    operator.take_over().await.report();
    operator.deploy("v2").await.report();
    let report = operator.hand_back().await.report();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    for host in HOSTS {
        assert_kamals(&operator, host).await;
        let facts = facts(&operator, host).await;
        let v2 = facts.containers.iter().find(|c| c.name == "app-web-v2").expect("v2 is there");
        let route = &facts.kamal_proxy.as_ref().expect("kamal-proxy").routes[0];
        assert!(route.leads_to(&v2.id), "{host}: {route:?}");
    }
    operator.assert_serves("v2").await;
    // And over again.
    assert_eq!(operator.take_over().await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v2").await;
}

#[tokio::test(start_paused = true)]
async fn the_plan_has_all_that_costs_time_before_the_gap() {
    let (operator, _) = fleet_of_kamal().await;
    operator.take_over().await.report();
    let events = operator.events.lock().expect("not poisoned");
    let plan = events.iter().find_map(|event| match event {
        Event::Started { plan } => Some(plan.clone()),
        _ => None,
    });
    let plan = plan.expect("a run begins with its plan");
    let swaps = plan.steps().filter(|(_, _, step)| matches!(step.action, Action::SwapProxy(_))).count();
    assert_eq!(swaps, 3);
    let text = operator::text(&plan);
    let first: Vec<&str> = text.lines().filter(|line| line.contains(" a: ")).collect();
    assert_eq!(
        first,
        [
            "0 a: keep state in /root/.windlass",
            "0 a: pull haproxy:3.2",
            "0 a: make the proxy ready beside the other one (haproxy:3.2)",
            "1 a: stop kamal-proxy and start windlass-proxy on its ports",
        ]
    );
}
