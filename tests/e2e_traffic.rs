//! Requests during releases on real hosts: a client at full speed counts every one that fails.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;

use lab::{Hammer, Report};
use project::Project;
use std::time::Duration;

const HOSTS: usize = 3;
const CONNECTIONS: usize = 20;
/// Seconds of the request that is always in flight on each host.
const LONG: u32 = 5;
/// The resolver forgets a name 30 s after the container is gone: a server that keeps its old one fails then.
const AFTER_SIX_RELEASES: Duration = Duration::from_secs(90);

fn load(project: &Project) -> Hammer {
    project.hammer(CONNECTIONS, Some(LONG))
}

/// Stops the load: nothing failed, and on every host requests at full speed and long ones were answered.
#[track_caller]
fn assert_nothing_lost(load: Hammer, versions: &[&str]) -> Report {
    let report = load.stop();
    report.assert_none_failed();
    assert!(report.requests() > 2_000, "that was no load: {} requests", report.requests());
    assert!(report.long_requests() >= HOSTS as u64, "long requests: {}", report.json["long"]);
    // What was in flight when the switch came is finished by the container that it came to.
    let first = versions[0];
    assert!(report.json["long"]["versions"][first].is_object(), "no long request to {first}: {}", report.json["long"]);
    for version in versions {
        assert!(report.answers_of(version) > 0, "nobody met {version}: {}", report.json["total"]["versions"]);
    }
    report
}

#[test]
fn a_deploy_a_rollback_and_six_releases_in_a_row_lose_no_request() {
    let project = Project::new("traffic", HOSTS);
    for n in 0..=8 {
        project.image(&format!("r{n}"), &[]);
    }
    project.configure(&project.config().timeouts(10, 10).extra("retain_containers: 2"));
    project.ok(&["setup", "--version", "r0"]);

    let running = load(&project);
    project.ok(&["deploy", "--version", "r1"]);
    project.assert_all_serve("r1");
    assert_nothing_lost(running, &["r0", "r1"]);

    let running = load(&project);
    project.ok(&["rollback"]);
    project.assert_all_serve("r0");
    assert_nothing_lost(running, &["r1", "r0"]);

    let running = load(&project);
    for n in 2..=7 {
        project.ok(&["deploy", "--version", &format!("r{n}")]);
        project.assert_all_serve(&format!("r{n}"));
    }
    project.ok(&["deploy", "--version", "r8"]);
    std::thread::sleep(AFTER_SIX_RELEASES);
    project.assert_all_serve("r8");
    assert_nothing_lost(running, &["r0", "r2", "r3", "r4", "r5", "r6", "r7", "r8"]);
}

/// How a release can be a bad one, and the word of its log that the person who deployed it must see.
struct Bad {
    tag: &'static str,
    health: &'static str,
    says: &'static str,
}

const UNHEALTHY: Bad = Bad { tag: "unhealthy", health: "503", says: "version=unhealthy listening on port 80" };
const SILENT: Bad = Bad { tag: "silent", health: "never", says: "version=silent listening on port 80" };
const CRASHING: Bad = Bad { tag: "crashing", health: "crash", says: "fatal: APP_HEALTH=crash, giving up" };

#[test]
fn a_release_that_fails_on_one_host_leaves_all_of_them_on_the_one_before() {
    let project = Project::new("bad", HOSTS);
    project.image("good", &[]);
    project.configure(&project.config().timeouts(4, 10));
    project.ok(&["setup", "--version", "good"]);
    let before: Vec<_> = project.hosts.iter().map(|host| project.running(&host.name).id).collect();
    let running = project.hammer(CONNECTIONS, None);
    // The first host alone is asked before the others; the last one fails when others have gone over already.
    for (bad, host) in [(&UNHEALTHY, "host-1"), (&CRASHING, "host-3"), (&SILENT, "host-3"), (&CRASHING, "host-1")] {
        fails_on_one_host(&project, bad, host);
        let after: Vec<_> = project.hosts.iter().map(|host| project.running(&host.name).id).collect();
        assert_eq!(after, before, "{} on {host}: the same containers serve", bad.tag);
    }
    let report = running.stop();
    report.assert_none_failed();
}

/// Deploys an image that is bad on one host only, and checks what is said and what serves.
#[track_caller]
fn fails_on_one_host(project: &Project, bad: &Bad, host: &str) {
    project.image(bad.tag, &[]);
    project.configure(&project.config().timeouts(4, 10).env_on(host, "APP_HEALTH", bad.health));
    let ran = project.run(&["deploy", "--version", bad.tag]).expect(1);
    project.assert_all_serve("good");
    let address = &project.host(host).address;
    // The container's own words, and the host that they come from.
    assert!(ran.stderr.contains(bad.says), "`{}` of the container's log is missing: {ran}", bad.says);
    let blamed = ran.stderr.lines().any(|line| line.contains(address.as_str()) && line.contains("fail"));
    assert!(blamed, "no line says that {address} failed: {ran}");
    let released = project.json(&["releases"])["releases"].clone();
    let status = |version: &str| {
        let found = released.as_array().and_then(|all| all.iter().find(|release| release["version"] == version));
        found.map(|release| release["status"].clone())
    };
    assert_eq!(status(bad.tag), Some("failed".into()), "{released:#}");
    assert_eq!(status("good"), Some("current".into()), "{released:#}");
}
