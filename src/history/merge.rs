//! The union of what the hosts' journals and records say about runs.
//!
//! Every host holds a part (one that was away misses lines); together they are a set, so joining is associative,
//! commutative and idempotent: neither the order of the hosts nor hearing a thing twice matters. Facts about one
//! host's traffic (`Switched`, `Stopped`) are not part of the union: they are only meaningful on their host.

use crate::fleet::{HostFacts, LeaseState};
use crate::name::RunId;
use crate::release::{Entry, Fact, Outcome, ReleaseRecord};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What all hosts together say about one run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RunFacts<'a> {
    pub(super) intent: Option<&'a Entry>,
    pub(super) outcome: Option<Outcome>,
    pub(super) record: Option<&'a ReleaseRecord>,
}

/// The runs of a service and destination, and those that hold a lease now.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Merged<'a> {
    pub(super) runs: BTreeMap<RunId, RunFacts<'a>>,
    pub(super) live: BTreeSet<RunId>,
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
                Fact::Outcome { outcome, .. } => RunFacts { outcome: Some(*outcome), ..RunFacts::default() },
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
        self
    }

    fn add(&mut self, run: &RunId, said: RunFacts<'a>) {
        let known = self.runs.entry(run.clone()).or_default();
        known.intent = either(known.intent, said.intent, one_of);
        known.outcome = either(known.outcome, said.outcome, worse);
        known.record = either(known.record, said.record, one_of);
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
fn worse(a: Outcome, b: Outcome) -> Outcome {
    let rank = |o: Outcome| match o {
        Outcome::Succeeded => 0,
        Outcome::Reverted => 1,
        Outcome::Interrupted => 2,
        Outcome::Abandoned => 3,
        Outcome::Unverified => 4,
    };
    if rank(a) >= rank(b) { a } else { b }
}
