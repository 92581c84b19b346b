//! What a review found: each of these was once a way to lose requests, to get stuck, or to say what was not so.

#[path = "support/operator.rs"]
mod operator;

use operator::{APP, Ended, Operator, operator};
use std::time::Duration;
use windlass::name::ContainerId;
use windlass::release::Outcome;
use windlass::sim::ImageBehaviour;
use windlass::spec::PublishedPort;

/// `docker rm -f`.
async fn remove(operator: &Operator, host: &str, id: &ContainerId) {
    let connections = operator.connect().await;
    let node = connections.nodes.values().find(|n| n.name.as_str() == host).unwrap();
    node.engine.stop(id, Some(1)).await.unwrap();
    node.engine.remove(id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_release_that_falls_ill_while_the_run_waits_is_taken_back_before_the_old_one_stops() {
    let mut operator = operator(&["a", "b", "c"], &["web"]);
    operator.config.boot.wait = Duration::from_secs(10);
    operator.deploy("v1").await.report();
    let ill = ImageBehaviour {
        becomes_unhealthy_after: Some(Duration::from_secs(4)),
        unhealthy_status: Some(500),
        ..ImageBehaviour::healthy()
    };
    operator.world.push(APP, "ill", ill);
    let report = operator.deploy("ill").await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    assert!(report.reason.as_deref().is_some_and(|r| r.contains("health check fails")), "{report:?}");
    operator.assert_serves("v1").await;
    assert!(!operator.world.containers("b").contains_key("app-web-ill"), "the others were left alone");
}

#[tokio::test(start_paused = true)]
async fn the_file_of_a_proxy_that_does_not_run_proves_nothing() {
    let operator = operator(&["a"], &["web"]);
    operator.world.push(
        APP,
        "slow",
        ImageBehaviour { stops_after: Duration::from_secs(8), ..ImageBehaviour::healthy() },
    );
    operator.deploy("slow").await.report();
    operator.world.forget_calls();
    let stop_proxy = async {
        while operator.world.calls_of("engine.stop").is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let connections = operator.connect().await;
        let proxy = operator.world.container("a", "windlass-proxy").id;
        connections.nodes.values().next().unwrap().engine.stop(&proxy, Some(1)).await.unwrap();
    };
    let (ended, ()) = tokio::join!(operator.deploy("v2"), stop_proxy);
    let report = ended.report();
    assert_eq!(report.outcome, Outcome::Unverified, "{report:?}");
    assert!(report.mismatches[0].contains("does not run"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn one_run_converges_after_a_kill_where_host_ports_are_published() {
    for ms in (0..8_000).step_by(100) {
        let mut operator = operator(&["a"], &["web", "jobs!"]);
        for (role, port) in operator.config.roles.iter_mut().zip([8080, 9090]) {
            let published =
                PublishedPort { host_ip: None, host_port: Some(port), container_port: 80, protocol: "tcp".to_string() };
            role.spec.options.publish = vec![published];
        }
        operator.deploy("v1").await.report();
        drop(tokio::time::timeout(Duration::from_millis(ms), operator.deploy("v2")).await);
        let report = operator.deploy("v3").await.report();
        assert_eq!(report.outcome, Outcome::Succeeded, "killed after {ms} ms: {report:?}");
        operator.assert_serves("v3").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_never_passed_its_gate_is_not_taken_for_deployed() {
    let operator = operator(&["a"], &["jobs!"]);
    drop(tokio::time::timeout(Duration::from_secs(4), operator.deploy("v1")).await);
    assert!(operator.world.containers("a").contains_key("app-jobs-v1"), "it was killed while it watched the worker");
    assert_eq!(operator.deploy("v1").await.report().outcome, Outcome::Succeeded);
    operator.world.reboot("a");
    tokio::time::sleep(Duration::from_secs(60)).await;
    operator.assert_serves("v1").await;
    assert!(matches!(operator.deploy("v1").await, Ended::NothingToDo));
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_first_deploy_left_is_not_taken_for_what_served() {
    let operator = operator(&["a"], &["jobs!"]);
    drop(tokio::time::timeout(Duration::from_secs(4), operator.deploy("v1")).await);
    assert!(operator.world.containers("a").contains_key("app-jobs-v1"), "it was killed while it watched the worker");
    let report = operator.deploy("crash").await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    let serving = operator.serving().await;
    assert!(serving.values().all(Option::is_none), "nothing ever served, so nothing does: {serving:?}");
}

#[tokio::test(start_paused = true)]
async fn one_run_converges_when_what_is_routed_was_removed_by_hand() {
    let operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    let id = operator.world.container("a", "app-web-v1").id;
    remove(&operator, "a", &id).await;
    let report = operator.deploy("v2").await.report();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    operator.assert_serves("v2").await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_without_a_proxy_image_is_refused_and_pulls_nothing() {
    let operator = operator(&["a"], &["web"]);
    operator.deploy("v1").await.report();
    operator.deploy("v2").await.report();
    let proxy = operator.world.container("a", "windlass-proxy").id;
    remove(&operator, "a", &proxy).await;
    let connections = operator.connect().await;
    connections.nodes.values().next().unwrap().engine.remove_image("haproxy:3.2").await.unwrap();
    let images = operator.world.images("a");
    assert!(images.iter().flat_map(|i| &i.tags).all(|tag| tag != "haproxy:3.2"), "{images:?}");
    let pulls = operator.world.pulls();
    let refusal = operator.rollback(None).await.refusal();
    assert!(refusal.message.contains("haproxy:3.2"), "{refusal:?}");
    assert_eq!(operator.world.pulls(), pulls);
}
