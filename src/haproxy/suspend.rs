//! Taking a backend's container out of service without another one taking over: the route stays.

use crate::effect::ProxyError;
use crate::fleet::{BackendName, ServerRole};
use crate::haproxy::HaProxy;
use crate::haproxy::header::Header;
use crate::haproxy::layout::backend_file;
use crate::haproxy::slots::{both, primaries};
use crate::haproxy::stat::Row;
use crate::name::ContainerId;

fn ready(rows: &[Row]) -> Vec<&Row> {
    primaries(rows).filter(|r| r.role() == ServerRole::Ready).collect()
}

impl HaProxy {
    /// The file first, then the running proxy, as in a switch. Requests get HAProxy's 503 until the next switch.
    pub(super) async fn suspend_route(&self, backend: &BackendName, from: &ContainerId) -> Result<(), ProxyError> {
        let (set, rows) = tokio::try_join!(self.conf_set(), self.servers(backend))?;
        let before = self.header(&set, backend)?;
        if let Some(other) = ready(&rows).iter().find(|row| row.fqdn != from.short()) {
            let (expected, found) = (from.short().to_string(), other.fqdn.clone());
            return Err(ProxyError::Moved { backend: backend.clone(), expected, found });
        }
        let after = Header::new(before.backend.clone(), None);
        self.write_header(&after).await?;
        let drain = |row: &&Row| both(backend, &row.name, &["state drain".to_string()]);
        let commands = ready(&rows).iter().flat_map(drain).collect();
        let left = match self.apply(backend, commands).await {
            Ok(rows) if ready(&rows).is_empty() => None,
            Ok(_) => {
                Some(ProxyError::Failed(format!("the proxy still sends requests of {backend} to {}", from.short())))
            }
            Err(error) => Some(error),
        };
        if let Some(error) = left {
            // What is still routed must be in the file: the next reload would stop routing to it.
            let undone = self.write_header(&before).await;
            return Err(undone.err().unwrap_or(error));
        }
        match self.header(&self.conf_set().await?, backend)? == after {
            true => Ok(()),
            false => {
                let file = backend_file(backend);
                Err(ProxyError::Failed(format!("{}/{file} changed while it was written", self.paths.conf())))
            }
        }
    }
}
