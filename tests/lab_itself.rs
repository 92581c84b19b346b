//! The lab does what it says: the tests that stand on it are worth no more than this.

#[path = "support/lab.rs"]
mod lab;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lab::{Hammer, Lab, wait_for};

/// The tests here cut, reboot and stop what the others stand on: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ssh(lab: &Lab, options: &[&str], words: &[&str]) -> bool {
    let config = lab.dir().join("ssh_config");
    let mut command = Command::new("ssh");
    command.arg("-F").arg(config).args([
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=2",
        "-o",
        "StrictHostKeyChecking=yes",
    ]);
    command.args(options).args(words).output().is_ok_and(|out| out.status.success())
}

fn serve(lab: &Lab, host: &str, image: &str) -> String {
    lab.exec(host, &["sh", "-c", "docker rm -f web >/dev/null 2>&1 || true"]);
    lab.docker(host, &["run", "--detach", "--name", "web", "--restart", "always", "--publish", "80:80", image]);
    format!("http://{}/", lab.host(host).address)
}

#[test]
fn every_host_lets_its_own_user_in_and_nobody_else() {
    let (_alone, lab) = (alone(), Lab::up(3));
    for host in lab.hosts() {
        assert!(ssh(lab, &[], &[&host.name, "docker", "ps"]), "{} as {}", host.name, host.user);
        let hashed = format!("UserKnownHostsFile={}", lab.known_hosts_hashed().display());
        assert!(ssh(lab, &["-o", &hashed], &[&host.name, "true"]), "{} by hashed known_hosts", host.name);
    }
    assert_eq!(lab.host("host-3").user, "deploy");
    assert!(!ssh(lab, &["-l", "root"], &["host-3", "true"]), "host-3 must refuse root");
}

#[test]
fn a_cut_host_is_silent_until_it_is_healed() {
    let (_alone, lab) = (alone(), Lab::up(3));
    lab.cut("host-2");
    let reached = ssh(lab, &[], &["host-2", "true"]);
    lab.heal("host-2");
    assert!(!reached, "host-2 answered although it was cut off");
    assert!(ssh(lab, &[], &["host-2", "true"]), "host-2 after heal");
}

#[test]
fn a_rebooted_host_starts_its_containers_without_a_registry() {
    let (_alone, lab) = (alone(), Lab::up(3));
    let (image, digest) = lab.image("reboot:v1", &["--label", "service=reboot"]);
    assert!(digest.starts_with("sha256:"), "{digest}");
    let url = serve(lab, "host-1", &image);
    lab.registry_stop();
    lab.reboot("host-1");
    let hammer = Hammer::start(lab, &["--connections", "1"], &[url]);
    let report = hammer.stop();
    lab.registry_start();
    assert!(report.answers_of("v1") > 0, "{}", report.json);
}

#[test]
fn the_hammer_sees_a_server_that_dies_and_one_that_lives() {
    let (_alone, lab) = (alone(), Lab::up(3));
    let (image, _) = lab.image("hammered:v1", &[]);
    let url = serve(lab, "host-2", &image);
    let quiet = Hammer::start(lab, &["--connections", "5", "--long", "1"], std::slice::from_ref(&url));
    quiet.stop().assert_none_failed();
    let hammer = Hammer::start(lab, &["--connections", "5"], &[url]);
    lab.docker("host-2", &["kill", "web"]);
    let report = hammer.stop();
    assert!(report.failed() > 0, "the server was killed under load: {}", report.json);
}

#[test]
fn containers_are_down_while_dockerd_is_and_up_again_after() {
    let (_alone, lab) = (alone(), Lab::up(3));
    let (image, _) = lab.image("engine:v1", &[]);
    serve(lab, "host-3", &image);
    lab.kill_dockerd("host-3");
    assert!(!lab.try_run(&["docker", "host-3", "ps"]).status.success(), "a killed engine answered");
    lab.start_dockerd("host-3");
    wait_for("the container of host-3 to run again", Duration::from_secs(20), || {
        lab.docker("host-3", &["ps", "--quiet", "--filter", "name=web"]).trim() != ""
    });
}
