//! What is counted, and how it is reported.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::options::Target;

/// How a request failed; the name is the key in the report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    ConnectRefused,
    ConnectFailed,
    ResetBeforeResponse,
    ResetMidResponse,
    Status(u16),
    Timeout,
    Malformed,
}

impl Failure {
    pub const KINDS: [&str; 7] = [
        "connect_refused",
        "connect_failed",
        "reset_before_response",
        "reset_mid_response",
        "non_200",
        "timeout",
        "malformed",
    ];

    pub fn kind(self) -> &'static str {
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
    pub fn reading(error: &io::Error, answering: bool) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Timeout,
            ErrorKind::InvalidData => Self::Malformed,
            _ if answering => Self::ResetMidResponse,
            _ => Self::ResetBeforeResponse,
        }
    }
}

pub struct Seen {
    pub count: u64,
    pub first: u128,
    pub last: u128,
}

/// What one connection has counted. Merged only for reports, so that lanes do not wait for each other.
#[derive(Default)]
pub struct Tally {
    pub requests: u64,
    pub failures: BTreeMap<Failure, u64>,
    pub versions: BTreeMap<String, Seen>,
    pub samples: Vec<String>,
    pub connects: u64,
    pub slowest: Duration,
}

/// Failures described one by one in the report; the rest is only counted.
pub const SAMPLES: usize = 10;

impl Tally {
    pub fn succeeded(&mut self, body: &str, took: Duration) {
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

    pub fn failed(&mut self, target: &Target, failure: Failure, detail: &str, took: Duration) {
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

    pub fn failed_total(&self) -> u64 {
        self.failures.values().sum()
    }

    pub fn merge(&mut self, other: &Self) {
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

    pub fn to_json(&self) -> String {
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

pub fn unix_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis())
}

pub fn json(text: &str) -> String {
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

pub fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
