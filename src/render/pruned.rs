//! What a prune did, as `windlass prune --json` prints it; `docs/schemas/prune.v1.json` describes it.

use crate::name::{Destination, HostName, RunId, ServiceName};
use serde::Serialize;

/// The whole prune.
#[derive(Debug, Clone, Serialize)]
pub struct Pruned {
    /// Version of this object: 1.
    pub schema: u32,
    /// Service.
    pub service: ServiceName,
    /// Destination.
    pub destination: Option<Destination>,
    /// Its run in the journals; `None` when there was nothing to do.
    pub run: Option<RunId>,
    /// `succeeded`, `failed`, `interrupted` or `nothing to do`.
    pub outcome: &'static str,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// Every host in scope, in name order.
    pub hosts: Vec<PrunedHost>,
    /// Bytes that became free, at most: layers that other images share are counted.
    pub freed: u64,
}

/// One host.
#[derive(Debug, Clone, Serialize)]
pub struct PrunedHost {
    /// Host.
    pub host: HostName,
    /// Containers that were removed.
    pub containers: u32,
    /// Images that were removed.
    pub images: u32,
    /// Bytes that became free, at most.
    pub freed: u64,
    /// Why nothing was removed from it, where its turn never came.
    pub left_alone: Option<String>,
}
