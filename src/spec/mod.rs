//! What a role's containers are made from: the vocabulary that a configuration resolves to, a release records and an
//! engine is asked for.
//!
//! Everything here is independent of the host it runs on and holds the *names* of secrets, never their values.

mod edge;
mod options;
mod proxy;
mod rare_options;
mod retain;
mod role_host;
mod route;
mod shell;

pub use edge::{Certificate, Edge, EdgeFile, EdgeFileKind, LONGEST_PAGE, Maintenance, PAGES};
pub use options::{ContainerOptions, Healthcheck, Mount, PublishedPort, RestartPolicy, Ulimit};
pub use proxy::ProxyOptions;
pub use rare_options::{DeviceRate, Gpus, RareOptions};
pub use retain::Retain;
pub use role_host::RoleHost;
pub use route::{BodyLimits, HttpCheck, Route, Tls};
pub use shell::{Expansions, value_source, volume_source};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One role of a service, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSpec {
    /// The words after the image; `None` runs the image's own command.
    pub command: Option<Vec<String>>,
    /// The environment that every host of the role has.
    pub env: Env,
    /// What hosts with a tag get on top, by tag (Kamal's `env.tags`); only tags that a host of the role carries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_tags: BTreeMap<String, Env>,
    /// The user's labels. windlass's own (`service`, `role`, `windlass.*` …) are added when a container is made.
    pub labels: BTreeMap<String, String>,
    /// `source:target[:options]`, where the source is an absolute path or the name of a volume.
    pub volumes: Vec<String>,
    /// The directory of the image whose files are shared with the release before and the one after (Kamal's
    /// `asset_path`); absolute. It is a volume of each container's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_path: Option<String>,
    /// Everything else a `docker run` flag can say.
    pub options: ContainerOptions,
    /// The engine's log driver and its options.
    pub logging: Logging,
    /// What the engine does when the container ends, while it is the one that serves.
    pub restart: RestartPolicy,
    /// Seconds between SIGTERM and SIGKILL; `None` is the engine's default (10).
    pub stop_timeout: Option<u32>,
    /// How requests reach the role; `None` for a role without a proxy.
    pub route: Option<Route>,
    /// Seconds that a container without any health check must keep running before it counts as healthy.
    pub readiness_delay: u32,
}

/// Environment variables: clear values, and the names under which secret ones are looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Env {
    /// Variable → value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clear: BTreeMap<String, String>,
    /// Variable → name of the secret that holds its value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret: BTreeMap<String, String>,
}

impl Env {
    /// This environment with `over` on top: a later value wins, whatever kind it is.
    pub fn merged(&self, over: &Env) -> Env {
        let mut merged = self.clone();
        for (name, value) in &over.clear {
            merged.secret.remove(name);
            merged.clear.insert(name.clone(), value.clone());
        }
        for (name, secret) in &over.secret {
            merged.clear.remove(name);
            merged.secret.insert(name.clone(), secret.clone());
        }
        merged
    }
}

impl RoleSpec {
    /// The environment on a host that carries these tags.
    pub fn env_for(&self, tags: &[String]) -> Env {
        let layers = tags.iter().filter_map(|tag| self.env_tags.get(tag));
        layers.fold(self.env.clone(), |env, layer| env.merged(layer))
    }

    /// What is mounted: the volumes, and an anonymous one for the assets. The engine fills that from the image when the
    /// container is made, and removes it with the container. (Where the user has a volume of their own, it is that.)
    pub fn mounts(&self) -> Vec<String> {
        let taken = |path: &&String| self.volumes.iter().any(|v| v.split(':').nth(1) == Some(path.as_str()));
        self.volumes.iter().chain(self.asset_path.iter().filter(|path| !taken(path))).cloned().collect()
    }

    /// The host ports that a container of this role occupies. Two such containers cannot run side by side, so the
    /// outgoing one has to stop first.
    pub fn publishes_ports(&self) -> bool {
        !self.options.publish.is_empty()
    }
}

/// The engine's log driver. Nothing set means Docker's `json-file` with `max-size=10m`, as in Kamal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// Driver, `None` for the engine's default.
    pub driver: Option<String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
}

impl Default for Logging {
    fn default() -> Self {
        Self { driver: None, options: [("max-size".to_string(), "10m".to_string())].into() }
    }
}
