//! Whatever must not begin changes nothing, and says what is in the way.

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

use project::{Project, Ran};
use snapshot::{assert_unchanged, of_all};
use std::time::Duration;
use watched::Watched;

const HOSTS: [&str; 3] = ["host-1", "host-2", "host-3"];

/// Three hosts that served v1 and serve v2, with a secret, which only containers hold.
fn on_v2(service: &str) -> Project {
    let project = Project::new(service, 3);
    project.configure(&project.config().secret("API_KEY"));
    project.secrets(&[("API_KEY", "first-key")]);
    ["v1", "v2", "v3"].iter().for_each(|tag| _ = project.image(tag, &[]));
    project.ok(&["setup", "--version", "v1"]);
    project.ok(&["deploy", "--version", "v2"]);
    project.assert_all_serve("v2");
    project
}

/// Runs windlass, which must end with this code and leave every host as it was.
#[track_caller]
fn refused(project: &Project, code: i32, arguments: &[&str]) -> Ran {
    let before = of_all(project.lab, &HOSTS);
    let ran = project.run(arguments).expect(code);
    assert_unchanged(project.lab, &HOSTS, &before);
    ran
}

fn journal(project: &Project, host: &str) -> String {
    let home = if project.host(host).user == "root" { "/root" } else { "/home/deploy" };
    project.lab.exec(host, &["cat", &format!("{home}/.windlass/{}/_/journal.jsonl", project.service)])
}

#[test]
fn a_host_without_the_target_stops_a_rollback_everywhere() {
    let project = on_v2("lost");
    let address = &project.host("host-2").address;
    let gone = project.containers("host-2").into_iter().find(|c| c.state == "exited").expect("v1 is retained");
    project.lab.docker("host-2", &["rm", &gone.id]);

    // What no host does not have: v1 on two of them, v2 on all.
    let ran = refused(&project, 4, &["rollback"]);
    ran.assert_says(&format!(
        "web on {address}: its container is gone, and only a container holds its secrets (API_KEY)"
    ));
    let others = format!("{}, {}: v2 (v2), v1 (v1)", project.host("host-1").address, project.host("host-3").address);
    ran.assert_says(&others).assert_says(&format!("{address}: v2 (v2)\n"));

    project.lab.docker("host-2", &["rmi", &gone.image]);
    let ran = refused(&project, 4, &["rollback", "v1"]);
    ran.assert_says(&format!("web on {address}: its container is gone, and so is the image"));
    ran.assert_says(&others).assert_says(&format!("{address}: v2 (v2)\n"));
    refused(&project, 4, &["rollback", "v1", "--dry-run"]);
    project.assert_all_serve("v2");

    // The hosts that have it can still go back.
    let others = format!("{},{}", project.host("host-1").address, project.host("host-3").address);
    project.ok(&["rollback", "v1", "--hosts", &others]);
    assert_eq!((project.answers("host-1"), project.answers("host-2")), ("v1".to_owned(), "v2".to_owned()));
}

#[test]
fn a_host_that_cannot_be_reached_stops_everything_unless_it_may_be_left_out() {
    let project = on_v2("away");
    let address = project.host("host-2").address.clone();
    for arguments in [&["deploy", "--version", "v3"][..], &["rollback"]] {
        let before = of_all(project.lab, &HOSTS);
        project.lab.cut("host-2");
        let ran = project.run(arguments).expect(4);
        project.lab.heal("host-2");
        ran.assert_says(&format!("{address}: no answer on port 22")).assert_says("--skip-unreachable");
        assert!(ran.duration < Duration::from_secs(15), "named within 15 s: {ran}");
        assert_unchanged(project.lab, &HOSTS, &before);
    }

    project.lab.cut("host-2");
    let ran = project.run(&["deploy", "--version", "v3", "--skip-unreachable"]);
    project.lab.heal("host-2");
    ran.expect(0).assert_says(&format!("left out because it cannot be reached: {address}"));
    let served = HOSTS.map(|host| project.answers(host));
    assert_eq!(served, ["v3", "v2", "v3"]);

    project.ok(&["deploy", "--version", "v3"]);
    project.assert_all_serve("v3");
    // Every run that any host has heard of is known to the host that was away, with its outcome.
    let facts = |host| {
        let lines = journal(&project, host);
        let own = |fact: &&str| fact.contains(r#""fact":"intent""#) || fact.contains(r#""fact":"outcome""#);
        let facts = lines.lines().filter(own).map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a journal line is JSON");
            format!("{} {}", line["run"], line["fact"])
        });
        facts.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(facts("host-2"), facts("host-1"), "the journal of the host that was away is complete");
    assert_eq!(facts("host-2").len(), 8, "four runs, each begun and ended: {:?}", facts("host-2"));
    let status = project.ok(&["status"]);
    assert!(!status.stdout.contains("should serve"), "no host drifts: {status}");
}

/// Takes everything away from the hosts, so that no proxy of windlass's holds the ports.
fn wipe(project: &Project) {
    let clean = "docker ps -aq | xargs -r docker rm -fv; docker volume ls -q | xargs -r docker volume rm -f; \
                 rm -rf /root/.windlass /home/*/.windlass; docker volume create keep";
    HOSTS.iter().for_each(|host| _ = project.lab.exec(host, &["sh", "-c", clean]));
}

/// Starts a process on host-2 that listens on port 80; returns its pid there.
fn listen_on_80(project: &Project) -> String {
    let program = "import socket, time; s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('', 80)); s.listen(); \
                   time.sleep(600)";
    let script = format!("python3 -c \"{program}\" >/dev/null 2>&1 </dev/null & echo $!");
    let pid = project.lab.exec("host-2", &["sh", "-c", &script]);
    lab::wait_for("the process to listen on port 80", Duration::from_secs(10), || holds_80(project));
    pid.trim().to_owned()
}

fn holds_80(project: &Project) -> bool {
    !project.lab.exec("host-2", &["ss", "-Hltn", "sport = :80"]).trim().is_empty()
}

#[test]
fn setup_names_who_holds_the_proxys_port() {
    let project = Project::new("ports", 3);
    let image = project.image("v1", &[]);
    assert!(image.starts_with("sha256:"));
    wipe(&project);
    let address = project.host("host-2").address.clone();

    let squatter = format!("{}/ports:v1", project.lab.registry());
    project.lab.docker("host-2", &["run", "-d", "--name", "grumpy-cat", "-p", "80:80", &squatter]);
    let ran = refused(&project, 4, &["setup", "--version", "v1"]);
    ran.assert_says(&format!("port 80 of {address} is held by the container `grumpy-cat`"));
    project.lab.docker("host-2", &["rm", "-f", "grumpy-cat"]);

    let pid = listen_on_80(&project);
    let ran = refused(&project, 4, &["setup", "--version", "v1"]);
    ran.assert_says(&format!("port 80 of {address} is held by the program python3 (pid {pid})"));
    project.lab.exec("host-2", &["kill", &pid]);
    lab::wait_for("port 80 to be free", Duration::from_secs(10), || !holds_80(&project));
    project.ok(&["setup", "--version", "v1"]);
    project.assert_all_serve("v1");
}

#[test]
fn who_holds_a_lease_or_a_lock_keeps_others_out() {
    let project = on_v2("held");
    let first = project.hosts[0].address.clone();
    project.image("slow", &["APP_HEALTH=slow:5"]);
    project.configure(&project.config().secret("API_KEY").timeouts(30, 8));
    let mut deploy = Watched::start(&project, &["deploy", "--version", "slow"]);
    deploy.until(&[&first, "wait until the proxy finds"], Duration::from_secs(30));
    let other = project.other_operator();
    let ran = other.run(&["deploy", "--version", "v3"]).expect(5);
    ran.assert_says(&first).assert_says("deploy slow").assert_says("--lock-wait");
    let ran = other.run(&["prune", "--older-than", "0s"]).expect(5);
    assert_eq!(ran.stdout, "", "prune is for cron: {ran}");
    other.ok(&["lock", "status"]).assert_says("deploy slow by");
    deploy.end(Duration::from_secs(60)).expect(0);
    project.assert_all_serve("slow");

    project.ok(&["lock", "acquire", "-m", "database upgrade"]);
    let ran = refused(&project, 5, &["deploy", "--version", "v3"]);
    ran.assert_says("database upgrade").assert_says("windlass lock release");
    refused(&project, 5, &["rollback"]).assert_says("database upgrade");
    let ran = refused(&project, 5, &["prune", "--older-than", "0s"]);
    assert_eq!(ran.stdout, "", "prune is for cron: {ran}");
    refused(&project, 5, &["lock", "acquire", "-m", "mine too"]);
    project.ok(&["lock", "release"]);

    project.lab.exec("host-1", &["mkdir", "-p", "/root/.kamal/lock-held"]);
    // base64 of `Locked by: kim at 2026-01-01`, as Kamal writes it.
    let details = "echo TG9ja2VkIGJ5OiBraW0gYXQgMjAyNi0wMS0wMQ== >/root/.kamal/lock-held/details";
    project.lab.exec("host-1", &["sh", "-c", details]);
    let ran = refused(&project, 5, &["deploy", "--version", "v3"]);
    ran.assert_says("Locked by: kim").assert_says("kamal lock release");
    project.lab.exec("host-1", &["rm", "-r", "/root/.kamal/lock-held"]);

    project.ok(&["deploy", "--version", "v3"]);
    project.assert_all_serve("v3");
}

#[test]
fn a_registry_or_a_host_key_that_says_no_stops_before_anything() {
    let project = on_v2("denied");
    let ran = refused(&project, 4, &["deploy", "--version", "unheard-of"]);
    ran.assert_says("/denied:unheard-of").assert_says("build and push it first");

    project.write(".windlass/secrets", "REGISTRY_PASSWORD='not-the-password'\nAPI_KEY='first-key'\n");
    let ran = refused(&project, 4, &["deploy", "--version", "v3"]);
    ran.assert_says("unauthorized").assert_says("registry.password");
    assert!(!ran.said().contains("not-the-password"), "the password stays a secret: {ran}");
    project.secrets(&[("API_KEY", "first-key")]);

    let enrolled = project.lab.known_hosts().display().to_string();
    let mine = project.home().join("known_hosts").display().to_string();
    let known = std::fs::read_to_string(&enrolled).expect("the lab's known_hosts");
    let address = &project.host("host-2").address;
    let all_but_one: String = known.lines().filter(|l| !l.contains(address)).map(|l| format!("{l}\n")).collect();
    std::fs::write(&mine, all_but_one).expect("a known_hosts of one's own");
    let yaml = project.config().secret("API_KEY").yaml();
    project.write("config/deploy.yml", &yaml.replace(&enrolled, &mine));
    let ran = refused(&project, 4, &["deploy", "--version", "v3"]);
    let print = project.lab.exec("host-2", &["ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub"]);
    let print = print.split(' ').nth(1).expect("ssh-keygen prints a fingerprint");
    ran.assert_says(&format!("{address}: its host key is unknown: ssh-ed25519 {print}"));
    ran.assert_says(&format!("ssh-keyscan -t ed25519 -p 22 {address} >> {mine}"));
    for host in ["host-1", "host-3"] {
        let known = format!("{}: its host key is unknown", project.host(host).address);
        assert!(!ran.said().contains(&known), "only host-2 is unknown: {ran}");
    }

    project.configure(&project.config().secret("API_KEY"));
    project.ok(&["deploy", "--version", "v3"]);
    project.assert_all_serve("v3");
}
