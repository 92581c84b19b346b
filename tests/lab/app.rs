//! The demo application of the lab: one static binary without dependencies, for `FROM scratch` images.
//!
//! `app` serves HTTP, `app worker` only logs, `app check` is a HEALTHCHECK, `app env` prints the environment, `app cat`
//! prints its input, `app flood LINES` prints lines of 100 KB, and `app talk` is a dialogue on a terminal.
//! README.md lists the environment variables and the pages.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

static TERMINATED: AtomicBool = AtomicBool::new(false);
static IN_FLIGHT: AtomicUsize = AtomicUsize::new(0);

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

// std has no signal handling, and as pid 1 of a container an unhandled SIGTERM is ignored.
unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

extern "C" fn on_signal(_: i32) {
    TERMINATED.store(true, SeqCst);
}

fn main() {
    // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
    unsafe {
        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
    }
    match env::args().nth(1).as_deref() {
        None | Some("serve") => serve(),
        Some("worker") => work(),
        Some("check") => exit(if check().unwrap_or(false) { 0 } else { 1 }),
        Some("env") => print!("{}", environment()),
        Some("cat") => exit(if io::copy(&mut io::stdin(), &mut io::stdout()).is_ok() { 0 } else { 1 }),
        Some("flood") => flood(),
        Some("talk") => talk(),
        Some(other) => {
            eprintln!("unknown mode {other}: serve, worker, check, env, cat, flood or talk");
            exit(2);
        }
    }
}

fn flood() {
    let lines = env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(1_u32);
    for n in 0..lines {
        println!("{n} {}", "x".repeat(100_000));
    }
}

// std does not tell the size of a terminal.
#[repr(C)]
#[derive(Default)]
struct Size {
    rows: u16,
    columns: u16,
    pixels: [u16; 2],
}

unsafe extern "C" {
    fn ioctl(fd: i32, request: u64, size: *mut Size) -> i32;
}

const TIOCGWINSZ: u64 = 0x5413;

/// Answers to `size` and `exit N`, echoes the rest; Ctrl-C ends it with 130.
fn talk() {
    thread::spawn(|| loop {
        if TERMINATED.load(SeqCst) {
            println!("interrupted");
            exit(130);
        }
        thread::sleep(Duration::from_millis(10));
    });
    println!("ready");
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("size", _) => {
                let mut size = Size::default();
                // SAFETY: the kernel writes one `struct winsize`, which `Size` is, or nothing.
                let known = unsafe { ioctl(0, TIOCGWINSZ, &mut size) } == 0;
                println!("size {} {} {known}", size.columns, size.rows);
            }
            ("exit", code) => exit(code.parse().unwrap_or(1)),
            _ => println!("you said {line}"),
        }
    }
}

fn var(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn version() -> String {
    var("APP_VERSION", "unknown")
}

fn hostname() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn environment() -> String {
    let mut lines: Vec<String> = env::vars_os()
        .map(|(k, v)| format!("{}={}\n", k.to_string_lossy(), v.to_string_lossy()))
        .collect();
    lines.sort();
    lines.concat()
}

/// What an application does wrong at start, by request of its environment.
fn misbehave_at_start() {
    if let Ok(name) = env::var("APP_PRINT_SECRET") {
        println!("connecting with {name}={}", var(&name, ""));
        eprintln!("cannot connect with {}", var(&name, ""));
        exit(1);
    }
    if var("APP_HEALTH", "ok") == "crash" {
        eprintln!("version {} starting", version());
        thread::sleep(Duration::from_millis(200));
        eprintln!("fatal: APP_HEALTH=crash, giving up");
        exit(1);
    }
}

fn work() {
    misbehave_at_start();
    let mut n = 0_u64;
    while !stopping() {
        println!("worker version={} host={} tick={n}", version(), hostname());
        n += 1;
        for _ in 0..50 {
            if stopping() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    println!("worker stopped");
}

/// `APP_SIGTERM=ignore` is for tests of the stop timeout.
fn stopping() -> bool {
    TERMINATED.load(SeqCst) && var("APP_SIGTERM", "") != "ignore"
}

fn check() -> io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port()))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET /up HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1) == Some("200"))
}

fn port() -> u16 {
    var("PORT", "80").parse().unwrap_or_else(|_| {
        eprintln!("PORT is not a port number: {}", var("PORT", ""));
        exit(2)
    })
}

/// Fixed at start, so that a page costs no look-up.
struct App {
    started: Instant,
    health: String,
    greeting: String,
}

fn serve() {
    misbehave_at_start();
    let listener = TcpListener::bind(("0.0.0.0", port())).unwrap_or_else(|error| {
        eprintln!("cannot listen on port {}: {error}", port());
        exit(1)
    });
    println!("version={} listening on port {}", version(), port());
    thread::spawn(wake_accept_on_signal);
    let greeting = format!(
        "version={} host={} color={}\n",
        version(),
        hostname(),
        var("COLOR", "")
    );
    let app = Arc::new(App {
        started: Instant::now(),
        health: var("APP_HEALTH", "ok"),
        greeting,
    });
    for stream in listener.incoming() {
        if stopping() {
            break;
        }
        let Ok(stream) = stream else { continue };
        let app = Arc::clone(&app);
        thread::spawn(move || {
            // A client that goes away is its own affair.
            let _ = converse(stream, &app);
        });
    }
    drop(listener);
    finish_requests();
}

/// glibc's `signal` restarts accept(2), so a connection of our own ends the wait.
fn wake_accept_on_signal() {
    while !stopping() {
        thread::sleep(Duration::from_millis(10));
    }
    let _ = TcpStream::connect(("127.0.0.1", port()));
}

/// Waits until nothing has been in flight for a moment: a request may be on its way in.
fn finish_requests() {
    println!("stopping: {} in flight", IN_FLIGHT.load(SeqCst));
    let mut quiet = 0;
    while quiet < 5 {
        quiet = if IN_FLIGHT.load(SeqCst) == 0 {
            quiet + 1
        } else {
            0
        };
        thread::sleep(Duration::from_millis(10));
    }
    println!("stopped");
}

struct Request {
    path: String,
    keep_alive: bool,
}

fn converse(stream: TcpStream, app: &App) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(request) = read_request(&mut reader)? {
        IN_FLIGHT.fetch_add(1, SeqCst);
        let answered = answer(&mut stream, app, &request);
        IN_FLIGHT.fetch_sub(1, SeqCst);
        if !answered? {
            break;
        }
    }
    Ok(())
}

/// One request with its body skipped; `None` when the client closed.
fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let path = words.nth(1).unwrap_or("/").to_owned();
    let mut keep_alive = words.next() == Some("HTTP/1.1");
    let mut body = 0_u64;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("connection") {
            keep_alive = value.eq_ignore_ascii_case("keep-alive")
                || (keep_alive && !value.eq_ignore_ascii_case("close"));
        } else if name.eq_ignore_ascii_case("content-length") {
            body = value.parse().unwrap_or(0);
        }
    }
    io::copy(&mut reader.take(body), &mut io::sink())?;
    Ok(Some(Request { path, keep_alive }))
}

/// Returns whether the connection stays open.
fn answer(stream: &mut TcpStream, app: &App, request: &Request) -> io::Result<bool> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let (status, body) = match path {
        "/up" => health(app),
        "/env" => (200, environment()),
        "/slow" => {
            thread::sleep(Duration::from_secs_f64(seconds(query)));
            (200, app.greeting.clone())
        }
        "/" => (200, app.greeting.clone()),
        _ if path.starts_with("/assets/") => asset(path),
        _ => match path
            .strip_prefix("/status/")
            .and_then(|code| code.parse().ok())
        {
            Some(code @ 200..=599) => (code, format!("status {code}\n")),
            _ => (404, format!("no page {path}\n")),
        },
    };
    let keep = request.keep_alive && !stopping();
    let connection = if keep { "keep-alive" } else { "close" };
    let response = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
        reason(status),
        body.len(),
    );
    stream.write_all(response.as_bytes())?;
    Ok(keep)
}

/// A file below `/public`, read at each request.
fn asset(path: &str) -> (u16, String) {
    let plain = !path.split('/').any(|part| part == "..");
    match fs::read_to_string(format!("/public{path}")) {
        Ok(text) if plain => (200, text),
        _ => (404, format!("no asset {path}\n")),
    }
}

/// `s=5` or `s=0.25`, at most an hour.
fn seconds(query: &str) -> f64 {
    let given = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("s="))
        .and_then(|s| s.parse::<f64>().ok());
    given
        .filter(|s| s.is_finite())
        .unwrap_or(1.0)
        .clamp(0.0, 3600.0)
}

fn health(app: &App) -> (u16, String) {
    let bad = |why: &str| (503, format!("version={} unhealthy: {why}\n", version()));
    match app.health.as_str() {
        "ok" => (200, "ok\n".to_owned()),
        "503" => bad("APP_HEALTH=503"),
        "never" => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        other => match other.strip_prefix("slow:").and_then(|s| s.parse().ok()) {
            Some(after) if app.started.elapsed() >= Duration::from_secs(after) => {
                (200, "ok\n".to_owned())
            }
            Some(_) => bad("still warming up"),
            None => bad("APP_HEALTH is none of ok, 503, never, crash, slow:SECONDS"),
        },
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
