//! `windlass restart` on the simulator: new containers, the same release.

#[path = "support/operator.rs"]
mod operator;

use operator::{Ended, Operator, operator};
use std::collections::BTreeMap;
use std::time::Duration;
use windlass::name::ContainerId;
use windlass::release::{Outcome, ReleaseKind};
use windlass::secret::Secret;

/// The running containers of the service on a host, by role.
fn running(operator: &Operator, host: &str) -> BTreeMap<String, (ContainerId, String)> {
    let all = operator.world.containers(host).into_iter();
    let ours = all.filter(|(name, c)| name.starts_with("app-") && c.state.is_running());
    ours.map(|(name, c)| (c.role().unwrap().to_string(), (c.id, name))).collect()
}

fn key(operator: &Operator, host: &str) -> String {
    operator.world.environment(host, &running(operator, host)["web"].1)["KEY"].clone()
}

#[tokio::test(start_paused = true)]
async fn every_container_is_new_and_the_release_is_the_same() {
    let mut operator = operator(&["a", "b", "c"], &["web", "jobs!"]);
    operator.deploy("v1").await.report();
    operator.deploy("v2").await.report();
    let before: Vec<_> = ["a", "b", "c"].map(|host| running(&operator, host)).into();
    operator.secrets.insert("KEY".to_string(), Secret::new("s2".to_string()));
    operator.world.stop_registry();
    assert_eq!(operator.restart(false, false).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v2").await;
    for (host, before) in ["a", "b", "c"].iter().zip(before) {
        let after = running(&operator, host);
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{host}");
        for (role, (id, name)) in &after {
            let (old, old_name) = &before[role];
            assert_ne!(id, old, "{role} on {host} is a new container");
            let same = operator.world.environment(host, name) == operator.world.environment(host, old_name);
            assert!(same, "{role} on {host} has the same environment, old secret included");
        }
    }
    let history = operator.history().await;
    let serving: Vec<_> = history.releases.iter().filter(|r| !r.running.is_empty()).map(|r| r.label()).collect();
    assert_eq!((history.releases.len(), serving), (2, vec!["v2".to_string()]), "no release was made");
    operator.assert_no_gap();
    // The way back is still that of v2, and a restart of a restart works as well.
    operator.restart(false, false).await.report();
    operator.rollback(None).await.report();
    operator.assert_serves("v1").await;
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn new_secrets_make_a_release_of_type_restart_that_a_rollback_leads_back_from() {
    let mut operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.secrets.insert("KEY".to_string(), Secret::new("s2".to_string()));
    operator.config.roles[0].spec.env.clear.insert("COLOR".to_string(), "green".to_string());
    assert_eq!(operator.restart(false, true).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
    for host in ["a", "b"] {
        assert_eq!(key(&operator, host), "s2");
        let env = operator.world.environment(host, &running(&operator, host)["web"].1);
        assert_eq!(env["COLOR"], "blue", "today's configuration needs a deploy");
    }
    let history = operator.history().await;
    let newest = history.releases.last().unwrap();
    assert!(matches!(newest.kind, ReleaseKind::Restart { of: Some(_) }), "{:?}", newest.kind);
    assert_eq!((newest.label().as_str(), newest.version.as_str(), newest.running.len()), ("v2", "v1", 2));
    operator.rollback(None).await.report();
    assert_eq!(["a", "b"].map(|host| key(&operator, host)), ["s1", "s1"]);
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn force_stops_what_serves_first() {
    let operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.world.forget_calls();
    assert_eq!(operator.restart(true, false).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
    for host in ["a", "b"] {
        let calls = operator.world.calls().into_iter().filter(|c| c.host.as_str() == host);
        let order: Vec<_> = calls.map(|c| c.method).filter(|m| ["engine.start", "engine.stop"].contains(m)).collect();
        assert_eq!(order, ["engine.stop", "engine.start"], "on {host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_does_not_come_up_again_leaves_what_served() {
    let operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    let before = running(&operator, "a");
    // It starts, and nobody hears of it.
    operator.world.lose_next_answer("a", "engine.start");
    let report = operator.restart(false, false).await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    assert_eq!(running(&operator, "a"), before);
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn what_crashed_comes_back_and_where_nothing_serves_there_is_nothing_to_restart() {
    let operator = operator(&["a"], &["web"]);
    let refusal = operator.restart(false, false).await.refusal();
    assert!(refusal.message.contains("nothing of app serves in scope"), "{refusal:?}");
    operator.deploy("v1").await.report();
    let (id, _) = running(&operator, "a")["web"].clone();
    operator.world.crash("a", &id, 137);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(operator.restart(false, false).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
}

#[tokio::test(start_paused = true)]
async fn new_secrets_for_a_mixed_fleet_are_refused() {
    let mut operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.only = Some(vec!["a"]);
    operator.deploy("v2").await.report();
    operator.only = None;
    let refusal = operator.restart(false, true).await.refusal();
    assert!(refusal.message.contains("v2 and v1 both serve"), "{refusal:?}");
    let mixed: Vec<_> = operator.serving().await.into_values().flatten().collect();
    assert!(matches!(operator.restart(false, false).await, Ended::Ran(_)), "without them each stays what it is");
    assert_eq!(operator.serving().await.into_values().flatten().collect::<Vec<_>>(), mixed);
}
