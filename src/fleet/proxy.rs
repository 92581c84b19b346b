//! The proxy of a host, as its files and its runtime say.

use crate::name::{ContainerId, Destination, Digest, RoleName, ServiceName};
use crate::spec::{Edge, Route};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// `<service>-<role>[-<destination>]`: the name of a route's backend, and of its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackendName(String);

impl BackendName {
    /// The backend of a role. All three parts are words that HAProxy and a file name can hold.
    pub fn new(service: &ServiceName, role: &RoleName, destination: Option<&Destination>) -> Self {
        let destination = destination.map(|d| format!("-{d}")).unwrap_or_default();
        Self(format!("{service}-{role}{destination}"))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What the proxy of a host is and does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyState {
    /// Its container, if there is one.
    pub container: Option<ProxyContainer>,
    /// Its routes by backend.
    pub backends: BTreeMap<BackendName, BackendState>,
    /// Why its runtime state could not be read although it should run.
    pub unreadable: Option<String>,
}

/// The proxy's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyContainer {
    /// Its id.
    pub id: ContainerId,
    /// Whether it runs.
    pub running: bool,
    /// The image it was made from.
    pub image: String,
    /// The image itself, where the engine says it.
    pub image_id: Option<Digest>,
    /// The digest of the settings that it was made with; `None` where an older windlass made it.
    pub settings: Option<String>,
    /// Host ports that it publishes.
    pub host_ports: Vec<u16>,
}

/// One backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendState {
    /// The route as its file says.
    pub route: Route,
    /// What the proxy answers by itself, as its file says.
    pub edge: Edge,
    /// What its file says serves.
    pub file_active: Option<ContainerId>,
    /// Its servers as the running proxy has them; empty while it does not run.
    pub servers: Vec<Server>,
}

impl BackendState {
    /// The container that requests go to: what the running proxy says, else (it does not run) what its file says.
    /// A proxy that routes to something else than its file keeps doing so until its next reload.
    pub fn active(&self) -> Option<&ContainerId> {
        let routed = self.servers.iter().find(|s| s.role == ServerRole::Ready).and_then(|s| s.container.as_ref());
        if self.servers.is_empty() { self.file_active.as_ref() } else { routed }
    }
}

/// One slot of a backend in the running proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `s1`, `s2` …
    pub slot: String,
    /// The container it leads to, by its 12-digit id resolved against the host's containers.
    pub container: Option<ContainerId>,
    /// Address and port it uses now.
    pub address: Option<String>,
    /// Its administrative state.
    pub role: ServerRole,
    /// Whether the last health check succeeded, and its text; `None` before the first.
    pub healthy: Option<bool>,
    /// HAProxy's words for the last check, such as `L7OK/200` or `L4CON Connection refused`.
    pub check: String,
    /// Requests in flight.
    pub sessions: u64,
}

/// What a slot is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerRole {
    /// Requests go there.
    Ready,
    /// It is checked and finishes what it has, and gets nothing new.
    Drain,
    /// Out of use.
    Maint,
}
