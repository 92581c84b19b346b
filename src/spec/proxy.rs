//! How the proxy's container runs.

use crate::spec::ContainerOptions;
use serde::{Deserialize, Serialize};

/// `proxy.run` without image and ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxyOptions {
    /// Whether its ports are published on the host.
    pub publish: bool,
    /// Addresses of the host that they are published on; empty means all.
    pub bind_ips: Vec<std::net::IpAddr>,
    /// The port of HAProxy's own Prometheus exporter (`/metrics`): on the network of the containers, and on the host's
    /// loopback address.
    pub metrics_port: Option<u16>,
    /// Size at which its log begins anew, in the engine's words; `None` leaves it to the engine.
    pub log_max_size: Option<String>,
    /// Docker's other flags.
    pub container: ContainerOptions,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        Self {
            publish: true,
            bind_ips: Vec::new(),
            metrics_port: None,
            log_max_size: Some("10m".to_string()),
            container: ContainerOptions::default(),
        }
    }
}
