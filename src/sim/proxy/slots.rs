//! What the proxy's files say and what the running proxy does, slot by slot.

use super::checks::Checks;
use crate::effect::{Backend, Target};
use crate::fleet::{BackendName, BackendState, ProxyContainer, ProxyState, Server, ServerRole};
use crate::name::ContainerId;
use crate::sim::machine::Machine;
use crate::spec::EdgeFile;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Slots of a backend: one that serves, one that comes, and room for what interrupted runs left behind.
const SLOTS: usize = 4;
/// The proxy's DNS follows a container to a new address in this time.
const DNS_DELAY: Duration = Duration::from_millis(200);

/// A backend's file.
#[derive(Debug, Clone)]
pub(in crate::sim) struct BackendFile {
    pub(in crate::sim) backend: Backend,
    /// What it says serves.
    pub(in crate::sim) active: Option<Target>,
}

/// A server of the running proxy.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Slot {
    pub(in crate::sim) occupant: Option<Target>,
    pub(in crate::sim) role: ServerRole,
    pub(in crate::sim) checks: Checks,
    /// When its address follows its container.
    pub(super) resolves_at: Option<Duration>,
}

impl Slot {
    pub(super) fn empty() -> Self {
        Self { occupant: None, role: ServerRole::Maint, checks: Checks::default(), resolves_at: None }
    }

    /// Takes an occupant that has to prove itself: nothing of the previous one's health is left.
    pub(super) fn occupied(occupant: Target, role: ServerRole, now: Duration) -> Self {
        Self { occupant: Some(occupant), role, checks: Checks::begin(now), resolves_at: None }
    }

    pub(super) fn holds(&self, container: &ContainerId) -> bool {
        self.occupant.as_ref().is_some_and(|occupant| occupant.container == *container)
    }
}

/// The proxy of a machine.
#[derive(Debug, Default)]
pub(in crate::sim) struct ProxyBox {
    pub(in crate::sim) container: Option<ContainerId>,
    pub(in crate::sim) files: BTreeMap<BackendName, BackendFile>,
    /// While it runs.
    pub(in crate::sim) runtime: Option<BTreeMap<BackendName, Vec<Slot>>>,
    /// Certificates and pages.
    pub(in crate::sim) edge_files: BTreeSet<(BackendName, EdgeFile)>,
    /// Reloads so far.
    pub(in crate::sim) reloads: u64,
}

impl ProxyBox {
    pub(in crate::sim) fn next_event(&self) -> Option<Duration> {
        let slots = self.runtime.iter().flat_map(|runtime| runtime.values().flatten());
        slots.flat_map(|slot| [slot.checks.next, slot.resolves_at]).flatten().min()
    }

    pub(super) fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.runtime.iter_mut().flat_map(|runtime| runtime.values_mut().flatten())
    }

    /// The container that the running proxy sends requests to.
    pub(super) fn routed(&self, backend: &BackendName) -> Option<&ContainerId> {
        let slots = self.runtime.as_ref()?.get(backend)?;
        slots.iter().find(|slot| slot.role == ServerRole::Ready)?.occupant.as_ref().map(|occupant| &occupant.container)
    }
}

impl Machine {
    /// A proxy that starts or reloads knows what its files say and nothing else: what was loaded beside is gone, and a
    /// server counts as up until its first check.
    pub(in crate::sim) fn load_proxy_files(&mut self, now: Duration) {
        let fresh = |file: &BackendFile| {
            let active = file.active.clone().map(|target| {
                let address = self.containers.get(&target.container).and_then(|c| c.address.clone());
                Target { address: address.unwrap_or_default(), ..target }
            });
            let first = active.map_or_else(Slot::empty, |target| Slot::occupied(target, ServerRole::Ready, now));
            std::iter::once(first).chain((1..SLOTS).map(|_| Slot::empty())).collect()
        };
        let runtime = self.proxy.files.iter().map(|(name, file)| (name.clone(), fresh(file))).collect();
        self.proxy.runtime = Some(runtime);
    }

    /// A container started: if it is the proxy, it reads its files; if a slot names it, DNS follows.
    pub(in crate::sim) fn proxy_follows_start(&mut self, id: &ContainerId, now: Duration) {
        if self.proxy.container.as_ref() == Some(id) {
            self.load_proxy_files(now);
        }
        for slot in self.proxy.slots_mut().filter(|slot| slot.holds(id)) {
            slot.resolves_at = Some(now + DNS_DELAY);
        }
    }

    /// A container ended: if it is the proxy, its runtime is gone. A slot keeps the address it had (`hold nx`).
    pub(in crate::sim) fn proxy_follows_end(&mut self, id: &ContainerId) {
        if self.proxy.container.as_ref() == Some(id) {
            self.proxy.runtime = None;
        }
    }

    /// Addresses that follow their containers by this moment.
    pub(super) fn resolve_names(&mut self, at: Duration) {
        let addresses: BTreeMap<_, _> =
            self.containers.values().filter_map(|c| Some((c.id.clone(), c.address.clone()?))).collect();
        for slot in self.proxy.slots_mut().filter(|slot| slot.resolves_at.is_some_and(|when| when <= at)) {
            slot.resolves_at = None;
            if let Some(occupant) = &mut slot.occupant
                && let Some(address) = addresses.get(&occupant.container)
            {
                occupant.address = address.clone();
            }
        }
    }

    /// As `observe` shows it.
    pub(in crate::sim) fn proxy_state(&self, now: Duration) -> ProxyState {
        let container = self.proxy.container.as_ref().and_then(|id| self.containers.get(id));
        let container = container.map(|c| ProxyContainer {
            id: c.id.clone(),
            running: c.is_running(),
            image: c.made_from.image.clone(),
            image_id: Some(c.image_id.clone()),
            settings: c.made_from.labels.get(super::calls::SETTINGS_LABEL).cloned(),
            host_ports: c.made_from.options.publish.iter().filter_map(|port| port.host_port).collect(),
        });
        let state = |(name, file): (&BackendName, &BackendFile)| {
            let slots = self.proxy.runtime.iter().filter_map(|runtime| runtime.get(name)).flatten();
            let servers = slots.enumerate().map(|(n, slot)| self.server(n, slot, now)).collect();
            let file_active = file.active.as_ref().map(|target| target.container.clone());
            let (route, edge) = (file.backend.route.clone(), file.backend.edge.clone());
            (name.clone(), BackendState { route, edge, file_active, servers })
        };
        ProxyState { container, backends: self.proxy.files.iter().map(state).collect(), unreadable: None }
    }

    fn server(&self, n: usize, slot: &Slot, now: Duration) -> Server {
        // Also one that is gone, if a file names it: the real proxy's short id is resolved by that.
        let filed =
            |id: &ContainerId| self.proxy.files.values().filter_map(|f| f.active.as_ref()).any(|a| a.container == *id);
        let known = |id: &&ContainerId| self.containers.contains_key(*id) || filed(id);
        let container = slot.occupant.as_ref().map(|occupant| &occupant.container).filter(known);
        Server {
            slot: format!("s{}", n + 1),
            container: container.cloned(),
            address: slot.occupant.as_ref().map(|o| format!("{}:{}", o.address, o.port)),
            role: slot.role,
            healthy: slot.checks.verdict(),
            check: slot.checks.text(),
            sessions: container.and_then(|id| self.containers.get(id)).map_or(0, |c| c.requests_in_flight(now)),
        }
    }
}
