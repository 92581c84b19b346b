//! Commands beside and inside what serves, logs over a deploy by someone else, stopping and starting, on real hosts.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;

use lab::wait_for;
use project::{Project, now};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const HOSTS: usize = 2;

fn deployed(service: &str) -> Project {
    let project = Project::new(service, HOSTS);
    project.image("alpha", &[]);
    project.image("beta", &[]);
    project.configure(&project.config().env("COLOR", "blue").secret("API_KEY"));
    project.secrets(&[("API_KEY", "a-very-secret-key")]);
    project.ok(&["setup", "--version", "alpha"]);
    project
}

/// `COLOR=blue` of each host.
fn lines<'a>(text: &'a str, part: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(part)).collect()
}

#[test]
fn commands_beside_and_inside_what_serves() {
    let project = deployed("exec");
    let since = now();
    let before: Vec<_> = project.hosts.iter().map(|host| project.containers(&host.name)).collect();
    let ran = project.ok(&["app", "exec", "-e", "ADDED=a b", "app env"]);
    for host in &project.hosts {
        let tag = format!("{} web | ", host.address);
        let of_host = ran.stdout.lines().filter_map(|line| line.strip_prefix(&tag)).collect::<Vec<_>>();
        for expected in ["COLOR=blue", "ADDED=a b", "API_KEY=[secret]"] {
            assert!(of_host.contains(&expected), "{expected} on {}: {ran}", host.name);
        }
        assert!(!of_host.iter().any(|line| line.starts_with("KAMAL_")), "{ran}");
        assert!(ran.stderr.contains(&format!("{} web: exit 0", host.address)), "{ran}");
    }
    assert!(!ran.said().contains("a-very-secret-key"), "{ran}");

    // The command's end is told, and decides ours.
    let failed = project.run(&["app", "exec", "app nonsense"]).expect(1);
    assert_eq!(lines(&failed.stderr, "web: exit 2").len(), HOSTS, "{failed}");
    assert_eq!(lines(&failed.stderr, "unknown mode nonsense").len(), HOSTS, "{failed}");
    let one = project.run(&["app", "exec", "--primary", "--raw", "app nonsense"]).expect(1);
    assert_eq!(one.stdout, "");
    let missing = project.run(&["app", "exec", "-p", "no-such-command"]).expect(1);
    missing.assert_says("no-such-command");

    // What was made for them is gone, and never was one of the service's.
    for (host, before) in project.hosts.iter().zip(&before) {
        let created = project.events(&host.name, &since).into_iter().filter(|e| e.1 == "create").count();
        assert!(created >= 2, "containers of their own");
        assert_eq!(&project.containers(&host.name), before);
        wait_for("one-off containers are gone", Duration::from_secs(10), || {
            project.lab.docker(&host.name, &["ps", "-aq", "--filter", "label=windlass.one_off"]).is_empty()
        });
    }
    project.assert_all_serve("alpha");

    // --reuse is the serving container itself.
    let since = now();
    let reused = project.ok(&["app", "exec", "--reuse", "-e", "ADDED=inside", "app env"]);
    assert_eq!(lines(&reused.stdout, "ADDED=inside").len(), HOSTS, "{reused}");
    assert!(lines(&reused.stdout, "KAMAL_CONTAINER_NAME=exec-web-alpha").len() == HOSTS, "{reused}");
    for host in &project.hosts {
        assert!(!project.events(&host.name, &since).iter().any(|e| e.1 == "create"), "nothing was made");
    }
    project.run(&["app", "exec", "--reuse", "app nonsense"]).expect(1);

    // A pipe goes in and comes out byte for byte.
    let mut command = project.command(&["app", "exec", "-i", "app cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary starts");
    let sent: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.to_le_bytes()).take(3_000_000).collect();
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || stdin.write_all(&sent)
    });
    let output = child.wait_with_output().expect("the binary ends");
    writer.join().expect("the writer ends").expect("all is read");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == sent, "{} of {} bytes came back", output.stdout.len(), sent.len());

    let detached = project.ok(&["app", "exec", "--detach", "-p", "app env"]);
    assert!(detached.stdout.contains("exec-web-exec-alpha-"), "{detached}");
    let data: Vec<Value> = project
        .ok(&["app", "exec", "-p", "--json", "app env"])
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(data.last().map(|end| end["exit"].clone()), Some(0.into()));

    let on_hosts = project.run(&["server", "exec", "test $(id -u) = 0 && echo root || exit 5"]);
    assert_eq!(on_hosts.code, Some(6), "the last host lets in deploy only: {on_hosts}");
    on_hosts.assert_says("| root").assert_says("exit 5");
}

#[test]
fn a_dialogue_at_a_terminal() {
    let project = deployed("talk");
    for reuse in ["", "--reuse "] {
        let (code, said) = at_a_terminal(&project, &format!("app exec -i {reuse}'app talk'"), "size\rhello\rexit 7\r");
        assert_eq!(code, Some(7), "{reuse}{said}");
        assert!(said.contains("size 101 31 true") && said.contains("you said hello"), "{reuse}{said}");
        let (code, said) = at_a_terminal(&project, &format!("app exec -i {reuse}'app talk'"), "\u{3}");
        assert_eq!(code, Some(130), "{reuse}{said}");
        assert!(said.contains("interrupted"), "{reuse}{said}");
    }
    project.assert_all_serve("alpha");
}

/// Runs windlass at a pseudo-terminal of 101 by 31 and types once the program is ready.
fn at_a_terminal(project: &Project, arguments: &str, typed: &str) -> (Option<i32>, String) {
    let line = format!("stty cols 101 rows 31; exec {} {arguments}", env!("CARGO_BIN_EXE_windlass"));
    let log = project.dir().join("typescript");
    let _ = std::fs::remove_file(&log);
    let mut command = project.command(&[]);
    let mut script = std::process::Command::new("script");
    script.args(["-q", "-e", "-f", "-c", &line]).arg(&log).current_dir(project.dir()).env_clear();
    script.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?)))).env("SHELL", "/bin/sh").env("TERM", "xterm");
    let _ = command.stdin(Stdio::null());
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("script");
    let read = || std::fs::read(&log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
    wait_for("the program is ready", Duration::from_secs(60), || read().contains("\nready"));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(typed.as_bytes()).expect("script reads");
    let status = child.wait().expect("script ends");
    drop(stdin);
    (status.code(), read())
}

/// A windlass whose output is read while it runs.
struct Followed {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Followed {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for stream in streams {
            let lines = Arc::clone(&lines);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
        }
        Self { child, lines }
    }

    fn said(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until as many lines have all of these parts.
    #[track_caller]
    fn until(&self, count: usize, parts: &[&str]) {
        let has = || self.said().iter().filter(|l| parts.iter().all(|p| l.contains(p))).count() >= count;
        wait_for(&format!("{count} lines with {parts:?}"), Duration::from_secs(60), has);
    }

    /// Ctrl-C; the exit code and all that was said.
    fn interrupt(mut self) -> (Option<i32>, Vec<String>) {
        let pid = self.child.id().to_string();
        let _ = std::process::Command::new("kill").args(["-INT", &pid]).status();
        let code = self.child.wait().expect("it ends").code();
        (code, self.said())
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn logs_are_followed_over_a_deploy_by_someone_else_and_over_broken_connections() {
    let project = deployed("follow");
    let config = project.config().secret("API_KEY").extra("readiness_delay: 1");
    project.configure(&config.role("jobs", &["host-1"], "cmd: app worker\nproxy: false"));
    project.ok(&["deploy", "--version", "alpha"]);
    let followed = Followed::start(&project, &["app", "logs", "-f", "-n", "2"]);
    followed.until(2, &["web alpha", "followed"]);
    followed.until(3, &["jobs alpha | worker version=alpha"]);
    let other = project.other_operator();
    other.ok(&["deploy", "--version", "beta"]);
    followed.until(2, &["web beta", "appears and is followed"]);
    followed.until(2, &["web alpha", "ended"]);
    followed.until(3, &["jobs beta | worker version=beta"]);
    // The connections break: what comes meanwhile is made up for.
    let host = project.host("host-1").name.clone();
    project.lab.exec(&host, &["sh", "-c", "for p in $(pgrep -f '[s]shd: root'); do kill $p; done; true"]);
    followed.until(1, &["trying again"]);
    followed.until(1, &["connected again"]);
    let before = followed.said().len();
    wait_for("lines after the break", Duration::from_secs(30), || {
        followed.said()[before..].iter().filter(|l| l.contains("jobs beta | worker")).count() >= 2
    });
    let (code, said) = followed.interrupt();
    assert_eq!(code, Some(0), "{said:#?}");
    let ticks: Vec<u64> = said
        .iter()
        .filter(|l| l.contains("jobs beta | worker"))
        .filter_map(|l| l.rsplit("tick=").next()?.trim().parse().ok())
        .collect();
    let expected: Vec<u64> = (ticks[0]..=ticks[ticks.len() - 1]).collect();
    assert_eq!(ticks, expected, "no line twice and none lost");

    let found = project.ok(&["app", "logs", "--roles", "jobs", "--grep", "tick=[01]$", "--grep-options", "-A 1"]);
    assert_eq!(found.stdout.lines().count(), 3, "{found}");
}

#[test]
fn a_stopped_service_is_suspended_until_it_is_started() {
    let project = deployed("rest");
    let before: Vec<_> = project.hosts.iter().map(|host| project.running(&host.name).id).collect();
    let hammer = project.hammer(1, Some(3));
    let stopped = project.ok(&["app", "stop"]);
    stopped.assert_says("windlass app start");
    drop(hammer);
    for host in &project.hosts {
        assert_eq!(project.page(&host.name, "/").status, 503, "the route is kept, and nobody is behind it");
        assert!(project.containers(&host.name).iter().all(|c| c.state == "exited"));
    }
    let status = project.json(&["status"]);
    for host in status["hosts"].as_array().expect("hosts") {
        let role = &host["roles"][0];
        assert_eq!(
            (&role["health"], &role["version"], &role["drift"]),
            (&"suspended".into(), &"alpha".into(), &Value::Array(vec![]))
        );
    }
    assert_eq!(project.json(&["releases"])["releases"][0]["status"], "suspended");
    project.ok(&["app", "stop"]).assert_says("nothing to do");
    // Its image and environment are still there to work with, and its last words to read.
    let ran = project.ok(&["app", "exec", "-p", "app env"]);
    assert!(ran.stdout.contains("COLOR=blue"), "{ran}");
    project.run(&["app", "exec", "--reuse", "app env"]).expect(1).assert_says("nothing serves there");
    project.ok(&["app", "logs"]);

    project.ok(&["app", "start", "--dry-run"]).assert_says("start");
    assert_eq!(project.page(&project.hosts[0].name, "/").status, 503, "a plan changes nothing");
    project.ok(&["app", "start"]);
    project.assert_all_serve("alpha");
    let after: Vec<_> = project.hosts.iter().map(|host| project.running(&host.name).id).collect();
    assert_eq!(after, before, "the very containers");
    assert_eq!(project.json(&["releases"])["releases"][0]["status"], "current");

    let audit = project.json(&["audit"]);
    let runs: Vec<_> =
        audit["runs"].as_array().expect("runs").iter().map(|r| (r["verb"].clone(), r["outcome"].clone())).collect();
    let expected = ["start", "stop", "setup"].map(|verb| (verb.into(), "succeeded".into()));
    assert_eq!(runs, expected);
    project.ok(&["audit", "-n", "1"]).assert_says("start");

    assert_eq!(project.ok(&["app", "version", "-q"]).stdout, "alpha\n");
    let details = project.json(&["details"]);
    assert_eq!(details["containers"].as_array().map(Vec::len), Some(HOSTS));
    assert!(details["proxies"][0]["routes"]["rest-web"].is_string(), "{details}");
    let images = project.json(&["app", "images"]);
    assert_eq!(images["images"][0]["containers"], 1, "{images}");
    project.ok(&["app", "stale_containers"]).assert_says("Nothing runs but what serves");
}
