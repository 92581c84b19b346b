//! The proxy's own features on real hosts: HTTPS and its renewal, maintenance, replacement.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;

use project::Project;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const HOSTS: usize = 2;

/// A certificate and its key.
struct Made {
    pem: String,
    key: String,
    der: CertificateDer<'static>,
}

/// `days`: when it begins and ends, from today.
fn made(domain: &str, days: (i64, i64)) -> Made {
    let mut params = rcgen::CertificateParams::new(vec![domain.to_owned()]).expect("a name");
    let now = jiff::Timestamp::now();
    let date = |days: i64| {
        let day = (now + jiff::SignedDuration::from_hours(24 * days)).to_zoned(jiff::tz::TimeZone::UTC).date();
        let part = |n: i8| u8::try_from(n).expect("a part of a date");
        rcgen::date_time_ymd(day.year().into(), part(day.month()), part(day.day()))
    };
    (params.not_before, params.not_after) = (date(days.0), date(days.1));
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    Made { pem: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
}

fn trusting(made: &[&Made]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for one in made {
        roots.add(one.der.clone()).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

type Https = StreamOwned<ClientConnection, TcpStream>;

fn connect(address: &str, domain: &str, trusted: &Arc<ClientConfig>) -> std::io::Result<Https> {
    let name = ServerName::try_from(domain.to_owned()).map_err(std::io::Error::other)?;
    let stream = TcpStream::connect((address, 443))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let connection = ClientConnection::new(trusted.clone(), name).map_err(std::io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// One request on a connection: its status, its body, and whether the connection may be used again.
fn ask(stream: &mut Https, domain: &str) -> std::io::Result<(u16, String, bool)> {
    write!(stream, "GET / HTTP/1.1\r\nHost: {domain}\r\n\r\n")?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|l| l.lines().next()?.trim().parse().ok());
            if length.is_some_and(|length: usize| body.len() >= length) {
                let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
                let status = status.ok_or_else(|| std::io::Error::other(format!("no status: {head}")))?;
                return Ok((status, body.to_owned(), !head.contains("connection: close")));
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::Error::other(format!("closed after {text:?}"))),
            n => answer.extend_from_slice(&buffer[..n]),
        }
    }
}

fn get(address: &str, domain: &str, trusted: &Arc<ClientConfig>) -> std::io::Result<(u16, String)> {
    let (status, body, _) = ask(&mut connect(address, domain, trusted)?, domain)?;
    Ok((status, body))
}

/// Clients by HTTPS at full speed, half of them with a new connection for each request.
struct Load {
    over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(project: &Project, trusted: &Arc<ClientConfig>) -> Self {
        let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = project.hosts.iter().flat_map(|host| (0..4).map(move |n| (host.address.clone(), n % 2 == 0)));
        let clients = clients.map(|(address, keeps)| {
            let (domain, trusted) = (project.domain(), trusted.clone());
            let (over, done) = (over.clone(), done.clone());
            std::thread::spawn(move || client(&address, &domain, &trusted, keeps, &over, &done))
        });
        Self { clients: clients.collect(), over, done }
    }

    fn wait_for_more(&self) {
        let (before, since) = (self.done.load(SeqCst), Instant::now());
        while self.done.load(SeqCst) < before + 100 {
            assert!(since.elapsed() < Duration::from_secs(30), "no traffic for 30 s");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(self) -> (u64, Vec<String>) {
        self.over.store(true, SeqCst);
        let failures = self.clients.into_iter().flat_map(|c| c.join().expect("a client ends")).collect();
        (self.done.load(SeqCst), failures)
    }
}

fn client(
    address: &str,
    domain: &str,
    trusted: &Arc<ClientConfig>,
    keeps: bool,
    over: &AtomicBool,
    done: &AtomicU64,
) -> Vec<String> {
    let (mut failures, mut stream) = (Vec::new(), None);
    while !over.load(SeqCst) {
        let connected = stream.take().map_or_else(|| connect(address, domain, trusted), Ok);
        match connected.and_then(|mut s| Ok((ask(&mut s, domain)?, s))) {
            Ok(((200, _, again), s)) => {
                done.fetch_add(1, SeqCst);
                stream = Some(s).filter(|_| keeps && again);
            }
            Ok(((status, ..), _)) => failures.push(format!("status {status}")),
            Err(error) => failures.push(error.to_string()),
        }
    }
    failures
}

const SSL: &str = "ssl:\n  certificate_pem: CERT\n  private_key_pem: KEY";

fn give(project: &Project, certificate: &str, key: &str) {
    project.secrets(&[("CERT", certificate), ("KEY", key)]);
}

#[test]
fn a_certificate_is_renewed_without_a_lost_request_and_a_bad_one_is_refused() {
    let project = Project::new("https", HOSTS);
    let domain = project.domain();
    project.image("v1", &[]);
    let (old, new) = (made(&domain, (-10, 60)), made(&domain, (-1, 90)));
    project.configure(&project.config().proxy(SSL));
    give(&project, &old.pem, &old.key);
    project.ok(&["setup", "--version", "v1"]);
    let first = &project.hosts[0];
    for host in &project.hosts {
        let (status, body) = get(&host.address, &domain, &trusting(&[&old])).expect("HTTPS");
        assert!(status == 200 && body.contains("v1"), "{status} {body}");
        assert_eq!(project.page(&host.name, "/").status, 301, "HTTP is sent to HTTPS");
    }

    // What is wrong is said before anything changes.
    let before = project.json(&["proxy", "details"]);
    give(&project, &new.pem, &old.key);
    for verb in [&["proxy", "certs"][..], &["deploy", "--version", "v1"]] {
        project.run(verb).expect(3).assert_says("the key in secret `KEY` does not belong to the certificate");
    }
    let (expired, early) = (made(&domain, (-30, -10)), made(&domain, (10, 30)));
    for (bad, words) in [(&expired, "has expired"), (&early, "is not valid yet")] {
        give(&project, &bad.pem, &bad.key);
        project.run(&["proxy", "certs"]).expect(4).assert_says(words);
    }
    let other = made("other.example.com", (-1, 30));
    give(&project, &other.pem, &other.key);
    project.ok(&["proxy", "certs", "--dry-run"]).assert_says(&format!("not for {domain}"));
    assert_eq!(project.json(&["proxy", "details"]), before, "nothing was changed");

    let load = Load::start(&project, &trusting(&[&old, &new]));
    load.wait_for_more();
    give(&project, &new.pem, &new.key);
    let renewed = project.ok(&["proxy", "certs"]);
    load.wait_for_more();
    let (requests, failures) = load.stop();
    println!("{requests} requests by HTTPS during the renewal\n{renewed}");
    assert_eq!(failures, Vec::<String>::new(), "of {requests} requests");
    for host in &project.hosts {
        assert_eq!(get(&host.address, &domain, &trusting(&[&new])).expect("the new one").0, 200);
        assert!(get(&host.address, &domain, &trusting(&[&old])).is_err(), "the old one is shown");
    }
    project.ok(&["proxy", "certs"]).assert_says("nothing to do");

    // The key: in one file of 0600 a host, in nothing that was said and in no other file.
    let dir = "/root/.windlass/proxy/edge";
    let files = project.lab.exec(&first.name, &["sh", "-c", &format!("stat -c '%a %n' {dir}/*")]);
    let keys: Vec<_> = files.lines().filter(|line| line.ends_with(".pem")).collect();
    assert!(keys.len() == 1 && keys[0].starts_with("600 "), "{files}");
    let needle = new.key.lines().nth(1).expect("a line of the key");
    let found =
        project.lab.exec(&first.name, &["sh", "-c", &format!("grep -rlF -e '{needle}' /root/.windlass || true")]);
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(!renewed.said().contains(needle));
    let logs = project.lab.docker(&first.name, &["logs", "windlass-proxy"]);
    assert!(!logs.contains(needle), "{logs}");
}

#[test]
fn maintenance_lasts_over_a_deploy_and_a_reboot_of_the_proxy_until_live() {
    let project = Project::new("closed", HOSTS);
    for version in ["v1", "v2"] {
        project.image(version, &[]);
    }
    project.write("public/503.html", "<p>closed: {{ .Message }}</p>");
    project.configure(&project.config().extra("error_pages_path: public"));
    project.ok(&["setup", "--version", "v1"]);
    let closed = || {
        for host in &project.hosts {
            let page = project.page(&host.name, "/");
            assert_eq!((page.status, page.body.as_str()), (503, "<p>closed: back &amp; well at 3</p>"));
        }
    };
    project.ok(&["app", "maintenance", "--message", "back & well at 3"]);
    closed();
    project.ok(&["deploy", "--version", "v2"]).assert_says("is in maintenance (back & well at 3) and stays so");
    closed();
    let rebooted = project.ok(&["proxy", "reboot"]);
    println!("{rebooted}");
    for host in &project.hosts {
        let said = rebooted.said();
        let gap = said.lines().find(|l| l.starts_with(&host.address) && l.contains("nothing answered for "));
        assert!(gap.is_some(), "no gap of {}: {rebooted}", host.name);
    }
    closed();
    project.ok(&["status"]).assert_says("in maintenance");
    project.ok(&["app", "live"]);
    project.assert_all_serve("v2");

    project.run(&["proxy", "remove"]).expect(4).assert_says("routes closed-web");
    project.assert_all_serve("v2");
}
