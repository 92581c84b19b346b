//! Words that the hosts' shells expand: facts of each host in its own containers, a refusal where one is missing.

use super::{config, deploy_request, sound};
use crate::fleet::HostState;
use crate::history::testing::World;
use crate::plan::{Action, PlannedContainer, deploy};

#[test]
fn each_host_gets_what_its_own_shell_made_of_a_word() {
    let world = World::new(&["a", "b"], &["web"]);
    let mut config = config(&world);
    let spec = &mut config.roles[0].spec;
    spec.volumes = vec!["./data:/data".into()];
    spec.env.clear.insert("ZONE".into(), "eu-${ZONE}".into());
    let mut fleet = world.fleet();
    let refusal = deploy(&config, &fleet, &deploy_request(&world, "v1")).unwrap_err();
    assert!(refusal.message.contains("role web on a: the shell there does not understand"), "{refusal}");
    for (name, state) in &mut fleet.hosts {
        let HostState::Up(facts) = state else { continue };
        facts.expansions = [
            ("\"$PWD\"/./data:/data".to_string(), vec![format!("/home/{name}/./data:/data")]),
            ("\"eu-${ZONE}\"".to_string(), vec![format!("eu-{name}")]),
        ]
        .into();
    }
    let plan = sound(deploy(&config, &fleet, &deploy_request(&world, "v1")).unwrap());
    let created: Vec<&PlannedContainer> = plan
        .steps()
        .filter_map(
            |(_, _, step)| if let Action::Create { container } = &step.action { Some(&**container) } else { None },
        )
        .collect();
    let seen: Vec<_> = created.iter().map(|c| (c.spec.volumes[0].as_str(), c.env.clear["ZONE"].as_str())).collect();
    assert_eq!(seen, [("/home/a/data:/data", "eu-a"), ("/home/b/data:/data", "eu-b")]);
    assert!(created[0].fingerprint == created[1].fingerprint, "the specification is the same on all hosts");
    let record = plan.release.as_ref().unwrap();
    let recorded = record.roles.values().next().unwrap().spec.as_ref().unwrap();
    assert_eq!(recorded.volumes, ["./data:/data"], "the record holds what was written");
    assert!(plan.notes.iter().any(|note| note.contains("the shell of each host expanded")), "{:?}", plan.notes);
}
