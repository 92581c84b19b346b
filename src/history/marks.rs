//! Labels and pins: what was said of releases, the last word counting.

use crate::history::merge::Merged;
use crate::history::{Pin, Release};
use crate::name::{Label, RunId};
use crate::release::{Entry, Fact, Mark, Outcome};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Gives every release its label and its pin.
///
/// A run that went back said nothing. One that ended without a word did: a pin that only one host was given is better
/// kept than lost.
pub(super) fn apply(releases: &mut [Release], merged: &Merged<'_>) {
    let took_back = |run: &RunId| {
        let outcome = merged.runs.get(run).and_then(|facts| facts.outcome());
        matches!(outcome, Some(Outcome::Reverted | Outcome::Interrupted))
    };
    let said = merged.marks.values().filter(|entry| !took_back(&entry.run));
    let mut words: Vec<(Timestamp, &RunId, Word<'_>)> = said.filter_map(|entry| word(entry)).collect();
    let own: Vec<_> = releases.iter().filter(|r| r.stable).filter_map(own_label).collect();
    words.extend(own.iter().map(|(at, run, label)| (*at, run, Word { release: run, mark: label })));
    words.sort_by(|(at, run, _), (other_at, other, _)| (at, run).cmp(&(other_at, other)));
    let mut labels: BTreeMap<&RunId, &Label> = BTreeMap::new();
    let mut pins: BTreeMap<&RunId, Pin> = BTreeMap::new();
    for (at, _, Word { release, mark }) in words {
        match mark {
            Mark::Labelled { label } => {
                labels.remove(release);
                if let Some(label) = label {
                    labels.retain(|_, other| *other != label);
                    labels.insert(release, label);
                }
            }
            Mark::Pinned { actor, message } => {
                pins.insert(release, Pin { actor: actor.clone(), at, message: message.clone() });
            }
            Mark::Unpinned => _ = pins.remove(release),
            Mark::Removed => {}
        }
    }
    let found: Vec<_> = releases
        .iter()
        .map(|r| r.run.as_ref().map(|run| (labels.get(run).copied().cloned(), pins.remove(run))).unwrap_or_default())
        .collect();
    for (release, (name, pin)) in releases.iter_mut().zip(found) {
        (release.name, release.pin) = (name, pin);
    }
}

struct Word<'a> {
    release: &'a RunId,
    mark: &'a Mark,
}

fn word(entry: &Entry) -> Option<(Timestamp, &RunId, Word<'_>)> {
    match &entry.fact {
        Fact::Marked { release, mark } => Some((entry.at, &entry.run, Word { release, mark })),
        _ => None,
    }
}

/// `deploy --label`: said when the run had succeeded.
fn own_label(release: &Release) -> Option<(Timestamp, RunId, Mark)> {
    let record = release.record.as_ref()?;
    let label = Some(record.label.clone()?);
    Some((release.ended.unwrap_or(record.at), record.run.clone(), Mark::Labelled { label }))
}
