//! `asset_path` on real hosts: pages of both releases find their files while a deploy and a rollback go on, and after.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;

use project::{Project, get};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const HOSTS: [&str; 2] = ["host-1", "host-2"];
const PATH: &str = "/public/assets";

/// Whoever has got a page asks for the file that the page names, and again a moment later, whatever serves by then.
struct Browser {
    stop: Arc<AtomicBool>,
    missed: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<usize>>,
}

impl Browser {
    fn of(project: &Project, host: &str) -> Self {
        let (address, domain) = (project.host(host).address.clone(), project.domain());
        let (stop, missed) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&missed));
        let thread = std::thread::spawn(move || {
            let mut pages = 0;
            let mut recent: Vec<String> = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let page = get(&address, &domain, "/").map(|page| page.body).unwrap_or_default();
                let Some(version) = page.strip_prefix("version=").and_then(|p| p.split(' ').next()) else { continue };
                if !recent.iter().any(|r| r == version) {
                    recent.push(version.to_owned());
                }
                // Of this page, and of the page before a switch that is still open somewhere.
                for version in recent.iter().rev().take(2) {
                    let asset = format!("/assets/app-{version}.js");
                    match get(&address, &domain, &asset) {
                        Ok(answer) if answer.status == 200 && answer.body == *version => pages += 1,
                        answer => seen.lock().expect("not poisoned").push(format!("{asset}: {answer:?}")),
                    }
                }
            }
            pages
        });
        Self { stop, missed, thread: Some(thread) }
    }

    #[track_caller]
    fn assert_found_everything(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let found = self.thread.take().expect("ends once").join().expect("the browser ends");
        let missed = self.missed.lock().expect("not poisoned");
        assert!(missed.is_empty(), "missed after {found} files: {missed:?}");
        assert!(found > 20, "only {found} files were asked for");
    }
}

/// The files that a container has, by asking it past the proxy.
fn asset(project: &Project, host: &str, name: &str) -> (u16, String) {
    let page = project.page(host, &format!("/assets/{name}"));
    (page.status, page.body)
}

fn volumes(project: &Project, host: &str) -> Vec<String> {
    let out = project.lab.docker(host, &["volume", "ls", "-q"]);
    out.lines().filter(|name| name.len() == 64).map(str::to_owned).collect()
}

#[test]
fn pages_of_both_releases_find_their_files() {
    lab::Lab::up(3);
    let project = Project::new("assets", 2);
    project.configure(&project.config().extra(&format!("asset_path: {PATH}\nretain_containers: 1")));
    for version in ["v1", "v2", "v3"] {
        let label = format!("service={}", project.service);
        let (own, shared) = (format!("{PATH}/app-{version}.js={version}"), format!("{PATH}/deep/manifest={version}"));
        let reference = format!("{}:{version}", project.service);
        project.lab.image(&reference, &["--label", &label, "--file", &own, "--file", &shared]);
    }
    project.ok(&["setup", "--version", "v1"]);
    let browsers = HOSTS.map(|host| Browser::of(&project, host));
    project.ok(&["deploy", "--version", "v2"]).assert_says("share the assets");
    for host in HOSTS {
        assert_eq!(asset(&project, host, "app-v1.js"), (200, "v1".to_owned()), "v2 on {host} has v1's");
        assert_eq!(asset(&project, host, "app-v2.js"), (200, "v2".to_owned()));
        assert_eq!(asset(&project, host, "deep/manifest"), (200, "v2".to_owned()), "what both have is its own");
        assert_eq!(volumes(&project, host).len(), 2, "a volume of each container's own on {host}");
    }
    project.ok(&["rollback"]);
    for host in HOSTS {
        assert_eq!(project.answers(host), "v1");
        assert_eq!(asset(&project, host, "app-v2.js"), (200, "v2".to_owned()), "v1 on {host} got v2's");
        assert_eq!(asset(&project, host, "deep/manifest"), (200, "v1".to_owned()), "and keeps its own");
        let names = project.lab.docker(host, &["ps", "-a", "--format", "{{.Names}}"]);
        assert!(!names.contains("-assets"), "nothing that was made to read from is left on {host}: {names}");
    }
    browsers.into_iter().for_each(Browser::assert_found_everything);

    // A volume goes with its container.
    let host = HOSTS[0];
    let retired = project.containers(host).into_iter().find(|c| c.state == "exited").expect("v2 is retained");
    let before = volumes(&project, host);
    project.lab.docker(host, &["rm", "-v", &retired.id]);
    assert_eq!(volumes(&project, host).len(), before.len() - 1);
    project.ok(&["deploy", "--version", "v3"]);
    let gone = || asset(&project, host, "app-v1.js").0 == 200;
    lab::wait_for("v3 to have the files of v1", Duration::from_secs(5), gone);
    assert_eq!(asset(&project, host, "app-v3.js"), (200, "v3".to_owned()));
}
