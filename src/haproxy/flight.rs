//! Requests in flight.

use crate::effect::ProxyError;
use crate::fleet::{BackendName, ServerRole};
use crate::haproxy::HaProxy;
use crate::haproxy::stat::{rows, used_connections};
use crate::name::ContainerId;

impl HaProxy {
    /// The current worker's sessions in the container's slot and its twin, and per older worker its connections in use
    /// to the container. An older worker cannot be switched any more (HAProxy says that its proxy is disabled), and it
    /// lives as long as it has clients: one that would route an idle client's next request to the container counts as
    /// one at least, and so does one that cannot be asked.
    pub(super) async fn count_in_flight(&self, backend: &BackendName, id: &ContainerId) -> Result<u64, ProxyError> {
        let (rows, workers) = tokio::try_join!(self.servers_if_any(backend), self.workers())?;
        let mut count = rows.iter().filter(|r| r.fqdn == id.short()).map(|r| r.sessions).sum::<u64>();
        for pid in workers.old {
            count += self.in_old_worker(pid, backend, id).await;
        }
        Ok(count)
    }

    async fn in_old_worker(&self, pid: u32, backend: &BackendName, id: &ContainerId) -> u64 {
        let commands = [format!("show servers state {backend}"), format!("show servers conn {backend}")];
        let Ok(answer) = self.worker(pid, &commands).await else { return 1 };
        let used = used_connections(&answer);
        if used.is_empty() {
            // It ended meanwhile, or it never knew the backend.
            let gone = answer.contains("find the target") || answer.contains("find backend");
            return u64::from(!gone);
        }
        let rows = rows(&answer);
        let mine: Vec<_> = rows.iter().filter(|r| r.fqdn == id.short()).collect();
        let sessions = mine.iter().filter_map(|r| used.get(&r.name)).sum::<u64>();
        let routes = mine.iter().any(|r| r.role() == ServerRole::Ready);
        sessions.max(u64::from(routes))
    }
}
