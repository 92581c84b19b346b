//! The files of a state directory besides the journal, and all of them together.

use super::parse;
use crate::effect::FileSet;
use crate::fleet::{Freeze, Journal};
use crate::name::RunId;
use crate::release::{FingerprintKey, HostReport, ReleaseRecord, SCHEMA};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// A record as its file holds it.
pub fn render_record(record: &ReleaseRecord) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(record).unwrap_or_else(|_| unreachable!("a record is plain data"));
    text.push(b'\n');
    text
}

/// A run's report as its file holds it.
pub fn render_report(report: &HostReport) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(report).unwrap_or_else(|_| unreachable!("a report is plain data"));
    text.push(b'\n');
    text
}

/// The report in a run's directory; `None` where there is none, or none that this build understands.
pub fn read_report(files: &FileSet) -> Option<HostReport> {
    let report: HostReport = serde_json::from_slice(files.get("report.json")?).ok()?;
    (report.schema <= SCHEMA).then_some(report)
}

/// What a state directory holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateFiles {
    /// The journal.
    pub journal: Journal,
    /// Records that could be read.
    pub records: BTreeMap<RunId, Arc<ReleaseRecord>>,
    /// Names of those that could not: damaged, of a newer schema, or another release's than their name says.
    pub bad_records: Vec<String>,
    /// The key.
    pub key: Option<FingerprintKey>,
    /// The lock taken by hand.
    pub freeze: Option<Freeze>,
}

/// Records by the bytes of their files. Every host has the same ones, so those of the second host are read already.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<Vec<u8>, Arc<ReleaseRecord>>>);

impl Known {
    fn record(&self, content: &[u8]) -> Option<Arc<ReleaseRecord>> {
        if let Some(record) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(content) {
            return Some(record.clone());
        }
        let record: Arc<ReleaseRecord> = Arc::new(serde_json::from_slice(content).ok()?);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(content.to_vec(), record.clone());
        Some(record)
    }
}

/// Reads a state directory.
pub fn read(files: &FileSet) -> StateFiles {
    read_with(files, &Known::default())
}

/// Reads a state directory of one of several hosts.
pub fn read_with(files: &FileSet, known: &Known) -> StateFiles {
    let mut state = StateFiles {
        journal: files.get("journal.jsonl").map(|b| parse(b)).unwrap_or_default(),
        ..StateFiles::default()
    };
    for (name, content) in files {
        let Some(run) = name.strip_prefix("releases/").and_then(|n| n.strip_suffix(".json")) else { continue };
        match known.record(content) {
            Some(record) if record.schema <= SCHEMA && record.run.as_str() == run => {
                state.records.insert(record.run.clone(), record);
            }
            _ => state.bad_records.push(name.clone()),
        }
    }
    state.key = files.get("key").and_then(|bytes| FingerprintKey::new(bytes.clone()));
    state.freeze = files.get("freeze").map(|bytes| parse_freeze(bytes));
    state
}

/// The lock taken by hand. A file that cannot be read is a lock all the same: somebody wanted everybody to stop.
fn parse_freeze(bytes: &[u8]) -> Freeze {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Freeze {
        actor: "unknown".to_string(),
        message: "the lock's file cannot be read".to_string(),
        since: Timestamp::UNIX_EPOCH,
    })
}

/// The lock taken by hand, as its file holds it.
pub fn render_freeze(freeze: &Freeze) -> Vec<u8> {
    let mut text = serde_json::to_vec(freeze).unwrap_or_else(|_| unreachable!("a freeze is plain data"));
    text.push(b'\n');
    text
}
