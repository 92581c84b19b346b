//! One line of a host's journal.

use crate::name::{ContainerId, HostName, RoleName, RunId, Version};
use crate::release::{Mark, ReleaseKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A line of `journal.jsonl`: one JSON object, appended by one write and fsynced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// [`crate::release::SCHEMA`] of the writer.
    pub schema: u32,
    /// The run it belongs to.
    pub run: RunId,
    /// When, by the coordinator's clock.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What a run writes down on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// Written on every leased host before the first change anywhere.
    Intent {
        /// The command.
        verb: RunVerb,
        /// The release that the run makes; none for a prune.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<IntendedRelease>,
        /// Who.
        actor: String,
        /// The hosts that the run may change.
        hosts: Vec<HostName>,
    },
    /// This host's traffic (or, without a proxy, the role's duty) went over to a container. Goes with the rename of the
    /// proxy's file. `from` stopped serving at this moment: its age for retention begins here.
    Switched {
        /// Role.
        role: RoleName,
        /// What served before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<ContainerId>,
        /// What serves now.
        to: ContainerId,
        /// The release it serves now: its record's run. On the way back after a failure this is the earlier release,
        /// not the failed run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<RunId>,
    },
    /// The role serves no more on this host (stopped because the release or the configuration has it no longer).
    Stopped {
        /// Role.
        role: RoleName,
        /// What served.
        from: ContainerId,
    },
    /// How the run ended; on every host that it had a lease on.
    Outcome {
        /// How.
        outcome: Outcome,
        /// For people: the reason of a failure, masked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Something said of a release. It counts on every host as soon as one has it, unless its run went back.
    Marked {
        /// The release: its record's run.
        release: RunId,
        /// What.
        #[serde(flatten)]
        mark: Mark,
    },
    /// What a prune removed here.
    Pruned {
        /// Containers.
        containers: u32,
        /// Images.
        images: u32,
    },
}

/// The release that a run sets out to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntendedRelease {
    /// Its number.
    pub number: u32,
    /// Its kind.
    #[serde(flatten)]
    pub kind: ReleaseKind,
    /// Its version.
    pub version: Version,
}

/// The commands that write a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum RunVerb {
    Setup,
    Deploy,
    Rollback,
    Restart,
    Prune,
    Label,
    Pin,
    Unpin,
    Remove,
    /// `windlass proxy boot`, `reboot`, `upgrade` and `remove`.
    Proxy,
    /// `windlass proxy certs`.
    Certificates,
    /// `windlass app maintenance`.
    Maintenance,
    /// `windlass app live`.
    Live,
    /// `windlass app start`.
    Start,
    /// `windlass app stop`, and `app stale_containers --stop`.
    Stop,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything asked for is so, verified. The release is stable.
    Succeeded,
    /// It failed, and what served before serves again everywhere, verified.
    Reverted,
    /// It was interrupted, and what served before serves again everywhere, verified.
    Interrupted,
    /// It failed, and the fleet is mixed or could not be verified.
    Unverified,
    /// It ended without a word (killed, cut off); a later run found its intent, took over and closed it.
    Abandoned,
}
