//! HAProxy on a host: its container, its configuration files and its runtime sockets.
//!
//! `<home>/proxy/conf/` is the truth that survives a restart: `00-base.cfg`, `10-frontend.cfg` (one frontend, rendered
//! from all backends of the host) and `20-<backend>.cfg` each. The first line of a backend's file is what windlass
//! knows of it, as JSON in a comment; the rest is rendered from that line. `<home>/proxy/edge/` holds certificates and
//! pages that these files name by digest. A service's switch writes its own file only
//! and is applied through the runtime socket; a change of routes is a reload under the lease of `<home>/proxy`.

mod boot;
mod edge;
mod flight;
mod header;
mod layout;
mod observe;
mod reload;
mod render;
mod replace;
mod rules;
mod runtime;
mod set;
mod slots;
mod stand_by;
mod stat;
mod suspend;
mod switch;
mod topology;
mod trial;
mod words;
mod workers;

pub use layout::{Inside, LABEL};

use crate::effect::{Backend, Clock, Engine, EngineError, Host, Probe, Proxy, ProxyError, ProxySettings, Target};
use crate::fleet::{BackendName, Holder, ProxyState};
use crate::name::ContainerId;
use crate::secret::Secret;
use crate::spec::EdgeFile;
use async_trait::async_trait;
use layout::Paths;
use std::sync::Arc;
use std::time::Duration;

/// The proxy of one host.
pub struct HaProxy {
    host: Arc<dyn Host>,
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    paths: Paths,
    holder: Holder,
    inside: Inside,
}

impl HaProxy {
    /// The proxy whose files are in `<home>/proxy`, absolute. `holder` is who is named to others while the proxy's
    /// lease is held.
    pub fn new(
        host: Arc<dyn Host>,
        engine: Arc<dyn Engine>,
        clock: Arc<dyn Clock>,
        home: &str,
        holder: Holder,
    ) -> Self {
        Self { host, engine, clock, paths: Paths::new(home), holder, inside: Inside::default() }
    }

    /// For a proxy that does not run in a container of its own.
    pub fn with_inside(mut self, inside: Inside) -> Self {
        self.inside = inside;
        self
    }
}

fn engine_failed(error: EngineError) -> ProxyError {
    ProxyError::Failed(error.message)
}

#[async_trait]
impl Proxy for HaProxy {
    async fn observe(&self) -> Result<ProxyState, ProxyError> {
        self.observe_all().await
    }

    async fn boot(&self, settings: &ProxySettings) -> Result<(), ProxyError> {
        self.ensure_running(settings).await
    }

    async fn replace(&self, settings: &ProxySettings, grace: Duration) -> Result<Duration, ProxyError> {
        self.replace_container(settings, grace).await
    }

    async fn remove(&self, keep_files: bool) -> Result<(), ProxyError> {
        self.remove_container(keep_files).await
    }

    async fn put_file(
        &self,
        backend: &BackendName,
        file: &EdgeFile,
        content: &Secret<String>,
    ) -> Result<(), ProxyError> {
        self.put_edge_file(backend, file, content).await
    }

    async fn forget_files(&self, backend: &BackendName, files: &[EdgeFile]) -> Result<(), ProxyError> {
        self.forget_edge_files(backend, files).await
    }

    async fn stand_by(
        &self,
        settings: &ProxySettings,
        routes: &[(Backend, Target)],
        deadline: Duration,
    ) -> Result<ContainerId, ProxyError> {
        self.make_ready(settings, routes, deadline).await
    }

    async fn stand_down(&self, backends: &[BackendName]) -> Result<(), ProxyError> {
        self.forget(backends).await
    }

    async fn set_route(&self, backend: &Backend) -> Result<(), ProxyError> {
        self.change_route(backend).await
    }

    async fn remove_route(&self, backend: &BackendName) -> Result<(), ProxyError> {
        self.drop_route(backend).await
    }

    async fn load(&self, backend: &BackendName, target: &Target) -> Result<(), ProxyError> {
        self.load_slot(backend, target).await
    }

    async fn check(&self, backend: &BackendName, target: &Target) -> Result<Probe, ProxyError> {
        self.probe(backend, target).await
    }

    async fn switch(&self, backend: &BackendName, from: Option<&ContainerId>, to: &Target) -> Result<(), ProxyError> {
        self.switch_to(backend, from, to).await
    }

    async fn suspend(&self, backend: &BackendName, from: &ContainerId) -> Result<(), ProxyError> {
        self.suspend_route(backend, from).await
    }

    async fn in_flight(&self, backend: &BackendName, container: &ContainerId) -> Result<u64, ProxyError> {
        self.count_in_flight(backend, container).await
    }

    async fn unload(&self, backend: &BackendName, container: &ContainerId) -> Result<(), ProxyError> {
        self.unload_slot(backend, container).await
    }
}
