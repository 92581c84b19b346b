//! The merged history.

use crate::history::Source;
use crate::history::content::Contents;
use crate::name::{ContainerId, Digest, HostName, ImageRef, Label, RoleName, RunId, Version};
use crate::release::{Outcome, ReleaseKind, ReleaseRecord};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All releases of a service and destination that the hosts know of, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Recorded releases by run id, before them those that only containers know of (made by Kamal, never adopted).
    pub releases: Vec<Release>,
}

/// One release as the fleet knows it.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its run; `None` for one that only containers know of.
    pub run: Option<RunId>,
    /// `v42`; `None` for one that only containers know of.
    pub number: Option<u32>,
    /// 1, or 2 and up for later releases that got the same number behind a partition (`v43.2`).
    pub twin: u32,
    /// How it came about; one that only containers know of counts as adopted.
    pub kind: ReleaseKind,
    /// Version.
    pub version: Version,
    /// `repository:tag`.
    pub image: Option<ImageRef>,
    /// What the tag was resolved to.
    pub digest: Option<Digest>,
    /// Its record, if a host still has it.
    pub record: Option<Arc<ReleaseRecord>>,
    /// The first release of a chain of rollbacks: the run whose content this is (its own for a deploy).
    pub content: Option<RunId>,
    /// How its run ended; `None` while it runs or when it was cut off.
    pub outcome: Option<Outcome>,
    /// Who.
    pub actor: String,
    /// When its run began.
    pub at: Option<Timestamp>,
    /// `-m`.
    pub message: Option<String>,
    /// When its run ended.
    pub ended: Option<Timestamp>,
    /// Why its run failed, masked.
    pub reason: Option<String>,
    /// When it began to serve somewhere, and when it last stopped serving everywhere (`None`: it serves).
    pub served: Option<(Timestamp, Option<Timestamp>)>,
    /// What people call it.
    pub name: Option<Label>,
    /// Whether retention may not touch it.
    pub pin: Option<Pin>,
    /// What people are shown.
    pub status: Status,
    /// Whether it was healthy everywhere it was sent: its run succeeded, or it was adopted while serving.
    pub stable: bool,
    /// Whether a rollback or a revert left it. Never a default target again until it is redeployed.
    pub left: bool,
    /// Where it serves: host → roles.
    pub running: BTreeMap<HostName, BTreeSet<RoleName>>,
    /// Where it could be started without pulling (what serves included): host → role → how.
    pub available: BTreeMap<HostName, BTreeMap<RoleName, Availability>>,
}

impl History {
    /// Whether two of its releases are made of the same: the same build and, by every role's specification and secret
    /// prints, the same configuration.
    pub fn same_content(&self, a: &Release, b: &Release) -> bool {
        let contents = Contents::of(&self.releases);
        contents.of_release(a) == contents.of_release(b)
    }
}

impl Release {
    /// What people call it: `v42`, `v43.2` for a later twin, the version for one that only containers know of.
    pub fn label(&self) -> String {
        match (self.number, self.twin) {
            (None, _) => self.version.to_string(),
            (Some(number), 1) => format!("v{number}"),
            (Some(number), twin) => format!("v{number}.{twin}"),
        }
    }

    /// Whether it includes a role. Its record says; without one it is taken to include every role.
    pub fn has_role(&self, role: &RoleName) -> bool {
        self.record.as_ref().is_none_or(|record| record.roles.contains_key(role))
    }

    /// Whether any host that answered could bring a role of it back.
    pub fn is_retained(&self) -> bool {
        self.available.values().flat_map(|roles| roles.values()).any(Availability::is_there)
    }

    /// The hosts that could bring all its roles back.
    pub fn retained_on(&self) -> impl Iterator<Item = &HostName> {
        let complete =
            |roles: &BTreeMap<RoleName, Availability>| !roles.is_empty() && roles.values().all(Availability::is_there);
        self.available.iter().filter(move |(_, roles)| complete(roles)).map(|(host, _)| host)
    }

    /// The hosts it was sent to; those that have something of it where no record says.
    pub fn sent_to(&self) -> BTreeSet<&HostName> {
        match &self.record {
            Some(record) => record.roles.values().flat_map(|role| role.hosts.iter().map(|h| &h.name)).collect(),
            None => self.available.keys().chain(self.running.keys()).collect(),
        }
    }

    /// How a role of it can be brought back on a host; `None` if the host was not reached or is none of the role's.
    pub fn availability(&self, host: &HostName, role: &RoleName) -> Option<&Availability> {
        self.available.get(host)?.get(role)
    }
}

impl Availability {
    /// Whether it can be brought back at all.
    pub fn is_there(&self) -> bool {
        !matches!(self, Self::Missing { .. })
    }

    /// The container that serves, is to be started or is to be copied.
    pub fn container(&self) -> Option<&ContainerId> {
        match self {
            Self::Serving(id) | Self::Restart(id) | Self::Remake { from: id, .. } => Some(id),
            Self::FromRecord | Self::Elsewhere(_) | Self::Missing { .. } => None,
        }
    }
}

/// Why a release may not be touched by retention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// Who.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub message: Option<String>,
}

/// What people are shown of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It serves on at least one host.
    Current,
    /// It served and was stopped (`app stop`); nothing took over.
    Suspended,
    /// It served everywhere once and can be a target.
    Stable,
    /// It served everywhere once, and no host that answered has anything of it any more.
    Pruned,
    /// Its run failed; what served before serves.
    Failed,
    /// It served, and a rollback or revert left it.
    RolledBack,
    /// Its run ended without a word.
    Interrupted,
    /// Its run goes on (a lease is held by it).
    Running,
    /// Only stopped containers know of it: nothing says whether it was ever healthy.
    Unrecorded,
}

/// How a role of a release can be brought back on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It serves there now.
    Serving(ContainerId),
    /// Its container is there and startable.
    Restart(ContainerId),
    /// Its container is there but would not start as it is (its network is gone …): a new one is made like it.
    Remake {
        /// The container to copy.
        from: ContainerId,
        /// Why it cannot just be started.
        why: String,
    },
    /// There is no container, but image and record, and the role needs no secret: it can be made from the record.
    FromRecord,
    /// Nothing of it is here, and another host can give it: only where [`History::supply`] was asked.
    Elsewhere(Source),
    /// It cannot be brought back.
    Missing {
        /// Why.
        why: String,
    },
}
