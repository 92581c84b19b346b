//! Which contents a rollback or a revert left.

use crate::fleet::HostFacts;
use crate::history::Release;
use crate::history::content::{Content, Contents};
use crate::history::view::{View, facts_in_order};
use crate::name::{ContainerId, RoleName, RunId};
use crate::release::{Fact, ReleaseKind};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The contents whose last departure from some role on some host was a rollback, or a run's own way back. Serving
/// again there (deployed again, rolled back to by name, or because that rollback was itself reverted) clears it.
pub(super) fn left(views: &[View<'_>], releases: &[Release], contents: &Contents) -> BTreeSet<Content> {
    let is_rollback = |r: &&Release| matches!(r.kind, ReleaseKind::Rollback { .. });
    let rollbacks: BTreeSet<&RunId> = releases.iter().filter(is_rollback).filter_map(|r| r.run.as_ref()).collect();
    views.iter().flat_map(|view| left_on(view, view.facts, &rollbacks, contents)).collect()
}

/// Fills in from when to when each release served: the first switch to it anywhere, and the last departure.
pub(super) fn served(views: &[View<'_>], releases: &mut [Release]) {
    let mut spans: BTreeMap<RunId, (Timestamp, Option<Timestamp>)> = BTreeMap::new();
    for view in views {
        let mut now: BTreeMap<&RoleName, &RunId> = BTreeMap::new();
        for entry in &view.facts.journal.entries {
            let (role, next) = match &entry.fact {
                Fact::Switched { role, release, .. } => (role, release.as_ref()),
                Fact::Stopped { role, .. } => (role, None),
                _ => continue,
            };
            if let Some((_, until)) = now.remove(role).and_then(|left| spans.get_mut(left)) {
                *until = (*until).max(Some(entry.at));
            }
            if let Some(next) = next {
                let span = spans.entry(next.clone()).or_insert((entry.at, None));
                span.0 = span.0.min(entry.at);
                now.insert(role, next);
            }
        }
    }
    for release in releases {
        let span = release.run.as_ref().and_then(|run| spans.get(run).copied());
        release.served = span.map(|(from, until)| (from, until.filter(|_| release.running.is_empty())));
    }
}

#[derive(Default)]
struct RoleState {
    now: Option<Content>,
    left: BTreeMap<Content, bool>,
}

fn left_on(view: &View<'_>, facts: &HostFacts, rollbacks: &BTreeSet<&RunId>, contents: &Contents) -> BTreeSet<Content> {
    let mut roles: BTreeMap<&RoleName, RoleState> = BTreeMap::new();
    for entry in facts_in_order(facts) {
        let by_rollback = rollbacks.contains(&entry.run);
        match &entry.fact {
            Fact::Switched { role, from, to, release } => {
                let state = roles.entry(role).or_default();
                let next = content(view, contents, release.as_ref(), to);
                let before = state.now.take().or_else(|| view.content_of(from.as_ref()?).cloned());
                if let Some(before) = before.filter(|before| Some(before) != next.as_ref()) {
                    let reverted = release.as_ref() != Some(&entry.run) && before == contents.of_run(&entry.run);
                    state.left.insert(before, by_rollback || reverted);
                }
                next.iter().for_each(|next| _ = state.left.insert(next.clone(), false));
                state.now = next;
            }
            Fact::Stopped { role, from } => {
                let state = roles.entry(role).or_default();
                if let Some(before) = state.now.take().or_else(|| view.content_of(from).cloned()) {
                    state.left.insert(before, by_rollback);
                }
            }
            Fact::Intent { .. } | Fact::Outcome { .. } | Fact::Marked { .. } | Fact::Pruned { .. } => {}
        }
    }
    let all = roles.into_values().flat_map(|state| state.left);
    all.filter_map(|(content, left)| left.then_some(content)).collect()
}

fn content(view: &View<'_>, contents: &Contents, run: Option<&RunId>, to: &ContainerId) -> Option<Content> {
    run.map(|run| contents.of_run(run)).or_else(|| view.content_of(to).cloned())
}
