//! Why what a host knows of its past cannot be relied on alone. The other hosts' answers still count.

use crate::fleet::{Fleet, HostFacts};
use crate::history::History;
use crate::name::{HostName, RunId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is wrong with a host's history. Nothing is pruned on such a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "doubt", rename_all = "snake_case")]
pub enum Doubt {
    /// A write was cut off; the next run closes the line.
    Torn,
    /// A line is no entry.
    Unreadable {
        /// Which, and why.
        why: String,
    },
    /// A newer windlass wrote to it.
    NewerSchema,
    /// Records of releases that cannot be read.
    BadRecords {
        /// Their files.
        files: Vec<String>,
    },
    /// It was away when these were made; the next deploy or rollback gives it what it missed.
    Missed {
        /// `v42`, oldest first.
        releases: Vec<String>,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn => {
                f.write_str("the last line of its journal was cut off; the next deploy or rollback closes it")
            }
            Self::Unreadable { why } => f.write_str(why),
            Self::NewerSchema => f.write_str("a newer windlass wrote its journal"),
            Self::BadRecords { files } => write!(f, "unreadable records: {}", files.join(", ")),
            Self::Missed { releases } => {
                let what = span(releases);
                write!(
                    f,
                    "its journal is older than the others' and misses {what}; the next deploy or rollback adds it"
                )
            }
        }
    }
}

/// `v3`, or `v3, v5 and v7`, or `5 releases from v3 to v9`.
fn span(releases: &[String]) -> String {
    match releases {
        [] => "nothing".to_string(),
        [one] => one.clone(),
        [first, .., last] if releases.len() > 4 => format!("{} releases from {first} to {last}", releases.len()),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// The doubts of every host that answered and has any. `history` must be that of the same fleet.
pub fn doubts(fleet: &Fleet, history: &History) -> BTreeMap<HostName, Vec<Doubt>> {
    let found = fleet.reachable().map(|(host, facts)| (host.clone(), on_host(facts, history)));
    found.filter(|(_, doubts)| !doubts.is_empty()).collect()
}

pub(super) fn on_host(facts: &HostFacts, history: &History) -> Vec<Doubt> {
    let journal = &facts.journal;
    let bad = &facts.bad_records;
    let mut doubts: Vec<Doubt> = journal.unreadable.iter().map(|why| Doubt::Unreadable { why: why.clone() }).collect();
    doubts.extend(journal.newer_schema.then_some(Doubt::NewerSchema));
    doubts.extend(journal.torn.then_some(Doubt::Torn));
    doubts.extend((!bad.is_empty()).then(|| Doubt::BadRecords { files: bad.clone() }));
    doubts.extend(missed(facts, history));
    doubts
}

/// Releases that ended and that this host should know of. A host that never heard of the service has missed nothing: it
/// is new.
fn missed(facts: &HostFacts, history: &History) -> Option<Doubt> {
    if facts.journal.entries.is_empty() && facts.containers.is_empty() {
        return None;
    }
    let heard: BTreeSet<&RunId> = facts.journal.entries.iter().map(|entry| &entry.run).collect();
    let unreadable = |run: &RunId| facts.bad_records.iter().any(|file| file.contains(run.as_str()));
    let lacks_record = |run: &RunId| !facts.records.contains_key(run) && !unreadable(run);
    let is_missed = |run: &RunId, recorded: bool| !heard.contains(run) || (recorded && lacks_record(run));
    let ended = history.releases.iter().filter(|r| r.outcome.is_some());
    let missed = ended.filter(|r| r.run.as_ref().is_some_and(|run| is_missed(run, r.record.is_some())));
    let releases: Vec<String> = missed.map(|r| r.label()).collect();
    (!releases.is_empty()).then_some(Doubt::Missed { releases })
}
