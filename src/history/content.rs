//! Which releases have the same content.
//!
//! A rollback's content is that of the release it points at, unless today's configuration was put around that release's
//! image: then it is as good as a deployment. Two deployments have the same content when version,
//! digest and every role's specification and secret prints are equal.

use crate::history::Release;
use crate::name::{RunId, Version};
use crate::release::{ReleaseKind, ReleaseRecord};
use std::collections::{BTreeMap, BTreeSet};

/// What a release is made of, by the first release that brought it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    /// That of containers which no release recorded.
    Version(Version),
    /// That of a recorded run.
    Run(RunId),
}

/// The content of every release of a history.
#[derive(Debug, Default)]
pub(super) struct Contents {
    roots: BTreeMap<RunId, Content>,
    same_as: BTreeMap<RunId, RunId>,
}

impl Contents {
    pub(super) fn of(releases: &[Release]) -> Self {
        let by_run: BTreeMap<&RunId, &Release> = releases.iter().filter_map(|r| Some((r.run.as_ref()?, r))).collect();
        let roots: BTreeMap<_, _> = by_run.keys().map(|run| ((*run).clone(), root(&by_run, run))).collect();
        let made = by_run.iter().filter(|(run, _)| roots.get(**run) == Some(&Content::Run((**run).clone())));
        let same_as = group_equal(made.filter_map(|(run, r)| Some((*run, r.record.as_deref()?))));
        Self { roots, same_as }
    }

    /// Whether a release of that run is in the history.
    pub(super) fn knows(&self, run: &RunId) -> bool {
        self.roots.contains_key(run)
    }

    /// The end of the chain of rollbacks that begins with a run.
    pub(super) fn root(&self, run: &RunId) -> Content {
        self.roots.get(run).cloned().unwrap_or_else(|| Content::Run(run.clone()))
    }

    /// Equal for two runs exactly when their content is.
    pub(super) fn of_run(&self, run: &RunId) -> Content {
        match self.root(run) {
            Content::Run(root) => Content::Run(self.same_as.get(&root).cloned().unwrap_or(root)),
            version => version,
        }
    }

    /// Equal for two releases exactly when their content is.
    pub(super) fn of_release(&self, release: &Release) -> Content {
        release.run.as_ref().map_or_else(|| Content::Version(release.version.clone()), |run| self.of_run(run))
    }
}

fn root(by_run: &BTreeMap<&RunId, &Release>, start: &RunId) -> Content {
    let mut seen = BTreeSet::new();
    let mut run = start;
    while seen.insert(run) {
        match by_run.get(run).map(|r| (&r.kind, r)) {
            Some((ReleaseKind::Rollback { current_config: true, .. }, _)) => break,
            Some((ReleaseKind::Rollback { of: Some(of), .. }, _)) => run = of,
            Some((ReleaseKind::Rollback { of: None, .. }, r)) => return Content::Version(r.version.clone()),
            Some((ReleaseKind::Deploy | ReleaseKind::Restart { .. } | ReleaseKind::Adopted, _)) | None => break,
        }
    }
    Content::Run(run.clone())
}

/// Each run of an equal build → the first of them.
fn group_equal<'a>(records: impl Iterator<Item = (&'a RunId, &'a ReleaseRecord)>) -> BTreeMap<RunId, RunId> {
    let mut firsts: BTreeMap<&Version, Vec<(&RunId, &ReleaseRecord)>> = BTreeMap::new();
    let mut same_as = BTreeMap::new();
    for (run, record) in records.filter(|(_, record)| is_comparable(record)) {
        let firsts = firsts.entry(&record.version).or_default();
        match firsts.iter().find(|(_, first)| is_equal(first, record)) {
            Some((first, _)) => _ = same_as.insert(run.clone(), (*first).clone()),
            None => firsts.push((run, record)),
        }
    }
    same_as
}

/// Whether the record says everything about its containers. An image without a digest may be any image of that tag,
/// and a role's prints do not cover secrets that only hosts with a tag get.
fn is_comparable(record: &ReleaseRecord) -> bool {
    let is_whole = |spec: &crate::spec::RoleSpec| spec.env_tags.values().all(|env| env.secret.is_empty());
    record.digest.is_some()
        && record.roles.values().all(|r| r.fingerprint.is_some() && r.spec.as_ref().is_some_and(is_whole))
}

fn is_equal(a: &ReleaseRecord, b: &ReleaseRecord) -> bool {
    a.digest == b.digest
        && a.image.repository == b.image.repository
        && a.roles.len() == b.roles.len()
        && a.roles
            .iter()
            .zip(&b.roles)
            .all(|((name_a, a), (name_b, b))| name_a == name_b && a.fingerprint == b.fingerprint && a.spec == b.spec)
}
