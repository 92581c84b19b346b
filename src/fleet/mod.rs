//! What is out there, as last observed. Facts only: an unreachable host is one of them, not an error.

mod container;
mod host;
mod kamal_proxy;
mod proxy;

pub use container::{Container, ContainerBrief, Health, Image, State, label};
pub use host::{
    DiskSpace, EngineInfo, Freeze, Holder, HostFacts, HostState, Journal, LeaseState, StateHome, Unreachable,
};
pub use kamal_proxy::{KAMAL_PROXY, KAMAL_PROXY_STATE, KAMAL_PROXY_STATE_DIR, KamalProxy, KamalRoute};
pub use proxy::{BackendName, BackendState, ProxyContainer, ProxyState, Server, ServerRole};

use crate::name::HostName;
use std::collections::BTreeMap;

/// The network on which containers and the proxy of a host reach each other; Kamal's name.
pub const NETWORK: &str = "kamal";

/// The container of windlass's proxy.
pub const PROXY: &str = "windlass-proxy";

/// The volume whose label [`label::HOME`] records where an engine's windlass keeps its state.
pub const STATE_VOLUME: &str = "windlass";

/// All hosts of a configuration (or of its part in scope), each in the state it was found in.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// By name: everything that walks a fleet does so in name order.
    pub hosts: BTreeMap<HostName, HostState>,
}

impl Fleet {
    /// The hosts that answered.
    pub fn reachable(&self) -> impl Iterator<Item = (&HostName, &HostFacts)> {
        self.hosts.iter().filter_map(|(name, state)| Some((name, state.facts()?)))
    }

    /// The hosts that did not, and why.
    pub fn unreachable(&self) -> impl Iterator<Item = (&HostName, &Unreachable)> {
        self.hosts.iter().filter_map(|(name, state)| match state {
            HostState::Unreachable(why) => Some((name, why)),
            HostState::Up(_) => None,
        })
    }

    /// The facts of one host, if it answered.
    pub fn facts(&self, host: &HostName) -> Option<&HostFacts> {
        self.hosts.get(host)?.facts()
    }
}
