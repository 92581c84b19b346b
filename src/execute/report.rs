//! How a run went.

use crate::event::Failure;
use crate::name::HostName;
use crate::release::Outcome;
use std::collections::BTreeMap;

/// The result of a run, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// Whether anything may have been changed. If not, `reason` says why the run did not begin.
    pub begun: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not succeed, in one line.
    pub reason: Option<String>,
    /// Steps that failed.
    pub failures: Vec<(HostName, Failure)>,
    /// What is not as it should be, host by host.
    pub mismatches: Vec<String>,
    /// What did not stop the run.
    pub warnings: Vec<String>,
    /// What was removed, by host.
    pub removed: BTreeMap<HostName, Removed>,
    /// Hosts whose journal does not have the outcome.
    pub unrecorded: Vec<(HostName, String)>,
}

/// What a run removed from a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Containers.
    pub containers: u32,
    /// Images.
    pub images: u32,
    /// Bytes that became free, at most: layers that other images share are counted.
    pub freed: u64,
}
