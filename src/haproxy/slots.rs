//! Slots: a container is loaded into one to be checked, and taken out when it has drained.
//!
//! A slot is reused for another container only by maint → name + address together → drain. By address alone it would
//! keep resolving the previous container's name, and go down with it or follow it.

use crate::effect::{Probe, ProxyError, Target};
use crate::fleet::{BackendName, ServerRole};
use crate::haproxy::HaProxy;
use crate::haproxy::layout::{EMPTY, SLOTS, twin};
use crate::haproxy::runtime::set;
use crate::haproxy::stat::Row;
use crate::name::ContainerId;
use std::net::IpAddr;
use std::time::Duration;

/// How long a slot may take to become free: an answer to its last check may still be on its way.
const FREE_DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// The slot that holds a container.
pub(super) fn slot_of<'a>(rows: &'a [Row], container: &ContainerId) -> Option<&'a Row> {
    primaries(rows).find(|r| r.fqdn == container.short() && r.role() != ServerRole::Maint)
}

/// The slots, without their twins.
pub(super) fn primaries(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|r| SLOTS.contains(&r.name.as_str()))
}

/// Commands that put a container into a slot and its twin and leave both in `state`.
pub(super) fn occupy(backend: &BackendName, slot: &str, target: &Target, state: &str) -> Vec<String> {
    let changes = [
        "state maint".to_string(),
        format!("fqdn {}", target.container.short()),
        format!("addr {} port {}", target.address, target.port),
        format!("state {state}"),
    ];
    both(backend, slot, &changes)
}

/// The same changes for a slot and its twin.
pub(super) fn both(backend: &BackendName, slot: &str, changes: &[String]) -> Vec<String> {
    [set(backend, slot, changes), set(backend, &twin(slot), changes)].concat()
}

/// Puts a slot and its twin out of use, under a name that is cheap to ask for.
fn vacate(backend: &BackendName, slot: &str) -> Vec<String> {
    both(backend, slot, &["state maint".to_string(), format!("fqdn {EMPTY}")])
}

/// An address goes into a command line of the proxy: nothing but an address may.
pub(super) fn valid(target: &Target) -> Result<(), ProxyError> {
    match target.address.parse::<IpAddr>() {
        Ok(_) if target.port != 0 => Ok(()),
        _ => Err(ProxyError::Failed(format!(
            "container {} has no usable address (`{}` port {}): is it running and on the network {}?",
            target.container.short(),
            target.address.escape_debug(),
            target.port,
            crate::haproxy::layout::NETWORK
        ))),
    }
}

fn holds(row: &Row, target: &Target) -> bool {
    row.fqdn == target.container.short() && row.address == target.address && row.port == target.port
}

enum Free {
    /// Nothing is in it, and no answer to a check is on its way.
    Now(String),
    /// It has to be emptied first: a container that gets no requests and has none in flight, left by a run that died.
    Reclaim(String),
    /// Soon.
    Later,
    /// All slots are busy.
    None,
}

fn free(rows: &[Row]) -> Free {
    let maint: Vec<_> = primaries(rows).filter(|r| r.role() == ServerRole::Maint).collect();
    if let Some(row) = maint.iter().find(|r| !r.is_checking()) {
        return Free::Now(row.name.clone());
    }
    if !maint.is_empty() {
        return Free::Later;
    }
    let idle = |row: &&Row| {
        let sessions = |name: &str| rows.iter().find(|r| r.name == name).map_or(0, |r| r.sessions);
        row.role() == ServerRole::Drain && sessions(&row.name) + sessions(&twin(&row.name)) == 0
    };
    primaries(rows).find(idle).map_or(Free::None, |row| Free::Reclaim(row.name.clone()))
}

impl HaProxy {
    pub(super) async fn load_slot(&self, backend: &BackendName, target: &Target) -> Result<(), ProxyError> {
        valid(target)?;
        let rows = self.servers(backend).await?;
        let loaded = match slot_of(&rows, &target.container) {
            Some(row) if holds(row, target) => return Ok(()),
            // It serves under another address: Docker gave it a new one.
            Some(row) if row.role() == ServerRole::Ready => {
                let change = format!("addr {} port {}", target.address, target.port);
                let slot = row.name.clone();
                (self.apply(backend, both(backend, &slot, &[change])).await?, slot)
            }
            Some(row) => {
                let slot = row.name.clone();
                (self.apply(backend, occupy(backend, &slot, target, "drain")).await?, slot)
            }
            None => {
                let slot = self.free_slot(backend, rows).await?;
                (self.apply(backend, occupy(backend, &slot, target, "drain")).await?, slot)
            }
        };
        let (rows, slot) = loaded;
        let took =
            |name: &str| rows.iter().any(|r| r.name == name && holds(r, target) && r.role() != ServerRole::Maint);
        if took(&slot) && took(&twin(&slot)) {
            return Ok(());
        }
        let mine = |r: &&Row| r.name == slot || r.name == twin(&slot);
        let text = |r: &Row| format!("{} {} {}:{} {}", r.name, r.fqdn, r.address, r.port, r.status);
        let found: Vec<_> = rows.iter().filter(mine).map(text).collect();
        Err(ProxyError::Failed(format!(
            "slot {slot} of {backend} did not take container {} at {}:{}; it has {}",
            target.container.short(),
            target.address,
            target.port,
            found.join(" and ")
        )))
    }

    async fn free_slot(&self, backend: &BackendName, mut rows: Vec<Row>) -> Result<String, ProxyError> {
        let deadline = self.clock.elapsed() + FREE_DEADLINE;
        loop {
            match free(&rows) {
                Free::Now(slot) => return Ok(slot),
                Free::Reclaim(slot) => rows = self.apply(backend, vacate(backend, &slot)).await?,
                Free::Later if self.clock.elapsed() < deadline => {
                    self.clock.sleep(POLL).await;
                    rows = self.servers(backend).await?;
                }
                Free::Later | Free::None => {
                    let each: Vec<_> = primaries(&rows)
                        .map(|r| format!("{} {} with {} requests in flight", r.name, r.fqdn, r.sessions))
                        .collect();
                    return Err(ProxyError::Failed(format!("no free slot in {backend}: {}", each.join(", "))));
                }
            }
        }
    }

    /// A reload by another service's run empties slots that only the runtime knows: then the container is loaded again,
    /// so that a gate which waits for it comes to its answer.
    pub(super) async fn probe(&self, backend: &BackendName, target: &Target) -> Result<Probe, ProxyError> {
        valid(target)?;
        let rows = self.servers(backend).await?;
        let Some(row) = slot_of(&rows, &target.container) else {
            self.load_slot(backend, target).await?;
            return Ok(Probe { role: ServerRole::Maint, healthy: false, answer: String::new() });
        };
        if !holds(row, target) {
            let answer = format!(
                "the proxy has {}:{} for it instead of {}:{}",
                row.address, row.port, target.address, target.port
            );
            return Ok(Probe { role: row.role(), healthy: false, answer });
        }
        Ok(Probe { role: row.role(), healthy: row.passed(), answer: row.answer() })
    }

    pub(super) async fn unload_slot(&self, backend: &BackendName, container: &ContainerId) -> Result<(), ProxyError> {
        let rows = self.servers(backend).await?;
        let Some(row) = slot_of(&rows, container) else { return Ok(()) };
        if row.role() == ServerRole::Ready {
            let id = container.short();
            return Err(ProxyError::Failed(format!("{id} still gets the requests of {backend}: it stays where it is")));
        }
        let slot = row.name.clone();
        let rows = self.apply(backend, vacate(backend, &slot)).await?;
        match slot_of(&rows, container) {
            None => Ok(()),
            Some(row) => {
                Err(ProxyError::Failed(format!("{} stays in slot {} of {backend}", container.short(), row.name)))
            }
        }
    }
}
