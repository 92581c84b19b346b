//! The union of what the hosts' journals and records say about runs.
//!
//! Every host holds a part (one that was away misses lines); together they are a set, so joining is associative,
//! commutative and idempotent: neither the order of the hosts nor hearing a thing twice matters. Facts about one
//! host's traffic (`Switched`, `Stopped`) are not part of the union: they are only meaningful on their host.

use crate::fleet::{HostFacts, LeaseState};
use crate::name::RunId;
use crate::release::{Entry, Fact, Outcome, ReleaseRecord};
use jiff::Timestamp;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What all hosts together say about one run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RunFacts<'a> {
    pub(super) intent: Option<&'a Entry>,
    /// The line of the outcome that counts.
    pub(super) end: Option<&'a Entry>,
    pub(super) record: Option<&'a Arc<ReleaseRecord>>,
}

/// The runs of a service and destination, and those that hold a lease now.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Merged<'a> {
    pub(super) runs: BTreeMap<RunId, RunFacts<'a>>,
    pub(super) live: BTreeSet<RunId>,
    /// What was said of releases: by time, run and text, so that a line heard twice is one.
    pub(super) marks: BTreeMap<(Timestamp, RunId, String), &'a Entry>,
}

impl RunFacts<'_> {
    /// How it ended.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.end.and_then(outcome_of)
    }
}

fn outcome_of(entry: &Entry) -> Option<Outcome> {
    match &entry.fact {
        Fact::Outcome { outcome, .. } => Some(*outcome),
        _ => None,
    }
}

impl<'a> Merged<'a> {
    pub(super) fn of(hosts: impl Iterator<Item = &'a HostFacts>) -> Self {
        hosts.map(Self::of_host).fold(Self::default(), Self::join)
    }

    pub(super) fn of_host(facts: &'a HostFacts) -> Self {
        let mut merged = Self::default();
        for entry in &facts.journal.entries {
            let said = match &entry.fact {
                Fact::Intent { .. } => RunFacts { intent: Some(entry), ..RunFacts::default() },
                Fact::Outcome { .. } => RunFacts { end: Some(entry), ..RunFacts::default() },
                Fact::Marked { .. } => {
                    let text = serde_json::to_string(&entry.fact).unwrap_or_default();
                    merged.marks.insert((entry.at, entry.run.clone(), text), entry);
                    continue;
                }
                Fact::Switched { .. } | Fact::Stopped { .. } | Fact::Pruned { .. } => continue,
            };
            merged.add(&entry.run, said);
        }
        for (run, record) in &facts.records {
            merged.add(run, RunFacts { record: Some(record), ..RunFacts::default() });
        }
        if let LeaseState::Held(Some(holder)) = &facts.lease {
            merged.live.insert(holder.run.clone());
        }
        merged
    }

    pub(super) fn join(mut self, other: Self) -> Self {
        for (run, said) in other.runs {
            self.add(&run, said);
        }
        self.live.extend(other.live);
        self.marks.extend(other.marks);
        self
    }

    fn add(&mut self, run: &RunId, said: RunFacts<'a>) {
        let known = self.runs.entry(run.clone()).or_default();
        known.intent = either(known.intent, said.intent, one_of);
        known.end = either(known.end, said.end, worse);
        known.record =
            either(
                known.record,
                said.record,
                |a, b| if Arc::ptr_eq(a, b) || one_of(&**a, &**b) == &**a { a } else { b },
            );
    }
}

fn either<T>(a: Option<T>, b: Option<T>, both: fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (a, b) => a.or(b),
    }
}

/// Copies of one line are equal. Should two differ all the same, the choice must not depend on who was asked first.
fn one_of<'a, T: PartialEq + Serialize>(a: &'a T, b: &'a T) -> &'a T {
    let text = |t: &T| serde_json::to_string(t).unwrap_or_default();
    if a == b || text(a) <= text(b) { a } else { b }
}

/// Hosts disagree when a coordinator could not write its last word everywhere and a later run closed the intent that
/// it found, or when it had to take a word back. The worst word counts: a release is stable only when nobody says
/// otherwise, since a wrong `stable` makes a bad default target and a wrong `failed` only asks for a name.
fn worse<'a>(a: &'a Entry, b: &'a Entry) -> &'a Entry {
    let rank = |entry: &Entry| match outcome_of(entry) {
        None | Some(Outcome::Succeeded) => 0,
        Some(Outcome::Reverted) => 1,
        Some(Outcome::Interrupted) => 2,
        Some(Outcome::Abandoned) => 3,
        Some(Outcome::Unverified) => 4,
    };
    // Hosts write the same outcome at slightly different times: the first word counts, by any order of asking.
    match rank(a).cmp(&rank(b)).then_with(|| b.at.cmp(&a.at)) {
        Ordering::Greater => a,
        Ordering::Less => b,
        Ordering::Equal => one_of(a, b),
    }
}
