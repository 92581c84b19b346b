//! `windlass app details`, and the proxies of `windlass details`.

use crate::fleet::{Container, ProxyContainer};
use crate::name::{ContainerId, HostName, RoleName, Version};
use crate::render::{containers, table, time};
use crate::spec::PublishedPort;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Running containers in detail, as `--json` prints them.
#[derive(Debug, Clone, Serialize)]
pub struct AppDetails {
    /// Version of this object: 1.
    pub schema: u32,
    /// In the order of hosts and names.
    pub containers: Vec<Detail>,
    /// The hosts that did not answer.
    pub unreachable: Vec<HostName>,
}

/// One container.
#[derive(Debug, Clone, Serialize)]
pub struct Detail {
    /// Host.
    pub host: HostName,
    /// Full id.
    pub id: ContainerId,
    /// Name.
    pub name: String,
    /// Role.
    pub role: Option<RoleName>,
    /// Version.
    pub version: Option<Version>,
    /// The reference it was made from.
    pub image: String,
    /// Whether requests (or, without a proxy, the role's duty) go to it.
    pub serving: bool,
    /// `running, healthy` …
    pub state: String,
    /// Last start.
    pub started: Option<Timestamp>,
    /// Restarts by the engine since then.
    pub restarts: u64,
    /// Its restart policy.
    pub restart_policy: String,
    /// Network → address.
    pub addresses: BTreeMap<String, String>,
    /// `8080->80/tcp`.
    pub ports: Vec<String>,
}

impl Detail {
    /// The view of one container.
    pub fn new(host: &HostName, container: &Container, serving: bool) -> Self {
        Self {
            host: host.clone(),
            id: container.id.clone(),
            name: container.name.clone(),
            role: container.role(),
            version: container.version(),
            image: container.image.clone(),
            serving,
            state: containers::state(&container.state),
            started: container.started_at,
            restarts: container.restart_count,
            restart_policy: container.restart.to_string(),
            addresses: container.addresses.clone(),
            ports: container.ports.iter().map(port).collect(),
        }
    }
}

fn port(port: &PublishedPort) -> String {
    let ip = port.host_ip.as_ref().map(|ip| format!("{ip}:")).unwrap_or_default();
    let outside = port.host_port.map_or_else(|| "?".to_string(), |p| p.to_string());
    format!("{ip}{outside}->{}/{}", port.container_port, port.protocol)
}

impl AppDetails {
    /// For people.
    pub fn table(&self, now: Timestamp) -> String {
        let dash = || "-".to_string();
        let or_dash = |text: String| if text.is_empty() { "-".to_string() } else { text };
        let rows = self.containers.iter().map(|c| {
            [
                c.host.to_string(),
                c.id.short().to_string(),
                c.name.clone(),
                if c.serving { "yes" } else { "no" }.to_string(),
                c.state.clone(),
                c.started.map_or_else(dash, |at| time::ago(at, now)),
                c.restarts.to_string(),
                or_dash(c.addresses.values().cloned().collect::<Vec<_>>().join(" ")),
                or_dash(c.ports.join(" ")),
                c.image.clone(),
            ]
        });
        let header = ["HOST", "ID", "NAME", "SERVES", "STATE", "STARTED", "RESTARTS", "ADDRESS", "PORTS", "IMAGE"];
        table::table(header, rows)
    }
}

/// The proxy of a host.
#[derive(Debug, Clone, Serialize)]
pub struct ProxyDetail {
    /// Host.
    pub host: HostName,
    /// Its container; `None` when it was never set up.
    pub container: Option<ContainerId>,
    /// The image it was made from.
    pub image: Option<String>,
    /// `running`, `stopped`, `not set up`.
    pub state: &'static str,
    /// Host ports.
    pub ports: Vec<u16>,
    /// Backend → the container that its requests go to.
    pub routes: BTreeMap<String, Option<ContainerId>>,
}

impl ProxyDetail {
    /// The view of one proxy.
    pub fn new(host: &HostName, proxy: &crate::fleet::ProxyState) -> Self {
        let container: Option<&ProxyContainer> = proxy.container.as_ref();
        let state = match container {
            None => "not set up",
            Some(c) if c.running => "running",
            Some(_) => "stopped",
        };
        let routes = proxy.backends.iter().map(|(name, backend)| (name.to_string(), backend.active().cloned()));
        Self {
            host: host.clone(),
            container: container.map(|c| c.id.clone()),
            image: container.map(|c| c.image.clone()),
            state,
            ports: container.map(|c| c.host_ports.clone()).unwrap_or_default(),
            routes: routes.collect(),
        }
    }
}

/// The proxies for people.
pub fn proxies(proxies: &[ProxyDetail]) -> String {
    let dash = || "-".to_string();
    let rows = proxies.iter().map(|p| {
        let ports: Vec<String> = p.ports.iter().map(u16::to_string).collect();
        let route = |(name, to): (&String, &Option<ContainerId>)| {
            format!("{name} -> {}", to.as_ref().map_or("nothing", |id| id.short()))
        };
        let routes: Vec<String> = p.routes.iter().map(route).collect();
        [
            p.host.to_string(),
            p.container.as_ref().map_or_else(dash, |id| id.short().to_string()),
            p.state.to_string(),
            if ports.is_empty() { dash() } else { ports.join(" ") },
            if routes.is_empty() { dash() } else { routes.join(", ") },
            p.image.clone().unwrap_or_else(dash),
        ]
    });
    table::table(["HOST", "ID", "STATE", "PORTS", "ROUTES", "IMAGE"], rows)
}
