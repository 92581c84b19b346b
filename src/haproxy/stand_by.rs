//! A proxy that is ready to start while another one has the ports.
//!
//! The trial runs the very image and files on the network without publishing anything: what fails there has cost no
//! request. Only then is the container made that will publish the ports; starting it is all that is left to do.

use crate::effect::{Backend, EngineErrorKind, Lease, NewContainer, ProxyError, ProxySettings, Target};
use crate::fleet::BackendName;
use crate::haproxy::header::{Active, Header};
use crate::haproxy::layout::{CHECK_LABEL, SLOTS, TRIAL_CONTAINER, backend_file};
use crate::haproxy::runtime::failed;
use crate::haproxy::{HaProxy, engine_failed};
use crate::name::ContainerId;
use crate::spec::RestartPolicy;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(100);
/// Seconds that the trial has to end. Nobody is its client.
const TRIAL_GRACE: u32 = 1;

impl HaProxy {
    pub(super) async fn make_ready(
        &self,
        settings: &ProxySettings,
        routes: &[(Backend, Target)],
        deadline: Duration,
    ) -> Result<ContainerId, ProxyError> {
        let lease = self.proxy_lease().await?;
        let result = self.ready_under(settings, routes, deadline, lease.as_ref()).await;
        if let Err(error) = lease.release().await {
            tracing::debug!(%error, "the proxy's lease was not given back; it ends with the connection");
        }
        result
    }

    async fn ready_under(
        &self,
        settings: &ProxySettings,
        routes: &[(Backend, Target)],
        deadline: Duration,
        lease: &dyn Lease,
    ) -> Result<ContainerId, ProxyError> {
        if self.existing().await?.is_some_and(|proxy| proxy.running) {
            return Err(ProxyError::Failed("windlass's proxy runs already".to_string()));
        }
        self.remove_stopped().await?;
        self.have_image(&settings.image).await?;
        self.write_routes(settings, routes).await?;
        self.trial(settings, routes, deadline).await?;
        lease.check().map_err(|e| ProxyError::Failed(e.to_string()))?;
        // Without a policy until it serves: an engine that restarts now must not start two that want the same ports.
        let container = NewContainer { restart: RestartPolicy::No, ..self.container(settings) };
        self.engine.create(&container).await.map_err(engine_failed)
    }

    async fn remove_stopped(&self) -> Result<(), ProxyError> {
        match self.existing().await? {
            Some(stopped) => self.engine.remove(&stopped.id).await.map_err(engine_failed),
            None => Ok(()),
        }
    }

    async fn write_routes(&self, settings: &ProxySettings, routes: &[(Backend, Target)]) -> Result<(), ProxyError> {
        self.host.make_dir(&self.paths.conf()).await.map_err(failed)?;
        for (backend, target) in routes {
            let active = Active {
                container: target.container.clone(),
                slot: SLOTS[0].to_string(),
                address: target.address.clone(),
                port: target.port,
            };
            self.write_header(&Header::new(backend.clone(), Some(active))).await?;
        }
        self.write_first_files(settings).await
    }

    async fn trial(
        &self,
        settings: &ProxySettings,
        routes: &[(Backend, Target)],
        deadline: Duration,
    ) -> Result<(), ProxyError> {
        let mut container = self.container(settings);
        container.name = TRIAL_CONTAINER.to_string();
        container.hostname = None;
        container.labels = [(CHECK_LABEL.to_string(), "1".to_string())].into();
        container.options.publish = Vec::new();
        container.restart = RestartPolicy::No;
        let id = self.create_trial_of(&container).await?;
        let verdict = self.until_all_pass(&id, routes, deadline).await;
        let removed = async {
            self.engine.stop(&id, Some(TRIAL_GRACE)).await?;
            self.engine.remove(&id).await
        };
        // It publishes nothing and has no restart policy; the next trial takes its name over.
        if let Err(error) = removed.await {
            tracing::debug!(%error, "the proxy's trial stays until the next one");
        }
        verdict
    }

    /// The name may be taken by a trial whose run died: we hold the proxy's lease, so nobody waits for it.
    async fn create_trial_of(&self, container: &NewContainer) -> Result<ContainerId, ProxyError> {
        match self.engine.create(container).await {
            Err(error) if error.kind == EngineErrorKind::Conflict => {}
            other => return other.map_err(engine_failed),
        }
        let list = self.engine.list().await.map_err(engine_failed)?;
        let leftover = list.iter().find(|b| b.name == TRIAL_CONTAINER && b.labels.contains_key(CHECK_LABEL));
        if let Some(leftover) = leftover {
            self.engine.stop(&leftover.id, Some(TRIAL_GRACE)).await.map_err(engine_failed)?;
            self.engine.remove(&leftover.id).await.map_err(engine_failed)?;
        }
        self.engine.create(container).await.map_err(engine_failed)
    }

    async fn until_all_pass(
        &self,
        id: &ContainerId,
        routes: &[(Backend, Target)],
        deadline: Duration,
    ) -> Result<(), ProxyError> {
        self.engine.start(id).await.map_err(engine_failed)?;
        let give_up = self.clock.elapsed() + deadline;
        loop {
            let reason = match self.snapshot().await {
                Ok(snapshot) if snapshot.digest.is_some() => {
                    let failing = routes.iter().find_map(|(backend, target)| {
                        let ready = snapshot.ready(&backend.name);
                        let row = ready.iter().find(|row| row.fqdn == target.container.short());
                        let answer = row.map_or("not tried yet".to_string(), |row| row.answer());
                        let passed = row.is_some_and(|row| row.last_check() == Some(true));
                        (!passed).then(|| format!("{} of {}: {answer}", target.container.short(), backend.name))
                    });
                    match failing {
                        None => return Ok(()),
                        Some(failing) => format!("what serves does not pass this proxy's health check: {failing}"),
                    }
                }
                Ok(_) => "its answer is not HAProxy's".to_string(),
                Err(error) => error.to_string(),
            };
            let state = self.engine.inspect(id).await.map_err(engine_failed)?.state;
            if !state.is_running() {
                let words = self.words(id).await;
                return Err(ProxyError::Refused(format!("on trial it ended by itself: {words}")));
            }
            if self.clock.elapsed() >= give_up {
                return Err(ProxyError::Failed(format!("on trial, after {} s: {reason}", deadline.as_secs())));
            }
            self.clock.sleep(POLL).await;
        }
    }

    pub(super) async fn forget(&self, backends: &[BackendName]) -> Result<(), ProxyError> {
        if self.existing().await?.is_some_and(|proxy| proxy.running) {
            return Err(ProxyError::Failed("windlass's proxy runs and is not removed".to_string()));
        }
        self.remove_stopped().await?;
        for backend in backends {
            let path = format!("{}/{}", self.paths.conf(), backend_file(backend));
            self.host.remove(&path).await.map_err(failed)?;
        }
        // The frontend names backends; every start writes it anew.
        let frontend = format!("{}/{}", self.paths.conf(), crate::haproxy::layout::FRONTEND);
        self.host.remove(&frontend).await.map_err(failed)
    }
}
