//! What the proxy is and does, in three calls side by side: the engine's list, the files, the runtime socket.

use crate::effect::ProxyError;
use crate::fleet::{BackendState, ContainerBrief, ProxyContainer, ProxyState, Server};
use crate::haproxy::layout::{CONTAINER, LABEL, SETTINGS_LABEL, SLOTS};
use crate::haproxy::set::ConfSet;
use crate::haproxy::stat::{Row, rows};
use crate::haproxy::{HaProxy, engine_failed};
use crate::name::ContainerId;
use std::collections::BTreeMap;

/// Whether a container is the proxy. One that stands by while it is replaced has another name.
pub(super) fn is_proxy(brief: &ContainerBrief) -> bool {
    brief.labels.get(LABEL).is_some_and(|value| value == "1") && brief.name == CONTAINER
}

fn server(row: &Row, ids: &BTreeMap<&str, &ContainerId>) -> Server {
    Server {
        slot: row.name.clone(),
        container: ids.get(row.fqdn.as_str()).map(|id| (*id).clone()),
        address: (!row.address.is_empty()).then(|| format!("{}:{}", row.address, row.port)),
        role: row.role(),
        healthy: row.last_check(),
        check: row.answer(),
        sessions: row.sessions,
    }
}

impl HaProxy {
    pub(super) async fn observe_all(&self) -> Result<ProxyState, ProxyError> {
        let commands = ["show servers state".to_string(), "show stat -1 4 -1".to_string()];
        let list = async { self.engine.list().await.map_err(engine_failed) };
        let (list, set, answer) = tokio::join!(list, self.conf_set(), self.admin(&commands));
        let (list, set) = (list?, set?);
        let container = list.iter().find(|b| is_proxy(b)).map(|brief| ProxyContainer {
            id: brief.id.clone(),
            running: brief.running,
            image: brief.image.clone(),
            image_id: brief.image_id.clone(),
            settings: brief.labels.get(SETTINGS_LABEL).cloned(),
            host_ports: brief.host_ports.clone(),
        });
        let running = container.as_ref().is_some_and(|c| c.running);
        let (rows, silent) = match answer {
            Ok(answer) if running => (rows(&answer), None),
            Err(error) if running => (Vec::new(), Some(error.to_string())),
            _ => (Vec::new(), None),
        };
        let complaints: Vec<_> = silent.into_iter().chain(set.complaint(&self.paths.conf())).collect();
        let unreadable = (!complaints.is_empty()).then(|| complaints.join("; "));
        Ok(ProxyState { container, backends: backends(&set, &rows, &list), unreadable })
    }
}

fn backends(set: &ConfSet, rows: &[Row], list: &[ContainerBrief]) -> BTreeMap<crate::fleet::BackendName, BackendState> {
    let active = set.backends.values().filter_map(|h| h.active.as_ref()).map(|a| &a.container);
    let ids: BTreeMap<&str, &ContainerId> =
        active.chain(list.iter().map(|b| &b.id)).map(|id| (id.short(), id)).collect();
    let state = |name: &str, header: &crate::haproxy::header::Header| BackendState {
        route: header.backend.route.clone(),
        edge: header.backend.edge.clone(),
        file_active: header.active.as_ref().map(|a| a.container.clone()),
        servers: servers(name, rows, &ids),
    };
    set.backends.iter().map(|(name, header)| (name.clone(), state(name.as_str(), header))).collect()
}

/// The slots of a backend. Requests that the twin of one carries are its own.
fn servers(backend: &str, rows: &[Row], ids: &BTreeMap<&str, &ContainerId>) -> Vec<Server> {
    let of = |slot: &&str| {
        let mine = |name: &str| rows.iter().find(|r| r.backend == backend && r.name == name);
        let mut server = server(mine(slot)?, ids);
        server.sessions += mine(&crate::haproxy::layout::twin(slot)).map_or(0, |r| r.sessions);
        Some(server)
    };
    SLOTS.iter().filter_map(of).collect()
}
