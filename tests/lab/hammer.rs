//! `hammer`: keep-alive HTTP clients at full speed that count every failed request.
//!
//! Strict on purpose: a connection that the server ends without having said `Connection: close` costs the next
//! request, and that request is a failure. Only an announced close between two requests is none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

static STOP: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

extern "C" fn on_signal(_: i32) {
    STOP.store(true, SeqCst);
}

const USAGE: &str = "usage: hammer [options] URL[@HOST]...
  URL is http://ADDRESS[:PORT][/PATH]; HOST is what to send as Host header (default: the address)
  --connections N     keep-alive connections per target (20)
  --seconds S         stop after S seconds
  --until-file F      stop when F exists
  --timeout S         a request that takes longer has failed (10)
  --long S            one more connection per target with /slow?s=S always in flight, counted on its own
  --report-every S    a JSON line on stderr every S seconds
Stops at SIGTERM and SIGINT too; requests in flight are finished. One JSON object on stdout at the end.
`ready` on stderr: every target has answered 200 at least once.";

fn main() {
    let options = Options::parse(std::env::args().skip(1)).unwrap_or_else(|why| {
        eprintln!("hammer: {why}\n{USAGE}");
        exit(2)
    });
    // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
    unsafe {
        signal(15, on_signal);
        signal(2, on_signal);
    }
    let began = Instant::now();
    let lanes = start(&options);
    watch(&options, &lanes, began);
    STOP.store(true, SeqCst);
    let tallies: Vec<_> = lanes.into_iter().map(Lane::finish).collect();
    println!("{}", report(&options, &tallies, began.elapsed()));
}

struct Options {
    targets: Vec<Target>,
    connections: usize,
    seconds: Option<f64>,
    until_file: Option<PathBuf>,
    timeout: Duration,
    long: Option<f64>,
    report_every: Option<Duration>,
}

#[derive(Clone)]
struct Target {
    name: String,
    address: SocketAddr,
    host: String,
    path: String,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            targets: Vec::new(),
            connections: 20,
            seconds: None,
            until_file: None,
            timeout: Duration::from_secs(10),
            long: None,
            report_every: None,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} wants a value"));
            match arg.as_str() {
                "--connections" => options.connections = number(&value()?)?,
                "--seconds" => options.seconds = Some(number(&value()?)?),
                "--until-file" => options.until_file = Some(value()?.into()),
                "--timeout" => options.timeout = Duration::from_secs_f64(number(&value()?)?),
                "--long" => options.long = Some(number(&value()?)?),
                "--report-every" => {
                    options.report_every = Some(Duration::from_secs_f64(number(&value()?)?))
                }
                "--help" | "-h" => {
                    println!("{USAGE}");
                    exit(0)
                }
                flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
                url => options.targets.push(Target::parse(url)?),
            }
        }
        if options.targets.is_empty() {
            return Err("no target".to_owned());
        }
        Ok(options)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

impl Target {
    fn parse(text: &str) -> Result<Self, String> {
        let (url, host) = text
            .rsplit_once('@')
            .map_or((text, None), |(u, h)| (u, Some(h)));
        let rest = url
            .strip_prefix("http://")
            .ok_or(format!("only http:// URLs: {url}"))?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let with_port = if authority.contains(':') {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let address = with_port
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .ok_or(format!("no address for {authority}"))?;
        let host = host.unwrap_or(authority).to_owned();
        Ok(Self {
            name: text.to_owned(),
            address,
            host,
            path: path.to_owned(),
        })
    }
}

/// How a request failed; the name is the key in the report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Failure {
    ConnectRefused,
    ConnectFailed,
    ResetBeforeResponse,
    ResetMidResponse,
    Status(u16),
    Timeout,
    Malformed,
}

impl Failure {
    const KINDS: [&str; 7] = [
        "connect_refused",
        "connect_failed",
        "reset_before_response",
        "reset_mid_response",
        "non_200",
        "timeout",
        "malformed",
    ];

    fn kind(self) -> &'static str {
        Self::KINDS[match self {
            Self::ConnectRefused => 0,
            Self::ConnectFailed => 1,
            Self::ResetBeforeResponse => 2,
            Self::ResetMidResponse => 3,
            Self::Status(_) => 4,
            Self::Timeout => 5,
            Self::Malformed => 6,
        }]
    }

    /// A failure to read: `answering` when part of the response had come already.
    fn reading(error: &io::Error, answering: bool) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Timeout,
            ErrorKind::InvalidData => Self::Malformed,
            _ if answering => Self::ResetMidResponse,
            _ => Self::ResetBeforeResponse,
        }
    }
}

struct Seen {
    count: u64,
    first: u128,
    last: u128,
}

/// What one connection has counted. Merged only for reports, so that lanes do not wait for each other.
#[derive(Default)]
struct Tally {
    requests: u64,
    failures: BTreeMap<Failure, u64>,
    versions: BTreeMap<String, Seen>,
    samples: Vec<String>,
    connects: u64,
    slowest: Duration,
}

/// Failures described one by one in the report; the rest is only counted.
const SAMPLES: usize = 10;

impl Tally {
    fn succeeded(&mut self, body: &str, took: Duration) {
        self.requests += 1;
        self.slowest = self.slowest.max(took);
        let Some(version) = body
            .split_whitespace()
            .find_map(|word| word.strip_prefix("version="))
        else {
            return;
        };
        let now = unix_ms();
        match self.versions.get_mut(version) {
            Some(seen) => (seen.count, seen.last) = (seen.count + 1, now),
            None => drop(self.versions.insert(
                version.to_owned(),
                Seen {
                    count: 1,
                    first: now,
                    last: now,
                },
            )),
        }
    }

    fn failed(&mut self, target: &Target, failure: Failure, detail: &str, took: Duration) {
        self.requests += 1;
        *self.failures.entry(failure).or_default() += 1;
        if self.samples.len() < SAMPLES {
            self.samples.push(format!(
                r#"{{"at_ms":{},"target":{},"kind":"{}","after_ms":{},"detail":{}}}"#,
                unix_ms(),
                json(&target.name),
                failure.kind(),
                took.as_millis(),
                json(detail)
            ));
        }
    }

    fn failed_total(&self) -> u64 {
        self.failures.values().sum()
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.connects += other.connects;
        self.slowest = self.slowest.max(other.slowest);
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        let room = SAMPLES.saturating_sub(self.samples.len());
        self.samples
            .extend(other.samples.iter().take(room).cloned());
        for (version, seen) in &other.versions {
            let mine = self.versions.entry(version.clone()).or_insert(Seen {
                count: 0,
                first: seen.first,
                last: seen.last,
            });
            mine.count += seen.count;
            mine.first = mine.first.min(seen.first);
            mine.last = mine.last.max(seen.last);
        }
    }

    fn to_json(&self) -> String {
        let mut kinds: BTreeMap<&str, u64> =
            Failure::KINDS.into_iter().map(|kind| (kind, 0)).collect();
        let mut statuses = Vec::new();
        for (failure, count) in &self.failures {
            *kinds.entry(failure.kind()).or_default() += count;
            if let Failure::Status(status) = failure {
                statuses.push(format!(r#""{status}":{count}"#));
            }
        }
        let kinds: Vec<_> = kinds
            .iter()
            .map(|(kind, count)| format!(r#""{kind}":{count}"#))
            .collect();
        let versions: Vec<_> = self
            .versions
            .iter()
            .map(|(v, s)| {
                format!(
                    r#"{}:{{"count":{},"first_ms":{},"last_ms":{}}}"#,
                    json(v),
                    s.count,
                    s.first,
                    s.last
                )
            })
            .collect();
        format!(
            r#"{{"requests":{},"failed":{},"failures":{{{}}},"statuses":{{{}}},"versions":{{{}}},"connects":{},"slowest_ms":{},"samples":[{}]}}"#,
            self.requests,
            self.failed_total(),
            kinds.join(","),
            statuses.join(","),
            versions.join(","),
            self.connects,
            self.slowest.as_millis(),
            self.samples.join(",")
        )
    }
}

fn unix_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis())
}

fn json(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\""
}

/// One connection with its own thread.
struct Lane {
    target: usize,
    long: bool,
    tally: Arc<Mutex<Tally>>,
    thread: thread::JoinHandle<()>,
}

impl Lane {
    fn start(options: &Options, target: usize, long: Option<f64>) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let mut client = Client::new(options, &options.targets[target], long, Arc::clone(&tally));
        Self {
            target,
            long: long.is_some(),
            tally,
            thread: thread::spawn(move || client.run()),
        }
    }

    fn finish(self) -> (usize, bool, Arc<Mutex<Tally>>) {
        if self.thread.join().is_err() {
            eprintln!("hammer: a client thread panicked: its counts are incomplete");
            exit(3);
        }
        (self.target, self.long, self.tally)
    }
}

fn start(options: &Options) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for target in 0..options.targets.len() {
        lanes.extend((0..options.connections).map(|_| Lane::start(options, target, None)));
        lanes.extend(options.long.map(|s| Lane::start(options, target, Some(s))));
    }
    lanes
}

fn watch(options: &Options, lanes: &[Lane], began: Instant) {
    let mut ready = false;
    let mut reported = began;
    loop {
        thread::sleep(Duration::from_millis(20));
        if !ready && (0..options.targets.len()).all(|target| has_answered(lanes, target)) {
            ready = true;
            eprintln!("ready");
        }
        if options
            .report_every
            .is_some_and(|every| reported.elapsed() >= every)
        {
            reported = Instant::now();
            let tallies: Vec<_> = lanes
                .iter()
                .map(|l| (l.target, l.long, Arc::clone(&l.tally)))
                .collect();
            eprintln!("{}", report(options, &tallies, began.elapsed()));
        }
        let over = options
            .seconds
            .is_some_and(|s| began.elapsed().as_secs_f64() >= s);
        if over || STOP.load(SeqCst) || options.until_file.as_ref().is_some_and(|f| f.exists()) {
            return;
        }
    }
}

fn has_answered(lanes: &[Lane], target: usize) -> bool {
    lanes
        .iter()
        .filter(|lane| lane.target == target)
        .any(|lane| {
            let tally = locked(&lane.tally);
            tally.requests > tally.failed_total()
        })
}

fn locked(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn report(
    options: &Options,
    tallies: &[(usize, bool, Arc<Mutex<Tally>>)],
    took: Duration,
) -> String {
    let sum = |wanted: &dyn Fn(usize, bool) -> bool| {
        let mut total = Tally::default();
        for (_, _, tally) in tallies
            .iter()
            .filter(|(target, long, _)| wanted(*target, *long))
        {
            total.merge(&locked(tally));
        }
        total
    };
    let all = sum(&|_, long| !long);
    let targets: Vec<_> = options
        .targets
        .iter()
        .enumerate()
        .map(|(i, target)| {
            format!(
                "{}:{}",
                json(&target.name),
                sum(&|t, long| t == i && !long).to_json()
            )
        })
        .collect();
    format!(
        r#"{{"seconds":{:.3},"requests_per_second":{:.0},"connections_per_target":{},"total":{},"long":{},"targets":{{{}}}}}"#,
        took.as_secs_f64(),
        all.requests as f64 / took.as_secs_f64(),
        options.connections,
        all.to_json(),
        sum(&|_, long| long).to_json(),
        targets.join(",")
    )
}

struct Client {
    target: Target,
    request: Vec<u8>,
    timeout: Duration,
    tally: Arc<Mutex<Tally>>,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    fn new(
        options: &Options,
        target: &Target,
        long: Option<f64>,
        tally: Arc<Mutex<Tally>>,
    ) -> Self {
        let path = long.map_or(target.path.clone(), |s| format!("/slow?s={s}"));
        let timeout = options.timeout + Duration::from_secs_f64(long.unwrap_or(0.0));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: hammer\r\n\r\n",
            target.host
        )
        .into_bytes();
        Self {
            target: target.clone(),
            request,
            timeout,
            tally,
            connection: None,
        }
    }

    fn run(&mut self) {
        while !STOP.load(SeqCst) {
            let began = Instant::now();
            let outcome = self.one_request();
            let took = began.elapsed();
            match outcome {
                Ok(body) => locked(&self.tally).succeeded(&body, took),
                Err((failure, detail)) => {
                    self.connection = self
                        .connection
                        .take()
                        .filter(|_| matches!(failure, Failure::Status(_)));
                    locked(&self.tally).failed(&self.target, failure, &detail, took);
                    // A dead target would otherwise be asked a hundred thousand times a second.
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    /// The body of a 200, or why there is none.
    fn one_request(&mut self) -> Result<String, (Failure, String)> {
        let mut connection = match self.connection.take() {
            Some(open) => open,
            None => self.connect()?,
        };
        // A write to a connection reset meanwhile fails here: the request was lost either way.
        if let Err(error) = connection.get_mut().write_all(&self.request) {
            return Err((Failure::reading(&error, false), format!("sending: {error}")));
        }
        let mut answering = false;
        let response = read_response(&mut connection, &mut answering).map_err(|error| {
            (
                Failure::reading(&error, answering),
                format!("reading: {error}"),
            )
        })?;
        if !response.close {
            self.connection = Some(connection);
        }
        if response.status == 200 {
            return Ok(response.body);
        }
        let first_line = response.body.lines().next().unwrap_or_default();
        Err((
            Failure::Status(response.status),
            format!("status {}: {first_line}", response.status),
        ))
    }

    fn connect(&self) -> Result<BufReader<TcpStream>, (Failure, String)> {
        let stream =
            TcpStream::connect_timeout(&self.target.address, self.timeout).map_err(|error| {
                let failure = match error.kind() {
                    ErrorKind::ConnectionRefused => Failure::ConnectRefused,
                    ErrorKind::TimedOut => Failure::Timeout,
                    _ => Failure::ConnectFailed,
                };
                (failure, format!("connecting: {error}"))
            })?;
        locked(&self.tally).connects += 1;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(self.timeout)))
            .and_then(|()| stream.set_write_timeout(Some(self.timeout)))
            .map_err(|error| (Failure::ConnectFailed, format!("socket options: {error}")))?;
        Ok(BufReader::new(stream))
    }
}

struct Response {
    status: u16,
    body: String,
    close: bool,
}

/// Bodies by Content-Length, chunked, or until the end of the connection.
fn read_response(reader: &mut BufReader<TcpStream>, answering: &mut bool) -> io::Result<Response> {
    let status_line = read_line(reader, answering)?;
    let status = status_line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| malformed(&status_line))?;
    let (mut length, mut chunked, mut close) = (None, false, status_line.starts_with("HTTP/1.0"));
    loop {
        let header = read_line(reader, answering)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(|| malformed(&header))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse().map_err(|_| malformed(&header))?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => close = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let body = match length {
        _ if chunked => read_chunks(reader, answering)?,
        Some(length) => read_exactly(reader, length)?,
        None => {
            close = true;
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest)?;
            rest
        }
    };
    Ok(Response {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
        close,
    })
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("not HTTP: {line:?}"))
}

fn read_line(reader: &mut BufReader<TcpStream>, answering: &mut bool) -> io::Result<String> {
    let mut line = Vec::new();
    let read = reader.read_until(b'\n', &mut line);
    *answering |= !line.is_empty();
    read?;
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(
            ErrorKind::UnexpectedEof,
            "the server closed the connection",
        ));
    }
    Ok(String::from_utf8_lossy(&line)
        .trim_end_matches('\r')
        .to_owned())
}

fn read_exactly(reader: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    reader.take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        let why = format!("the body ended after {} of {length} bytes", body.len());
        return Err(io::Error::new(ErrorKind::UnexpectedEof, why));
    }
    Ok(body)
}

fn read_chunks(reader: &mut BufReader<TcpStream>, answering: &mut bool) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader, answering)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed(&line))?;
        body.extend(read_exactly(reader, size)?);
        if size > 0 {
            read_line(reader, answering)?;
        } else {
            while !read_line(reader, answering)?.is_empty() {}
            return Ok(body);
        }
    }
}
