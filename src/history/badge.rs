//! What a release is, in words that go together: it may be current and pinned, or rolled back and still retained.

use crate::history::{Release, Status};
use serde::Serialize;
use std::fmt;

/// One thing that is true of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Badge {
    /// Its run goes on.
    Deploying,
    /// It serves on at least one host.
    Current,
    /// It served and was stopped; nothing took over.
    Suspended,
    /// Its run failed.
    Failed,
    /// Its run ended without a word, or was interrupted.
    Interrupted,
    /// A rollback or a revert left it.
    RolledBack,
    /// It does not serve, and a host could bring it back.
    Deployed,
    /// No host that answered has anything of it any more.
    Pruned,
    /// It was healthy everywhere it was sent.
    Stable,
    /// Retention may not touch it.
    Pinned,
}

impl Badge {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Deploying,
        Self::Current,
        Self::Suspended,
        Self::Failed,
        Self::Interrupted,
        Self::RolledBack,
        Self::Deployed,
        Self::Pruned,
        Self::Stable,
        Self::Pinned,
    ];
}

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Deploying => "deploying",
            Self::Current => "current",
            Self::Suspended => "suspended",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::RolledBack => "rolled back",
            Self::Deployed => "deployed",
            Self::Pruned => "pruned",
            Self::Stable => "stable",
            Self::Pinned => "pinned",
        })
    }
}

impl Release {
    /// Its badges, in the order of [`Badge::ALL`].
    pub fn badges(&self) -> Vec<Badge> {
        let serves = !self.running.is_empty();
        let ended_badly = matches!(self.status, Status::Failed | Status::Interrupted | Status::Running);
        let has = |badge: &Badge| match badge {
            Badge::Deploying => self.status == Status::Running,
            Badge::Current => serves,
            Badge::Suspended => self.status == Status::Suspended,
            Badge::Failed => self.status == Status::Failed,
            Badge::Interrupted => self.status == Status::Interrupted,
            Badge::RolledBack => self.left,
            Badge::Deployed => !serves && self.is_retained(),
            Badge::Pruned => !serves && !ended_badly && !self.is_retained(),
            Badge::Stable => self.stable,
            Badge::Pinned => self.pin.is_some(),
        };
        Badge::ALL.into_iter().filter(has).collect()
    }
}
