//! Stopping, starting and following a service on the simulator.

#[path = "support/operator.rs"]
mod operator;

use operator::{Ended, Operator, config};
use std::time::Duration;
use tokio::sync::mpsc;
use windlass::effect::{Connector, LogStream};
use windlass::event::Event;
use windlass::fleet::State;
use windlass::history::{self, Status};
use windlass::name::ContainerId;
use windlass::observe::{self, Follow, LogEvent};
use windlass::plan::Action;
use windlass::release::Outcome;
use windlass::sim::{ImageBehaviour, SimFleet};

const APP: &str = "registry.example.com/app";

fn operator(hosts: &[&str], roles: &[&str]) -> Operator {
    let world = SimFleet::new()
        .hosts(hosts.iter().copied())
        .registry_image("haproxy", "3.2", ImageBehaviour::healthy())
        .registry_image(APP, "v1", ImageBehaviour::healthy().printing(["v1 starts", "v1 listens"]))
        .registry_image(APP, "v2", ImageBehaviour::healthy().printing(["v2 starts"]));
    Operator::new(world, config(hosts, roles))
}

/// The statuses of the releases, oldest first.
async fn statuses(operator: &Operator) -> Vec<Status> {
    operator.history().await.releases.iter().map(|r| r.status).collect()
}

async fn running(operator: &Operator) -> Vec<Option<String>> {
    operator.serving().await.into_values().collect()
}

fn calls(operator: &Operator, method: &str) -> usize {
    operator.world.calls().iter().filter(|call| call.method == method).count()
}

fn ids(operator: &Operator, host: &str) -> Vec<ContainerId> {
    operator.world.containers(host).into_iter().filter(|(n, _)| n.starts_with("app-")).map(|(_, c)| c.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stop_drains_and_a_start_brings_back_the_same_containers_through_the_gate() {
    let operator = operator(&["a", "b"], &["web", "jobs!"]);
    operator.deploy("v1").await.report();
    let before = [ids(&operator, "a"), ids(&operator, "b")];
    let web = operator.world.containers("a")["app-web-v1"].id.clone();
    operator.world.hold_requests("a", &web, 3, Duration::from_secs(5));
    operator.world.forget_calls();
    let began = tokio::time::Instant::now();
    assert_eq!(operator.stop().await.report().outcome, Outcome::Succeeded);
    assert!(began.elapsed() >= Duration::from_secs(4), "requests in flight are waited for: {:?}", began.elapsed());
    assert_eq!(running(&operator).await, [None, None, None, None]);
    assert_eq!(statuses(&operator).await, [Status::Suspended]);
    assert!(matches!(operator.stop().await, Ended::NothingToDo));
    let fleet = operator.fleet().await;
    for (host, facts) in fleet.reachable() {
        let backend = facts.proxy.backends.values().next().expect("the route is kept");
        assert_eq!((backend.active(), backend.route.app_port), (None, 80), "{host}");
        for container in &facts.containers {
            assert!(matches!(container.state, State::Exited { .. }), "{container:?}");
            assert_eq!(container.restart, windlass::spec::RestartPolicy::No, "the engine must not start it again");
        }
        let suspended = history::suspended(facts, &operator.config.service, None, &operator.config.roles[0].name);
        assert_eq!(suspended.and_then(|s| s.release), operator.history().await.releases[0].run);
    }

    operator.world.forget_calls();
    assert_eq!(operator.start().await.report().outcome, Outcome::Succeeded);
    assert_eq!([ids(&operator, "a"), ids(&operator, "b")], before, "the very containers");
    let made =
        [calls(&operator, "engine.pull"), calls(&operator, "engine.create"), calls(&operator, "engine.create_like")];
    assert_eq!(made, [0, 0, 0]);
    assert!(calls(&operator, "proxy.check") > 0, "the gate is asked again");
    assert_eq!(running(&operator).await, vec![Some("v1".to_string()); 4]);
    assert_eq!(statuses(&operator).await, [Status::Current]);
    assert!(matches!(operator.start().await, Ended::NothingToDo));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_get_healthy_is_suspended_again_everywhere() {
    let operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.stop().await.report();
    let broken = operator.world.containers("b")["app-web-v1"].id.clone();
    operator.world.set_behaviour("b", &broken, ImageBehaviour::never_healthy());
    let report = operator.start().await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    assert_eq!(running(&operator).await, [None, None]);
    assert_eq!(statuses(&operator).await, [Status::Suspended]);
    operator.world.set_behaviour("b", &broken, ImageBehaviour::healthy());
    assert_eq!(operator.start().await.report().outcome, Outcome::Succeeded);
    assert_eq!(statuses(&operator).await, [Status::Current]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_interrupted_before_anything_drains_goes_back() {
    let mut operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.interrupt_at = Some(|event| match event {
        Event::StageFinished { stage: 0, .. } => true,
        Event::Started { plan } => {
            let first = &plan.stages[0].lanes[0].steps[0].action;
            assert!(matches!(first, Action::Suspend { .. }) || plan.verb != windlass::release::RunVerb::Stop);
            false
        }
        _ => false,
    });
    assert_eq!(operator.stop().await.report().outcome, Outcome::Interrupted);
    assert_eq!(running(&operator).await, vec![Some("v1".to_string()); 2]);
    assert_eq!(statuses(&operator).await, [Status::Current]);
    let fleet = operator.fleet().await;
    assert!(fleet.reachable().all(|(_, facts)| facts.proxy.backends.values().all(|b| b.active().is_some())));
}

#[tokio::test(start_paused = true)]
async fn a_deploy_over_a_stopped_service_serves() {
    let operator = operator(&["a", "b"], &["web", "jobs!"]);
    operator.deploy("v1").await.report();
    operator.stop().await.report();
    assert_eq!(operator.deploy("v2").await.report().outcome, Outcome::Succeeded);
    assert_eq!(running(&operator).await, vec![Some("v2".to_string()); 4]);
    assert_eq!(statuses(&operator).await, [Status::Stable, Status::Current]);
    assert_eq!(operator.rollback(Some("v1")).await.report().outcome, Outcome::Succeeded);
    assert_eq!(running(&operator).await, vec![Some("v1".to_string()); 4]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_stopped_can_be_rolled_back_to() {
    let operator = operator(&["a"], &["web"]);
    operator.deploy("v1").await.report();
    operator.stop().await.report();
    assert_eq!(operator.rollback(Some("v1")).await.report().outcome, Outcome::Succeeded);
    assert_eq!(running(&operator).await, [Some("v1".to_string())]);
}

#[tokio::test(start_paused = true)]
async fn what_is_suspended_outlives_every_prune() {
    let mut operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.deploy("v2").await.report();
    // On `b` the suspended release is one that a rollback left: no default target, so nothing else keeps it.
    operator.only = Some(vec!["a"]);
    assert_eq!(operator.rollback(Some("v1")).await.report().outcome, Outcome::Succeeded);
    operator.only = None;
    assert_eq!(operator.stop().await.report().outcome, Outcome::Succeeded);
    tokio::time::sleep(Duration::from_secs(5 * 24 * 3600)).await;
    operator.prune().await;
    assert_eq!(operator.start().await.report().outcome, Outcome::Succeeded);
    let serving: Vec<_> = operator.serving().await.into_values().flatten().collect();
    assert_eq!(serving, ["v1", "v2"]);
}

#[tokio::test(start_paused = true)]
async fn stale_containers_stop_and_what_serves_does_not() {
    let operator = operator(&["a"], &["web"]);
    operator.deploy("v1").await.report();
    let node = operator.world.connector().connect(&operator::name("a")).await.unwrap();
    let serving = operator.world.containers("a")["app-web-v1"].id.clone();
    let stale = node.engine.create_like(&serving, "app-web-left").await.unwrap();
    node.engine.start(&stale).await.unwrap();
    assert_eq!(operator.stop_stale().await.report().outcome, Outcome::Succeeded);
    assert!(!node.engine.inspect(&stale).await.unwrap().state.is_running());
    assert!(node.engine.inspect(&serving).await.unwrap().state.is_running());
    assert_eq!(statuses(&operator).await, [Status::Current]);
    assert!(matches!(operator.stop_stale().await, Ended::NothingToDo));
    operator.assert_no_gap();
}

/// What a follower says, in words.
struct Heard {
    events: mpsc::Receiver<LogEvent>,
    names: std::collections::BTreeMap<ContainerId, String>,
}

impl Heard {
    async fn next(&mut self) -> String {
        let event = tokio::time::timeout(Duration::from_secs(60), self.events.recv()).await.expect("something is said");
        match event.expect("the follower lives") {
            LogEvent::Appeared { container, environment, first } => {
                assert!(environment.contains_key("KEY"), "the values to be masked come along");
                self.names.insert(container.id.clone(), container.name.clone());
                format!("{} appears {first}", container.name)
            }
            LogEvent::Line(id, line) => {
                assert_eq!(line.stream, LogStream::Out);
                format!("{}: {}", self.names[&id], line.text)
            }
            LogEvent::Ended(id, state) => format!("{} ended {}", self.names[&id], state.is_some()),
            LogEvent::Lost(_) => "lost".to_string(),
            LogEvent::Back => "back".to_string(),
        }
    }

    async fn expect(&mut self, expected: &[&str]) {
        for words in expected {
            assert_eq!(self.next().await, *words);
        }
    }
}

fn follow(operator: &Operator, tail: Option<u64>) -> Heard {
    let (send, events) = mpsc::channel(64);
    let what = Follow {
        service: operator.config.service.clone(),
        destination: None,
        roles: operator.config.roles.iter().map(|r| r.name.clone()).collect(),
        tail,
        since: None,
    };
    let (connector, clock) = (operator.world.connector(), operator.world.clock());
    tokio::spawn(observe::follow(connector, operator::name("a"), None, what, clock, send));
    Heard { events, names: std::collections::BTreeMap::new() }
}

#[tokio::test(start_paused = true)]
async fn following_goes_on_over_a_deploy_by_someone_else() {
    let operator = operator(&["a"], &["web"]);
    operator.deploy("v1").await.report();
    let mut heard = follow(&operator, Some(1));
    heard.expect(&["back", "app-web-v1 appears true", "app-web-v1: v1 listens"]).await;
    operator.deploy("v2").await.report();
    heard.expect(&["app-web-v2 appears false", "app-web-v2: v2 starts", "app-web-v1 ended true"]).await;
    // A retained container that starts again is heard from its start on.
    operator.rollback(Some("v1")).await.report();
    heard.expect(&["app-web-v2 ended true", "app-web-v1 appears false"]).await;
    heard.expect(&["app-web-v1: v1 starts", "app-web-v1: v1 listens"]).await;
}

#[tokio::test(start_paused = true)]
async fn following_survives_a_broken_connection_and_says_nothing_twice() {
    let operator = operator(&["a"], &["web"]);
    operator.deploy("v1").await.report();
    let mut heard = follow(&operator, None);
    heard.expect(&["back", "app-web-v1 appears true", "app-web-v1: v1 starts", "app-web-v1: v1 listens"]).await;
    operator.world.reset_connections("a");
    heard.expect(&["lost", "back"]).await;
    operator.world.cut_off("a");
    heard.expect(&["lost"]).await;
    operator.world.restore("a");
    heard.expect(&["back"]).await;
    operator.deploy("v2").await.report();
    heard.expect(&["app-web-v2 appears false", "app-web-v2: v2 starts", "app-web-v1 ended true"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_crashes_between_two_looks_is_heard_all_the_same() {
    let operator = operator(&["a"], &["web"]);
    operator.deploy("v1").await.report();
    let mut heard = follow(&operator, Some(0));
    heard.expect(&["back", "app-web-v1 appears true"]).await;
    let crash = ImageBehaviour::crashing(Duration::from_millis(20), 3).printing(["no database"]);
    operator.world.push(APP, "v3", crash);
    operator.deploy("v3").await.report();
    heard.expect(&["app-web-v3 appears false", "app-web-v3: no database", "app-web-v3 ended true"]).await;
}
