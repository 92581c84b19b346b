//! No secret value leaves a run but to the container it is for: not in what commands print, not in a file of a host,
//! not in an argument of a process.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;

use project::{Project, Ran};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

const HOSTS: usize = 2;
const FIRST: &str = "s3cret-first+/=&-7f1c";
const SECOND: &str = "s3cret-second%$#-9a2e";
/// The one that ends up in a container's log, since the application writes it there.
const PRINTED: &str = "s3cret-printed&*=-1d8b";
/// Without this a search would find nothing and prove nothing.
const NOT_A_SECRET: &str = "in-the-clear-4b6d";

/// The values, and the encodings in which they could hide.
fn needles(project: &Project) -> Vec<String> {
    let password = project.lab.auth_registry().2;
    let values = [FIRST, SECOND, PRINTED, password.as_str()];
    values.iter().flat_map(|value| [(*value).to_owned(), base64(value), percent(value)]).collect()
}

/// Without padding, so that it is found inside a longer encoding that begins with it.
fn base64(value: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(value)
}

fn percent(value: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}

#[track_caller]
fn assert_tells_nothing(ran: &Ran, needles: &[String]) {
    for needle in needles {
        assert!(!ran.said().contains(needle.as_str()), "`{needle}` is said by {ran}");
    }
}

/// Samples the arguments of every process on this machine, the hosts' included, while it lives.
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<String>, usize)>,
}

impl Watch {
    fn start(needles: Vec<String>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let (mut found, mut seen) = (Vec::new(), 0);
            while !flag.load(SeqCst) {
                for arguments in all_arguments() {
                    seen += usize::from(arguments.contains(NOT_A_SECRET));
                    if needles.iter().any(|needle| arguments.contains(needle.as_str())) {
                        found.push(arguments);
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            (found, seen)
        });
        Self { over, thread }
    }

    /// The test fails if an argument held a secret, or if this could not have seen one.
    fn assert_clean(self) {
        self.over.store(true, SeqCst);
        let (found, seen) = self.thread.join().expect("the watch ends");
        assert!(seen > 0, "not even windlass's own arguments were seen");
        assert_eq!(found, Vec::<String>::new(), "secrets in arguments");
    }
}

/// One text for each process; those that end while being read are left out.
fn all_arguments() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("/proc can be read").flatten();
    let pids = processes.filter(|p| p.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
    let texts = pids.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
    texts.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " ")).collect()
}

/// Files of a host that hold this text: everything that lasts, /run and /tmp. The configuration of its containers is
/// where the engine and its containerd keep what they need, so secrets belong there.
fn files_with(project: &Project, host: &str, text: &str) -> Vec<String> {
    let script = format!(
        "find /root /home /etc /run /tmp /var/log /var/lib/docker -xdev -type f -size -20M \
           ! -path '/var/lib/docker/containers/*/config.v2.json' \
           ! -path '/var/lib/docker/containerd/*/meta.db' \
           ! -path '/run/docker/containerd/*/config.json' -print0 2>/dev/null \
         | {{ xargs -0 -r grep -laF -e '{text}' 2>/dev/null || true; }}",
    );
    project.lab.exec(host, &["sh", "-c", &script]).lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_hosts_keep_nothing(project: &Project, needles: &[String]) {
    for host in &project.hosts {
        for needle in needles {
            assert_eq!(files_with(project, &host.name, needle), Vec::<String>::new(), "{needle} on {}", host.name);
        }
        let known = files_with(project, &host.name, NOT_A_SECRET);
        assert!(known.iter().any(|path| path.contains("/.windlass/")), "the search sees the journal: {known:?}");
        let inspected = project.running(&host.name).id;
        let inspected = project.lab.docker(&host.name, &["inspect", &inspected]);
        assert!(inspected.contains(SECOND), "the container does have the secret");
    }
}

fn configure(project: &Project, secret: &str) {
    project.configure(&project.config().env("COLOR", NOT_A_SECRET).secret("API_KEY").secret("OTHER:API_KEY"));
    project.secrets(&[("API_KEY", secret)]);
}

#[test]
fn no_secret_is_said_kept_on_a_host_or_given_as_an_argument() {
    let project = Project::new("secrets", HOSTS);
    let needles = needles(&project);
    project.image("v1", &[]);
    project.image("v2", &[]);
    let watch = Watch::start(needles.clone());
    let message = ["-m", NOT_A_SECRET];
    configure(&project, FIRST);
    let setup = project.ok(&[&["setup", "--version", "v1", "-vv"], &message[..]].concat());
    configure(&project, SECOND);
    let deploy = project.ok(&[&["deploy", "--version", "v2", "--json"], &message[..]].concat());
    let back = project.ok(&[&["rollback", "v1", "-vv", "--json"], &message[..]].concat());
    let again = project.ok(&[&["rollback", "v2", "--config", "current", "-v"], &message[..]].concat());
    watch.assert_clean();
    assert_eq!(project.env_of("host-1", "API_KEY").as_deref(), Some(SECOND));
    assert_eq!(project.env_of("host-1", "OTHER").as_deref(), Some(SECOND));
    for ran in [setup, deploy, back, again] {
        assert_tells_nothing(&ran, &needles);
    }
    assert_hosts_keep_nothing(&project, &needles);

    let reading: [&[&str]; 10] = [
        &["config"],
        &["config", "--json"],
        &["releases", "--json"],
        &["status", "-vv"],
        &["status", "--json"],
        &["deploy", "--version", "v1", "--dry-run"],
        &["deploy", "--version", "v1", "--dry-run", "--json"],
        &["rollback", "v1", "--dry-run", "--json"],
        &["prune", "--dry-run", "-v"],
        &["app", "containers"],
    ];
    for arguments in reading {
        let ran = project.ok(arguments);
        assert!(!ran.said().is_empty(), "something is said by {ran}");
        assert_tells_nothing(&ran, &needles);
    }
}

#[test]
fn a_wrong_registry_password_is_not_repeated() {
    let project = Project::new("wrong", HOSTS);
    project.image("v1", &[]);
    project.write(".windlass/secrets", "REGISTRY_PASSWORD='wr0ng/p@ss+word-77'\n");
    let ran = project.run(&["setup", "--version", "v1", "-vv"]);
    assert!([1, 4].contains(&ran.code.unwrap_or(0)), "the registry refuses that password: {ran}");
    let wrong = "wr0ng/p@ss+word-77";
    assert_tells_nothing(&ran, &[wrong.to_owned(), base64(wrong), percent(wrong)]);
}

#[test]
fn a_container_that_prints_its_secret_and_dies_is_shown_masked() {
    let project = Project::new("printing", HOSTS);
    project.image("good", &[]);
    project.image("printing", &["APP_PRINT_SECRET=API_KEY"]);
    configure(&project, FIRST);
    project.ok(&["setup", "--version", "good", "-m", NOT_A_SECRET]);
    configure(&project, PRINTED);
    let needles = needles(&project);
    for options in [&["-vv"][..], &["--json"][..]] {
        let ran = project.run(&[&["deploy", "--version", "printing"], options].concat()).expect(1);
        // The container's words are there, and its secret is not.
        assert!(ran.said().contains("connecting with API_KEY="), "the log is missing: {ran}");
        assert!(ran.said().contains("cannot connect with"), "both streams of it: {ran}");
        assert_tells_nothing(&ran, &needles);
    }
    project.assert_all_serve("good");
    // What the application wrote to its log is in the engine's log of that container; nothing of ours has it.
    for host in &project.hosts {
        for needle in &needles {
            let mut files = files_with(&project, &host.name, needle);
            files.retain(|path| !path.starts_with("/var/lib/docker/containers/"));
            assert_eq!(files, Vec::<String>::new(), "{needle} on {}", host.name);
        }
    }
}
