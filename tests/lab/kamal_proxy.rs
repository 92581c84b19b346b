//! A stand-in for kamal-proxy, for tests of the take-over: as much of it as Kamal's `proxy boot` and `deploy` use.
//!
//! `run` routes by host name on port 80 and keeps its state in the file and format of kamal-proxy 0.9, which it reads
//! back when it starts; `deploy NAME --target=ID:PORT --host=H` waits for `/up`, switches and writes the state; `list`
//! shows it. At SIGTERM it takes no more connections and finishes what is in flight, for ten seconds at most. TLS,
//! buffering, pausing and rollouts are the real one's, which `LAB_KAMAL_PROXY` may name (see README.md).

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const STATE: &str = ".config/kamal-proxy/kamal-proxy.state";
const SOCKET: &str = "/tmp/kamal-proxy.sock";

static TERMINATED: AtomicBool = AtomicBool::new(false);
static IN_FLIGHT: AtomicUsize = AtomicUsize::new(0);

// std has no signal handling, and as pid 1 of a container an unhandled SIGTERM is ignored.
unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

extern "C" fn on_signal(_: i32) {
    TERMINATED.store(true, SeqCst);
}

#[derive(Clone, Debug, Default)]
struct Service {
    hosts: Vec<String>,
    target: String,
}

type Services = Arc<Mutex<BTreeMap<String, Service>>>;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("run") => run(),
        Some("deploy" | "list" | "ls") => ask(&words),
        _ => {
            eprintln!("usage: kamal-proxy run | deploy NAME --target=T --host=H | list");
            exit(2);
        }
    }
}

fn state_path() -> String {
    format!("{}/{STATE}", env::var("HOME").unwrap_or_default())
}

// ---- the server

fn run() {
    // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
    unsafe {
        signal(15, on_signal);
        signal(2, on_signal);
    }
    let restored = fs::read_to_string(state_path()).map(|text| parse(&text));
    let services: Services = Arc::new(Mutex::new(restored.unwrap_or_default()));
    let _ = fs::remove_file(SOCKET);
    let commands = UnixListener::bind(SOCKET).expect("the command socket");
    let http = TcpListener::bind(("0.0.0.0", 80)).expect("port 80");
    let https = TcpListener::bind(("0.0.0.0", 443)).expect("port 443");
    println!("Server started");
    let shared = Arc::clone(&services);
    thread::spawn(move || {
        for stream in commands.incoming().flatten() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || command(stream, &shared));
        }
    });
    thread::spawn(move || https.incoming().for_each(drop));
    http.set_nonblocking(true).expect("a listener that can be left");
    while !TERMINATED.load(SeqCst) {
        match http.accept() {
            Ok((stream, _)) => {
                let services = Arc::clone(&services);
                thread::spawn(move || converse(stream, &services));
            }
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
    drop(http);
    let began = Instant::now();
    while IN_FLIGHT.load(SeqCst) > 0 && began.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(5));
    }
    println!("Server stopped");
}

/// One request a connection: the answer says `Connection: close`.
fn converse(client: TcpStream, services: &Services) {
    IN_FLIGHT.fetch_add(1, SeqCst);
    let _ = client.set_nonblocking(false);
    let _ = serve(client, services);
    IN_FLIGHT.fetch_sub(1, SeqCst);
}

fn serve(mut client: TcpStream, services: &Services) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 0 && !head.ends_with("\r\n\r\n") {}
    if head.is_empty() {
        return Ok(());
    }
    let host = header(&head, "host").unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let length = header(&head, "content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let target = {
        let services = services.lock().expect("not poisoned");
        let leads = |s: &&Service| s.hosts.is_empty() || s.hosts.contains(&host);
        services.values().find(leads).map(|s| s.target.clone())
    };
    let answer = match target {
        None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        Some(target) => forward(&target, &closing(&head), &body)
            .unwrap_or_else(|_| b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n".to_vec()),
    };
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    client.write_all(closing(&String::from_utf8_lossy(&answer[..split])).as_bytes())?;
    client.write_all(&answer[split..])
}

fn forward(target: &str, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut upstream = connect(target)?;
    upstream.write_all(head.as_bytes())?;
    upstream.write_all(body)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

fn header(head: &str, name: &str) -> Option<String> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned()).next()
}

/// A head of a message with `Connection: close` in the place of what it said.
fn closing(head: &str) -> String {
    let lines = head.trim_end().split("\r\n");
    let kept = lines.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    kept.chain(["Connection: close", "", ""]).collect::<Vec<_>>().join("\r\n")
}

/// Static glibc cannot resolve names without its shared libraries, so Docker's DNS is asked by hand.
fn connect(target: &str) -> io::Result<TcpStream> {
    let (name, port) = target.rsplit_once(':').unwrap_or((target, "80"));
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let address = match name.parse() {
        Ok(address) => address,
        Err(_) => resolve(name)?,
    };
    TcpStream::connect_timeout(&(address, port).into(), Duration::from_secs(2))
}

fn resolve(name: &str) -> io::Result<Ipv4Addr> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.send_to(&query, "127.0.0.11:53")?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    let records = u16::from_be_bytes([answer[6], answer[7]]);
    if records == 0 || length < query.len() + 15 {
        return Err(io::Error::other(format!("{name} does not resolve")));
    }
    // The first record's name is a pointer of two bytes or spelled out; then type, class, time to live and length.
    let mut at = query.len();
    while answer[at] != 0 && answer[at] < 0xc0 {
        at += answer[at] as usize + 1;
    }
    at += if answer[at] == 0 { 1 } else { 2 } + 10;
    Ok(Ipv4Addr::new(answer[at], answer[at + 1], answer[at + 2], answer[at + 3]))
}

// ---- commands

fn ask(words: &[String]) {
    let mut stream = UnixStream::connect(SOCKET).unwrap_or_else(|error| {
        eprintln!("Error: {SOCKET}: {error}");
        exit(1)
    });
    stream.write_all((words.join("\t") + "\n").as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers");
    match answer.strip_prefix("Error") {
        Some(_) => {
            eprint!("{answer}");
            exit(1);
        }
        None => print!("{answer}"),
    }
}

fn command(mut stream: UnixStream, services: &Services) {
    let mut line = String::new();
    let _ = BufReader::new(&stream).read_line(&mut line);
    let words: Vec<&str> = line.trim_end().split('\t').collect();
    let answer = match words.as_slice() {
        ["deploy", name, flags @ ..] => deploy(name, flags, services),
        _ => list(services),
    };
    let _ = stream.write_all(answer.as_bytes());
}

fn deploy(name: &str, flags: &[&str], services: &Services) -> String {
    let values = |flag: &str| -> Vec<String> {
        flags.iter().filter_map(|f| f.strip_prefix(flag)?.strip_prefix('=')).map(str::to_owned).collect()
    };
    let Some(target) = values("--target").pop() else { return "Error: target is required\n".to_owned() };
    let began = Instant::now();
    while !healthy(&target) {
        if began.elapsed() > Duration::from_secs(30) {
            return "Error: target failed to become healthy within configured timeout\n".to_owned();
        }
        thread::sleep(Duration::from_millis(100));
    }
    let mut services = services.lock().expect("not poisoned");
    services.insert(name.to_owned(), Service { hosts: values("--host"), target });
    match fs::write(state_path(), render(&services)) {
        Ok(()) => String::new(),
        Err(error) => format!("Error: {}: {error}\n", state_path()),
    }
}

fn healthy(target: &str) -> bool {
    let answer = forward(target, "GET /up HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n", b"");
    answer.is_ok_and(|a| a.starts_with(b"HTTP/1.1 200"))
}

fn list(services: &Services) -> String {
    let mut text = "Service Host Path Target State TLS\n".to_owned();
    for (name, service) in services.lock().expect("not poisoned").iter() {
        text += &format!("{name} {} / {} running no\n", service.hosts.join(","), service.target);
    }
    text
}

// ---- the state file: written as kamal-proxy 0.9 does, read as it was written

fn render(services: &BTreeMap<String, Service>) -> String {
    let service = |(name, s): (&String, &Service)| {
        let hosts: Vec<String> = s.hosts.iter().map(|h| format!("{h:?}")).collect();
        format!(
            "{{\"name\":{name:?},\"options\":{{\"hosts\":[{}],\"path_prefixes\":[\"/\"],\"tls_enabled\":false,\
             \"tls_redirect\":true,\"strip_prefix\":true}},\"target_options\":{{\"health_check_config\":{{\"path\":\"/up\",\
             \"port\":0,\"interval\":1000000000,\"timeout\":5000000000,\"host\":\"\"}}}},\"active_targets\":[{:?}],\
             \"active_readers\":null,\"rollout_targets\":null,\"rollout_readers\":null,\"pause_controller\":{{\"state\":0,\
             \"stop_message\":\"\",\"fail_after\":0}},\"rollout_controller\":null}}",
            hosts.join(","),
            s.target
        )
    };
    let all: Vec<String> = services.iter().map(service).collect();
    format!("[{}]\n", all.join(","))
}

fn parse(text: &str) -> BTreeMap<String, Service> {
    let between = |text: &str, from: &str, to: char| -> String {
        text.split_once(from).and_then(|(_, rest)| rest.split_once(to)).map_or_else(String::new, |(it, _)| it.to_owned())
    };
    let list = |text: &str| -> Vec<String> {
        text.split(',').map(|t| t.trim_matches('"').to_owned()).filter(|t| !t.is_empty()).collect()
    };
    let services = text.split("{\"name\":").skip(1).map(|part| {
        let name = between(part, "\"", '"');
        let hosts = list(&between(part, "\"hosts\":[", ']'));
        let target = list(&between(part, "\"active_targets\":[", ']')).pop().unwrap_or_default();
        (name, Service { hosts, target })
    });
    services.collect()
}
