//! `hammer`: keep-alive HTTP clients at full speed that count every failed request.
//!
//! Strict on purpose: a connection that the server ends without having said `Connection: close` costs the next
//! request, and that request is a failure. Only an announced close between two requests is none.

use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[path = "hammer/client.rs"]
mod client;
#[path = "hammer/http.rs"]
mod http;
#[path = "hammer/options.rs"]
mod options;
#[path = "hammer/tally.rs"]
mod tally;

use client::Client;
use options::{Options, USAGE};
use tally::{Tally, json, locked};

static STOP: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

extern "C" fn on_signal(_: i32) {
    STOP.store(true, SeqCst);
}

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
