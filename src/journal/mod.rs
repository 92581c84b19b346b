//! The state that windlass keeps on a host: its paths and its formats.
//!
//! `<home>/<service>/<destination or _>/`: `journal.jsonl`, `releases/<run id>.json`, `key`, `freeze`, `lease`.

use crate::effect::FileSet;
use crate::fleet::{Freeze, Journal};
use crate::name::{Destination, RunId, ServiceName};
use crate::release::{Entry, FingerprintKey, ReleaseRecord, SCHEMA};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The state directory of a service and destination.
pub fn state_dir(home: &str, service: &ServiceName, destination: Option<&Destination>) -> String {
    format!("{home}/{service}/{}", destination.map_or("_", Destination::as_str))
}

/// Its journal.
pub fn journal_path(dir: &str) -> String {
    format!("{dir}/journal.jsonl")
}

/// The record of a release.
pub fn record_path(dir: &str, run: &RunId) -> String {
    format!("{dir}/releases/{run}.json")
}

/// The key of the secret prints, mode 0600.
pub fn key_path(dir: &str) -> String {
    format!("{dir}/key")
}

/// The lock taken by hand.
pub fn freeze_path(dir: &str) -> String {
    format!("{dir}/freeze")
}

/// Kamal's lock directory, relative to the login's home.
pub fn kamal_lock(service: &ServiceName, destination: Option<&Destination>) -> String {
    format!(".kamal/lock-{service}{}", destination.map(|d| format!("-{d}")).unwrap_or_default())
}

/// A journal line, newline included.
pub fn line(entry: &Entry) -> Vec<u8> {
    let mut line = serde_json::to_vec(entry).unwrap_or_else(|_| unreachable!("an entry is plain data"));
    line.push(b'\n');
    line
}

/// A record as its file holds it.
pub fn render_record(record: &ReleaseRecord) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(record).unwrap_or_else(|_| unreachable!("a record is plain data"));
    text.push(b'\n');
    text
}

/// What a state directory holds.
#[derive(Debug, Default)]
pub struct StateFiles {
    /// The journal.
    pub journal: Journal,
    /// Records that could be read.
    pub records: BTreeMap<RunId, ReleaseRecord>,
    /// Names of those that could not.
    pub bad_records: Vec<String>,
    /// The key.
    pub key: Option<FingerprintKey>,
    /// The lock taken by hand.
    pub freeze: Option<Freeze>,
}

/// Reads a state directory.
pub fn read(files: &FileSet) -> StateFiles {
    let mut state = StateFiles {
        journal: files.get("journal.jsonl").map(|b| parse(b)).unwrap_or_default(),
        ..StateFiles::default()
    };
    for (name, content) in files {
        let Some(run) = name.strip_prefix("releases/").and_then(|n| n.strip_suffix(".json")) else { continue };
        match serde_json::from_slice::<ReleaseRecord>(content) {
            Ok(record) if record.schema <= SCHEMA && record.run.as_str() == run => {
                state.records.insert(record.run.clone(), record);
            }
            _ => state.bad_records.push(name.clone()),
        }
    }
    state.key = files.get("key").and_then(|bytes| FingerprintKey::new(bytes.clone()));
    state.freeze = files.get("freeze").and_then(|bytes| serde_json::from_slice(bytes).ok());
    state
}

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// Reads a journal. A torn line (one that ends too early: a write that was cut off, to which the next writer added the
/// newline) is not a fact; any other line that cannot be read makes the whole unreliable; one of a newer schema makes
/// it read-only.
pub fn parse(bytes: &[u8]) -> Journal {
    let mut journal = Journal::default();
    let mut lines = bytes.split(|b| *b == b'\n').enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let is_last = lines.peek().is_none();
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Entry>(line) {
            Ok(entry) if entry.schema <= SCHEMA && !is_last => journal.entries.push(entry),
            Err(error) if error.is_eof() => journal.torn = true,
            _ if is_last => journal.torn = true,
            _ if serde_json::from_slice::<Schema>(line).is_ok_and(|s| s.schema > SCHEMA) => journal.newer_schema = true,
            _ => drop(journal.unreadable.get_or_insert(format!("line {} is not a journal entry", number + 1))),
        }
    }
    journal
}
