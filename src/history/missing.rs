//! What a host that was away has missed.

use crate::fleet::Journal;
use crate::name::RunId;
use crate::release::{Entry, Fact};
use std::collections::{BTreeMap, BTreeSet};

/// Which of the facts about a run as a whole it is; `None` for one that is about a single host. A run that marks
/// releases marks each once, and the release tells its marks apart.
fn about_the_run(fact: &Fact) -> Option<(u8, Option<&RunId>)> {
    match fact {
        Fact::Intent { .. } => Some((0, None)),
        Fact::Marked { release, .. } => Some((1, Some(release))),
        Fact::Outcome { .. } => Some((OUTCOME, None)),
        Fact::Switched { .. } | Fact::Stopped { .. } | Fact::Pruned { .. } => None,
    }
}

const OUTCOME: u8 = 2;

fn key(entry: &Entry) -> Option<(&RunId, (u8, Option<&RunId>))> {
    about_the_run(&entry.fact).map(|kind| (&entry.run, kind))
}

/// The lines of `from` (the journals of other hosts, concatenated) that `to` has to be given.
///
/// Only how a run began, what it said of releases and how it ended: that is true wherever it is written. What was switched, stopped
/// or pruned is true of one host only. A run that began without an end anywhere is not handed on: it never touched
/// this host, and an intent without an outcome would keep its prune from working for good. An intent that `to` has
/// itself gets its outcome, if somebody knows it.
///
/// In the order of the runs (their ids sort by time), an intent first and its outcome last, each once: the first one found.
pub fn missing_lines(from: &[Entry], to: &Journal) -> Vec<Entry> {
    let known: BTreeSet<_> = to.entries.iter().filter_map(key).collect();
    let ended: BTreeSet<_> =
        from.iter().filter_map(key).filter(|(_, (kind, _))| *kind == OUTCOME).map(|(run, _)| run).collect();
    let mut lines: BTreeMap<_, &Entry> = BTreeMap::new();
    for entry in from {
        if let Some(key) = key(entry).filter(|key| ended.contains(key.0) && !known.contains(key)) {
            lines.entry(key).or_insert(entry);
        }
    }
    lines.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{Outcome, RunVerb, SCHEMA};

    const RUNS: [&str; 3] = ["01JGZ3V8Q4N5X6Y7Z8A9B0C1D1", "01JGZ3V8Q4N5X6Y7Z8A9B0C1D2", "01JGZ3V8Q4N5X6Y7Z8A9B0C1D3"];

    fn entry(run: usize, fact: Fact) -> Entry {
        Entry { schema: SCHEMA, run: RUNS[run].parse().unwrap(), at: "2026-01-05T09:00:00Z".parse().unwrap(), fact }
    }

    fn intent(run: usize) -> Entry {
        entry(run, Fact::Intent { verb: RunVerb::Deploy, release: None, actor: "a@b".into(), hosts: vec![] })
    }

    fn outcome(run: usize) -> Entry {
        entry(run, Fact::Outcome { outcome: Outcome::Succeeded, reason: None })
    }

    fn journal(entries: Vec<Entry>) -> Journal {
        Journal { entries, ..Journal::default() }
    }

    #[test]
    fn facts_about_runs_are_handed_on_once_and_in_order() {
        let pruned = entry(0, Fact::Pruned { containers: 1, images: 1 });
        let others = [intent(1), pruned, outcome(1), intent(0), outcome(0), intent(1), outcome(1)];
        let expected = vec![intent(0), outcome(0), intent(1), outcome(1)];
        assert_eq!(missing_lines(&others, &journal(vec![])), expected);
        assert_eq!(missing_lines(&others, &journal(expected)), vec![], "giving them twice gives nothing");
    }

    #[test]
    fn an_intent_without_an_end_stays_where_it_is_and_gets_its_end_when_there_is_one() {
        assert_eq!(missing_lines(&[intent(2)], &journal(vec![])), vec![]);
        assert_eq!(missing_lines(&[intent(2), outcome(2)], &journal(vec![intent(2)])), vec![outcome(2)]);
    }
}
