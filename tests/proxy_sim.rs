//! The verbs that look after the proxies, as whole runs on the simulator.

#[path = "support/operator.rs"]
mod operator;

use jiff::{SignedDuration, Timestamp};
use operator::{Ended, Operator, config, name};
use std::collections::BTreeMap;
use windlass::effect::Clock;
use windlass::event::Event;
use windlass::fleet::{BackendName, BackendState};
use windlass::plan::{ProxyWork, WantedEdge};
use windlass::release::Outcome;
use windlass::secret::Secret;
use windlass::sim::{ImageBehaviour, SimFleet};
use windlass::spec::{Certificate, Edge, EdgeFile, Maintenance, Tls};

const APP: &str = "registry.example.com/app";

fn operator(hosts: &[&str]) -> Operator {
    let world = SimFleet::new()
        .hosts(hosts.iter().copied())
        .registry_image("haproxy", "3.2", ImageBehaviour::healthy())
        .registry_image("haproxy", "3.3", ImageBehaviour::healthy_after(std::time::Duration::from_millis(1)))
        .registry_image(APP, "v1", ImageBehaviour::healthy())
        .registry_image(APP, "v2", ImageBehaviour::healthy());
    Operator::new(world, config(hosts, &["web"]))
}

fn backend() -> BackendName {
    BackendName::new(&name("app"), &name("web"), None)
}

async fn states(operator: &Operator) -> Vec<BackendState> {
    let fleet = operator.fleet().await;
    fleet.reachable().map(|(_, facts)| facts.proxy.backends[&backend()].clone()).collect()
}

async fn edges(operator: &Operator) -> Vec<Edge> {
    states(operator).await.into_iter().map(|state| state.edge).collect()
}

/// The role gets HTTPS, and the next run brings this certificate along.
fn certify(operator: &mut Operator, letter: char, from: i64, to: i64) {
    let at = |days: i64| -> Timestamp { operator.world.clock().now() + SignedDuration::from_hours(24 * days) };
    let sha256 = letter.to_string().repeat(64);
    let names = vec!["app.example.com".to_string()];
    let certificate = Certificate { sha256: sha256.clone(), names, not_before: at(from), not_after: at(to) };
    let wanted = WantedEdge { certificate: Some(certificate), ..WantedEdge::default() };
    operator.edge = [(name("web"), wanted)].into();
    operator.files = [(EdgeFile::certificate(&sha256), Secret::new("pem".to_string()))].into();
    let tls = Tls { certificate_pem: "CERT".into(), private_key_pem: "KEY".into(), redirect: true };
    for role in &mut operator.config.roles {
        role.spec.route.as_mut().unwrap().tls = Some(tls.clone());
    }
}

fn maintenance(operator: &Operator, message: &str) -> ProxyWork {
    let page = "b".repeat(64);
    let maintenance = Maintenance { page, message: Some(message.to_string()), since: operator.world.clock().now() };
    ProxyWork::Maintenance { roles: [(name("web"), maintenance)].into(), drain_timeout: 30 }
}

fn notes(operator: &Operator) -> Vec<String> {
    let events = operator.events.lock().unwrap();
    let done = events.iter().filter_map(|e| match e {
        Event::StepDone { host, note: Some(note), .. } => Some(format!("{host}: {note}")),
        _ => None,
    });
    done.collect()
}

#[tokio::test(start_paused = true)]
async fn a_deploy_puts_a_certificate_in_force_and_a_renewal_touches_no_container() {
    let mut operator = operator(&["a", "b"]);
    certify(&mut operator, 'c', -1, 90);
    assert_eq!(operator.deploy("v1").await.report().outcome, Outcome::Succeeded);
    let containers = operator.world.containers("a");
    certify(&mut operator, 'd', -1, 180);
    assert_eq!(operator.proxy(ProxyWork::Certificates).await.report().outcome, Outcome::Succeeded);
    for state in states(&operator).await {
        assert_eq!(state.edge.certificate.unwrap().sha256, "d".repeat(64));
        assert!(state.route.tls.is_some());
    }
    assert!(matches!(operator.proxy(ProxyWork::Certificates).await, Ended::NothingToDo), "it is in force");
    // A deploy of what serves already renews as well, and makes no release of it.
    // A reload begins every health check anew; what was never checked is not yet what a deploy wants.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let releases = operator.history().await.releases.len();
    certify(&mut operator, 'e', -1, 270);
    assert_eq!(operator.deploy("v1").await.report().outcome, Outcome::Succeeded);
    assert_eq!(edges(&operator).await[1].certificate.as_ref().unwrap().sha256, "e".repeat(64));
    assert_eq!(operator.history().await.releases.len(), releases);
    assert_eq!(operator.world.containers("a"), containers);
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn a_certificate_out_of_its_time_is_refused_unless_it_serves_already() {
    let mut operator = operator(&["a"]);
    certify(&mut operator, 'c', -1, 10);
    operator.deploy("v1").await.report();
    operator.world.forget_calls();
    for (from, to, expected) in [(-20, -10, "has expired"), (10, 20, "is not valid yet")] {
        certify(&mut operator, 'd', from, to);
        for refused in [operator.proxy(ProxyWork::Certificates).await, operator.deploy("v2").await] {
            let refusal = refused.refusal();
            assert!(refusal.message.contains(expected), "{refusal}");
        }
    }
    assert!(operator.world.mutations().iter().all(|call| call.method.contains("lease")), "nothing was changed");
    tokio::time::sleep(std::time::Duration::from_secs(20 * 86_400)).await;
    certify(&mut operator, 'c', -21, -10);
    operator.edge.get_mut(&name("web")).unwrap().certificate = edges(&operator).await[0].certificate.clone();
    assert_eq!(operator.deploy("v2").await.report().outcome, Outcome::Succeeded, "a repair must get through");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_keeps_https_and_needs_no_secret() {
    let mut operator = operator(&["a", "b"]);
    operator.deploy("v1").await.report();
    certify(&mut operator, 'c', -1, 90);
    operator.deploy("v2").await.report();
    (operator.edge, operator.files) = (BTreeMap::new(), BTreeMap::new());
    assert_eq!(operator.rollback(None).await.report().outcome, Outcome::Succeeded);
    for state in states(&operator).await {
        assert!(state.route.tls.is_some() && state.edge.certificate.is_some(), "{state:?}");
    }
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn a_rollback_before_the_first_certificate_serves_without_https() {
    let mut operator = operator(&["a"]);
    operator.deploy("v1").await.report();
    operator.deploy("v2").await.report();
    certify(&mut operator, 'c', -1, 90);
    (operator.edge, operator.files) = (BTreeMap::new(), BTreeMap::new());
    assert_eq!(operator.rollback(None).await.report().outcome, Outcome::Succeeded);
    assert_eq!(states(&operator).await[0].route.tls, None);
}

#[tokio::test(start_paused = true)]
async fn maintenance_lasts_over_deploy_and_rollback_until_live() {
    let mut operator = operator(&["a", "b"]);
    operator.deploy("v1").await.report();
    operator.files = [(EdgeFile::page(&"b".repeat(64)), Secret::new("<p>".to_string()))].into();
    let closed = maintenance(&operator, "back at 3");
    assert_eq!(operator.proxy(closed.clone()).await.report().outcome, Outcome::Succeeded);
    operator.deploy("v2").await.report();
    operator.rollback(None).await.report();
    for edge in edges(&operator).await {
        assert_eq!(edge.maintenance.unwrap().message.as_deref(), Some("back at 3"));
    }
    assert!(matches!(operator.proxy(maintenance(&operator, "back at 3")).await, Ended::NothingToDo));
    assert_eq!(operator.proxy(maintenance(&operator, "back at 4")).await.report().outcome, Outcome::Succeeded);
    assert_eq!(operator.proxy(ProxyWork::Live).await.report().outcome, Outcome::Succeeded);
    assert!(edges(&operator).await.iter().all(Edge::is_empty));
    assert!(matches!(operator.proxy(ProxyWork::Live).await, Ended::NothingToDo));
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_proxy_does_not_run_stops_the_change_before_it_begins() {
    let mut operator = operator(&["a", "b"]);
    operator.deploy("v1").await.report();
    operator.files = [(EdgeFile::page(&"b".repeat(64)), Secret::new("<p>".to_string()))].into();
    let connections = operator.connect().await;
    let node = &connections.nodes[&name("b")];
    let proxy = node.proxy.observe().await.unwrap().container.unwrap();
    node.engine.stop(&proxy.id, None).await.unwrap();
    let refusal = operator.proxy(maintenance(&operator, "x")).await.refusal();
    assert!(refusal.message.contains("the proxy on b does not run"), "{refusal}");
    assert!(refusal.hints[0].contains("windlass proxy boot"), "{refusal:?}");
    assert!(edges(&operator).await.iter().all(Edge::is_empty));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_goes_host_by_host_and_says_the_gap() {
    let mut operator = operator(&["a", "b", "c"]);
    operator.deploy("v1").await.report();
    let upgrade = || ProxyWork::Upgrade { image: None, grace: 3 };
    assert!(matches!(operator.proxy(upgrade()).await, Ended::NothingToDo), "they are as they should be");
    operator.config.proxy.image = "haproxy:3.3".to_string();
    // A deploy never replaces it.
    operator.deploy("v2").await.report();
    assert!(operator.world.calls_of("proxy.replace").is_empty());
    operator.events.lock().unwrap().clear();
    assert_eq!(operator.proxy(upgrade()).await.report().outcome, Outcome::Succeeded);
    let hosts: Vec<_> = operator.world.calls_of("proxy.replace").iter().map(|c| c.host.to_string()).collect();
    assert_eq!(hosts, ["a", "b", "c"]);
    assert_eq!(notes(&operator), ["a", "b", "c"].map(|h| format!("{h}: nothing answered for 400 ms at most")));
    for (_, facts) in operator.fleet().await.reachable() {
        assert_eq!(facts.proxy.container.as_ref().unwrap().image, "haproxy:3.3");
    }
    assert!(matches!(operator.proxy(upgrade()).await, Ended::NothingToDo));
    assert_eq!(operator.proxy(ProxyWork::Reboot { grace: 3 }).await.report().outcome, Outcome::Succeeded);
    assert!(states(&operator).await.iter().all(|state| state.active().is_some()));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_follows_what_the_tag_means_now() {
    let operator = operator(&["a", "b"]);
    operator.deploy("v1").await.report();
    let slow = ImageBehaviour::healthy_after(std::time::Duration::from_millis(5));
    let digest = operator.world.push("haproxy", "3.2", slow);
    let image = windlass::name::ImageRef { repository: name("haproxy"), tag: None, digest: Some(digest) };
    let upgrade = || ProxyWork::Upgrade { image: Some(image.clone()), grace: 3 };
    assert_eq!(operator.proxy(upgrade()).await.report().outcome, Outcome::Succeeded);
    assert_eq!(operator.world.calls_of("proxy.replace").len(), 2);
    assert!(matches!(operator.proxy(upgrade()).await, Ended::NothingToDo));
    assert!(states(&operator).await.iter().all(|state| state.active().is_some()));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_had_replaces_nothing() {
    let mut operator = operator(&["a", "b"]);
    operator.deploy("v1").await.report();
    operator.config.proxy.image = "haproxy:9.9".to_string();
    let report = operator.proxy(ProxyWork::Reboot { grace: 3 }).await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    assert!(operator.world.calls_of("proxy.replace").is_empty());
    assert!(states(&operator).await.iter().all(|state| state.active().is_some()));
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_routes_is_removed_by_force_only_and_comes_back() {
    let operator = operator(&["a", "b"]);
    operator.deploy("v1").await.report();
    let refusal = operator.proxy(ProxyWork::Remove { force: false }).await.refusal();
    assert!(refusal.message.contains("a routes app-web") && refusal.hints[0].contains("--force"), "{refusal}");
    assert_eq!(operator.proxy(ProxyWork::Remove { force: true }).await.report().outcome, Outcome::Succeeded);
    for (_, facts) in operator.fleet().await.reachable() {
        assert!(facts.proxy.container.is_none());
    }
    assert_eq!(operator.proxy(ProxyWork::Boot).await.report().outcome, Outcome::Succeeded);
    let states = states(&operator).await;
    assert!(states.iter().all(|s| s.active().is_some() && s.servers[0].role == windlass::fleet::ServerRole::Ready));
    assert!(matches!(operator.proxy(ProxyWork::Boot).await, Ended::NothingToDo));
}
