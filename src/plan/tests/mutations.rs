//! Plans with a fault put into them: the checker must refuse each.

use super::{config, deploy_request, ready, rollback_request, text};
use crate::history::testing::{Ends, World, name};
use crate::plan::{Action, Plan, RollbackRequest, StageKind, Step, Strategy, check, deploy, rollback};

fn good() -> (World, Plan) {
    let mut world = World::new(&["a", "b"], &["web"]);
    world.deploy("v1", Ends::Well);
    let plan = deploy(&config(&world), &ready(&world), &deploy_request(&world, "v2")).unwrap();
    (world, plan)
}

#[track_caller]
fn refused(plan: &Plan, rule: &str) {
    let found: Vec<_> = check(plan).iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|v| v.contains(rule)), "not refused for `{rule}`: {found:?}\n{}", text(plan));
}

fn change(plan: &mut Plan) -> &mut Vec<Step> {
    &mut plan.stages.iter_mut().find(|s| s.kind == StageKind::Change).unwrap().lanes[0].steps
}

#[test]
fn stopping_before_the_switch() {
    let (_, mut plan) = good();
    let retire =
        plan.stages.iter().find(|s| s.kind == StageKind::Retire).unwrap().lanes[0].steps.last().unwrap().clone();
    change(&mut plan).insert(0, retire);
    refused(&plan, "a container that serves is stopped");
}

#[test]
fn switching_without_a_gate() {
    let (_, mut plan) = good();
    change(&mut plan).retain(|s| !matches!(s.action, Action::Gate { .. }));
    refused(&plan, "passed no gate");
}

#[test]
fn switching_to_what_the_proxy_does_not_check() {
    let (_, mut plan) = good();
    change(&mut plan).retain(|s| !matches!(s.action, Action::Load { .. }));
    refused(&plan, "the proxy does not check");
}

#[test]
fn switching_away_from_something_that_does_not_serve() {
    let (_, mut plan) = good();
    for step in change(&mut plan) {
        if let Action::Switch { from, .. } = &mut step.action {
            *from = None;
        }
    }
    refused(&plan, "does not serve");
}

#[test]
fn pulling_in_a_rollback() {
    let mut world = World::new(&["a"], &["web"]);
    world.deploy("v1", Ends::Well);
    world.deploy("v2", Ends::Well);
    let mut plan = rollback(&config(&world), &ready(&world), &rollback_request(&world, None)).unwrap();
    let pull = Action::Pull { image: name("acme/app:v1"), tag: name("acme/app:v1") };
    change(&mut plan).insert(0, Step { action: pull, undo: Vec::new() });
    refused(&plan, "a rollback pulls");
}

#[test]
fn removing_what_serves_and_forgetting_a_promise() {
    let (_, mut plan) = good();
    let serves = plan.before[0].container.clone().unwrap();
    let remove = Action::Remove { container: serves, name: "x".to_string(), reason: String::new() };
    change(&mut plan).insert(0, Step { action: remove, undo: Vec::new() });
    refused(&plan, "a container that serves is removed");
    let (_, mut plan) = good();
    change(&mut plan).retain(|s| !matches!(s.action, Action::Switch { .. }));
    refused(&plan, "does not end as promised");
}

#[test]
fn changing_a_host_without_its_lease_and_stages_out_of_order() {
    let (_, mut plan) = good();
    plan.hosts.retain(|h| h.as_str() != "a");
    refused(&plan, "without its lease");
    let (_, mut plan) = good();
    plan.stages.reverse();
    refused(&plan, "out of order");
}

#[test]
fn replacing_a_proxy_on_the_way() {
    let (world, mut plan) = good();
    let settings = crate::plan::prepare::settings(&config(&world), ready(&world).reachable().next().unwrap().1);
    let replace = Step { action: Action::ReplaceProxy { settings, grace: 3 }, undo: Vec::new() };
    change(&mut plan).insert(0, replace.clone());
    refused(&plan, "by a verb that is not about it");
    plan.verb = crate::release::RunVerb::Proxy;
    for stage in &mut plan.stages {
        stage.lanes.iter_mut().for_each(|lane| lane.steps.insert(0, replace.clone()));
    }
    refused(&plan, "two hosts are replaced at once");
}

#[test]
fn switching_before_the_gate_without_being_asked_to_or_without_a_gate_at_all() {
    let mut world = World::new(&["a"], &["web"]);
    world.deploy("v1", Ends::Well);
    world.deploy("v2", Ends::Well);
    let request = RollbackRequest { strategy: Strategy::Immediate, ..rollback_request(&world, None) };
    let plan = rollback(&config(&world), &ready(&world), &request).unwrap();
    assert_eq!(check(&plan), []);
    refused(&Plan { strategy: Strategy::Together, ..plan.clone() }, "passed no gate");
    let mut without = plan;
    change(&mut without).retain(|s| !matches!(s.action, Action::Gate { .. }));
    refused(&without, "passes no gate afterwards");
}
