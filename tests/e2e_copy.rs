//! A release comes back where it is not: from another host, with the registry stopped. And what is inherited from where.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;

use lab::Lab;
use project::{Project, now};

const HOSTS: usize = 3;

/// Makes a host as new: everything of its engine and of the login goes.
const WIPE: &str = "docker ps -aq | xargs -r docker rm -fv; docker images -aq | sort -u | xargs -r docker rmi -f; \
                    docker volume ls -q | xargs -r docker volume rm -f; docker network prune -f; \
                    rm -rf /root/.windlass /root/.kamal /home/*/.windlass /home/*/.kamal";

/// The registry is stopped while this lives.
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

fn content(project: &Project, color: &str) {
    project.configure(&project.config().env("COLOR", color).secret("API_KEY"));
    project.secrets(&[("API_KEY", &format!("{color}-secret"))]);
}

/// Every host serves this version with the environment and the secret of `content(color)`.
#[track_caller]
fn assert_serves(project: &Project, version: &str, color: &str) {
    project.assert_all_serve(version);
    for host in &project.hosts {
        let env = |name| project.env_of(&host.name, name);
        let found = (env("COLOR"), env("API_KEY"));
        let expected = (Some(color.to_owned()), Some(format!("{color}-secret")));
        assert_eq!(found, expected, "COLOR and API_KEY of {version} on {}", host.name);
    }
}

fn two_releases(service: &str) -> Project {
    let project = Project::new(service, HOSTS);
    for version in ["alpha", "beta"] {
        project.image(version, &[]);
    }
    content(&project, "blue");
    project.ok(&["setup", "--version", "alpha"]);
    content(&project, "green");
    project.ok(&["deploy", "--version", "beta"]);
    assert_serves(&project, "beta", "green");
    project
}

#[test]
fn a_wiped_host_gets_the_release_from_another_one_with_the_registry_stopped() {
    let project = two_releases("copied");
    let (wiped, address) = (project.hosts[2].name.clone(), project.hosts[2].address.clone());
    project.lab.exec(&wiped, &["sh", "-c", WIPE]);
    let _stopped = NoRegistry::of(&project);
    project.write(".windlass/secrets", "");

    let since = now();
    let refused = project.run(&["rollback", "alpha"]).expect(4);
    refused.assert_says("cannot be brought back everywhere").assert_says(&address).assert_says("--copy");
    for host in &project.hosts[..2] {
        assert_eq!(project.answers(&host.name), "beta", "nothing was changed on {}", host.name);
        let changed = project.events(&host.name, &since);
        let changed: Vec<_> = changed.iter().filter(|(kind, what)| kind == "container" && what == "start").collect();
        assert!(changed.is_empty(), "{}: {changed:?}", host.name);
    }

    let copied = project.ok(&["rollback", "alpha", "--copy"]);
    assert_serves(&project, "alpha", "blue");
    copied.assert_says("copy ");
    for secret in ["blue-secret", "green-secret"] {
        assert!(!copied.said().contains(secret), "{secret} is said: {copied}");
        let leaked = project
            .lab
            .exec(&wiped, &["sh", "-c", &format!("grep -rl {secret} /root/.windlass /home/*/.windlass || true")]);
        assert_eq!(leaked.trim(), "", "{secret} is in a file of {wiped}");
    }
    for host in &project.hosts {
        let pulls = project.events(&host.name, &since).into_iter().filter(|(k, a)| k == "image" && a == "pull").count();
        assert_eq!(pulls, 0, "pulls on {}", host.name);
    }
    // It is a host like the others: it knows the history, and there is nothing left to do.
    project.ok(&["rollback", "alpha"]).assert_says("nothing to do");
    let only = project.json(&["releases", "--hosts", &address]);
    assert_eq!(only["releases"].as_array().map(Vec::len), Some(3), "{only}");
}

#[test]
fn what_comes_from_the_release_and_what_from_today_is_said_and_so() {
    let project = two_releases("inherits");
    let plan = project.ok(&["rollback", "--dry-run"]);
    plan.assert_says("from alpha: image, environment, secrets, command")
        .assert_says("from today's configuration: hosts, deploy_timeout");
    project.ok(&["rollback"]);
    assert_serves(&project, "alpha", "blue");

    project.ok(&["rollback", "beta"]);
    let plan = project.ok(&["rollback", "--config", "current", "alpha", "--dry-run"]);
    plan.assert_says("from alpha: image\n").assert_says("from today's configuration: environment, secrets, command");
    project.ok(&["rollback", "--config", "current", "alpha"]);
    assert_serves(&project, "alpha", "green");
}

#[test]
fn a_restart_makes_new_containers_of_the_same_release_and_a_wiped_host_joins_with_its_past() {
    let project = two_releases("joins");
    let ids = || -> Vec<String> { project.hosts.iter().map(|host| project.running(&host.name).id).collect() };
    let before = ids();
    let load = project.hammer(4, None);
    project.ok(&["restart"]);
    load.stop().assert_none_failed();
    assert!(ids().iter().all(|id| !before.contains(id)), "every container is new");
    assert_serves(&project, "beta", "green");

    let joins = &project.hosts[1];
    project.lab.exec(&joins.name, &["sh", "-c", WIPE]);
    project.ok(&["deploy", "--version", "beta", "--hosts", &joins.address, "--copy"]);
    assert_serves(&project, "beta", "green");
    let _stopped = NoRegistry::of(&project);
    project.write(".windlass/secrets", "");
    project.ok(&["rollback", "alpha"]);
    assert_serves(&project, "alpha", "blue");
}
