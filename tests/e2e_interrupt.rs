//! Ctrl-C, a kill and a long sleep in every phase of a deploy, under load: every host keeps serving.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;
#[path = "support/snapshot.rs"]
mod snapshot;
#[path = "support/watched.rs"]
mod watched;

use project::Project;
use snapshot::{assert_unchanged, of_all};
use std::time::{Duration, Instant};
use watched::Watched;

const HOSTS: [&str; 3] = ["host-1", "host-2", "host-3"];
const SOON: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Pull,
    FirstGate,
    BetweenHosts,
    Drain,
}

const PHASES: [Phase; 4] = [Phase::Pull, Phase::FirstGate, Phase::BetweenHosts, Phase::Drain];

/// Three hosts on v1; a release takes 3 s to get healthy.
fn on_v1(service: &str) -> Project {
    let project = Project::new(service, 3);
    project.configure(&project.config().timeouts(30, 8));
    project.image("v1", &[]);
    project.ok(&["setup", "--version", "v1"]);
    project
}

/// Starts a deploy and returns in the middle of a phase.
fn deploy_until(project: &Project, version: &str, phase: Phase) -> Watched {
    project.image(version, &["APP_HEALTH=slow:3"]);
    let mut deploy = Watched::start(project, &["deploy", "--version", version]);
    let first = format!("{}: ", project.hosts[0].address);
    match phase {
        Phase::Pull => deploy.until(&[": pull ", " …"], SOON),
        Phase::FirstGate => deploy.until(&[&first, "wait until the proxy finds", " …"], SOON),
        Phase::BetweenHosts => deploy.until(&[&first, "switch web to", "done"], SOON),
        Phase::Drain => deploy.until(&[": drain web", " …"], SOON),
    }
    deploy
}

#[track_caller]
fn assert_no_lease(project: &Project) {
    let status = project.ok(&["lock", "status"]);
    let free = status.stdout.lines().skip(1).filter(|line| line.contains("  free ")).count();
    assert_eq!(free, HOSTS.len(), "leases are given back: {status}");
}

#[test]
fn ctrl_c_in_every_phase() {
    let project = on_v1("stopped");
    let mut serving = "v1".to_owned();
    for (n, phase) in PHASES.into_iter().enumerate() {
        let hammer = project.paced_hammer(10, 20, Some(3));
        let version = format!("slow{n}");
        let deploy = deploy_until(&project, &version, phase);
        deploy.signal("INT");
        let ran = deploy.end(SOON);
        assert_no_lease(&project);
        if phase == Phase::Drain {
            // Every host had switched: the way on is shorter than the way back.
            serving = version;
            assert_eq!(ran.code, Some(0), "{phase:?}: {ran}");
            ran.assert_says(&format!("serving web {serving} on"));
            assert!(!ran.said().contains("going back"), "{phase:?}: nothing goes back: {ran}");
        } else {
            assert_eq!(ran.code, Some(130), "{phase:?}: {ran}");
            ran.assert_says("interrupted; what served before serves everywhere");
            ran.assert_says(&format!("serving web {serving} on"));
        }
        project.assert_all_serve(&serving);
        for host in HOSTS {
            assert!(
                project.running(host).image.ends_with(&format!(":{serving}")),
                "{phase:?}: nothing else runs on {host}"
            );
        }

        // The next one begins at once and needs no help.
        serving = format!("next{n}");
        project.image(&serving, &[]);
        project.ok(&["deploy", "--version", &serving]);
        project.assert_all_serve(&serving);
        hammer.stop().assert_none_failed();
    }
}

#[test]
fn a_kill_in_every_phase_and_the_same_again() {
    let project = on_v1("killed");
    for (n, phase) in PHASES.into_iter().enumerate() {
        let hammer = project.paced_hammer(10, 20, Some(3));
        let version = format!("slow{n}");
        let deploy = deploy_until(&project, &version, phase);
        deploy.signal("KILL");
        let ran = deploy.end(SOON);
        assert_eq!(ran.code, None, "{phase:?}: a signal ended it: {ran}");

        let again = project.run(&["deploy", "--version", &version, "--lock-wait=60s"]);
        assert_eq!(again.code, Some(0), "{phase:?}: {again}");
        project.assert_all_serve(&version);
        for host in HOSTS {
            assert!(
                project.running(host).image.ends_with(&format!(":{version}")),
                "{phase:?}: nothing else runs on {host}"
            );
        }
        assert_no_lease(&project);
        let report = hammer.stop();
        println!("{phase:?}: {} requests", report.requests());
        report.assert_none_failed();
        let status = project.ok(&["status"]);
        assert!(!status.stdout.contains("should serve"), "{phase:?}: no host drifts: {status}");
    }
}

#[test]
fn a_coordinator_that_slept_for_a_minute_does_nothing_more() {
    let project = on_v1("asleep");
    project.image("v2", &["APP_HEALTH=slow:8"]);
    project.image("v3", &[]);
    let hammer = project.paced_hammer(10, 20, Some(3));
    let second = format!("{}: wait until the proxy finds", project.hosts[1].address);
    let mut sleeper = Watched::start(&project, &["deploy", "--version", "v2"]);
    sleeper.until(&[&second, " …"], SOON);
    sleeper.signal("STOP");
    let asleep = Instant::now();

    let other = project.other_operator();
    other.ok(&["deploy", "--version", "v3", "--lock-wait=60s"]);
    assert!(asleep.elapsed() < Duration::from_secs(55), "the other run had to wait for {:?}", asleep.elapsed());
    project.assert_all_serve("v3");
    lab::wait_for("the minute to pass", Duration::from_secs(61), || asleep.elapsed() >= Duration::from_secs(60));
    let before = of_all(project.lab, &HOSTS);

    sleeper.signal("CONT");
    let ran = sleeper.end(SOON).expect(6);
    ran.assert_says("lease");
    assert_unchanged(project.lab, &HOSTS, &before);
    project.assert_all_serve("v3");
    assert_no_lease(&project);
    hammer.stop().assert_none_failed();
}
