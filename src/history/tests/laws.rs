use crate::history::content::Contents;
use crate::history::merge::Merged;
use crate::history::testing::{Ends, World};
use crate::history::{Availability, History, Item, Verdict};
use crate::name::HostName;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Deploy(u8, Ends),
    Rollback(Option<u8>, Ends),
    Wait(u8),
    /// A container vanishes from a host, unless it serves.
    Lose(u8),
    /// A host loses the beginning of what it knows.
    Forget(u8),
}

fn ends() -> impl Strategy<Value = Ends> {
    prop_oneof![4 => Just(Ends::Well), 1 => Just(Ends::Reverted), 1 => Just(Ends::Killed)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..5, ends()).prop_map(|(version, ends)| Step::Deploy(version, ends)),
        3 => (proptest::option::of(0u8..5), ends()).prop_map(|(to, ends)| Step::Rollback(to, ends)),
        2 => (1u8..100).prop_map(Step::Wait),
        1 => any::<u8>().prop_map(Step::Lose),
        1 => any::<u8>().prop_map(Step::Forget),
    ]
}

fn worlds() -> impl Strategy<Value = World> {
    proptest::collection::vec(step(), 0..14).prop_map(|steps| {
        let mut world = World::new(&["h1", "h2", "h3"], &["web", "worker"]);
        world.deploy("t0", Ends::Well);
        steps.iter().for_each(|step| apply(&mut world, step));
        world
    })
}

fn apply(world: &mut World, step: &Step) {
    match step {
        Step::Deploy(version, ends) => _ = world.deploy(&format!("t{version}"), *ends),
        Step::Rollback(None, ends) => _ = restart(world, None, *ends),
        Step::Rollback(Some(version), ends) => _ = restart(world, Some(&format!("t{version}")), *ends),
        Step::Wait(hours) => world.wait(i64::from(*hours) * 3600),
        Step::Lose(which) => lose(world, *which),
        Step::Forget(which) => {
            let index = usize::from(*which) % world.hosts.len();
            let facts = world.hosts.values_mut().nth(index).unwrap();
            let keep_from = facts.journal.entries.len() / 4;
            facts.journal.entries.drain(..keep_from);
        }
    }
}

fn restart(world: &mut World, text: Option<&str>, ends: Ends) -> Option<()> {
    world.rollback(text, ends).map(|_| ())
}

fn lose(world: &mut World, which: u8) {
    let hosts: Vec<HostName> = world.hosts.keys().cloned().collect();
    let host = &hosts[usize::from(which) % hosts.len()];
    let serving: Vec<_> = world.roles.iter().filter_map(|role| world.serving(host, role)).collect();
    let containers = &mut world.hosts.get_mut(host).unwrap().containers;
    let candidates: Vec<usize> = (0..containers.len()).filter(|i| !serving.contains(&containers[*i].id)).collect();
    if let Some(index) = candidates.get(usize::from(which) % candidates.len().max(1)) {
        containers.remove(*index);
    }
}

fn text(history: &History) -> String {
    format!("{history:?}")
}

fn taken(verdicts: &[Verdict], host: &HostName) -> Vec<crate::name::ContainerId> {
    let of = verdicts.iter().filter(|v| !v.keep && &v.host == host);
    of.filter_map(|v| if let Item::Container { id, .. } = &v.item { Some(id.clone()) } else { None }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn merging_is_a_set_union(world in worlds(), order in Just(vec![0usize, 1, 2]).prop_shuffle()) {
        let hosts: Vec<_> = world.hosts.values().collect();
        let all = Merged::of(hosts.iter().copied());
        prop_assert_eq!(&Merged::of(order.iter().map(|i| hosts[*i])), &all, "commutative");
        prop_assert_eq!(&all.clone().join(all.clone()), &all, "idempotent");
        let [a, b, c] = [0, 1, 2].map(|i| Merged::of_host(hosts[order[i]]));
        prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.join(b.join(c)), "associative");
    }

    #[test]
    fn hearing_a_line_twice_changes_nothing(world in worlds()) {
        let before = text(&world.history());
        let mut again = world.clone();
        for facts in again.hosts.values_mut() {
            let lines = facts.journal.entries.clone();
            let intents = lines.into_iter().filter(|e| !matches!(e.fact, crate::release::Fact::Switched { .. }));
            facts.journal.entries.extend(intents);
        }
        prop_assert_eq!(text(&again.history()), before);
    }

    #[test]
    fn what_serves_belongs_to_one_release(world in worlds()) {
        let history = world.history();
        for host in world.hosts.keys() {
            for role in &world.roles {
                let owners = history.releases.iter().filter(|r| r.running.get(host).is_some_and(|roles| roles.contains(role)));
                prop_assert_eq!(owners.clone().count(), 1);
                for owner in owners {
                    prop_assert!(matches!(owner.availability(host, role), Some(Availability::Serving(_))), "{:?}", owner);
                }
            }
        }
    }

    #[test]
    fn a_bare_rollback_finishes_a_rollback_or_goes_to_what_neither_failed_nor_was_left_nor_serves(world in worlds()) {
        let history = world.history();
        let scope = world.scope();
        if let Ok(target) = history.resolve(None, &scope) {
            let contents = Contents::of(&history.releases);
            let current = history.newest_serving(&scope).unwrap();
            let others = history.releases.iter().filter(|r| contents.of_release(r) != contents.of_release(current));
            let is_mixed = others.clone().any(|r| !r.running.is_empty());
            if is_mixed && matches!(current.kind, crate::release::ReleaseKind::Rollback { .. }) {
                prop_assert_eq!(&target.release.run, &current.run);
            } else {
                prop_assert!(target.release.stable && !target.release.left);
                prop_assert_ne!(contents.of_release(target.release), contents.of_release(current));
            }
            prop_assert!(crate::history::gaps(target.release, &scope).is_empty());
        }
    }

    #[test]
    fn bare_rollbacks_end(world in worlds()) {
        let mut world = world;
        let mut count = 0;
        while restart(&mut world, None, Ends::Well).is_some() {
            count += 1;
            prop_assert!(count < 20, "it goes round");
        }
    }

    #[test]
    fn retention_keeps_what_serves_what_runs_what_is_young_and_the_way_back(world in worlds(), days in 0i64..4, at_least in 0usize..4) {
        let mut world = world;
        let before = world.default_target();
        let verdicts = super::retention::judge(&world, days, at_least, None);
        for (host, facts) in &mut world.hosts {
            let gone = taken(&verdicts, host);
            for container in facts.containers.iter().filter(|c| gone.contains(&c.id)) {
                prop_assert!(!container.state.is_running());
                let routed = facts.proxy.backends.values().any(|b| b.active() == Some(&container.id));
                prop_assert!(!routed);
                let stopped = container.finished_at.map_or(0, |t| t.as_second());
                prop_assert!(world.now - stopped >= days * 86_400, "{} is young", container.name);
            }
            facts.containers.retain(|c| !gone.contains(&c.id));
        }
        prop_assert_eq!(world.default_target(), before, "the default target survives");
        let again = super::retention::judge(&world, days, at_least, None);
        prop_assert!(world.hosts.keys().all(|host| taken(&again, host).is_empty()), "once is enough");
    }
}
