//! A rollback that was tried on a part of the fleet first, or cut off, and is not complete.

use crate::history::content::Contents;
use crate::history::target_error::Candidate;
use crate::history::{History, Release, Scope};
use crate::name::{HostName, RoleName};
use crate::release::ReleaseKind;
use std::collections::BTreeSet;

impl History {
    /// The release that a bare rollback finishes: the newest one that serves in scope, if it is a rollback and something
    /// of other content serves in scope as well. Whoever has rolled back one region, or was cut off, means the same
    /// release when they say `rollback` again, and not the one before it.
    ///
    /// Any deploy since then that serves somewhere is newer, and then nothing is left to be finished.
    pub(super) fn unfinished(&self, scope: &Scope) -> Option<&Release> {
        let newest = self.newest_serving(scope)?;
        let contents = Contents::of(&self.releases);
        let content = contents.of_release(newest);
        let others = self.releases.iter().filter(|r| contents.of_release(r) != content);
        let is_mixed = others.flat_map(|r| &r.running).any(|at| in_scope(scope, at));
        (matches!(newest.kind, ReleaseKind::Rollback { .. }) && is_mixed).then_some(newest)
    }

    /// What the person who said `rollback` should know of it.
    pub(super) fn finishes(&self, release: &Release) -> String {
        let hosts: Vec<_> = release.running.keys().map(HostName::as_str).collect();
        format!("this finishes the rollback {}, which serves on {} already", Candidate::of(release), hosts.join(", "))
    }
}

fn in_scope(scope: &Scope, (host, roles): (&HostName, &BTreeSet<RoleName>)) -> bool {
    scope.get(host).is_some_and(|wanted| !wanted.is_disjoint(roles))
}
