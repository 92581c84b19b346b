//! What a rollback does beside starting what was kept: strategies, a part of the fleet first, roles that came and went.

#[path = "support/operator.rs"]
mod operator;

use operator::{APP, Ended, Operator, operator, text};
use std::collections::BTreeMap;
use std::time::Duration;
use windlass::fleet::BackendName;
use windlass::plan::{Action, Plan, StageKind, Strategy};
use windlass::release::{Outcome, RunVerb};
use windlass::secret::Secret;
use windlass::sim::ImageBehaviour;

fn web() -> BackendName {
    BackendName::new(&"app".parse().unwrap(), &"web".parse().unwrap(), None)
}

/// v1 with A and s1, then v2 with B and s2.
async fn two_releases(hosts: &[&str], roles: &[&str]) -> Operator {
    let mut operator = operator(hosts, roles);
    set(&mut operator, "A", "s1");
    operator.deploy("v1").await.report();
    set(&mut operator, "B", "s2");
    operator.deploy("v2").await.report();
    operator.assert_serves("v2").await;
    operator
}

fn set(operator: &mut Operator, color: &str, key: &str) {
    for role in &mut operator.config.roles {
        role.spec.env.clear.insert("COLOR".to_string(), color.to_string());
    }
    operator.secrets.insert("KEY".to_string(), Secret::new(key.to_string()));
}

/// The plan that the last run carried out.
fn plan(operator: &Operator) -> Plan {
    let events = operator.events.lock().unwrap();
    let plans = events.iter().rev().find_map(|event| match event {
        windlass::event::Event::Started { plan } => Some((**plan).clone()),
        _ => None,
    });
    plans.expect("a run began")
}

/// `COLOR` and `KEY` of what serves `web` on a host.
fn content(operator: &Operator, host: &str) -> (String, String) {
    let id = operator.world.routed(host, &web()).expect("something serves");
    let all = operator.world.containers(host);
    let (name, _) = all.iter().find(|(_, c)| c.id == id).expect("what serves exists");
    let env = operator.world.environment(host, name);
    (env["COLOR"].clone(), env["KEY"].clone())
}

async fn versions(operator: &Operator) -> BTreeMap<String, String> {
    let serving = operator.serving().await;
    serving.into_iter().map(|((host, _), version)| (host, version.unwrap_or_default())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_release_comes_back_with_its_own_environment_or_with_todays_as_the_plan_says() {
    let operator = two_releases(&["a", "b"], &["web"]).await;
    assert_eq!(operator.rollback(None).await.report().outcome, Outcome::Succeeded);
    for host in ["a", "b"] {
        assert_eq!(content(&operator, host), ("A".to_string(), "s1".to_string()), "on {host}");
    }
    let inherited = plan(&operator).inherited.expect("a rollback says what it takes from where");
    for from_the_release in ["image", "environment", "secrets", "command", "health check", "app_port", "roles"] {
        assert!(inherited.release.iter().any(|w| w == from_the_release), "{from_the_release}: {inherited:?}");
    }
    for from_today in ["hosts", "deploy_timeout", "proxy hosts and paths"] {
        assert!(inherited.config.iter().any(|w| w == from_today), "{from_today}: {inherited:?}");
    }

    operator.rollback(Some("v2")).await.report();
    operator.rollback_with(Some("@1"), true).await.report();
    operator.assert_serves("v1").await;
    for host in ["a", "b"] {
        assert_eq!(content(&operator, host), ("B".to_string(), "s2".to_string()), "today's on {host}");
    }
    let inherited = plan(&operator).inherited.expect("the lists");
    assert_eq!(inherited.release, ["image"]);
    assert!(inherited.config.iter().any(|w| w == "secrets"), "{inherited:?}");
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn one_region_first_and_a_bare_rollback_finishes_it() {
    let mut operator = operator(&["a", "b", "c"], &["web"]);
    for version in ["v1", "v2", "v3"] {
        operator.deploy(version).await.report();
    }
    operator.only = Some(vec!["a"]);
    operator.rollback(None).await.report();
    operator.only = None;
    let mixed = versions(&operator).await;
    assert_eq!((mixed["a"].as_str(), mixed["b"].as_str(), mixed["c"].as_str()), ("v2", "v3", "v3"));
    let history = operator.history().await;
    let running: Vec<_> = history.releases.iter().map(|r| (r.label(), r.running.len())).collect();
    let expected = [("v1", 0), ("v2", 0), ("v3", 2), ("v4", 1)];
    assert_eq!(running, expected.map(|(label, n)| (label.to_string(), n)), "the mixed state is in the history");

    // Not v1, which is what would come before what a serves.
    assert_eq!(operator.rollback(None).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v2").await;
    let plan = plan(&operator);
    assert!(
        plan.notes.iter().any(|n| n.contains("finishes the rollback v4 (v2), which serves on a")),
        "{:?}",
        plan.notes
    );
    assert!(plan.steps().all(|(_, host, _)| host.as_str() != "a"), "a has it already: {}", text(&plan));
    // Now it is complete, and the next one goes further back.
    operator.rollback(None).await.report();
    operator.assert_serves("v1").await;
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn a_deploy_after_a_partial_rollback_leaves_nothing_to_be_finished() {
    let mut operator = operator(&["a", "b", "c"], &["web"]);
    operator.deploy("v1").await.report();
    operator.deploy("v2").await.report();
    operator.only = Some(vec!["a"]);
    operator.rollback(None).await.report();
    operator.only = None;
    operator.deploy("v3").await.report();
    operator.assert_serves("v3").await;
    operator.rollback(None).await.report();
    operator.assert_serves("v1").await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_was_cut_off_is_finished_by_the_next() {
    let mut finished = 0;
    for millis in (200..4_000).step_by(400) {
        let operator = operator(&["a", "b", "c"], &["web"]);
        for version in ["v1", "v2", "v3"] {
            operator.deploy(version).await.report();
        }
        let killed = operator.rollback_as(None, |r| r.strategy = Strategy::Rolling);
        drop(tokio::time::timeout(Duration::from_millis(millis), killed).await);
        let serving = versions(&operator).await;
        let mixed = serving.values().any(|v| v == "v2") && serving.values().any(|v| v == "v3");
        finished += usize::from(mixed);
        if serving.values().any(|v| v == "v3") {
            operator.rollback(None).await.report();
            operator.assert_serves("v2").await;
        }
        operator.assert_no_gap();
    }
    assert!(finished > 0, "no kill left the fleet mixed");
}

#[tokio::test(start_paused = true)]
async fn rolling_goes_group_by_group_and_the_default_all_at_once() {
    let operator = two_releases(&["a", "b", "c"], &["web"]).await;
    let waves = |plan: &Plan| -> Vec<usize> {
        plan.stages.iter().filter(|s| s.kind == StageKind::Change).map(|s| s.lanes.len()).collect()
    };
    operator.rollback(None).await.report();
    assert_eq!(waves(&plan(&operator)), [3]);
    operator.rollback_as(Some("v2"), |r| r.strategy = Strategy::Rolling).await.report();
    assert_eq!(waves(&plan(&operator)), [1, 2]);
    operator.assert_serves("v2").await;
    operator.assert_no_gap();
}

/// What happened to a container of `web` on a host, in order.
fn calls(operator: &Operator, host: &str, methods: &[&str]) -> Vec<&'static str> {
    let calls = operator.world.calls().into_iter();
    calls.filter(|c| c.host.as_str() == host && methods.contains(&c.method)).map(|c| c.method).collect()
}

#[tokio::test(start_paused = true)]
async fn immediate_switches_first_and_proves_health_afterwards() {
    let operator = two_releases(&["a"], &["web"]).await;
    operator.world.forget_calls();
    let report = operator.rollback_as(None, |r| r.strategy = Strategy::Immediate).await.report();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    operator.assert_serves("v1").await;
    let order = calls(&operator, "a", &["engine.start", "proxy.switch", "proxy.check", "engine.stop"]);
    let at = |method: &str| order.iter().position(|m| *m == method).unwrap_or_else(|| panic!("{method}: {order:?}"));
    assert!(at("engine.start") < at("proxy.switch") && at("proxy.switch") < at("proxy.check"), "{order:?}");
    assert!(at("proxy.check") < at("engine.stop"), "what served stops after the proof: {order:?}");
}

#[tokio::test(start_paused = true)]
async fn immediate_goes_back_when_health_never_comes() {
    let operator = two_releases(&["a", "b"], &["web"]).await;
    let old = operator.world.container("b", "app-web-v1").id;
    operator.world.set_behaviour("b", &old, ImageBehaviour::never_healthy());
    let report = operator.rollback_as(None, |r| r.strategy = Strategy::Immediate).await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    operator.assert_serves("v2").await;
}

#[tokio::test(start_paused = true)]
async fn recreate_stops_what_serves_before_anything_starts() {
    let operator = two_releases(&["a", "b"], &["web", "jobs!"]).await;
    operator.world.forget_calls();
    let report = operator.rollback_as(None, |r| r.strategy = Strategy::Recreate).await.report();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    operator.assert_serves("v1").await;
    for host in ["a", "b"] {
        let order = calls(&operator, host, &["engine.start", "engine.stop"]);
        assert_eq!(order, ["engine.stop", "engine.start", "engine.stop", "engine.start"], "on {host}");
    }
    let notes = plan(&operator).notes;
    assert!(notes.iter().any(|n| n.starts_with("role web: what serves stops before")), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn rolling_back_to_what_runs_already_is_nothing_to_do() {
    let operator = two_releases(&["a", "b"], &["web"]).await;
    for strategy in [Strategy::Together, Strategy::Rolling, Strategy::Immediate, Strategy::Recreate] {
        operator.world.forget_calls();
        let ended = operator.rollback_as(Some("v2"), |r| r.strategy = strategy).await;
        assert!(matches!(ended, Ended::NothingToDo), "{strategy:?}: {ended:?}");
        assert_eq!(operator.world.mutations(), [], "{strategy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_the_target_lacks_stops_and_comes_back_with_a_deploy() {
    let mut operator = operator(&["a", "b"], &["web", "jobs!"]);
    let both = operator.config.roles.clone();
    operator.config.roles.retain(|r| r.name.as_str() == "web");
    operator.deploy("v1").await.report();
    operator.config.roles = both;
    operator.deploy("v2").await.report();
    operator.rollback(None).await.report();
    let serving = operator.serving().await;
    for host in ["a", "b"] {
        assert_eq!(serving[&(host.to_string(), "web".to_string())].as_deref(), Some("v1"));
        assert_eq!(serving[&(host.to_string(), "jobs".to_string())], None);
    }
    let notes = plan(&operator).notes;
    assert!(notes.iter().any(|n| n.contains("jobs: the target does not have this role")), "{notes:?}");
    operator.deploy("v2").await.report();
    operator.assert_serves("v2").await;
}

#[tokio::test(start_paused = true)]
async fn a_deploy_stops_roles_that_are_configured_no_more_and_a_rollback_only_names_them() {
    let mut operator = operator(&["a", "b"], &["web", "admin", "jobs!"]);
    operator.config.roles[1].spec.route.as_mut().unwrap().hosts = vec!["admin.example.com".to_string()];
    operator.deploy("v1").await.report();
    operator.deploy("v2").await.report();
    operator.config.roles.retain(|r| r.name.as_str() == "web");

    operator.rollback(None).await.report();
    let notes = plan(&operator).notes;
    assert!(notes.iter().any(|n| n.contains("a: admin runs and is not configured there any more")), "{notes:?}");
    assert!(
        notes.iter().any(|n| n.contains("v1 had roles that are not configured any more: admin, jobs")),
        "{notes:?}"
    );
    assert!(operator.world.container("a", "app-jobs-v2").state.is_running(), "a rollback leaves it alone");

    operator.deploy("v3").await.report();
    let plan = plan(&operator);
    let admin = BackendName::new(&"app".parse().unwrap(), &"admin".parse().unwrap(), None);
    for host in ["a", "b"] {
        for name in ["app-admin-v2", "app-jobs-v2"] {
            assert!(!operator.world.container(host, name).state.is_running(), "{name} on {host}");
        }
        assert_eq!(operator.world.routed(host, &admin), None, "its route is gone");
        let steps: Vec<_> = plan.steps().filter(|(_, h, _)| h.as_str() == host).map(|(_, _, s)| &s.action).collect();
        assert!(steps.iter().any(|a| matches!(a, Action::RemoveRoute { backend } if *backend == admin)), "{host}");
        let journal = String::from_utf8(operator.world.file(host, "/root/.windlass/app/_/journal.jsonl").unwrap());
        let stopped = journal.unwrap().lines().filter(|l| l.contains("\"fact\":\"stopped\"")).count();
        assert_eq!(stopped, 2, "both ends are written down on {host}");
    }
    operator.assert_serves("v3").await;
    assert!(matches!(operator.deploy("v3").await, Ended::NothingToDo), "they are gone for good");
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_only_stops_leftovers_makes_no_release_and_a_part_of_the_roles_leaves_them() {
    let mut operator = operator(&["a"], &["web", "jobs!"]);
    operator.deploy("v1").await.report();
    operator.config.roles.retain(|r| r.name.as_str() == "web");
    operator.deploy("v1").await.report();
    let plan = plan(&operator);
    assert_eq!((plan.verb, plan.release.clone()), (RunVerb::Deploy, None), "{}", text(&plan));
    assert!(!operator.world.container("a", "app-jobs-v1").state.is_running());
    assert_eq!(operator.history().await.releases.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_serves_must_be_made_of_what_the_plan_promises() {
    let other_image = |plan: &mut Plan| {
        let other = || format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        plan.after.iter_mut().filter_map(|s| s.made_of.as_mut()).for_each(|m| m.image = other());
    };
    let other_spec = |plan: &mut Plan| {
        plan.after
            .iter_mut()
            .filter_map(|s| s.made_of.as_mut())
            .for_each(|m| m.fingerprint = Some("0123456789abcdef".parse().unwrap()));
    };
    type Tamper = fn(&mut Plan);
    let tampers: [(Tamper, &str); 2] =
        [(other_image, "runs the image"), (other_spec, "not made from the specification")];
    for (tamper, words) in tampers {
        let mut operator = two_releases(&["a", "b"], &["web"]).await;
        operator.tamper = Some(tamper);
        let report = operator.rollback(None).await.report();
        assert_eq!(
            report.outcome,
            Outcome::Reverted,
            "it was healthy and routed, and not what was promised: {report:?}"
        );
        assert!(report.reason.as_ref().is_some_and(|r| r.contains(words)), "{report:?}");
        operator.tamper = None;
        operator.assert_serves("v2").await;
        let image = operator.world.images("a").into_iter().find(|i| i.tags.contains(&format!("{APP}:v1"))).unwrap();
        operator.rollback(Some("@1")).await.report();
        let promised = plan(&operator).after[0].made_of.clone().expect("a promise");
        assert!(
            image.digests.iter().any(|d| d.ends_with(promised.image.as_str())),
            "the registry's digest: {promised:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_configured_no_more_is_named_by_the_next_deploy() {
    let mut operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.config.hosts.retain(|host, _| host.as_str() != "b");
    operator.config.roles[0].hosts.retain(|host| host.name.as_str() != "b");
    operator.deploy("v2").await.report();
    let notes = plan(&operator).notes;
    assert!(notes.iter().any(|n| n.starts_with("v1 was sent to b too, not configured any more")), "{notes:?}");
    operator.deploy("v3").await.report();
    let notes = plan(&operator).notes;
    assert!(!notes.iter().any(|n| n.contains("not configured any more")), "once is enough: {notes:?}");
}

fn of_role(serving: &BTreeMap<(String, String), Option<String>>, role: &str) -> Option<String> {
    serving.iter().find(|((_, r), _)| r == role).and_then(|(_, version)| version.clone())
}

#[tokio::test(start_paused = true)]
async fn a_release_of_a_part_of_the_roles_never_stops_the_others() {
    let mut operator = operator(&["a", "b"], &["web", "jobs!"]);
    operator.deploy("v1").await.report();
    operator.only_roles = Some(vec!["jobs"]);
    operator.deploy("v2").await.report();
    operator.only_roles = None;
    operator.deploy("v3").await.report();
    operator.assert_serves("v3").await;
    assert_eq!(operator.rollback(Some("v2")).await.report().outcome, Outcome::Succeeded);
    let serving = operator.serving().await;
    assert_eq!((of_role(&serving, "web"), of_role(&serving, "jobs")), (Some("v3".to_string()), Some("v2".to_string())));
    operator.deploy("v3").await.report();
    assert_eq!(operator.rollback(None).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn what_requests_go_to_and_is_not_well_does_not_let_the_old_one_stop() {
    let operator = operator(&["a"], &["web"]);
    operator.deploy("v1").await.report();
    operator.deploy("v2").await.report();
    assert_eq!(operator.rollback(Some("v1")).await.report().outcome, Outcome::Succeeded);
    let routed = operator.world.routed("a", &web()).expect("something serves");
    operator.world.crash("a", &routed, 137);
    operator.world.set_behaviour("a", &routed, ImageBehaviour::never_healthy());
    tokio::time::sleep(Duration::from_secs(30)).await;
    let refusal = operator.rollback(Some("v1")).await.refusal();
    assert!(refusal.message.contains("it is not well"), "{refusal:?}");
    assert_eq!(operator.rollback(Some("v2")).await.report().outcome, Outcome::Succeeded);
}
