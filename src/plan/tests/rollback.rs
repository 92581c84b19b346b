//! Rollbacks.

use super::{config, ready, rollback_request, sound, text};
use crate::fleet::label;
use crate::history::Help;
use crate::history::testing::{Ends, World};
use crate::plan::{Action, Plan, Strategy, rollback};
use crate::release::ReleaseKind;

#[test]
fn a_rollback_starts_what_was_kept_on_all_hosts_at_once_and_pulls_nothing() {
    let mut world = World::new(&["a", "b"], &["web", "jobs"]);
    let first = world.deploy("v1", Ends::Well);
    world.deploy("v2", Ends::Well);
    let plan = sound(rollback(&config(&world), &ready(&world), &rollback_request(&world, None)).unwrap());
    let release = plan.release.clone().unwrap();
    assert_eq!((release.version.as_str(), release.number), ("v1", 3));
    assert_eq!(release.kind, ReleaseKind::Rollback { of: Some(first), current_config: false });
    assert!(plan.steps().all(|(_, _, step)| !matches!(step.action, Action::Pull { .. } | Action::Create { .. })));
    let mut a = plan;
    a.stages.iter_mut().for_each(|s| s.lanes.retain(|l| l.host.as_str() == "a"));
    insta::assert_snapshot!(text(&a), @r"
    change a
      start 000000000000
          undo: stop 000000000000
      check 000000000000 through the proxy
          undo: take 000000000000 out of the proxy
      wait until 000000000000 is healthy (at most 30 s)
      restart policy unless-stopped for 000000000000
      switch web to 000000000000
          undo: switch web to 000000000000
          undo: drain 000000000000 (at most 30 s)
      start 000000000000
          undo: stop 000000000000
      wait until 000000000000 is ready (at most 30 s)
      restart policy unless-stopped for 000000000000
      switch jobs to 000000000000
          undo: switch jobs to 000000000000
    retire a
      drain 000000000000 (at most 30 s)
      take 000000000000 out of the proxy
      stop 000000000000
      stop 000000000000
    ");
}

#[test]
fn a_host_without_the_target_refuses_the_whole_fleet() {
    let mut world = World::new(&["a", "b"], &["web"]);
    world.deploy("v1", Ends::Well);
    world.deploy("v2", Ends::Well);
    let b = world.hosts.get_mut(&"b".parse().unwrap()).unwrap();
    b.containers.retain(|c| c.version().is_some_and(|v| v.as_str() != "v1"));
    let refusal = rollback(&config(&world), &ready(&world), &rollback_request(&world, Some("v1"))).unwrap_err();
    assert!(refusal.message.contains('b'), "{refusal}");
    assert!(refusal.hints.iter().any(|h| h.contains("windlass releases")), "{refusal:?}");
}

#[test]
fn rolling_back_to_what_serves_is_nothing_to_do() {
    let mut world = World::new(&["a", "b"], &["web"]);
    world.deploy("v1", Ends::Well);
    let plan = sound(rollback(&config(&world), &ready(&world), &rollback_request(&world, Some("v1"))).unwrap());
    assert!(plan.is_empty(), "{}", text(&plan));
    assert_eq!(plan.release, None);
}

#[test]
fn a_fleet_left_mixed_by_a_killed_run_becomes_one_again() {
    let mut world = World::new(&["a", "b"], &["web"]);
    world.deploy("v1", Ends::Well);
    world.deploy("v2", Ends::Killed);
    let plan = sound(rollback(&config(&world), &ready(&world), &rollback_request(&world, Some("v1"))).unwrap());
    let changed: Vec<_> = plan.stages.iter().flat_map(|s| &s.lanes).map(|l| l.host.to_string()).collect();
    assert_eq!(changed, ["a", "a"], "only the host that had gone over: {}", text(&plan));
    assert_eq!(plan.abandoned.values().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn what_todays_configuration_made_of_an_old_image_is_not_the_old_release() {
    let mut world = World::new(&["a", "b"], &["web"]);
    world.deploy("v1", Ends::Well);
    world.deploy("v2", Ends::Well);
    world.rollback_with_current_config("v1", Ends::Well);
    let back = |target| sound(rollback(&config(&world), &ready(&world), &rollback_request(&world, target)).unwrap());
    assert!(back(Some("v3")).is_empty(), "it serves");
    for target in [Some("@1"), None] {
        let plan = back(target);
        assert!(!plan.is_empty(), "{target:?}: the first release has another environment");
        let serving: Vec<_> = plan.steps().filter(|(_, _, s)| matches!(s.action, Action::Start { .. })).collect();
        assert_eq!(serving.len(), 2, "{}", text(&plan));
    }
}

/// What happens on one host.
fn on(plan: &Plan, host: &str) -> String {
    let mut plan = plan.clone();
    plan.stages.iter_mut().for_each(|s| s.lanes.retain(|l| l.host.as_str() == host));
    text(&plan)
}

#[test]
fn immediate_switches_before_its_gate() {
    let mut world = World::new(&["a"], &["web"]);
    world.deploy("v1", Ends::Well);
    world.deploy("v2", Ends::Well);
    let request = crate::plan::RollbackRequest { strategy: Strategy::Immediate, ..rollback_request(&world, None) };
    let plan = sound(rollback(&config(&world), &ready(&world), &request).unwrap());
    insta::assert_snapshot!(on(&plan, "a"), @r"
    change a
      start 000000000000
          undo: stop 000000000000
      check 000000000000 through the proxy
          undo: take 000000000000 out of the proxy
      restart policy unless-stopped for 000000000000
      switch web to 000000000000
          undo: switch web to 000000000000
          undo: drain 000000000000 (at most 30 s)
      wait until 000000000000 is healthy (at most 30 s)
    retire a
      drain 000000000000 (at most 30 s)
      take 000000000000 out of the proxy
      stop 000000000000
    ");
}

#[test]
fn a_host_that_was_replaced_gets_image_and_container_from_another_one() {
    let mut world = World::new(&["a", "b", "c"], &["web"]);
    world.deploy("v1", Ends::Well);
    world.deploy("v2", Ends::Well);
    let spec = (label::SPEC.to_string(), "0123456789abcdef+KEY=00112233".to_string());
    let all = world.hosts.values_mut().flat_map(|facts| &mut facts.containers);
    all.for_each(|container| container.labels.extend([spec.clone()]));
    world.hosts.insert("c".parse().unwrap(), crate::history::testing::empty_host());
    let plain = rollback(&config(&world), &ready(&world), &rollback_request(&world, Some("v1"))).unwrap_err();
    assert!(plain.hints.iter().any(|h| h.contains("--copy")), "{plain:?}");
    let help = Help { copy: true, pull: false };
    let request = crate::plan::RollbackRequest { help, ..rollback_request(&world, Some("v1")) };
    let plan = sound(rollback(&config(&world), &ready(&world), &request).unwrap());
    insta::assert_snapshot!(on(&plan, "c"), @r"
    prepare c
      copy acme/app:v1 from a
    change c
      route app-web
          undo: remove route app-web
      create app-web-v1
          undo: remove app-web-v1 (nothing served before this run)
      start app-web-v1
          undo: stop app-web-v1
      check app-web-v1 through the proxy
      wait until app-web-v1 is healthy (at most 30 s)
      restart policy unless-stopped for app-web-v1
      switch web to app-web-v1
          undo: remove route app-web
    ");
}
