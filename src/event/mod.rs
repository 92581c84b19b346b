//! What happens during a run, typed. Renderers and the journal read events; nobody parses their text.

use crate::effect::PullProgress;
use crate::fleet::Holder;
use crate::name::{HostName, RoleName};
use crate::plan::{Plan, Serving, StepId};
use crate::release::Outcome;
use serde::{Deserialize, Serialize};

/// Version of the events' JSON.
pub const SCHEMA: u32 = 1;

/// One thing that happened. The first event of a run carries its whole plan; later ones refer to it by [`StepId`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A host answered or did not.
    Connected {
        /// Host.
        host: HostName,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Milliseconds it took.
        millis: u64,
    },
    /// A lease was taken.
    Leased {
        /// Host.
        host: HostName,
    },
    /// A lease is held by somebody else; the run waits for it.
    WaitingForLease {
        /// Host.
        host: HostName,
        /// By whom.
        holder: Option<Holder>,
    },
    /// A local hook runs.
    HookStarted {
        /// `pre-deploy` …
        hook: String,
    },
    /// A line that a local hook printed, masked.
    HookOutput {
        /// `pre-deploy` …
        hook: String,
        /// Text.
        line: String,
    },
    /// A run begins.
    Started {
        /// Everything that it will do.
        plan: Box<Plan>,
    },
    /// A stage begins.
    StageStarted {
        /// Index in the plan.
        stage: usize,
    },
    /// A stage has ended.
    StageFinished {
        /// Index in the plan.
        stage: usize,
        /// Milliseconds it took.
        millis: u64,
    },
    /// A step begins.
    StepStarted {
        /// Host.
        host: HostName,
        /// Which.
        step: StepId,
    },
    /// A pull goes on.
    Pulling {
        /// Host.
        host: HostName,
        /// How far one layer is.
        layer: String,
        /// The engine's word.
        status: String,
        /// Bytes.
        current: u64,
        /// Bytes, 0 when unknown.
        total: u64,
    },
    /// A gate or drain still waits.
    Waiting {
        /// Host.
        host: HostName,
        /// Which.
        step: StepId,
        /// What was last seen: `L4CON Connection refused`, `3 requests in flight`.
        last: String,
    },
    /// A step is done, verified.
    StepDone {
        /// Host.
        host: HostName,
        /// Which.
        step: StepId,
        /// Milliseconds it took.
        millis: u64,
        /// Something worth saying about it, such as requests that were cut off.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A step failed.
    StepFailed {
        /// Host.
        host: HostName,
        /// Which.
        step: StepId,
        /// Why.
        failure: Failure,
    },
    /// Something that does not stop the run.
    Warning {
        /// Host, if it is about one.
        host: Option<HostName>,
        /// Text, masked.
        message: String,
    },
    /// The run takes back what it did.
    RevertStarted {
        /// Why, in one line.
        reason: String,
        /// The hosts that go back.
        hosts: Vec<HostName>,
    },
    /// A host is back (or not) on what served before.
    Reverted {
        /// Host.
        host: HostName,
        /// Why it could not be brought back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The fleet was asked what serves.
    Verified {
        /// What does, where that is what should.
        serving: Vec<Serving>,
        /// What is not as it should be, in words.
        mismatches: Vec<String>,
    },
    /// The run has ended, and its outcome is written down.
    Finished {
        /// How.
        outcome: Outcome,
        /// The hosts it could not be written down on, and why.
        unrecorded: Vec<(HostName, String)>,
        /// Milliseconds since the start.
        millis: u64,
    },
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// In one sentence, masked.
    pub message: String,
    /// The role it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// The container's last lines, masked, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl From<(&HostName, PullProgress)> for Event {
    fn from((host, p): (&HostName, PullProgress)) -> Self {
        Self::Pulling { host: host.clone(), layer: p.layer, status: p.status, current: p.current, total: p.total }
    }
}

/// Where events go. Losing one must never fail a run.
pub trait Sink: Send + Sync {
    /// Takes one event; must not block.
    fn emit(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Sink for F {
    fn emit(&self, event: Event) {
        self(event);
    }
}
