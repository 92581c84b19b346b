//! A plan: everything that a run will do, decided beforehand.
//!
//! Stages follow one another; the lanes of a stage (one a host) go side by side; the steps of a lane follow one
//! another. Each action names what it expects to find. Nothing here holds a clock, a secret or a choice left open.

use crate::fleet::BackendName;
use crate::name::{Destination, Digest, HostName, RoleName, RunId, ServiceName, Version};
use crate::plan::{Action, Inherited, Ref, Strategy};
use crate::release::{Entry, Fingerprint, ReleaseRecord, RunVerb};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a run will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The command.
    pub verb: RunVerb,
    /// Service.
    pub service: ServiceName,
    /// Destination.
    pub destination: Option<Destination>,
    /// The run.
    pub run: RunId,
    /// The release that it makes; none for a prune, or when there is nothing to do.
    pub release: Option<ReleaseRecord>,
    /// How it goes over the fleet.
    #[serde(default)]
    pub strategy: Strategy,
    /// Whether a rollback may pull what a host lacks (`--pull`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pulls: bool,
    /// What a rollback takes from the release and what from today's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited: Option<Inherited>,
    /// What was found serving and no journal knows: recorded as releases of their own before anything changes.
    pub adopted: Vec<Adoption>,
    /// Who, `name@machine`.
    pub actor: String,
    /// What hosts that were away have missed: written to them before anything changes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub catch_up: BTreeMap<HostName, CatchUp>,
    /// Runs that ended without a word, by host: closed by this one.
    pub abandoned: BTreeMap<HostName, Vec<RunId>>,
    /// The hosts whose leases it needs, in name order.
    pub hosts: Vec<HostName>,
    /// Each host's state directory of the service, absolute.
    pub state_dirs: BTreeMap<HostName, String>,
    /// What serves before, per host and role in scope.
    pub before: Vec<Serving>,
    /// What must serve after it.
    pub after: Vec<Serving>,
    /// The work.
    pub stages: Vec<Stage>,
    /// What people should know before they say yes.
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.stages.iter().all(|stage| stage.lanes.iter().all(|lane| lane.steps.is_empty()))
    }

    /// All steps with their place.
    pub fn steps(&self) -> impl Iterator<Item = (StepId, &HostName, &Step)> {
        self.stages.iter().enumerate().flat_map(|(stage, s)| {
            s.lanes.iter().enumerate().flat_map(move |(lane, l)| {
                l.steps.iter().enumerate().map(move |(step, it)| (StepId { stage, lane, step }, &l.host, it))
            })
        })
    }
}

/// What serves a role on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// Host.
    pub host: HostName,
    /// Role.
    pub role: RoleName,
    /// The container; `None` = nothing serves.
    pub container: Option<Ref>,
    /// Its version.
    pub version: Option<Version>,
    /// The release that it serves, where known.
    pub release: Option<RunId>,
    /// The backend that routes to it, for a proxied role.
    pub backend: Option<BackendName>,
    /// What it must be found made of, where the plan brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_of: Option<MadeOf>,
}

/// What tells one container's content from another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeOf {
    /// Its image: the digest that its registry knows it by, else its id on the host.
    pub image: Digest,
    /// The value of its label `windlass.spec`; `None` for one that windlass did not make.
    pub fingerprint: Option<Fingerprint>,
}

/// A release that is recorded because it was found serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// Its record.
    pub record: ReleaseRecord,
    /// What serves it.
    pub serving: Vec<Serving>,
}

/// What a host has missed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchUp {
    /// Lines of its journal.
    pub entries: Vec<Entry>,
    /// Records of releases.
    pub records: Vec<ReleaseRecord>,
}

/// A barrier: it begins when the one before has ended everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// What it is for.
    pub kind: StageKind,
    /// Its hosts.
    pub lanes: Vec<Lane>,
    /// Seconds to wait after it (`boot.wait`).
    #[serde(default)]
    pub pause_after: u64,
}

/// What a stage is for, which also says what a failure in it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// State, network, proxy, image: nothing that serves is touched. A failure ends the run.
    Prepare,
    /// Containers are made, gated and switched to. A failure reverts every host that changed.
    Change,
    /// The point of no return is passed: what served before is drained and stopped. A failure is reported (exit 6)
    /// and goes on.
    Retire,
    /// Hosts that joined get what retention keeps elsewhere. A failure is a warning.
    Retain,
    /// What retention does not keep is removed. A failure is a warning.
    Prune,
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "prepare",
            Self::Change => "change",
            Self::Retire => "retire",
            Self::Retain => "retain",
            Self::Prune => "prune",
        })
    }
}

/// One host's part of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The host.
    pub host: HostName,
    /// In order.
    pub steps: Vec<Step>,
}

/// One action, and what takes it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// Done instead when the run fails and this step had begun; the undos of a lane run in the reverse order of its
    /// steps. Empty when there is nothing to take back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Action>,
}

/// A step's place in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId {
    /// Index of the stage.
    pub stage: usize,
    /// Index of the lane in the stage.
    pub lane: usize,
    /// Index of the step in the lane.
    pub step: usize,
}
