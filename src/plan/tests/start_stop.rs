//! Stops, starts, and containers for one command.

use super::{config, ready, request, sound, text};
use crate::effect::NewContainer;
use crate::history::testing::{Ends, World, name};
use crate::plan::{Action, OneOffRequest, RefusalKind, one_off, situation, start, stop, stop_stale};
use crate::spec::{PublishedPort, RestartPolicy};

#[test]
fn a_stop_goes_out_of_all_proxies_first_and_keeps_routes_and_containers() {
    let mut world = World::new(&["a"], &["web", "jobs"]);
    world.deploy("v1", Ends::Well);
    let plan = sound(stop(&config(&world), &ready(&world), &request(&world)).unwrap());
    assert!(plan.release.is_none() && plan.after.iter().all(|s| s.container.is_none()), "{plan:?}");
    insta::assert_snapshot!(text(&plan), @r"
    change a
      take web out of service (000000000000)
          undo: switch web to 000000000000
    retire a
      drain 000000000000 (at most 30 s)
      take 000000000000 out of the proxy
      stop 000000000000
      stop 000000000000
    ");
}

#[test]
fn a_start_of_what_serves_is_nothing_to_do() {
    let mut world = World::new(&["a", "b"], &["web", "jobs"]);
    world.deploy("v1", Ends::Well);
    assert!(sound(start(&config(&world), &ready(&world), &request(&world)).unwrap()).is_empty());
    assert!(sound(stop_stale(&config(&world), &ready(&world), &request(&world)).unwrap()).is_empty());
}

#[test]
fn where_nothing_was_deployed_there_is_nothing_to_start() {
    let world = World::new(&["a"], &["web"]);
    let refusal = start(&config(&world), &ready(&world), &request(&world)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Refused);
    assert!(refusal.message.starts_with("a: nothing of role web was stopped there"), "{refusal}");
    assert!(sound(stop(&config(&world), &ready(&world), &request(&world)).unwrap()).is_empty());
}

#[test]
fn the_checker_lets_nothing_but_a_stop_take_a_role_out() {
    let mut world = World::new(&["a"], &["web"]);
    world.deploy("v1", Ends::Well);
    let mut plan = stop(&config(&world), &ready(&world), &request(&world)).unwrap();
    plan.verb = crate::release::RunVerb::Deploy;
    let broken = crate::plan::check(&plan);
    assert!(broken.iter().any(|v| v.rule.contains("by a command that is not for that")), "{broken:?}");
    plan.verb = crate::release::RunVerb::Stop;
    plan.stages[0].kind = crate::plan::StageKind::Retire;
    assert!(!crate::plan::check(&plan).is_empty(), "outside of a change stage");
}

fn container_for(words: &[&str], change: impl FnOnce(&mut crate::config::Config)) -> NewContainer {
    let mut world = World::new(&["a"], &["web"]);
    world.deploy("v1", Ends::Well);
    let mut config = config(&world);
    change(&mut config);
    let fleet = ready(&world);
    let mut history = situation::history_of(&config, &fleet);
    // Today's configuration is what counts where no release recorded a specification.
    history.releases.iter_mut().for_each(|r| r.record = None);
    let host = name("a");
    let request = OneOffRequest {
        words: words.iter().map(ToString::to_string).collect(),
        input: true,
        terminal: true,
        suffix: "abc123".to_string(),
    };
    let facts = fleet.facts(&host).unwrap();
    one_off(&config, &history, (&host, facts), &name("web"), &request).unwrap().container
}

#[test]
fn a_container_for_one_command_is_like_the_serving_one_but_for_what_others_reach_it_by() {
    let container = container_for(&["bin/rails", "console"], |config| {
        let options = &mut config.roles[0].spec.options;
        let port = PublishedPort { host_ip: None, host_port: Some(80), container_port: 80, protocol: "tcp".into() };
        options.publish = vec![port];
        options.network_alias = vec!["web".to_string()];
        options.memory = Some(64 << 20);
        config.roles[0].spec.volumes = vec!["data:/data".to_string()];
    });
    assert_eq!(container.name, "app-web-exec-v1-abc123");
    assert_eq!(container.command.as_deref(), Some(&["bin/rails".to_string(), "console".to_string()][..]));
    assert!(container.image.starts_with("sha256:"), "the very image, whatever its tag means by now");
    assert_eq!(
        (container.volumes.as_slice(), container.options.memory),
        (&["data:/data".to_string()][..], Some(64 << 20))
    );
    assert_eq!((container.options.publish.len(), container.options.network_alias.len()), (0, 0));
    assert!(container.options.health.is_some_and(|h| h.disabled));
    assert!(container.options.tty && container.options.interactive && container.one_off);
    assert_eq!((container.restart, container.env.len()), (RestartPolicy::No, 0));
    assert!(
        !container.labels.contains_key("service") && !container.labels.contains_key("role"),
        "it is nobody's replica"
    );
}

#[test]
fn a_pull_in_a_stop_is_refused() {
    let mut world = World::new(&["a"], &["web"]);
    world.deploy("v1", Ends::Well);
    let mut plan = stop(&config(&world), &ready(&world), &request(&world)).unwrap();
    let image: crate::name::ImageRef = name("acme/app:v1");
    plan.stages[0].lanes[0].steps[0].action = Action::Pull { image: image.clone(), tag: image };
    assert!(crate::plan::check(&plan).iter().any(|v| v.rule.contains("pulls")));
}
