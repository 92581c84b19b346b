//! What retention keeps and drops, each with its reason.

use crate::name::{ContainerId, Digest, HostName, RunId, Version};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is to become of one thing on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The host.
    pub host: HostName,
    /// The thing.
    pub item: Item,
    /// Whether it stays.
    pub keep: bool,
    /// Why.
    pub reason: Reason,
}

/// What a verdict is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum Item {
    /// A container of the service and destination.
    Container {
        /// Its id.
        id: ContainerId,
        /// Its name.
        name: String,
        /// Its version, if it says one.
        version: Option<Version>,
    },
    /// An image of one of the service's repositories.
    Image {
        /// The service's names for it, tags first, then digests: all of them go when it is dropped.
        references: Vec<String>,
        /// Names in other repositories. While there are any, dropping ours frees nothing.
        others: Vec<String>,
        /// Its id.
        id: Digest,
        /// Bytes, shared layers counted.
        size: u64,
    },
    /// Everything on the host.
    Host,
}

/// Why something is kept or dropped. Ages in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The host could not be asked.
    Unreachable {
        /// Why.
        why: String,
    },
    /// What the host knows of its past cannot be relied on.
    UnreliableHistory {
        /// Why.
        why: String,
    },
    /// A run that may still need what is there.
    OpenRun {
        /// The run.
        run: RunId,
    },
    /// The proxy did not say what it routes to.
    UnreadableProxy {
        /// Why.
        why: String,
    },
    /// The time on the host is not known.
    UnknownClock,
    /// It serves, or the proxy names it.
    Serves,
    /// `app stop` took it out of service, and `app start` brings exactly it back.
    Suspended,
    /// It runs.
    Runs,
    /// A bare rollback would go back to it.
    LastStable {
        /// The release.
        release: String,
    },
    /// Somebody pinned it.
    Pinned {
        /// The release.
        release: String,
        /// Who.
        by: String,
        /// Why.
        why: Option<String>,
    },
    /// Its release is to be removed (`releases rm`).
    Removed {
        /// The release.
        release: String,
    },
    /// One of the newest complete releases.
    Newest {
        /// The release.
        release: String,
        /// Which of them, from 1.
        rank: usize,
        /// How many are kept whatever their age.
        of: usize,
    },
    /// There are more complete releases than `at_most`.
    TooMany {
        /// Which of them, from 1.
        rank: usize,
        /// How many are kept at most.
        of: usize,
    },
    /// It has not been out of service for long enough.
    Recent {
        /// Since it stopped serving (or was made, if it never did).
        age: u64,
        /// From which age on it may go.
        limit: u64,
    },
    /// Nothing says when it stopped.
    UnknownAge,
    /// It belongs to no role.
    NoRole,
    /// It is in a state that windlass leaves alone.
    State {
        /// The engine's word.
        state: String,
    },
    /// It has been out of service for long enough.
    Old {
        /// Since it stopped serving (or was made, if it never did).
        age: u64,
        /// From which age on it may go.
        limit: u64,
        /// Whether it never started, or its release failed.
        failed: bool,
    },
    /// A container that stays was made from it.
    UsedBy {
        /// The container's name.
        container: String,
    },
    /// A release that is kept refers to it.
    ReferredToBy {
        /// The release.
        release: String,
    },
    /// No container that stays and no release that is kept needs it.
    Unused,
    /// No release of this service names it: somebody else may be about to use it.
    NotReleased,
}

impl Verdict {
    /// Bytes that carrying it out frees, at most: layers that other images share are counted.
    pub fn freed(&self) -> u64 {
        match &self.item {
            Item::Image { others, size, .. } if !self.keep && others.is_empty() => *size,
            _ => 0,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { why } => write!(f, "the host could not be asked: {why}"),
            Self::UnreliableHistory { why } => write!(f, "its history cannot be relied on: {why}"),
            Self::OpenRun { run } => write!(f, "run {run} has not ended; the next deploy or rollback closes it"),
            Self::UnreadableProxy { why } => write!(f, "the proxy does not say what it routes to: {why}"),
            Self::UnknownClock => f.write_str("the time on the host is not known"),
            Self::Serves => f.write_str("serves"),
            Self::Suspended => f.write_str("suspended: `app start` brings it back"),
            Self::Runs => f.write_str("is running"),
            Self::LastStable { release } => write!(f, "last stable release: {release}"),
            Self::Newest { release, rank, of } => write!(f, "{release} is complete release {rank} of {of} to keep"),
            Self::Pinned { release, by, why: None } => write!(f, "{release} is pinned by {by}"),
            Self::Pinned { release, by, why: Some(why) } => write!(f, "{release} is pinned by {by}: {why}"),
            Self::Removed { release } => write!(f, "{release} is to be removed"),
            Self::TooMany { rank, of } => write!(f, "complete release {rank}, and at most {of} are kept"),
            Self::Recent { age, limit } => write!(f, "stopped {} ago, kept for {}", Age(*age), Age(*limit)),
            Self::UnknownAge => f.write_str("nothing says when it stopped"),
            Self::NoRole => f.write_str("belongs to no role"),
            Self::State { state } => write!(f, "is {state}"),
            Self::Old { age, limit, failed: false } => write!(f, "stopped {} ago, kept for {}", Age(*age), Age(*limit)),
            Self::Old { age, limit, failed: true } => {
                write!(f, "failed, stopped {} ago, kept for {}", Age(*age), Age(*limit))
            }
            Self::UsedBy { container } => write!(f, "used by {container}"),
            Self::ReferredToBy { release } => write!(f, "image of {release}"),
            Self::Unused => f.write_str("no container and no kept release needs it"),
            Self::NotReleased => f.write_str("no release of this service names it"),
        }
    }
}

/// A duration in its largest two units.
struct Age(u64);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
        let first = units.iter().position(|(size, _)| self.0 >= *size).unwrap_or(units.len() - 1);
        let (size, unit) = units[first];
        write!(f, "{} {unit}", self.0 / size)?;
        match units.get(first + 1).map(|(next, unit)| (self.0 % size / next, unit)) {
            Some((rest, unit)) if rest > 0 => write!(f, " {rest} {unit}"),
            _ => Ok(()),
        }
    }
}
