use crate::fleet::{Fleet, HostState, State, Unreachable};
use crate::history::testing::{Ends, World, at, container, digest, image, name, run};
use crate::history::{Item, Reason, Retention, Verdict, retention};
use crate::name::{HostName, RunId};
use crate::release::{Fact, IntendedRelease, ReleaseKind, RunVerb};
use crate::spec::Retain;
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: i64 = 86_400;

pub(super) fn judge(world: &World, days: i64, at_least: usize, own_run: Option<&RunId>) -> Vec<Verdict> {
    judge_fleet(&world.fleet(), world, days, at_least, own_run)
}

fn judge_fleet(fleet: &Fleet, world: &World, days: i64, at_least: usize, own: Option<&RunId>) -> Vec<Verdict> {
    let on_host =
        |(host, facts): (&HostName, &crate::fleet::HostFacts)| (host.clone(), at(world.now + facts.clock_ahead));
    let now: BTreeMap<HostName, _> = world.hosts.iter().map(on_host).collect();
    let retain = Retain { age: Duration::from_secs((days * DAY) as u64), at_least, at_most: None };
    let (service, repository) = (name("app"), name("acme/app"));
    let rules = Retention {
        service: &service,
        destination: None,
        repository: &repository,
        retain: &retain,
        role_retain: &BTreeMap::new(),
        now: &now,
        own_run: own,
    };
    retention(fleet, &world.history(), &rules)
}

fn dropped(verdicts: &[Verdict]) -> Vec<String> {
    let gone = verdicts.iter().filter(|v| !v.keep).map(|v| match &v.item {
        Item::Container { name, .. } => name.split('_').next().unwrap_or_default().to_string(),
        Item::Image { references, .. } => references[0].clone(),
        Item::Host => panic!("a host is never dropped"),
    });
    gone.collect()
}

fn reason<'a>(verdicts: &'a [Verdict], start: &str) -> &'a Reason {
    let is_it = |v: &&Verdict| match &v.item {
        Item::Container { name, .. } => name.starts_with(start),
        Item::Image { references, .. } => references[0].starts_with(start),
        Item::Host => start.is_empty(),
    };
    &verdicts.iter().find(is_it).unwrap_or_else(|| panic!("no verdict on {start}: {verdicts:#?}")).reason
}

/// Kamal's finding D8: three roles on one host, retain 5, deploys v1 to v8 left one usable target.
#[test]
fn whole_releases_are_counted_not_containers() {
    let mut world = World::new(&["h1"], &["jobs", "web", "worker"]);
    (1..=8).for_each(|n| _ = world.deploy(&format!("t{n}"), Ends::Well));
    let verdicts = judge(&world, 0, 5, None);
    let mut expected = Vec::new();
    for role in ["jobs", "web", "worker"] {
        expected.extend(["t1", "t2"].map(|t| format!("app-{role}-{t}")));
    }
    expected.extend(["acme/app:t1", "acme/app:t2"].map(String::from));
    assert_eq!(dropped(&verdicts), expected);
    assert_eq!(verdicts.iter().map(Verdict::freed).sum::<u64>(), 2000);
    let gone = dropped(&verdicts);
    let facts = world.hosts.values_mut().next().unwrap();
    facts.containers.retain(|c| !gone.iter().any(|g| c.name.starts_with(&format!("{g}_"))));
    let history = world.history();
    let usable = (1..8).filter(|n| history.resolve(Some(&format!("t{n}")), &world.scope()).is_ok()).count();
    assert_eq!(usable, 5, "five complete targets");
}

#[test]
fn age_alone_never_takes_what_serves_or_the_last_stable_release() {
    let mut world = World::new(&["h1"], &["web"]);
    ["a", "b", "c"].iter().for_each(|v| _ = world.deploy(v, Ends::Well));
    world.deploy("bad", Ends::Reverted);
    world.wait(100 * DAY);
    let verdicts = judge(&world, 3, 0, None);
    assert_eq!(dropped(&verdicts), ["app-web-a", "app-web-bad", "acme/app:a", "acme/app:bad"]);
    assert_eq!(reason(&verdicts, "app-web-b_").to_string(), "last stable release: v2");
    assert_eq!(*reason(&verdicts, "app-web-c"), Reason::Serves);
    assert_eq!(reason(&verdicts, "app-web-bad").to_string(), "failed, stopped 100 d ago, kept for 3 d");
    assert_eq!(reason(&verdicts, "acme/app:b").to_string(), "used by app-web-b_2");
}

#[test]
fn the_way_back_of_the_fleet_and_that_of_each_host_both_stay() {
    let mut world = World::new(&["h1", "h2"], &["web"]);
    ["o", "a", "b", "c"].iter().for_each(|v| _ = world.deploy(v, Ends::Well));
    world.hosts.get_mut(&name::<HostName>("h2")).unwrap().containers.retain(|c| !c.name.contains("-b_"));
    assert_eq!(world.default_target().as_deref(), Some("v2"), "h2 lost v3");
    world.wait(100 * DAY);
    let verdicts = judge(&world, 3, 0, None);
    assert_eq!(dropped(&verdicts), ["app-web-o", "acme/app:o", "app-web-o", "acme/app:b", "acme/app:o"]);
    assert_eq!(reason(&verdicts, "app-web-a").to_string(), "last stable release: v2");
    assert_eq!(reason(&verdicts, "app-web-b").to_string(), "last stable release: v3");
}

#[test]
fn where_a_role_is_down_its_newest_stable_release_stays() {
    let mut world = World::new(&["h1"], &["worker"]);
    ["a", "b"].iter().for_each(|v| _ = world.deploy(v, Ends::Well));
    world.wait(100 * DAY);
    let facts = world.hosts.values_mut().next().unwrap();
    facts.containers.iter_mut().for_each(|c| c.state = State::Exited { code: 1, oom: true });
    assert_eq!(dropped(&judge(&world, 3, 0, None)), ["app-worker-a", "acme/app:a"]);
}

#[test]
fn age_counts_from_the_switch_and_by_one_clock() {
    let mut world = World::new(&["h1"], &["web"]);
    ["a", "b", "c"].iter().for_each(|v| _ = world.deploy(v, Ends::Well));
    let facts = world.hosts.values_mut().next().unwrap();
    facts.clock_ahead = 10 * DAY;
    facts.containers[0].finished_at = Some(at(1));
    world.wait(3 * DAY - 61);
    assert_eq!(reason(&judge(&world, 3, 0, None), "app-web-a").to_string(), "stopped 2 d 23 h ago, kept for 3 d");
    world.wait(61);
    assert_eq!(dropped(&judge(&world, 3, 0, None)), ["app-web-a", "acme/app:a"]);
}

#[test]
fn kamals_containers_age_by_the_end_of_their_process_and_the_never_started_by_their_creation() {
    let mut world = World::new(&["h1"], &["web"]);
    world.deploy("a", Ends::Well);
    let now = world.now;
    let facts = world.hosts.values_mut().next().unwrap();
    for (n, (version, state, finished)) in [
        ("k1", State::Exited { code: 0, oom: false }, Some(now)),
        ("k2", State::Exited { code: 0, oom: false }, Some(now - 5 * DAY)),
        ("k3", State::Created, None),
        ("k4", State::Other("removing".into()), Some(now - 5 * DAY)),
        ("k5", State::Exited { code: 0, oom: false }, Some(now + 5 * DAY)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut made = container(100 + n as u64, "web", version, None, now - 9 * DAY);
        (made.state, made.finished_at) = (state, finished.map(at));
        facts.containers.push(made);
    }
    let verdicts = judge(&world, 3, 0, None);
    assert_eq!(dropped(&verdicts), ["app-web-k2", "app-web-k3"]);
    assert!(matches!(reason(&verdicts, "app-web-k3"), Reason::Old { failed: true, .. }));
    assert_eq!(reason(&verdicts, "app-web-k4").to_string(), "is removing");
    assert!(matches!(reason(&verdicts, "app-web-k5"), Reason::Recent { age: 0, .. }), "a moment in the future");
}

#[test]
fn only_this_service_and_destination_is_ever_mentioned() {
    let mut world = World::new(&["h1"], &["web"]);
    ["a", "b", "c", "d"].iter().for_each(|v| _ = world.deploy(v, Ends::Well));
    let facts = world.hosts.values_mut().next().unwrap();
    for (n, (key, value)) in
        [("service", "app-redis"), ("service", "other"), ("destination", "staging")].iter().enumerate()
    {
        let mut foreign = container(200 + n as u64, "web", "a", None, 1);
        (foreign.name, foreign.state) = (format!("foreign{n}"), State::Exited { code: 0, oom: false });
        foreign.labels.insert(key.to_string(), value.to_string());
        facts.containers.push(foreign);
    }
    let mut foreign = image("x");
    (foreign.tags, foreign.digests) = (vec!["acme/other:x".into()], Vec::new());
    let shared = facts.images.iter_mut().find(|i| i.tags == ["acme/app:b"]).unwrap();
    shared.tags.push("acme/other:b".into());
    let mut pulled_by_staging = image("y");
    pulled_by_staging.id = digest("y");
    facts.images.extend([foreign, pulled_by_staging]);
    world.wait(100 * DAY);
    let verdicts = judge(&world, 3, 0, None);
    let items: Vec<_> = verdicts.iter().map(|v| format!("{:?}", v.item)).collect();
    assert!(
        !items.iter().any(|item| item.contains("foreign") || item.starts_with("Image { references: [\"acme/other"))
    );
    assert_eq!(dropped(&verdicts), ["app-web-a", "app-web-b", "acme/app:b"]);
    assert_eq!(reason(&verdicts, "acme/app:y").to_string(), "no release of this service names it");
    assert_eq!(reason(&verdicts, "acme/app:a").to_string(), "used by foreign0", "staging still uses it");
    let freed: u64 = verdicts.iter().map(Verdict::freed).sum();
    assert_eq!(freed, 0, "an image with another name stays on the disk");
}

#[test]
fn a_kept_release_keeps_its_image_even_without_a_container() {
    let mut world = World::new(&["h1"], &["web"]);
    ["a", "b", "c"].iter().for_each(|v| _ = world.deploy(v, Ends::Well));
    let facts = world.hosts.values_mut().next().unwrap();
    facts.containers.retain(|c| !c.name.contains("-b_"));
    facts
        .records
        .values_mut()
        .flat_map(|r| std::sync::Arc::make_mut(r).roles.values_mut())
        .filter_map(|r| r.spec.as_mut())
        .for_each(|spec| {
            spec.env.secret.clear();
        });
    world.wait(100 * DAY);
    let verdicts = judge(&world, 3, 0, None);
    assert_eq!(dropped(&verdicts), ["app-web-a", "acme/app:a"]);
    assert_eq!(reason(&verdicts, "acme/app:b").to_string(), "image of v2");
}

#[test]
fn a_host_whose_past_or_present_is_unclear_keeps_everything() {
    let mut world = World::new(&["h1"], &["web"]);
    ["a", "b", "c"].iter().for_each(|v| _ = world.deploy(v, Ends::Well));
    world.wait(100 * DAY);
    assert!(!dropped(&judge(&world, 3, 0, None)).is_empty());
    type Edit = fn(&mut crate::fleet::HostFacts);
    let edits: [(&str, Edit); 4] = [
        ("line 3 is not JSON", |f| f.journal.unreadable = Some("line 3 is not JSON".into())),
        ("newer windlass", |f| f.journal.newer_schema = true),
        ("unreadable records: x.json", |f| f.bad_records.push("x.json".into())),
        ("socket refused", |f| f.proxy.unreadable = Some("socket refused".into())),
    ];
    for (why, edit) in edits {
        let mut world = world.clone();
        edit(world.hosts.values_mut().next().unwrap());
        let verdicts = judge(&world, 3, 0, None);
        assert!(verdicts.len() == 1 && verdicts[0].keep && verdicts[0].item == Item::Host, "{verdicts:?}");
        assert!(verdicts[0].reason.to_string().contains(why), "{}", verdicts[0].reason);
    }
    let mut gone = world.fleet();
    let silent = Unreachable { message: "no route to host".into(), hint: None };
    gone.hosts.insert(name("h1"), HostState::Unreachable(silent));
    assert!(judge_fleet(&gone, &world, 3, 0, None).iter().all(|v| v.keep && v.item == Item::Host));
}

#[test]
fn an_open_run_of_somebody_else_stops_retention_and_ones_own_does_not() {
    let mut world = World::new(&["h1", "h2"], &["web"]);
    ["a", "b", "c"].iter().for_each(|v| _ = world.deploy(v, Ends::Well));
    world.wait(100 * DAY);
    let release = Some(IntendedRelease { number: 9, kind: ReleaseKind::Deploy, version: name("z") });
    let hosts = vec![name("h1")];
    let intent = Fact::Intent { verb: RunVerb::Deploy, release, actor: "bob".into(), hosts };
    world.write(&name("h1"), &run(99), intent);
    let verdicts = judge(&world, 3, 0, None);
    assert_eq!(*reason(&verdicts, ""), Reason::OpenRun { run: run(99) });
    assert_eq!(dropped(&verdicts), ["app-web-a", "acme/app:a"], "h2 only");
    assert_eq!(dropped(&judge(&world, 3, 0, Some(&run(99)))).len(), 4);
    let outcome = Fact::Outcome { outcome: crate::release::Outcome::Reverted, reason: None };
    world.write(&name("h2"), &run(99), outcome);
    assert_eq!(dropped(&judge(&world, 3, 0, None)).len(), 4, "h2 knows that it is over");
}
