//! Rollback on real hosts: what served before is the container itself, with its own environment and secrets.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;

use lab::Lab;
use project::{Project, now};
use serde_json::Value;

const HOSTS: usize = 2;

/// Both registries are stopped while this lives.
struct NoRegistry(&'static Lab);

impl NoRegistry {
    fn of(project: &Project) -> Self {
        project.lab.registry_stop();
        Self(project.lab)
    }
}

impl Drop for NoRegistry {
    fn drop(&mut self) {
        self.0.registry_start();
    }
}

/// What a release of these tests sets: a clear value and a secret, told apart by a word.
fn content(project: &Project, color: &str) {
    project.configure(&project.config().env("COLOR", color).env(&format!("ONLY_{color}"), "yes").secret("API_KEY"));
    project.secrets(&[("API_KEY", &format!("{color}-key"))]);
}

/// Every host serves this version with the content of `content(color)`, and nothing of another one.
#[track_caller]
fn assert_serves(project: &Project, version: &str, color: &str) {
    project.assert_all_serve(version);
    for host in &project.hosts {
        let page = project.page(&host.name, "/env").body;
        let mut ours: Vec<_> = page
            .lines()
            .filter(|line| ["COLOR=", "API_KEY=", "ONLY_"].iter().any(|prefix| line.starts_with(prefix)))
            .collect();
        ours.sort_unstable();
        let expected = [format!("API_KEY={color}-key"), format!("COLOR={color}"), format!("ONLY_{color}=yes")];
        assert_eq!(ours, expected, "the environment of {version} on {}", host.name);
    }
}

/// The ids of the containers that run, host by host.
fn ids(project: &Project) -> Vec<String> {
    project.hosts.iter().map(|host| project.running(&host.name).id).collect()
}

/// How often each host's engine did something to a kind of thing since a moment.
fn count(project: &Project, since: &str, kind: &str, action: &str) -> Vec<usize> {
    let matches = |(k, a): &&(String, String)| k == kind && a == action;
    project.hosts.iter().map(|host| project.events(&host.name, since).iter().filter(matches).count()).collect()
}

/// `(number, version, type, status)` of the releases, newest first.
fn releases(project: &Project) -> Vec<[String; 4]> {
    let releases = project.json(&["releases"])["releases"].clone();
    let word = |release: &Value, key: &str| release[key].as_str().unwrap_or_default().to_owned();
    let row = |release: &Value| ["number", "version", "type", "status"].map(|key| word(release, key));
    releases.as_array().expect("a list of releases").iter().map(row).collect()
}

#[test]
fn with_the_registry_stopped_the_same_container_serves_again() {
    let project = Project::new("same", HOSTS);
    project.image("alpha", &[]);
    project.image("beta", &[]);
    content(&project, "blue");
    project.ok(&["setup", "--version", "alpha"]);
    assert_serves(&project, "alpha", "blue");
    let alpha = ids(&project);

    let since = now();
    content(&project, "green");
    project.ok(&["deploy", "--version", "beta"]);
    assert_serves(&project, "beta", "green");
    let beta = ids(&project);
    assert_eq!(count(&project, &since, "image", "pull"), [1; HOSTS], "the events of an engine do show a pull");
    assert_eq!(count(&project, &since, "container", "create"), [1; HOSTS], "and a creation");

    // The way back and forth again, with neither registry nor secrets at hand.
    let _stopped = NoRegistry::of(&project);
    project.write(".windlass/secrets", "");
    for (target, version, color, expected) in [("alpha", "alpha", "blue", &alpha), ("v2", "beta", "green", &beta)] {
        let since = now();
        project.ok(&["rollback", target]);
        assert_serves(&project, version, color);
        assert_eq!(&ids(&project), expected, "the containers are those of before");
        assert_eq!(count(&project, &since, "container", "start"), [1; HOSTS], "starts during `rollback {target}`");
        assert_eq!(count(&project, &since, "image", "pull"), [0; HOSTS], "pulls during `rollback {target}`");
        assert_eq!(count(&project, &since, "container", "create"), [0; HOSTS], "creations during `rollback {target}`");
    }
}

#[test]
fn the_same_version_with_another_environment_is_a_release_of_its_own() {
    let project = Project::new("again", HOSTS);
    project.image("alpha", &[]);
    content(&project, "blue");
    project.ok(&["setup", "--version", "alpha"]);
    let blue = ids(&project);
    content(&project, "green");
    project.ok(&["deploy", "--version", "alpha"]);
    assert_serves(&project, "alpha", "green");
    let green = ids(&project);
    let expected = [["v2", "alpha", "deploy", "current"], ["v1", "alpha", "deploy", "stable"]];
    assert_eq!(releases(&project), expected);

    // Nothing is named: the release before has the same version and other content.
    project.ok(&["rollback"]);
    assert_serves(&project, "alpha", "blue");
    assert_eq!(ids(&project), blue, "the containers of the first release");
    project.ok(&["rollback", "v2"]);
    assert_serves(&project, "alpha", "green");
    assert_eq!(ids(&project), green, "the containers of the second release");
    project.ok(&["rollback", "v1"]);
    assert_serves(&project, "alpha", "blue");

    // Only the secret differs: a release all the same.
    project.configure(&project.config().env("COLOR", "blue").env("ONLY_blue", "yes").secret("API_KEY"));
    project.secrets(&[("API_KEY", "other-key")]);
    project.ok(&["deploy", "--version", "alpha"]);
    for host in &project.hosts {
        assert_eq!(project.env_of(&host.name, "API_KEY").as_deref(), Some("other-key"), "on {}", host.name);
    }
    assert_eq!(releases(&project).len(), 6, "three deploys and three rollbacks: {:?}", releases(&project));
}

#[test]
fn with_the_current_configuration_an_old_image_gets_todays_environment() {
    let project = Project::new("today", HOSTS);
    project.image("alpha", &[]);
    project.image("beta", &[]);
    content(&project, "blue");
    project.ok(&["setup", "--version", "alpha"]);
    let old = ids(&project);
    content(&project, "green");
    project.ok(&["deploy", "--version", "beta"]);

    let _stopped = NoRegistry::of(&project);
    let since = now();
    project.ok(&["rollback", "--config", "current", "alpha"]);
    assert_serves(&project, "alpha", "green");
    assert_eq!(count(&project, &since, "image", "pull"), [0; HOSTS], "the image is on the hosts");
    assert!(ids(&project).iter().all(|id| !old.contains(id)), "a container cannot change its environment");
    // The release that this made is one to come back to, and so is the old content.
    project.ok(&["rollback", "v1"]);
    assert_serves(&project, "alpha", "blue");
    assert_eq!(ids(&project), old);
    project.ok(&["rollback", "v3"]);
    assert_serves(&project, "alpha", "green");
}
