//! A host's proxy.

use crate::fleet::{BackendName, ProxyState, ServerRole};
use crate::name::{ContainerId, Destination, RoleName, ServiceName};
use crate::secret::Secret;
use crate::spec::{Edge, EdgeFile, ProxyOptions, Route};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;

/// The proxy of one host. Its files are the truth that survives a restart; a change of servers is applied to the
/// running proxy without a reload, a change of topology is a reload under the proxy's own lease.
#[async_trait]
pub trait Proxy: Send + Sync {
    /// What it is and where it routes. A proxy that was never set up is an empty state, not an error.
    async fn observe(&self) -> Result<ProxyState, ProxyError>;

    /// Creates and starts it if it does not run. One that runs stays as it is, whatever its settings.
    async fn boot(&self, settings: &ProxySettings) -> Result<(), ProxyError>;

    /// Makes a container with these settings take the place of the one that runs, or boots it. The new image checks the
    /// files before the old container stops; requests in flight have `grace` to finish. When the new one does not
    /// answer, one as before is started again, and that is the error. Returns for how long nothing answered, at most.
    async fn replace(&self, settings: &ProxySettings, grace: Duration) -> Result<Duration, ProxyError>;

    /// Stops its container and removes it. With `keep_files` a later boot brings every route back; without, everything
    /// it knew is gone, certificates with their keys too. One that is not there is fine.
    async fn remove(&self, keep_files: bool) -> Result<(), ProxyError>;

    /// Puts a file beside the configuration, mode 0600. Nothing uses it before a backend's route names it.
    async fn put_file(
        &self,
        backend: &BackendName,
        file: &EdgeFile,
        content: &Secret<String>,
    ) -> Result<(), ProxyError>;

    /// Removes files of a backend that its route does not name any more; those it names stay.
    async fn forget_files(&self, backend: &BackendName, files: &[EdgeFile]) -> Result<(), ProxyError>;

    /// Makes everything ready for a start while another program has the ports: files with these routes in force, a trial
    /// on the network without any port, in which every target must pass its check, and a container that is not started
    /// (and has no restart policy). The answer is that container. Refused while the proxy runs.
    async fn stand_by(
        &self,
        settings: &ProxySettings,
        routes: &[(Backend, Target)],
        deadline: Duration,
    ) -> Result<ContainerId, ProxyError>;

    /// Removes a proxy that does not run, and these routes of its files. Fine where there is nothing of it.
    async fn stand_down(&self, backends: &[BackendName]) -> Result<(), ProxyError>;

    /// Makes a backend's route known, or changes it. What it routes to stays. Nothing happens when it is so already.
    async fn set_route(&self, backend: &Backend) -> Result<(), ProxyError>;

    /// Takes a backend away. What it routed to gets no more requests.
    async fn remove_route(&self, backend: &BackendName) -> Result<(), ProxyError>;

    /// Puts a container into a free slot: health checks begin, requests do not.
    async fn load(&self, backend: &BackendName, target: &Target) -> Result<(), ProxyError>;

    /// What the proxy thinks of a loaded container right now.
    async fn check(&self, backend: &BackendName, target: &Target) -> Result<Probe, ProxyError>;

    /// Sends new requests to `to` (loaded before) and none to `from`, in the files and in the running proxy, and reads
    /// both back. Refused when something else than `from` serves.
    async fn switch(&self, backend: &BackendName, from: Option<&ContainerId>, to: &Target) -> Result<(), ProxyError>;

    /// Sends requests to nobody: `from` gets no new ones, in the files and in the running proxy. The route stays.
    /// Refused when something else than `from` serves; fine when nothing does.
    async fn suspend(&self, backend: &BackendName, from: &ContainerId) -> Result<(), ProxyError>;

    /// Requests in flight to a container that gets no new ones, older workers of the proxy included. Also asked of a
    /// backend that was removed: those that were on their way are still answered.
    async fn in_flight(&self, backend: &BackendName, container: &ContainerId) -> Result<u64, ProxyError>;

    /// Takes a container that gets no requests out of its slot.
    async fn unload(&self, backend: &BackendName, container: &ContainerId) -> Result<(), ProxyError>;
}

/// How the proxy itself runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxySettings {
    /// Image.
    pub image: String,
    /// Host port.
    pub http_port: u16,
    /// Host port.
    pub https_port: u16,
    /// The rest of `proxy.run`.
    #[serde(default)]
    pub options: ProxyOptions,
    /// The state directory, `<home>`.
    pub home: String,
    /// The uid that the proxy runs as, so that the login may use its socket (0 in a rootless engine).
    pub uid: u32,
}

impl ProxySettings {
    /// A digest of everything in it: a container that carries another one was made from other settings.
    pub fn digest(&self) -> String {
        use sha2::Digest;
        let text = serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("settings are plain data"));
        hex::encode(&sha2::Sha256::digest(text)[..8])
    }
}

/// A backend: one role of a service on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Its name.
    pub name: BackendName,
    /// Whose it is.
    pub service: ServiceName,
    /// Which role.
    pub role: RoleName,
    /// Which destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// How requests reach it.
    pub route: Route,
    /// What the proxy answers by itself.
    #[serde(default, skip_serializing_if = "Edge::is_empty")]
    pub edge: Edge,
}

/// A container as the proxy reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The container; its 12-digit id is its name on the network.
    pub container: ContainerId,
    /// Its address on the network, by inspect.
    pub address: String,
    /// The port that the application listens on.
    pub port: u16,
}

/// The proxy's view of a loaded container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What its slot is used for.
    pub role: ServerRole,
    /// Whether the slot's address is the container's, its status is exactly drained or up without a pending change, and
    /// a check of *this* container has succeeded.
    pub healthy: bool,
    /// The last answer, such as `L7OK/200` or `L7STS/503 Service Unavailable`; empty before the first.
    pub answer: String,
}

/// A proxy operation that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// There is no proxy, or it does not run.
    #[error("the proxy does not run: {0}")]
    NotRunning(String),
    /// It does not accept the configuration that windlass rendered; its words.
    #[error("the proxy refused its configuration: {0}")]
    Refused(String),
    /// Something else serves than was expected.
    #[error("backend {backend} routes to {found}, not to {expected}")]
    Moved {
        /// Backend.
        backend: BackendName,
        /// What was expected to serve.
        expected: String,
        /// What does.
        found: String,
    },
    /// Another run changes the proxy's topology and did not finish in time.
    #[error("the proxy is being changed by another run for more than {}s", .0.as_secs())]
    Busy(Duration),
    /// An answer that makes no sense, or a failed file or engine operation.
    #[error("{0}")]
    Failed(String),
}
