//! Taking over from Kamal: three hosts with its documented layout (kamal-proxy, app containers, network, files), under
//! load. What `lab kamal-proxy` puts behind the name is a stand-in unless `LAB_KAMAL_PROXY` names the real one.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;
#[path = "support/watched.rs"]
mod watched;

use project::{Project, Ran, get};
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use watched::Watched;

const HOSTS: [&str; 3] = ["host-1", "host-2", "host-3"];
const KAMAL_PROXY: &str = "basecamp/kamal-proxy:v0.9.2";

/// What Kamal's `proxy boot` and `deploy` leave on a host.
struct Kamal<'a> {
    project: &'a Project,
    /// The proxy's image as the lab's registry has it.
    proxy: String,
}

impl<'a> Kamal<'a> {
    /// A host with nothing of an earlier test on it; then `v1` deployed by Kamal on every host.
    fn set_up(project: &'a Project, publish: &str) -> Self {
        let built = project.lab.run(&["kamal-proxy"]);
        let proxy = built.split_whitespace().next().expect("lab kamal-proxy prints REF DIGEST").to_owned();
        let kamal = Self { project, proxy };
        for host in HOSTS {
            kamal.clean(host);
            kamal.boot(host, publish);
            kamal.deploy(host, "v1", None);
        }
        kamal
    }

    fn sh(&self, host: &str, script: &str) -> String {
        self.project.lab.exec(host, &["sh", "-c", &format!("set -e\ncd\n{script}")])
    }

    fn clean(&self, host: &str) {
        self.sh(
            host,
            "ids=$(docker ps -aq)\n[ -z \"$ids\" ] || docker rm -f $ids >/dev/null\n\
             docker volume rm -f kamal-proxy-config windlass >/dev/null\nrm -rf ~/.windlass /home/*/.windlass",
        );
    }

    /// `kamal proxy boot`.
    fn boot(&self, host: &str, publish: &str) {
        let proxy = &self.proxy;
        self.sh(
            host,
            &format!(
                "docker network create kamal >/dev/null 2>&1 || true\n\
                 docker pull -q {proxy} >/dev/null\ndocker tag {proxy} {KAMAL_PROXY}\n\
                 mkdir -p .kamal/proxy/apps-config\n\
                 docker container start kamal-proxy >/dev/null 2>&1 || docker run --name kamal-proxy --network kamal \
                 --detach --restart unless-stopped --volume kamal-proxy-config:/home/kamal-proxy/.config/kamal-proxy \
                 --volume $PWD/.kamal/proxy/apps-config:/home/kamal-proxy/.apps-config {publish} \
                 --log-opt max-size=10m {KAMAL_PROXY}"
            ),
        );
        let ready = || self.try_kamal_proxy(host, &["list"]).is_some();
        lab::wait_for("kamal-proxy to take commands", Duration::from_secs(20), ready);
    }

    fn try_kamal_proxy(&self, host: &str, words: &[&str]) -> Option<String> {
        let out = self.project.lab.try_run(&[&["docker", host, "exec", "kamal-proxy", "kamal-proxy"], words].concat());
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// `kamal deploy` of one host: run, hand to the proxy, stop what served.
    fn deploy(&self, host: &str, version: &str, before: Option<&str>) {
        let (server, user, password) = self.project.lab.auth_registry();
        let (service, address, domain) =
            (&self.project.service, &self.project.host(host).address, self.project.domain());
        let stop = before.map_or_else(String::new, |v| format!("docker stop {service}-web-{v} >/dev/null\n"));
        self.sh(
            host,
            &format!(
                "mkdir -p .kamal/apps/{service}/env/roles\numask 077\necho >.kamal/apps/{service}/env/roles/web.env\n\
                 echo {password} | docker login {server} -u {user} --password-stdin >/dev/null 2>&1\n\
                 docker pull -q {server}/{service}:{version} >/dev/null\ndocker logout {server} >/dev/null\n\
                 docker rename {service}-web-{version} {service}-web-{version}_replaced_0123456789abcdef \
                 2>/dev/null || true\n\
                 docker run --detach --restart unless-stopped --name {service}-web-{version} --network kamal \
                 --hostname {address}-0123456789ab --env KAMAL_CONTAINER_NAME=\"{service}-web-{version}\" \
                 --env KAMAL_VERSION=\"{version}\" --env KAMAL_HOST=\"{address}\" \
                 --env-file .kamal/apps/{service}/env/roles/web.env --log-opt max-size=\"10m\" \
                 --label service=\"{service}\" --label role=\"web\" --label destination \
                 {server}/{service}:{version} >/dev/null\n\
                 id=$(docker container ls --quiet --filter name=^{service}-web-{version}$)\n\
                 docker exec kamal-proxy kamal-proxy deploy {service}-web --target=\"$id:80\" --host=\"{domain}\" \
                 --deploy-timeout=\"30s\" --drain-timeout=\"30s\" --health-check-path=\"/up\"\n\
                 {stop}docker tag {server}/{service}:{version} {server}/{service}:latest"
            ),
        );
    }

    fn container(&self, host: &str, name: &str, format: &str) -> String {
        self.project.lab.docker(host, &["inspect", "--format", format, name]).trim().to_owned()
    }

    /// kamal-proxy runs with Kamal's policy and routes to `version`; windlass has nothing that routes.
    #[track_caller]
    fn assert_serves(&self, host: &str, version: &str) {
        let state = "{{.State.Status}} {{.HostConfig.RestartPolicy.Name}}";
        assert_eq!(self.container(host, "kamal-proxy", state), "running unless-stopped", "kamal-proxy on {host}");
        assert_eq!(self.project.answers(host), version, "what {host} serves");
        let proxies = ["ps", "-a", "--filter", "label=windlass.proxy", "--format", "{{.Names}}"];
        assert_eq!(self.project.lab.docker(host, &proxies).trim(), "", "windlass's proxy on {host}");
    }
}

/// One client a host that asks for a page every few milliseconds, each time over a new connection.
struct Client {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<Vec<(Instant, Instant, bool)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    fn of(project: &Project, host: &str) -> Self {
        let (address, domain) = (project.host(host).address.clone(), project.domain());
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&answers));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let well = get(&address, &domain, "/").is_ok_and(|page| page.status == 200);
                seen.lock().expect("not poisoned").push((begun, Instant::now(), well));
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        let client = Self { stop, answers, thread: Some(thread) };
        let first = || client.answers.lock().expect("not poisoned").iter().any(|a| a.2);
        lab::wait_for("the client's first answer", Duration::from_secs(10), first);
        client
    }

    /// How long it got no answer: from the last good one before the first failure to the first good one after the last.
    fn gap(mut self) -> Option<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("stopped once").join().expect("the client ends");
        let answers = self.answers.lock().expect("not poisoned");
        let first = answers.iter().position(|a| !a.2)?;
        let last = answers.iter().rposition(|a| !a.2)?;
        let after = answers.get(last + 1).expect("the client is answered in the end");
        Some(after.1 - answers[first.checked_sub(1).expect("it was answered first")].1)
    }
}

/// The gap that windlass printed for a host.
fn printed(run: &Ran, host: &str) -> Duration {
    let line = run.stderr.lines().find(|l| l.starts_with(&format!("{host}: ")) && l.contains("nothing answered for"));
    let line = line.unwrap_or_else(|| panic!("no gap of {host} in {run}"));
    assert!(line.contains("asked on the host itself"), "it says how: {line}");
    let text = line.split("nothing answered for ").nth(1).and_then(|rest| rest.split(" ms").next());
    Duration::from_millis(text.and_then(|t| t.parse().ok()).unwrap_or_else(|| panic!("no milliseconds in {line}")))
}

fn hosts_named(project: &Project) -> BTreeMap<&'static str, String> {
    let config = std::fs::read_to_string(project.dir().join("config/deploy.yml")).expect("the configuration");
    let name = |host: &&'static str| {
        let address = project.host(host).address.clone();
        assert!(config.contains(&address), "{config}");
        (*host, address)
    };
    HOSTS.iter().map(name).collect()
}

#[test]
fn three_hosts_are_taken_over_under_load_and_handed_back() {
    lab::Lab::up(3);
    let project = Project::new("shop", 3);
    ["v1", "v2", "v3"].iter().for_each(|tag| _ = project.image(tag, &[]));
    let kamal = Kamal::set_up(&project, "--publish 80:80 --publish 443:443");
    HOSTS.iter().for_each(|host| kamal.assert_serves(host, "v1"));
    let named = hosts_named(&project);
    let before = HOSTS.map(|host| project.running_app(host));

    // What is found is shown as what it is, and a plain setup says who holds the port and what to do.
    project.ok(&["status"]).assert_says("v1");
    let refused = project.run(&["setup", "--version", "v2"]).expect(4);
    refused.assert_says("kamal-proxy").assert_says("--take-over");
    let dry = project.ok(&["setup", "--take-over", "--dry-run"]);
    dry.assert_says("stop kamal-proxy").assert_says("windlass-proxy").assert_says("it is adopted as release v1");
    HOSTS.iter().for_each(|host| kamal.assert_serves(host, "v1"));

    let clients = HOSTS.map(|host| (host, Client::of(&project, host)));
    let run = project.ok(&["setup", "--take-over", "--yes"]);
    project.assert_all_serve("v1");
    for (host, client) in clients {
        let (measured, printed) = (client.gap().expect("there is a gap"), printed(&run, &named[host]));
        eprintln!("{host}: the client saw {measured:?}, windlass printed {printed:?}");
        let off = measured.abs_diff(printed);
        assert!(off < Duration::from_millis(400), "{host}: seen {measured:?}, printed {printed:?}");
        assert!(measured < Duration::from_secs(5), "{host}: {measured:?} is no small gap");
    }
    for (host, id) in HOSTS.iter().zip(&before) {
        assert_eq!(&project.running_app(host), id, "the very container serves on {host}");
        let state = "{{.State.Status}} {{.HostConfig.RestartPolicy.Name}}";
        assert_eq!(kamal.container(host, "kamal-proxy", state), "exited no", "kamal-proxy is retained on {host}");
        assert_eq!(kamal.container(host, "windlass-proxy", state), "running unless-stopped");
    }
    project.ok(&["setup", "--take-over", "--yes"]).assert_says("nothing to do");
    project.lab.reboot("host-2");
    let back = || get(&project.host("host-2").address, &project.domain(), "/").is_ok_and(|page| page.status == 200);
    lab::wait_for("host-2 to serve after a reboot", Duration::from_secs(60), back);

    // Releases as on any other fleet; v1 was adopted.
    project.ok(&["deploy", "--version", "v2"]);
    project.assert_all_serve("v2");
    project.ok(&["rollback"]);
    project.assert_all_serve("v1");
    project.ok(&["deploy", "--version", "v3"]);

    // The way back: kamal-proxy routes to what serves now, and Kamal goes on.
    let clients = HOSTS.map(|host| (host, Client::of(&project, host)));
    let run = project.ok(&["setup", "--hand-back", "--yes"]);
    for (host, client) in clients {
        let (measured, printed) = (client.gap().expect("there is a gap"), printed(&run, &named[host]));
        eprintln!("{host}: back: the client saw {measured:?}, windlass printed {printed:?}");
        assert!(measured.abs_diff(printed) < Duration::from_millis(400), "{host}: {measured:?}, printed {printed:?}");
    }
    for host in HOSTS {
        kamal.assert_serves(host, "v3");
        let listed = kamal.try_kamal_proxy(host, &["list"]).expect("kamal-proxy answers");
        assert!(listed.contains(&project.running_app(host)[..12]), "{host}: {listed}");
        kamal.deploy(host, "v2", Some("v3"));
        kamal.assert_serves(host, "v2");
    }
    project.ok(&["setup", "--take-over", "--yes"]);
    project.assert_all_serve("v2");
}

#[test]
fn a_failure_leaves_kamal_proxy_as_it_was() {
    lab::Lab::up(3);
    let project = Project::new("mall", 3);
    project.image("v1", &[]);
    project.image("ill", &["APP_HEALTH=503"]);
    // Kamal's proxy without port 443: windlass's wants both.
    let kamal = Kamal::set_up(&project, "--publish 80:80");

    // 443 is somebody else's when the plan is made: refused by name.
    let taken = Taken::port(&project, "host-2", 443);
    let refused = project.run(&["setup", "--take-over", "--yes"]).expect(4);
    refused.assert_says("443").assert_says("holder");
    drop(taken);
    HOSTS.iter().for_each(|host| kamal.assert_serves(host, "v1"));

    // 443 is taken in the gap: HAProxy cannot start on the second host, when the first has gone over. Requests that
    // take their time keep the gap open for long enough.
    let slow = Slow::requests(&project, "host-2");
    let mut run = Watched::start(&project, &["setup", "--take-over", "--yes"]);
    run.until(&[&project.host("host-2").address, "stop kamal-proxy"], Duration::from_secs(60));
    let taken = Taken::port(&project, "host-2", 443);
    let failed = run.end(Duration::from_secs(120)).expect(1);
    drop((taken, slow));
    failed.assert_says("443");
    HOSTS.iter().for_each(|host| kamal.assert_serves(host, "v1"));

    // What serves does not pass HAProxy's check: not one request is lost.
    let config = project.config().proxy("healthcheck:\n  path: /status/404\n");
    project.configure(&config);
    let clients = HOSTS.map(|host| (host, Client::of(&project, host)));
    project.run(&["setup", "--take-over", "--yes"]).expect(1).assert_says("health check");
    for (host, client) in clients {
        assert_eq!(client.gap(), None, "{host} was never silent");
    }
    HOSTS.iter().for_each(|host| kamal.assert_serves(host, "v1"));

    // A service of somebody else's would be lost.
    project.configure(&project.config());
    let id = project.running_app("host-3");
    let target = format!("--target={}:80", &id[..12]);
    let words = ["deploy", "blog-web", target.as_str(), "--host=blog.example.com"];
    kamal.try_kamal_proxy("host-3", &words).expect("kamal-proxy takes another service");
    let refused = project.run(&["setup", "--take-over", "--yes"]).expect(4);
    refused.assert_says("blog-web");
    HOSTS.iter().for_each(|host| kamal.assert_serves(host, "v1"));
}

/// Requests of four seconds, two at a time and two seconds apart, until it is dropped.
struct Slow {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Slow {
    fn requests(project: &Project, host: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |delay: u64| {
            let (address, domain) = (project.host(host).address.clone(), project.domain());
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(delay));
                while !stop.load(Ordering::Relaxed) {
                    // What becomes of them is not the point.
                    let _ = get(&address, &domain, "/slow?s=4");
                    std::thread::sleep(Duration::from_millis(20));
                }
            })
        };
        Self { threads: [0, 2].map(client).into(), stop }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| _ = thread.join());
    }
}

/// A port of a host held by a program named `holder`.
struct Taken<'a> {
    project: &'a Project,
    host: &'a str,
}

impl<'a> Taken<'a> {
    fn port(project: &'a Project, host: &'a str, port: u16) -> Self {
        let script = format!(
            "cp \"$(command -v perl)\" /tmp/holder\nnohup /tmp/holder -MIO::Socket::INET -e 'my $s; \
             until ($s = IO::Socket::INET->new(LocalPort => {port}, Listen => 5, ReuseAddr => 1)) {{ \
             select(undef, undef, undef, 0.002) }} sleep 3600' >/dev/null 2>&1 &\necho $! >/tmp/holder.pid"
        );
        project.lab.exec(host, &["sh", "-c", &script]);
        let address = project.host(host).address.clone();
        let taken = || TcpStream::connect((address.as_str(), port)).is_ok();
        lab::wait_for("the port to be taken", Duration::from_secs(10), taken);
        Self { project, host }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.project.lab.exec(self.host, &["sh", "-c", "kill $(cat /tmp/holder.pid); rm -f /tmp/holder.pid"]);
    }
}
