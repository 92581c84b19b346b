//! How a run went on one host, step by step: `<dir>/runs/<run id>/report.json`. Nothing is decided by it, so it is not
//! in the journal, which every command reads.

use crate::name::{HostName, RunId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The steps of a run on a host, in the order in which they were begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// [`crate::release::SCHEMA`] of the writer.
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// The host.
    pub host: HostName,
    /// Its steps.
    pub steps: Vec<StepReport>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// `prepare`, `change`, `retire` or `prune`.
    pub stage: String,
    /// What was done, in words.
    pub step: String,
    /// When it began, by the coordinator's clock.
    pub at: Timestamp,
    /// Milliseconds it took.
    pub millis: u64,
    /// Something worth saying about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why it failed, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The last lines of the container that failed, masked, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}
