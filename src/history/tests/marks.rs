//! Labels, pins and removal.

use crate::history::testing::{Ends, World, name, run};
use crate::history::tests::retention::judge;
use crate::history::{Badge, Doubt, Item, Kept, Reason, Release, Retention, Verdict, doubts, removal};
use crate::name::{HostName, RunId};
use crate::release::{Fact, Mark, Outcome};
use crate::spec::Retain;
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: i64 = 86_400;

fn pinned() -> Mark {
    Mark::Pinned { actor: "ann".to_string(), message: Some("audit".to_string()) }
}

fn labelled(label: &str) -> Mark {
    Mark::Labelled { label: Some(name(label)) }
}

/// A run that says something of a release on some hosts, and ends there.
fn say(world: &mut World, hosts: &[&str], release: &RunId, mark: Mark, outcome: Option<Outcome>) {
    world.wait(60);
    world.runs += 1;
    let by = run(world.runs);
    for host in hosts {
        let host: HostName = name(host);
        world.write(&host, &by, Fact::Marked { release: release.clone(), mark: mark.clone() });
        if let Some(outcome) = outcome {
            world.write(&host, &by, Fact::Outcome { outcome, reason: None });
        }
    }
}

fn names(world: &World) -> Vec<Option<String>> {
    world.history().releases.iter().map(|r| r.name.as_ref().map(ToString::to_string)).collect()
}

#[test]
fn a_label_is_of_one_release_and_the_last_word_counts_wherever_it_is_written() {
    let mut world = World::new(&["h1", "h2"], &["web"]);
    let first = world.deploy("a", Ends::Well);
    let second = world.deploy("b", Ends::Well);
    say(&mut world, &["h1"], &first, labelled("golden"), Some(Outcome::Succeeded));
    assert_eq!(names(&world), [Some("golden".to_string()), None]);
    say(&mut world, &["h2"], &second, labelled("golden"), Some(Outcome::Succeeded));
    assert_eq!(names(&world), [None, Some("golden".to_string())], "it moved");
    say(&mut world, &["h1", "h2"], &second, labelled("other"), Some(Outcome::Reverted));
    assert_eq!(names(&world), [None, Some("golden".to_string())], "a run that went back said nothing");
    say(&mut world, &["h1"], &second, Mark::Labelled { label: None }, Some(Outcome::Succeeded));
    assert_eq!(names(&world), [None, None]);
}

#[test]
fn a_label_is_a_target_after_versions_and_numbers() {
    let mut world = World::new(&["h1"], &["web"]);
    let first = world.deploy("a", Ends::Well);
    world.deploy("golden-2", Ends::Well);
    say(&mut world, &["h1"], &first, labelled("golden"), Some(Outcome::Succeeded));
    let history = world.history();
    let label = |text: &str| history.resolve(Some(text), &world.scope()).unwrap().release.label();
    assert_eq!(label("golden"), "v1", "before the beginning of a version");
    assert_eq!(label("golden-2"), "v2");
    assert_eq!(label("golden-"), "v2");
}

#[test]
fn what_is_pinned_stays_whatever_the_rules_say() {
    let mut world = World::new(&["h1", "h2"], &["web", "jobs"]);
    let runs: Vec<RunId> = ["a", "b", "c", "d"].iter().map(|v| world.deploy(v, Ends::Well)).collect();
    // Only one host was given the pin; the other one honours it as well.
    say(&mut world, &["h1"], &runs[0], pinned(), None);
    world.write(&name("h1"), &run(world.runs), Fact::Outcome { outcome: Outcome::Abandoned, reason: None });
    world.wait(100 * DAY);
    let verdicts = judge(&world, 0, 0, None);
    let gone = |verdicts: &[Verdict]| {
        let container = |v: &Verdict| match &v.item {
            Item::Container { name, .. } if !v.keep => {
                Some(format!("{} {}", v.host, name.split('_').next().unwrap_or("")))
            }
            _ => None,
        };
        verdicts.iter().filter_map(container).collect::<Vec<_>>()
    };
    assert_eq!(gone(&verdicts), ["h1 app-jobs-b", "h1 app-web-b", "h2 app-jobs-b", "h2 app-web-b"]);
    let kept = verdicts.iter().filter(|v| v.reason.to_string() == "v1 is pinned by ann: audit").count();
    assert_eq!(kept, 4, "{verdicts:#?}");
    assert!(world.history().releases[0].badges().contains(&Badge::Pinned));
    say(&mut world, &["h2"], &runs[0], Mark::Unpinned, Some(Outcome::Succeeded));
    assert_eq!(gone(&judge(&world, 0, 0, None)).len(), 8, "unpinned, it goes");
}

fn rules<'a>(
    retain: &'a Retain,
    now: &'a BTreeMap<HostName, jiff::Timestamp>,
    s: &'a (crate::name::ServiceName, crate::name::Repository),
    by_role: &'a BTreeMap<crate::name::RoleName, Retain>,
) -> Retention<'a> {
    Retention { service: &s.0, destination: None, repository: &s.1, retain, role_retain: by_role, now, own_run: None }
}

fn remove(world: &World, text: &str) -> Result<Vec<String>, Kept> {
    let retain = Retain { age: Duration::ZERO, at_least: 0, at_most: None };
    let (now, service, by_role) = (BTreeMap::new(), (name("app"), name("acme/app")), BTreeMap::new());
    let history = world.history();
    let release: &Release = history.resolve(Some(text), &Default::default()).unwrap().release;
    let verdicts = removal(&world.fleet(), &history, release, &rules(&retain, &now, &service, &by_role))?;
    let said = |v: &Verdict| match &v.item {
        Item::Container { name, .. } => format!("{} {}", v.host, name.split('_').next().unwrap_or("")),
        Item::Image { references, .. } => format!("{} {}", v.host, references[0]),
        Item::Host => v.host.to_string(),
    };
    Ok(verdicts.iter().map(said).collect())
}

#[test]
fn a_release_is_removed_with_its_image_unless_something_needs_it() {
    let mut world = World::new(&["h1", "h2"], &["web"]);
    let first = world.deploy("a", Ends::Well);
    ["b", "c"].iter().for_each(|v| _ = world.deploy(v, Ends::Well));
    assert_eq!(remove(&world, "v1").unwrap(), ["h1 app-web-a", "h1 acme/app:a", "h2 app-web-a", "h2 acme/app:a"]);
    assert!(matches!(remove(&world, "v3"), Err(Kept::Serves { .. })));
    assert_eq!(remove(&world, "v2"), Err(Kept::LastStable { as_release: "v2".to_string() }));
    say(&mut world, &["h2"], &first, pinned(), Some(Outcome::Succeeded));
    assert_eq!(remove(&world, "v1").unwrap_err().to_string(), "v1 is pinned by ann: audit");
    world.rollback(Some("v1"), Ends::Well).unwrap();
    let error = remove(&world, "v1").unwrap_err().to_string();
    assert_eq!(error, "it serves (as v4) on h1, h2", "a rollback serves the old release's containers");
    assert_eq!(remove(&world, "v3").unwrap().len(), 4, "what a rollback left may go");
}

#[test]
fn more_complete_releases_than_at_most_go_however_young_and_a_role_may_differ() {
    let mut world = World::new(&["h1"], &["jobs", "web"]);
    (1..=6).for_each(|n| _ = world.deploy(&format!("t{n}"), Ends::Well));
    let retain = Retain { age: Duration::from_secs(3 * 86_400), at_least: 1, at_most: Some(2) };
    let jobs = Retain { at_most: Some(4), ..retain.clone() };
    let now = BTreeMap::from([(name("h1"), crate::history::testing::at(world.now))]);
    let (service, by_role) = ((name("app"), name("acme/app")), BTreeMap::from([(name("jobs"), jobs)]));
    let verdicts =
        crate::history::retention(&world.fleet(), &world.history(), &rules(&retain, &now, &service, &by_role));
    let gone: Vec<String> = verdicts.iter().filter(|v| !v.keep).map(|v| format!("{:?}", v.item)).collect();
    let has = |text: &str| gone.iter().any(|item| item.contains(text));
    assert!(has("app-web-t3") && has("app-web-t2") && has("app-web-t1") && has("app-jobs-t1"), "{gone:?}");
    assert!(!has("app-web-t4") && !has("app-jobs-t2") && !has("app-web-t6"), "{gone:?}");
    assert!(verdicts.iter().any(|v| v.reason == Reason::TooMany { rank: 3, of: 2 }), "{verdicts:?}");
    assert!(has("app:t1") && !has("acme/app:t2"), "an image goes with its last container: {gone:?}");
}

#[test]
fn a_host_whose_history_is_in_doubt_is_named_and_left_alone_and_the_others_answer() {
    let mut world = World::new(&["h1", "h2", "h3", "h4"], &["web"]);
    ["a", "b", "c"].iter().for_each(|v| _ = world.deploy(v, Ends::Well));
    world.wait(100 * DAY);
    let torn: HostName = name("h1");
    world.hosts.get_mut(&torn).unwrap().journal.torn = true;
    let corrupt = world.hosts.get_mut(&name::<HostName>("h2")).unwrap();
    corrupt.records.remove(&run(1));
    corrupt.bad_records.push(format!("releases/{}.json", run(1)));
    let older = world.hosts.get_mut(&name::<HostName>("h3")).unwrap();
    older.journal.entries.retain(|e| e.run != run(3));
    older.records.remove(&run(3));
    let history = world.history();
    let doubts = doubts(&world.fleet(), &history);
    assert_eq!(doubts[&torn], [Doubt::Torn]);
    assert!(doubts[&name::<HostName>("h2")][0].to_string().starts_with("unreadable records: releases/"));
    assert_eq!(doubts[&name::<HostName>("h3")], [Doubt::Missed { releases: vec!["v3".to_string()] }]);
    assert_eq!(doubts.len(), 3, "{doubts:?}");
    let labels: Vec<_> = history.releases.iter().map(|r| (r.label(), r.record.is_some(), r.running.len())).collect();
    let expected = [("v1".to_string(), true, 0), ("v2".to_string(), true, 0), ("v3".to_string(), true, 4)];
    assert_eq!(labels, expected, "the right answer from the others");
    let verdicts = judge(&world, 0, 0, None);
    let dropped: Vec<_> = verdicts.iter().filter(|v| !v.keep).map(|v| v.host.as_str()).collect();
    assert_eq!(dropped, ["h4", "h4"], "{verdicts:#?}");
}
