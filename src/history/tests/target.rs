use crate::history::testing::{Ends, World, name};
use crate::history::{Scope, TargetError};
use crate::name::HostName;

fn world(versions: &[&str]) -> World {
    let mut world = World::new(&["h1", "h2"], &["web", "worker"]);
    versions.iter().for_each(|version| _ = world.deploy(version, Ends::Well));
    world
}

fn named(world: &World, text: &str) -> Result<(String, Vec<String>), TargetError> {
    let history = world.history();
    let target = history.resolve(Some(text), &world.scope())?;
    Ok((target.release.label(), target.notes))
}

fn label(world: &World, text: &str) -> String {
    named(world, text).unwrap().0
}

#[test]
fn a_number_a_version_or_the_beginning_of_one() {
    let world = world(&["abc123", "abd456", "fff000"]);
    assert_eq!(label(&world, "v2"), "v2");
    assert_eq!(label(&world, "@2"), "v2");
    assert_eq!(label(&world, "abd456"), "v2");
    assert_eq!(label(&world, "abc"), "v1");
    let ambiguous = named(&world, "ab").unwrap_err().to_string();
    assert!(ambiguous.starts_with("`ab` could be any of these"), "{ambiguous}");
    assert!(ambiguous.contains("v1  abc123") && ambiguous.contains("v2  abd456"), "{ambiguous}");
    let unknown = named(&world, "abx123").unwrap_err().to_string();
    assert!(unknown.contains("did you mean v1 (abc123)"), "{unknown}");
    for bad in ["", "v", "v9", "@", "v1.7", "v99999999999999999999", "v1.", "#1"] {
        assert!(matches!(named(&world, bad), Err(TargetError::NotFound { .. })), "{bad:?}");
    }
}

#[test]
fn a_tag_that_looks_like_a_number_is_the_tag() {
    let mut world = world(&["v2", "v1"]);
    world.deploy("c", Ends::Well);
    let (release, notes) = named(&world, "v1").unwrap();
    assert_eq!(release, "v2");
    assert_eq!(notes, ["v1 was taken as a version: v2 (v1); the release with that number, v1 (v2), is @1"]);
    assert_eq!(label(&world, "@1"), "v1");
    assert_eq!(label(&world, "v3"), "v3");
}

#[test]
fn a_version_released_more_than_once_is_its_newest_stable_release() {
    let mut world = world(&["a", "b", "a"]);
    world.deploy("a", Ends::Reverted);
    world.deploy("z", Ends::Reverted);
    assert_eq!(label(&world, "a"), "v3");
    for never_reached_h2 in ["v4", "z"] {
        let error = named(&world, never_reached_h2).unwrap_err();
        assert!(matches!(error, TargetError::Incomplete { .. }), "{error}");
    }
    let only_h1 = Scope::from([(name::<HostName>("h1"), [name("web")].into())]);
    let history = world.history();
    let target = history.resolve(Some("z"), &only_h1).unwrap();
    assert_eq!(target.notes, ["the run of v5 (z) did not succeed"], "by name it may be had");
}

#[test]
fn twins_have_to_be_told_apart() {
    let mut one = World::new(&["h1"], &["web"]);
    one.deploy("a", Ends::Well);
    let mut other = World::new(&["h2"], &["web"]);
    other.runs = 1;
    other.deploy("b", Ends::Well);
    one.hosts.append(&mut other.hosts);
    let history = one.history();
    let on = |host: &str| Scope::from([(name::<HostName>(host), [name("web")].into())]);
    let error = history.resolve(Some("v1"), &on("h1")).unwrap_err();
    assert!(matches!(&error, TargetError::Ambiguous { candidates, .. } if candidates.len() == 2), "{error}");
    assert!(error.to_string().contains("v1.1  a") && error.to_string().contains("v1.2  b"), "{error}");
    assert_eq!(history.resolve(Some("v1.2"), &on("h2")).unwrap().release.version.as_str(), "b");
    assert_eq!(history.resolve(Some("v1.1"), &on("h1")).unwrap().release.version.as_str(), "a");
}

#[test]
fn one_rollback_after_another_goes_further_back_and_never_bounces() {
    let mut world = world(&["a", "b", "c", "d"]);
    world.deploy("bad", Ends::Reverted);
    let mut went = Vec::new();
    while let Some(target) = world.default_target() {
        went.push(target);
        assert!(went.len() < 10, "it bounces: {went:?}");
        world.rollback(None, Ends::Well).unwrap();
    }
    assert_eq!(went, ["v3", "v2", "v1"]);
    let history = world.history();
    let error = history.resolve(None, &world.scope()).unwrap_err().to_string();
    assert!(error.starts_with("there is no stable release older than v8 (a), which serves now"), "{error}");
    assert!(error.contains("v4 (d): a rollback or a revert left it"), "{error}");
    assert!(error.contains("v5 (bad): its run did not succeed"), "{error}");
    world.deploy("e", Ends::Well);
    assert_eq!(world.default_target().as_deref(), Some("v8"), "what served before");
}

#[test]
fn an_incomplete_release_is_passed_over_by_default_and_refused_by_name() {
    let mut world = world(&["a", "b", "c"]);
    let facts = world.hosts.get_mut(&name::<HostName>("h2")).unwrap();
    facts.containers.retain(|c| !(c.name.starts_with("app-worker-b")));
    let history = world.history();
    let target = history.resolve(None, &world.scope()).unwrap();
    assert_eq!(target.release.label(), "v1");
    assert_eq!(target.notes.len(), 1);
    assert!(target.notes[0].starts_with("v2 (b) is newer but not complete: worker on h2: its container is gone"));
    let error = named(&world, "b").unwrap_err().to_string();
    let expected = "v2 (b) cannot be brought back everywhere in scope:\n  \
        worker on h2: its container is gone, and only a container holds its secrets (KEY)\n\
        complete there, newest first:\n  h1: v3 (c), v2 (b), v1 (a)\n  h2: v3 (c), v1 (a)";
    assert_eq!(error, expected);
    let only_h1 = Scope::from([(name::<HostName>("h1"), [name("worker")].into())]);
    assert_eq!(history.resolve(None, &only_h1).unwrap().release.label(), "v2", "the filter decides what counts");
}

#[test]
fn an_unreached_host_in_scope_is_a_gap() {
    let mut world = world(&["a", "b"]);
    let scope = world.scope();
    world.hosts.remove(&name::<HostName>("h2"));
    let history = world.history();
    let error = history.resolve(Some("a"), &scope).unwrap_err().to_string();
    assert!(error.contains("web on h2: this host has nothing of it or could not be asked"), "{error}");
}

#[test]
fn where_nothing_serves_a_name_is_asked_for() {
    let empty = World::new(&["h1"], &["web"]);
    let error = empty.history().resolve(None, &empty.scope()).unwrap_err().to_string();
    assert!(error.contains("nothing serves in scope") && error.contains("there are no releases yet"), "{error}");
}
