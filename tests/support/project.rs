//! A project as a user has it, on the hosts of the lab: a directory with `config/deploy.yml` and `.windlass/secrets`,
//! and the real binary run in it with an environment of its own.
//!
//! Tests of one binary share the lab and take turns: a `Project` holds the turn until it is dropped. Each test names
//! its own service, so what one leaves on the hosts is nothing to the next.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use super::lab::{Hammer, Host, Lab};
use super::project_config::Config;

static TURN: Mutex<()> = Mutex::new(());

pub struct Project {
    pub lab: &'static Lab,
    pub service: String,
    pub hosts: Vec<Host>,
    dir: Arc<TempDir>,
    home: TempDir,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Project {
    /// The lab's first `hosts` hosts with a role `web` on each; the last host of the first call lets in `deploy` only.
    pub fn new(service: &str, hosts: usize) -> Self {
        // A test that failed gave its turn back by unwinding; what it left belongs to its own service.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let lab = Lab::up(hosts);
        let hosts = lab.hosts().into_iter().take(hosts).collect();
        let dir = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let home = tempfile::tempdir().expect("a temporary directory");
        let project = Self { lab, service: service.to_owned(), hosts, dir, home, _turn: Some(turn) };
        project.configure(&project.config());
        project.secrets(&[]);
        project
    }

    /// The same project directory from somebody else's machine: another home, so another operator.
    pub fn other_operator(&self) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (service, hosts, dir) = (self.service.clone(), self.hosts.clone(), Arc::clone(&self.dir));
        Self { lab: self.lab, service, hosts, dir, home, _turn: None }
    }

    /// A configuration to change and give to `configure`: `web` on all hosts, the registry with login.
    pub fn config(&self) -> Config {
        Config::new(&self.service, self.lab, &self.hosts)
    }

    pub fn configure(&self, config: &Config) {
        self.write("config/deploy.yml", &config.yaml());
    }

    /// Writes `.windlass/secrets`: these and the registry's password.
    pub fn secrets(&self, secrets: &[(&str, &str)]) {
        let password = self.lab.auth_registry().2;
        let lines = [("REGISTRY_PASSWORD", password.as_str())].into_iter().chain(secrets.iter().copied()).map(
            |(name, value)| {
                assert!(!value.contains('\''), "a secret of a test has no single quote");
                format!("{name}='{value}'\n")
            },
        );
        self.write(".windlass/secrets", &lines.collect::<String>());
    }

    /// Writes a file of the project, readable by its owner only.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.dir().join(path);
        fs::create_dir_all(path.parent().expect("a path below the project")).expect("a directory of the project");
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a file of the project");
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Builds and pushes `SERVICE:TAG`; `environment` is baked in. Returns the digest.
    pub fn image(&self, tag: &str, environment: &[&str]) -> String {
        let label = format!("service={}", self.service);
        let mut options = vec!["--label", &label];
        options.extend(environment.iter().flat_map(|pair| ["--env", pair]));
        self.lab.image(&format!("{}:{tag}", self.service), &options).1
    }

    /// The binary in the project's directory; nothing of the caller's environment but PATH.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(arguments).current_dir(self.dir()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.home()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("NO_COLOR", "1").env("USER", "tester");
        command
    }

    /// Runs windlass to its end, however it ends.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.start(arguments).wait()
    }

    /// Runs windlass; the test fails with all that was said when it does not end with 0.
    pub fn ok(&self, arguments: &[&str]) -> Ran {
        self.run(arguments).expect(0)
    }

    /// What windlass prints with `--json`, which must end with 0.
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.ok(&[arguments, &["--json"]].concat()).json()
    }

    /// Starts windlass and leaves it running, for signals in the middle of a run.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        Running { child: Some(child), arguments: arguments.join(" "), began: Instant::now() }
    }

    pub fn host(&self, name: &str) -> &Host {
        let found = self.hosts.iter().find(|host| host.name == name);
        found.unwrap_or_else(|| panic!("the project has no {name}"))
    }

    /// The domain that the proxy routes to the service.
    pub fn domain(&self) -> String {
        format!("{}.example.com", self.service)
    }

    /// Asks the proxy of a host for a page of the service; a failed connection fails the test.
    pub fn page(&self, host: &str, path: &str) -> Page {
        let address = &self.host(host).address;
        get(address, &self.domain(), path).unwrap_or_else(|error| panic!("{host} ({address}) {path}: {error}"))
    }

    /// The version that a host serves; what it answered instead when that is no page of the demo app.
    pub fn answers(&self, host: &str) -> String {
        let page = self.page(host, "/");
        match page.body.strip_prefix("version=").and_then(|rest| rest.split_whitespace().next()) {
            Some(version) if page.status == 200 => version.to_owned(),
            _ => format!("{} {}", page.status, page.body),
        }
    }

    /// A variable of the container that serves on a host.
    pub fn env_of(&self, host: &str, name: &str) -> Option<String> {
        let page = self.page(host, "/env");
        page.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    }

    /// Every host of the project serves this version.
    #[track_caller]
    pub fn assert_all_serve(&self, version: &str) {
        for host in &self.hosts {
            assert_eq!(self.answers(&host.name), version, "what {} serves", host.name);
        }
    }

    /// The service's containers on a host, running or not.
    pub fn containers(&self, host: &str) -> Vec<Container> {
        let filter = format!("label=service={}", self.service);
        let format = "{{.ID}} {{.Names}} {{.State}} {{.Image}}";
        let lines = self.lab.docker(host, &["ps", "-a", "--no-trunc", "--filter", &filter, "--format", format]);
        let words = lines.lines().map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        words
            .map(|w| Container { id: w[0].clone(), name: w[1].clone(), state: w[2].clone(), image: w[3].clone() })
            .collect()
    }

    /// The one running container of the service on a host.
    #[track_caller]
    pub fn running(&self, host: &str) -> Container {
        let mut running = self.containers(host);
        running.retain(|container| container.state == "running");
        assert_eq!(running.len(), 1, "{host} runs one container of {}: {running:?}", self.service);
        running.remove(0)
    }

    /// The id of the one running container of the service on a host.
    #[track_caller]
    pub fn running_app(&self, host: &str) -> String {
        self.running(host).id
    }

    /// `(type, action)` of what a host's engine did since a moment of `now()`; health checks and executions left out.
    pub fn events(&self, host: &str, since: &str) -> Vec<(String, String)> {
        let format = "{{.Type}} {{.Action}}";
        let out = self.lab.docker(host, &["events", "--since", since, "--until", &now(), "--format", format]);
        let pairs = out.lines().filter_map(|line| line.split_once(' '));
        pairs.filter(|(_, action)| !action.starts_with("exec_")).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    /// Clients of the service on every host: `connections` at full speed and, if asked, one request of `long` seconds
    /// at a time. Returns when every host has answered.
    pub fn hammer(&self, connections: usize, long: Option<u32>) -> Hammer {
        self.hammer_at(None, connections, long)
    }

    /// The same with so many requests a second and connection: load enough to see every lost request, and it leaves
    /// a machine with two cores time for what is tested.
    pub fn paced_hammer(&self, connections: usize, rate: u32, long: Option<u32>) -> Hammer {
        self.hammer_at(Some(rate), connections, long)
    }

    fn hammer_at(&self, rate: Option<u32>, connections: usize, long: Option<u32>) -> Hammer {
        let targets: Vec<_> =
            self.hosts.iter().map(|host| format!("http://{}/@{}", host.address, self.domain())).collect();
        let mut options = vec!["--connections".to_owned(), connections.to_string(), "--seconds".into(), "900".into()];
        options.extend(rate.into_iter().flat_map(|rate| ["--rate".to_owned(), rate.to_string()]));
        options.extend(long.into_iter().flat_map(|seconds| ["--long".to_owned(), seconds.to_string()]));
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        Hammer::start(self.lab, &options, &targets)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The whole id.
    pub id: String,
    pub name: String,
    /// `running`, `exited`, `created` ...
    pub state: String,
    pub image: String,
}

#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub body: String,
}

/// One request over a connection of its own.
pub fn get(address: &str, domain: &str, path: &str) -> std::io::Result<Page> {
    let mut stream = TcpStream::connect((address, 80))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {domain}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no HTTP answer: {answer:?}")))?;
    Ok(Page { status, body: body.to_owned() })
}

/// This moment as `docker events` takes it; hosts and tests have the same clock.
pub fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

/// A windlass that runs; killed when dropped without `wait`.
pub struct Running {
    child: Option<Child>,
    arguments: String,
    began: Instant,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("not waited for yet").id()
    }

    /// Sends a signal by name: `INT`, `TERM`, `STOP`, `CONT`, `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "windlass {} had ended already", self.arguments);
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_none()))
    }

    pub fn wait(mut self) -> Ran {
        let child = self.child.take().expect("waited for once");
        let output = child.wait_with_output().expect("the binary ends");
        Ran::from(output, std::mem::take(&mut self.arguments), self.began.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A windlass that ended.
#[derive(Debug)]
pub struct Ran {
    pub arguments: String,
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub duration: Duration,
}

impl Ran {
    fn from(output: Output, arguments: String, duration: Duration) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Self { arguments, code: output.status.code(), stdout, stderr, duration }
    }

    /// The test fails with all that was said when the exit code is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}) from {self}"))
    }

    /// Both streams, for what may be said on either.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn assert_says(&self, text: &str) -> &Self {
        assert!(self.said().contains(text), "`{text}` is not said by {self}");
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`windlass {}` ({:?}, {:.1} s)", self.arguments, self.code, self.duration.as_secs_f64())?;
        write!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}
