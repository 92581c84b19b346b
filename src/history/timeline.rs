//! Which contents a rollback or a revert left.

use crate::fleet::HostFacts;
use crate::history::Release;
use crate::history::content::{Content, Contents};
use crate::history::view::{View, facts_in_order};
use crate::name::{ContainerId, RoleName, RunId};
use crate::release::{Fact, ReleaseKind};
use std::collections::{BTreeMap, BTreeSet};

/// The contents whose last departure from some role on some host was a rollback, or a run's own way back. Serving
/// again there (deployed again, rolled back to by name, or because that rollback was itself reverted) clears it.
pub(super) fn left(views: &[View<'_>], releases: &[Release], contents: &Contents) -> BTreeSet<Content> {
    let is_rollback = |r: &&Release| matches!(r.kind, ReleaseKind::Rollback { .. });
    let rollbacks: BTreeSet<&RunId> = releases.iter().filter(is_rollback).filter_map(|r| r.run.as_ref()).collect();
    views.iter().flat_map(|view| left_on(view, view.facts, &rollbacks, contents)).collect()
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
            Fact::Intent { .. } | Fact::Outcome { .. } | Fact::Pruned { .. } => {}
        }
    }
    let all = roles.into_values().flat_map(|state| state.left);
    all.filter_map(|(content, left)| left.then_some(content)).collect()
}

fn content(view: &View<'_>, contents: &Contents, run: Option<&RunId>, to: &ContainerId) -> Option<Content> {
    run.map(|run| contents.of_run(run)).or_else(|| view.content_of(to).cloned())
}
