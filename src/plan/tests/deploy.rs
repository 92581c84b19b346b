//! Deploys.

use super::{config, deploy_request, ready, sound, text};
use crate::fleet::{HostState, Unreachable};
use crate::history::testing::{Ends, World, name};
use crate::plan::{RefusalKind, StageKind, deploy};
use crate::release::ReleaseKind;

#[test]
fn the_first_deploy_prepares_the_host_and_leaves_nothing_behind_if_it_fails() {
    let world = World::new(&["a"], &["web"]);
    let mut fleet = world.fleet();
    for state in fleet.hosts.values_mut() {
        let HostState::Up(facts) = state else { continue };
        facts.home.own = "/root/.windlass".to_string();
        facts.networks.clear();
    }
    let plan = sound(deploy(&config(&world), &fleet, &deploy_request(&world, "v1")).unwrap());
    insta::assert_snapshot!(text(&plan), @r"
    prepare a
      keep state in /root/.windlass
      create network kamal
      pull haproxy:3.2
      start the proxy (haproxy:3.2)
      pull acme/app:v1
    change a
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

#[test]
fn one_host_first_then_the_others_and_the_old_ones_stop_last() {
    let mut world = World::new(&["a", "b", "c"], &["web"]);
    world.deploy("v1", Ends::Well);
    let plan = sound(deploy(&config(&world), &ready(&world), &deploy_request(&world, "v2")).unwrap());
    let lanes: Vec<_> = plan.stages.iter().map(|s| (s.kind, s.lanes.len())).collect();
    assert_eq!(
        lanes,
        [(StageKind::Prepare, 3), (StageKind::Change, 1), (StageKind::Change, 2), (StageKind::Retire, 3)]
    );
    let mut first = plan.clone();
    first.stages.retain(|s| s.kind != StageKind::Prepare);
    first.stages.iter_mut().for_each(|s| s.lanes.retain(|l| l.host.as_str() == "a"));
    insta::assert_snapshot!(text(&first), @r"
    change a
      create app-web-v2
      start app-web-v2
          undo: stop app-web-v2
      check app-web-v2 through the proxy
          undo: take app-web-v2 out of the proxy
      wait until app-web-v2 is healthy (at most 30 s)
      restart policy unless-stopped for app-web-v2
      switch web to app-web-v2
          undo: switch web to 000000000000
          undo: drain app-web-v2 (at most 30 s)
    retire a
      drain 000000000000 (at most 30 s)
      take 000000000000 out of the proxy
      stop 000000000000
    ");
}

#[test]
fn a_role_that_publishes_a_port_stops_first_and_says_so() {
    let mut world = World::new(&["a"], &["web"]);
    world.deploy("v1", Ends::Well);
    let port = crate::spec::PublishedPort {
        host_ip: None,
        host_port: Some(9000),
        container_port: 9000,
        protocol: "tcp".into(),
    };
    for facts in world.hosts.values_mut() {
        facts.containers.iter_mut().for_each(|c| c.ports = vec![port.clone()]);
    }
    let mut config = config(&world);
    config.roles[0].spec.options.publish = vec![port];
    let plan = sound(deploy(&config, &ready(&world), &deploy_request(&world, "v2")).unwrap());
    assert_eq!(
        plan.notes,
        ["role web publishes host ports: what serves stops before the new one starts, with a gap in between"]
    );
    let mut change = plan.clone();
    change.stages.retain(|s| s.kind == StageKind::Change);
    insta::assert_snapshot!(text(&change), @r"
    change a
      stop 000000000000 (it serves until then)
          undo: start 000000000000
          undo: restart policy unless-stopped for 000000000000
          undo: check 000000000000 through the proxy
          undo: wait until 000000000000 is healthy (at most 30 s)
          undo: switch web to 000000000000
          undo: take app-web-v2 out of the proxy
      create app-web-v2
      start app-web-v2
          undo: stop app-web-v2 (it serves until then)
      check app-web-v2 through the proxy
      wait until app-web-v2 is healthy (at most 30 s)
      restart policy unless-stopped for app-web-v2
      switch web to app-web-v2
    ");
}

#[test]
fn what_serves_and_no_journal_knows_is_adopted_before_it_is_replaced() {
    let mut world = World::new(&["a", "b"], &["web"]);
    for (n, facts) in world.hosts.values_mut().enumerate() {
        facts.containers.push(crate::history::testing::container(n as u64 + 1, "web", "old", None, 10));
    }
    let plan = sound(deploy(&config(&world), &ready(&world), &deploy_request(&world, "v2")).unwrap());
    assert_eq!(plan.adopted.len(), 1);
    let adopted = &plan.adopted[0];
    assert_eq!((adopted.record.number, &adopted.record.kind), (1, &ReleaseKind::Adopted));
    assert!(adopted.record.run < plan.run, "it came before what replaces it");
    assert_eq!(adopted.serving.len(), 2);
    assert_eq!(plan.release.map(|r| r.number), Some(2));
    assert!(plan.before.iter().all(|s| s.release.as_ref() == Some(&adopted.record.run)));
}

#[test]
fn an_unreachable_host_is_refused_by_name_or_left_out_by_request() {
    let mut world = World::new(&["a", "b"], &["web"]);
    world.deploy("v1", Ends::Well);
    let mut fleet = ready(&world);
    let why = Unreachable { message: "no answer within 10 s".to_string(), hint: None };
    fleet.hosts.insert(name("b"), HostState::Unreachable(why));
    let mut request = deploy_request(&world, "v2");
    let refusal = deploy(&config(&world), &fleet, &request).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Refused);
    assert!(refusal.message.contains("b: no answer within 10 s"), "{refusal}");
    request.request.skip_unreachable = true;
    let plan = sound(deploy(&config(&world), &fleet, &request).unwrap());
    assert_eq!(plan.notes, ["left out because it cannot be reached: b: no answer within 10 s"]);
    assert!(plan.after.iter().all(|s| s.host.as_str() == "a"));
}

#[test]
fn planning_is_a_function() {
    let mut world = World::new(&["a", "b", "c"], &["web", "jobs"]);
    world.deploy("v1", Ends::Well);
    world.deploy("v2", Ends::Killed);
    let plan = || deploy(&config(&world), &ready(&world), &deploy_request(&world, "v3")).unwrap();
    assert_eq!(sound(plan()), plan());
}

#[test]
fn a_missing_secret_and_a_lock_by_hand_are_refused() {
    let world = World::new(&["a"], &["web"]);
    let mut request = deploy_request(&world, "v1");
    request.request.secrets.clear();
    let refusal = deploy(&config(&world), &ready(&world), &request).unwrap_err();
    assert_eq!(refusal.message, "secret `KEY` has no value");
    let mut fleet = ready(&world);
    let Some(HostState::Up(facts)) = fleet.hosts.get_mut(&name("a")) else { panic!("a is there") };
    facts.freeze = Some(crate::fleet::Freeze {
        actor: "bea@desk".to_string(),
        message: "the database moves".to_string(),
        since: crate::history::testing::at(5),
    });
    let refusal = deploy(&config(&world), &fleet, &deploy_request(&world, "v1")).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Leased);
    assert!(refusal.message.contains("the database moves"), "{refusal}");
}

#[test]
fn a_full_disk_is_refused_and_a_wrong_clock_is_told() {
    let mut world = World::new(&["a", "b"], &["web"]);
    world.hosts.values_mut().for_each(|facts| facts.clock_ahead = -86_400);
    let plan = sound(deploy(&config(&world), &ready(&world), &deploy_request(&world, "v1")).unwrap());
    assert_eq!(plan.notes[0], "the clock of a is 86400 s behind this machine's");
    world.hosts.values_mut().for_each(|facts| {
        facts.disk = Some(crate::fleet::DiskSpace { free: 5 << 20, total: 1 << 30 });
    });
    let refusal = deploy(&config(&world), &ready(&world), &deploy_request(&world, "v1")).unwrap_err();
    assert!(refusal.message.contains("a has no room left"), "{refusal}");
}
