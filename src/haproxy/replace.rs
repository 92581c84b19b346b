//! Another container takes the proxy's place: checked by its own image before the old one stops, and the old one's twin
//! stands by for the way back. The ports can belong to one container only, so for a moment nothing answers.

use crate::effect::{EngineErrorKind, Lease, ProxyError, ProxySettings};
use crate::fleet::ContainerBrief;
use crate::haproxy::layout::{CONTAINER, FRONTEND, SPARE_CONTAINER};
use crate::haproxy::reload::Snapshot;
use crate::haproxy::runtime::failed;
use crate::haproxy::set::ConfSet;
use crate::haproxy::topology::disagreement;
use crate::haproxy::{HaProxy, edge, engine_failed};
use crate::name::ContainerId;
use std::time::Duration;

/// Seconds that a proxy which is taken away for good has for its requests.
const REMOVE_GRACE: u32 = 10;

impl HaProxy {
    pub(super) async fn replace_container(
        &self,
        settings: &ProxySettings,
        grace: Duration,
    ) -> Result<Duration, ProxyError> {
        self.same_home(settings)?;
        let lease = self.proxy_lease().await?;
        let result = self.replace_under(settings, grace, lease.as_ref()).await;
        self.give_back(lease).await;
        result
    }

    async fn replace_under(
        &self,
        settings: &ProxySettings,
        grace: Duration,
        lease: &dyn Lease,
    ) -> Result<Duration, ProxyError> {
        let Some(old) = self.existing().await?.filter(|b| b.running) else {
            self.start_under_lease(settings).await?;
            return Ok(Duration::ZERO);
        };
        self.have_image(&settings.image).await?;
        let (set, before) = tokio::try_join!(self.conf_set(), self.snapshot())?;
        if let Some(reason) = disagreement(&set.backends, &before) {
            return Err(ProxyError::Refused(reason));
        }
        self.try_first_files(settings, &set).await?;
        let spare = self.spare(&old).await?;
        lease.check().map_err(|e| ProxyError::Failed(e.to_string()))?;
        let result = self.go_over(settings, grace, &old, &before).await;
        let result = match result {
            Ok(gap) => Ok(gap),
            Err(error) => Err(self.go_back(&spare, &set, error).await),
        };
        if let Err(error) = self.engine.remove(&spare).await {
            tracing::debug!(%error, "the spare container stays until the next replacement");
        }
        result
    }

    /// A container exactly like the one that runs; it is only started if the new one fails.
    async fn spare(&self, old: &ContainerBrief) -> Result<ContainerId, ProxyError> {
        match self.engine.create_like(&old.id, SPARE_CONTAINER).await {
            Err(error) if error.kind == EngineErrorKind::Conflict => {}
            other => return other.map_err(engine_failed),
        }
        let list = self.engine.list().await.map_err(engine_failed)?;
        if let Some(left) = list.iter().find(|b| b.name == SPARE_CONTAINER && !b.running) {
            self.engine.remove(&left.id).await.map_err(engine_failed)?;
        }
        self.engine.create_like(&old.id, SPARE_CONTAINER).await.map_err(engine_failed)
    }

    /// Everything between these two moments is the gap.
    async fn go_over(
        &self,
        settings: &ProxySettings,
        grace: Duration,
        old: &ContainerBrief,
        before: &Snapshot,
    ) -> Result<Duration, ProxyError> {
        self.write_first_files(settings).await?;
        let began = self.clock.elapsed();
        let seconds = u32::try_from(grace.as_secs()).unwrap_or(u32::MAX);
        self.engine.stop(&old.id, Some(seconds)).await.map_err(engine_failed)?;
        self.engine.remove(&old.id).await.map_err(engine_failed)?;
        self.create_and_start(settings).await?;
        let gap = self.clock.elapsed().saturating_sub(began);
        self.reconcile(&self.conf_set().await?, before).await?;
        Ok(gap)
    }

    /// The files and a container as they were. The error says what came of it.
    async fn go_back(&self, spare: &ContainerId, before: &ConfSet, error: ProxyError) -> ProxyError {
        match self.restore(spare, before).await {
            Ok(()) => ProxyError::Failed(format!("{error}; the proxy runs as before")),
            Err(undo) => ProxyError::Failed(format!("{error}; AND THE PROXY AS BEFORE DID NOT COME BACK: {undo}")),
        }
    }

    async fn restore(&self, spare: &ContainerId, before: &ConfSet) -> Result<(), ProxyError> {
        let now = self.conf_set().await?;
        for (file, content) in before.files.iter().filter(|(f, c)| now.files.get(*f) != Some(c)) {
            self.host.write(&self.conf_path(file), content, 0o600).await.map_err(failed)?;
        }
        for file in now.files.keys().filter(|f| !before.files.contains_key(*f)) {
            self.host.remove(&self.conf_path(file)).await.map_err(failed)?;
        }
        let id = match self.existing().await? {
            // It was not stopped, or only its image and settings are as before: both are the old one.
            Some(same) if same.running && self.snapshot().await.is_ok_and(|s| s.digest.is_some()) => same.id,
            other => {
                if let Some(failed) = other {
                    self.engine.stop(&failed.id, Some(1)).await.map_err(engine_failed)?;
                    self.engine.remove(&failed.id).await.map_err(engine_failed)?;
                }
                let id = self.engine.create_like(spare, CONTAINER).await.map_err(engine_failed)?;
                self.engine.start(&id).await.map_err(engine_failed)?;
                id
            }
        };
        self.wait_until_it_answers(&id).await
    }

    pub(super) async fn remove_container(&self, keep_files: bool) -> Result<(), ProxyError> {
        if self.existing().await?.is_none() && keep_files {
            return Ok(());
        }
        let lease = self.proxy_lease().await?;
        let result = self.remove_under(keep_files).await;
        self.give_back(lease).await;
        result
    }

    async fn remove_under(&self, keep_files: bool) -> Result<(), ProxyError> {
        if let Some(proxy) = self.existing().await? {
            self.engine.stop(&proxy.id, Some(REMOVE_GRACE)).await.map_err(engine_failed)?;
            self.engine.remove(&proxy.id).await.map_err(engine_failed)?;
        }
        if keep_files {
            return Ok(());
        }
        let set = self.conf_set().await?;
        let backends: Vec<_> = set.backends.values().map(|h| &h.backend).collect();
        if let Ok(Some(list)) = edge::list(&self.edge_inside(), &backends) {
            self.remove_list(&list).await?;
        }
        for backend in backends {
            self.remove_edge(&backend.name, &backend.edge).await?;
        }
        // The frontend first: it names the others.
        let mut files: Vec<&String> = set.files.keys().collect();
        files.sort_by_key(|f| *f != FRONTEND);
        for file in files {
            self.host.remove(&self.conf_path(file)).await.map_err(failed)?;
        }
        Ok(())
    }
}
