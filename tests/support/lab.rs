//! The lab of `tests/lab` for tests: real sshd, dockerd, HAProxy and registries on this machine.
//!
//! One lab serves all tests of a test binary and is taken away when that process ends, however it ends. With
//! `WINDLASS_LAB_DIR` set, the lab in that directory is used, started if need be, and left running.
//! A machine that cannot run a lab makes the tests fail with what is missing; nothing is skipped.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Exit status of `lab up` when the subnet belongs to another lab.
const SUBNET_TAKEN: i32 = 4;

#[derive(Debug, Clone)]
pub struct Host {
    pub name: String,
    pub address: String,
    pub port: u16,
    pub user: String,
    /// The engine's socket as seen from the machine; changes when the host reboots.
    pub socket: PathBuf,
}

pub struct Lab {
    dir: PathBuf,
    /// While its stdin, a pipe from here, is open the lab lives; then `lab guard` takes the lab away.
    _guard: Option<Child>,
}

impl Lab {
    /// The lab shared by this test binary, with at least `hosts` hosts: `host-1` ... The last of the first
    /// call's hosts lets in `deploy` only, the others `root`. Every host that was cut off is healed.
    pub fn up(hosts: usize) -> &'static Self {
        static LAB: OnceLock<Lab> = OnceLock::new();
        static SIZE: Mutex<usize> = Mutex::new(0);
        let mut size = SIZE.lock().unwrap_or_else(PoisonError::into_inner);
        let lab = LAB.get_or_init(|| Self::create(hosts));
        if *size < hosts {
            lab.run(&["up", &hosts.to_string()]);
            *size = hosts;
        }
        lab
    }

    fn create(hosts: usize) -> Self {
        let need = script(None).arg("need").output().expect("tests/lab/lab starts");
        assert!(need.status.success(), "the lab cannot run here:\n{}", text(&need.stderr));
        if let Some(dir) = std::env::var_os("WINDLASS_LAB_DIR") {
            let lab = Self { dir: dir.into(), _guard: None };
            lab.run(&["up", &hosts.to_string()]);
            return lab;
        }
        Self::create_on_free_subnet(hosts)
    }

    fn create_on_free_subnet(hosts: usize) -> Self {
        let dir = tempfile::Builder::new().prefix("windlass-lab-").tempdir().expect("a temporary directory").keep();
        // Test binaries may run side by side; where to begin differs, and a taken subnet is refused.
        let first = std::process::id() % 150;
        for n in 0..150 {
            let net = format!("10.77.{}", 100 + (first + n) % 150);
            let up = script(Some(&dir)).env("LAB_NET", &net).args(["up", &hosts.to_string()]).output();
            let up = up.expect("tests/lab/lab starts");
            if up.status.code() == Some(SUBNET_TAKEN) {
                continue;
            }
            let guard = guard(&dir, &net);
            assert!(up.status.success(), "lab up failed:\n{}", text(&up.stderr));
            return Self { dir, _guard: Some(guard) };
        }
        panic!("no free subnet among 10.77.100 to 10.77.249: are old labs left over? see /run/windlass-lab");
    }

    /// Runs `lab VERB ...`; the test fails with its words when it fails.
    pub fn run(&self, words: &[&str]) -> String {
        let out = self.try_run(words);
        assert!(out.status.success(), "lab {} failed ({}):\n{}", words.join(" "), out.status, text(&out.stderr));
        text(&out.stdout)
    }

    pub fn try_run(&self, words: &[&str]) -> Output {
        script(Some(&self.dir)).args(words).output().expect("tests/lab/lab starts")
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn info(&self) -> Value {
        serde_json::from_str(&self.run(&["info", "--json"])).expect("lab info --json prints JSON")
    }

    pub fn hosts(&self) -> Vec<Host> {
        let info = self.info();
        let hosts = info["hosts"].as_array().expect("info has hosts");
        hosts.iter().map(host_from).collect()
    }

    pub fn host(&self, name: &str) -> Host {
        let found = self.hosts().into_iter().find(|host| host.name == name);
        found.unwrap_or_else(|| panic!("the lab has no {name}"))
    }

    pub fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    pub fn known_hosts_hashed(&self) -> PathBuf {
        self.dir.join("known_hosts.hashed")
    }

    pub fn key_ed25519(&self) -> PathBuf {
        self.dir.join("id_ed25519")
    }

    pub fn key_rsa(&self) -> PathBuf {
        self.dir.join("id_rsa")
    }

    /// `ADDRESS:PORT` of the registry without login.
    pub fn registry(&self) -> String {
        string(&self.info()["registry"])
    }

    /// Server, user name and password of the registry with login (the same images).
    pub fn auth_registry(&self) -> (String, String, String) {
        let auth = &self.info()["auth_registry"];
        (string(&auth["server"]), string(&auth["username"]), string(&auth["password"]))
    }

    pub fn haproxy_image(&self) -> String {
        string(&self.info()["haproxy_image"])
    }

    /// Builds and pushes the demo app; returns the full reference and its digest.
    /// `options` are those of `lab image`: `--env K=V`, `--label K=V`, `--healthcheck`.
    pub fn image(&self, reference: &str, options: &[&str]) -> (String, String) {
        let out = self.run(&[&["image", reference], options].concat());
        let (reference, digest) = out.trim().split_once(' ').expect("lab image prints REF DIGEST");
        (reference.to_owned(), digest.to_owned())
    }

    /// As root on the host.
    pub fn exec(&self, host: &str, command: &[&str]) -> String {
        self.run(&[&["exec", host], command].concat())
    }

    pub fn docker(&self, host: &str, arguments: &[&str]) -> String {
        self.run(&[&["docker", host], arguments].concat())
    }

    pub fn registry_stop(&self) {
        self.run(&["registry", "stop"]);
    }

    pub fn registry_start(&self) {
        self.run(&["registry", "start"]);
    }

    pub fn cut(&self, host: &str) {
        self.run(&["cut", host]);
    }

    pub fn heal(&self, host: &str) {
        self.run(&["heal", host]);
    }

    /// Adds round-trip time to new SSH connections; zero takes it away.
    pub fn delay(&self, host: &str, round_trip: Duration) {
        self.run(&["delay", host, &round_trip.as_millis().to_string()]);
    }

    pub fn kill_dockerd(&self, host: &str) {
        self.run(&["kill-dockerd", host]);
    }

    pub fn start_dockerd(&self, host: &str) {
        self.run(&["start-dockerd", host]);
    }

    pub fn stop(&self, host: &str) {
        self.run(&["stop", host]);
    }

    pub fn start(&self, host: &str) {
        self.run(&["start", host]);
    }

    pub fn reboot(&self, host: &str) {
        self.run(&["reboot", host]);
    }
}

fn script(dir: Option<&Path>) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab"));
    command.env_remove("LAB_NET").env_remove("LAB_DIR").stdin(Stdio::null());
    if let Some(dir) = dir {
        command.env("LAB_DIR", dir);
    }
    command
}

/// In a process group of its own, so that Ctrl-C at the terminal ends the tests but not the clean-up.
fn guard(dir: &Path, net: &str) -> Child {
    use std::os::unix::process::CommandExt;
    let mut command = script(Some(dir));
    command
        .env("LAB_NET", net)
        .arg("guard")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("tests/lab/lab starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string in lab info: {value}")).to_owned()
}

fn host_from(value: &Value) -> Host {
    let port = value["port"].as_u64().and_then(|port| port.try_into().ok());
    Host {
        name: string(&value["name"]),
        address: string(&value["address"]),
        port: port.expect("a host's port is a port number"),
        user: string(&value["user"]),
        socket: string(&value["socket"]).into(),
    }
}

/// Polls until `condition` holds; the test fails, naming `what`, when it does not within `deadline`.
pub fn wait_for(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < deadline, "waited {deadline:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A running `hammer`: keep-alive clients at full speed. Killed when dropped without `stop`.
pub struct Hammer {
    child: Child,
}

/// The JSON object of `hammer`, with the numbers that every test asks for.
pub struct Report {
    pub json: Value,
}

impl Hammer {
    /// Returns once every target has answered 200. `options` as in `hammer --help`; a target is
    /// `http://ADDRESS/@HOST-HEADER`.
    pub fn start(lab: &Lab, options: &[&str], targets: &[String]) -> Self {
        // Clients and hosts share this machine: at full speed the clients take what sshd and dockerd leave.
        let mut command = Command::new("nice");
        command.args(["-n", "10"]).arg(string(&lab.info()["hammer"]));
        command.args(options).args(targets).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the compiled hammer starts");
        let said = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let hammer = Self { child };
        let (sender, ready) = mpsc::channel();
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if line == "ready" {
                    let _ = sender.send(());
                } else {
                    eprintln!("{line}")
                }
            }
        });
        let answered = ready.recv_timeout(Duration::from_secs(20));
        assert!(answered.is_ok(), "not every target answered 200 within 20 s: {targets:?}");
        hammer
    }

    /// Lets requests in flight finish, then returns what was counted.
    pub fn stop(mut self) -> Report {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "hammer had ended by itself");
        let mut json = String::new();
        let stdout = self.child.stdout.as_mut().expect("stdout is piped");
        stdout.read_to_string(&mut json).expect("hammer's report is text");
        Report { json: serde_json::from_str(&json).expect("hammer's report is JSON") }
    }
}

impl Drop for Hammer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Report {
    pub fn requests(&self) -> u64 {
        count(&self.json["total"]["requests"])
    }

    /// Failed requests of every kind, the long ones included.
    pub fn failed(&self) -> u64 {
        count(&self.json["total"]["failed"]) + count(&self.json["long"]["failed"])
    }

    pub fn long_requests(&self) -> u64 {
        count(&self.json["long"]["requests"])
    }

    /// Answers that named this version, over all targets.
    pub fn answers_of(&self, version: &str) -> u64 {
        self.json["total"]["versions"][version]["count"].as_u64().unwrap_or(0)
    }

    /// The test fails, showing the first failures one by one, unless there were requests and none failed.
    pub fn assert_none_failed(&self) {
        assert!(self.requests() > 0, "the hammer made no request");
        let samples = (&self.json["total"]["samples"], &self.json["long"]["samples"]);
        assert_eq!(self.failed(), 0, "of {} requests; the first failures: {samples:?}", self.requests());
    }
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a count in hammer's report: {value}"))
}
