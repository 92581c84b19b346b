//! One host: its engine, its state directory, its lease.

use crate::fleet::{Container, ContainerBrief, Image, KamalProxy, ProxyState};
use crate::name::{Destination, RunId, ServiceName};
use crate::release::{Entry, FingerprintKey, ReleaseRecord};
use crate::spec::Expansions;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is known of a host.
#[derive(Debug, Clone)]
pub enum HostState {
    /// It could not be asked.
    Unreachable(Unreachable),
    /// It answered.
    Up(Box<HostFacts>),
}

impl HostState {
    /// The facts, if it answered.
    pub fn facts(&self) -> Option<&HostFacts> {
        match self {
            Self::Up(facts) => Some(facts),
            Self::Unreachable(_) => None,
        }
    }
}

/// Why a host could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreachable {
    /// The whole reason in one sentence.
    pub message: String,
    /// What to do about it, if there is something.
    pub hint: Option<String>,
}

/// A host that answered.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// Its engine.
    pub engine: EngineInfo,
    /// Seconds that its clock is ahead of the coordinator's (negative: behind), half a round trip taken into account.
    pub clock_ahead: i64,
    /// Commands that windlass needs and the host lacks (of `flock`, `timeout`).
    pub missing_commands: BTreeSet<String>,
    /// Room where the engine keeps its data.
    pub disk: Option<DiskSpace>,
    /// TCP ports that something listens on, each with the program (such as `nginx (pid 812)`) where this login may see it.
    pub listening: BTreeMap<u16, Option<String>>,
    /// Where windlass keeps its state.
    pub home: StateHome,
    /// Containers of the service and destination, inspected, in name order.
    pub containers: Vec<Container>,
    /// All containers of the host.
    pub all_containers: Vec<ContainerBrief>,
    /// All images.
    pub images: Vec<Image>,
    /// Networks by name.
    pub networks: BTreeSet<String>,
    /// The proxy.
    pub proxy: ProxyState,
    /// kamal-proxy, where Kamal set the host up.
    pub kamal_proxy: Option<KamalProxy>,
    /// The journal of the service and destination.
    pub journal: Journal,
    /// Release records by run.
    pub records: BTreeMap<RunId, Arc<ReleaseRecord>>,
    /// Names of record files that could not be read.
    pub bad_records: Vec<String>,
    /// The key of the secret prints.
    pub key: Option<FingerprintKey>,
    /// Who may change the service here now.
    pub lease: LeaseState,
    /// `windlass lock acquire`.
    pub freeze: Option<Freeze>,
    /// What the login's shell made of words of the configuration, where a command had to ask.
    pub expansions: Expansions,
}

/// An engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// Such as `20.10.24`.
    pub version: String,
    /// Such as `1.41`.
    pub api_version: String,
    /// Docker's word, such as `amd64`.
    pub arch: String,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Where it keeps its data.
    pub root_dir: String,
}

/// Free space of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Bytes.
    pub free: u64,
    /// Bytes.
    pub total: u64,
}

/// Where windlass keeps its state on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateHome {
    /// The directory that this login would use, absolute (`~/.windlass`).
    pub own: String,
    /// What the volume `windlass` records; `None` before the first setup.
    pub recorded: Option<String>,
    /// The login's numeric user id.
    pub uid: u32,
}

impl StateHome {
    /// The directory in force.
    pub fn dir(&self) -> &str {
        self.recorded.as_deref().unwrap_or(&self.own)
    }

    /// The state directory of a service and destination. No destination is called `_`.
    pub fn of_service(&self, service: &ServiceName, destination: Option<&Destination>) -> String {
        format!("{}/{service}/{}", self.dir(), destination.map_or("_", Destination::as_str))
    }
}

/// The journal of one service and destination on one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    /// Its readable lines, in the file's order.
    pub entries: Vec<Entry>,
    /// Why (part of) it cannot be relied on: a line in its middle that is not JSON, a newer schema. Nothing is pruned then.
    pub unreadable: Option<String>,
    /// Whether a line is torn (a write that was cut off): tolerated, the line is not a fact.
    pub torn: bool,
    /// Whether a newer windlass wrote to it: then it is only read.
    pub newer_schema: bool,
}

/// The lease of a service and destination on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseState {
    /// Nobody holds it.
    Free,
    /// Somebody does.
    Held(Option<Holder>),
}

/// Who holds a lease: what the lease file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `name@machine`.
    pub actor: String,
    /// The run.
    pub run: RunId,
    /// What it does: `deploy v43`.
    pub what: String,
    /// Since when, by the holder's clock.
    pub since: Timestamp,
}

/// A lock taken by hand: it stays until it is released by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Who.
    pub actor: String,
    /// `-m`.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}
