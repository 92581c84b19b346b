//! Retention on real hosts: what it takes, what it never takes, and what a reboot leaves.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;
#[path = "support/snapshot.rs"]
mod snapshot;

use lab::wait_for;
use project::{Project, get};
use snapshot::{Snapshot, assert_unchanged, of_all};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const HOSTS: [&str; 3] = ["host-1", "host-2", "host-3"];

/// Versions of the service's containers on a host.
fn kept(project: &Project, host: &str) -> BTreeSet<String> {
    let version = |image: &str| image.rsplit_once(':').map_or_else(String::new, |(_, tag)| tag.to_owned());
    project.containers(host).iter().map(|container| version(&container.image)).collect()
}

/// Tags of the service's images on a host, whatever the registry they came from.
fn images(project: &Project, host: &str) -> BTreeSet<String> {
    let lines = project.lab.docker(host, &["images", "-a", "--format", "{{.Repository}} {{.Tag}}"]);
    let own = format!("/{}", project.service);
    lines.lines().filter_map(|l| l.split_once(' ')).filter(|(r, _)| r.ends_with(&own)).map(|(_, t)| t.into()).collect()
}

fn set(versions: &[&str]) -> BTreeSet<String> {
    versions.iter().map(|&version| version.to_owned()).collect()
}

fn journal(project: &Project, host: &str) -> String {
    let home = if project.host(host).user == "root" { "/root" } else { "/home/deploy" };
    format!("{home}/.windlass/{}/_/journal.jsonl", project.service)
}

/// Another service's stopped container and unused image, and a container that is no service's.
fn bystanders(project: &Project) -> Vec<String> {
    let other = project.lab.image("bystander:v1", &["--label", "service=bystander"]).0;
    let unused = project.lab.image("bystander:v0", &["--label", "service=bystander"]).0;
    HOSTS.iter().for_each(|host| {
        let labels = ["--label", "service=bystander", "--label", "role=web", "--label", "destination="];
        project.lab.docker(host, &[&["create", "--name", "bystander-web-v1"][..], &labels, &[&other]].concat());
        project.lab.docker(host, &["create", "--name", "nobodys", &other]);
        project.lab.docker(host, &["pull", "-q", &unused]);
    });
    vec![other, unused]
}

#[test]
fn ten_releases_later() {
    let project = Project::new("ten", 3);
    project.configure(&project.config().secret("API_KEY"));
    project.secrets(&[("API_KEY", "first-key")]);
    let versions: Vec<_> = (1..=10).map(|n| format!("v{n}")).collect();
    versions.iter().for_each(|tag| _ = project.image(tag, &[]));
    let others = bystanders(&project);
    project.ok(&["setup", "--version", "v1"]);
    versions[1..].iter().for_each(|version| _ = project.ok(&["deploy", "--version", version]));
    project.assert_all_serve("v10");
    assert_eq!(kept(&project, "host-1").len(), 10, "young containers are all retained");

    // A power cut: one host comes back by itself, with the current release and none of the nine before it.
    project.lab.reboot("host-2");
    let address = &project.host("host-2").address;
    wait_for("host-2 to serve v10 again", Duration::from_secs(60), || {
        get(address, &project.domain(), "/").is_ok_and(|page| page.status == 200 && page.body.contains("version=v10"))
    });
    let running = project.running("host-2");
    assert!(running.image.ends_with(":v10"), "host-2 runs the current release: {running:?}");
    assert!(!project.ok(&["status"]).stdout.contains("should serve"));

    let dry = project.ok(&["prune", "--older-than", "0s", "--dry-run"]);
    dry.assert_says("ten-web-v1").assert_says("last stable release: v9");
    assert_eq!(kept(&project, "host-1").len(), 10, "a dry run takes nothing");
    let young = project.ok(&["prune"]);
    assert_eq!(young.stdout, "", "nothing is three days old: {young}");
    assert_eq!(kept(&project, "host-1").len(), 10);

    let current = HOSTS.map(|host| project.running(host).id);
    project.ok(&["prune", "--older-than", "0s"]);
    for host in HOSTS {
        assert_eq!(kept(&project, host), set(&["v9", "v10"]), "containers left on {host}");
        assert_eq!(images(&project, host), set(&["v9", "v10"]), "images left on {host}");
        let names = project.lab.docker(host, &["ps", "-a", "--format", "{{.Names}}"]);
        assert!(names.contains("bystander-web-v1") && names.contains("nobodys"), "others' containers: {names}");
        others.iter().for_each(|image| _ = project.lab.docker(host, &["image", "inspect", image]));
    }
    assert_eq!(HOSTS.map(|host| project.running(host).id), current, "what serves was not touched");

    let before = of_all(project.lab, &HOSTS);
    let again = project.ok(&["prune", "--older-than", "0s"]);
    assert_eq!(again.said(), "", "nothing to do is silent");
    assert_unchanged(project.lab, &HOSTS, &before);

    project.lab.registry_stop();
    let back = project.run(&["rollback"]);
    project.lab.registry_start();
    back.expect(0);
    project.assert_all_serve("v9");
}

#[test]
fn age_counts_from_when_a_container_stopped_serving() {
    const LIMIT: Duration = Duration::from_secs(30);
    lab::Lab::up(3);
    let project = Project::new("age", 1);
    ["v1", "v2", "v3"].iter().for_each(|tag| _ = project.image(tag, &[]));
    let made = Instant::now();
    project.ok(&["setup", "--version", "v1"]);
    wait_for("v1 to be older than the limit", LIMIT * 2, || made.elapsed() > LIMIT + Duration::from_secs(1));
    let left = Instant::now();
    project.ok(&["deploy", "--version", "v2"]);
    project.ok(&["deploy", "--version", "v3"]);

    // v2 is the last target; v1 is kept for nothing but its age, which its creation would put beyond the limit.
    let prune = || project.ok(&["prune", "--older-than", "30s"]);
    let young = prune();
    assert!(left.elapsed() < LIMIT, "this machine is too slow to see it");
    assert_eq!(kept(&project, "host-1"), set(&["v1", "v2", "v3"]), "v1 served until a moment ago");
    assert_eq!(young.said(), "");
    wait_for("v1 to be out of service for the limit", LIMIT * 2, || left.elapsed() > LIMIT + Duration::from_secs(8));
    prune();
    assert_eq!(kept(&project, "host-1"), set(&["v2", "v3"]), "v1 has gone, v2 is the last target");
}

#[test]
fn a_host_whose_past_is_not_certain_is_left_alone() {
    let project = Project::new("past", 3);
    ["v1", "v2", "v3"].iter().for_each(|tag| _ = project.image(tag, &[]));
    project.ok(&["setup", "--version", "v1"]);
    project.ok(&["deploy", "--version", "v2"]);
    project.ok(&["deploy", "--version", "v3"]);
    let spoil = format!("sed -i '2s/^/not a journal line /' {}", journal(&project, "host-1"));
    project.lab.exec("host-1", &["sh", "-c", &spoil]);
    let open = r#"{"schema":1,"run":"01M7Z6AR0P9A5H8SREBKF32A3N","at":"2026-01-01T00:00:00Z","fact":"intent","verb":"deploy","release":{"number":9,"kind":"deploy","version":"v9"},"actor":"kim","hosts":["elsewhere"]}"#;
    let begin = format!("echo '{open}' >>{}", journal(&project, "host-2"));
    project.lab.exec("host-2", &["sh", "-c", &begin]);

    let before = ["host-1", "host-2"].map(|host| Snapshot::of(project.lab, host));
    let dry = project.ok(&["prune", "--older-than", "0s", "--dry-run"]);
    dry.assert_says("its history cannot be relied on: line 2").assert_says("01M7Z6AR0P9A5H8SREBKF32A3N has not ended");
    let ran = project.ok(&["prune", "--older-than", "0s"]);
    ran.assert_says("its history cannot be relied on: line 2").assert_says("01M7Z6AR0P9A5H8SREBKF32A3N has not ended");
    assert_unchanged(project.lab, &["host-1", "host-2"], &before);
    assert_eq!(kept(&project, "host-3"), set(&["v2", "v3"]), "the third host is cleaned");
}
