//! What serves a role on a host, and what else of it runs there.

use crate::fleet::{BackendName, Container, HostFacts};
use crate::history::suspended;
use crate::name::{ContainerId, Destination, RoleName, ServiceName};
use crate::release::Fact;

/// The container that serves a role on a host.
///
/// 1. What the role's backend in the proxy routes to, whatever its tag, age or state: a stopped one is returned too,
///    since that is where requests go, and callers see its state.
/// 2. While kamal-proxy runs: what it routes to. Kamal's hosts are shown, and taken over, as what they are.
/// 3. Without such a backend (a role without a proxy, or a proxy that routes to nothing that exists): the running
///    container of the role whose `Switched` is the newest in this host's journal; not one that a stop has taken out
///    of service.
/// 4. Where the journal knows none of the running ones (made by Kamal, or the journal was lost): the one created last,
///    but none that never passed its gate: a run that was cut off left it, and it never served anybody.
pub fn serving<'a>(
    facts: &'a HostFacts,
    service: &ServiceName,
    destination: Option<&Destination>,
    role: &RoleName,
) -> Option<&'a Container> {
    let backend = facts.proxy.backends.get(&BackendName::new(service, role, destination));
    let routed = backend.and_then(|b| b.active()).and_then(|id| container(facts, id));
    routed.or_else(|| by_kamal_proxy(facts, service, destination, role)).or_else(|| {
        let mut running = running(facts, service, destination, role);
        running.retain(|c| !suspended::is_taken_out(facts, service, destination, role, &c.id));
        last_switched(facts, role, &running)
            .or_else(|| running.into_iter().filter(|c| !c.is_unproven()).max_by_key(|c| (c.created_at, c.id.clone())))
    })
}

fn by_kamal_proxy<'a>(
    facts: &'a HostFacts,
    service: &ServiceName,
    destination: Option<&Destination>,
    role: &RoleName,
) -> Option<&'a Container> {
    let proxy = facts.kamal_proxy.as_ref().filter(|proxy| proxy.running)?;
    let name = BackendName::new(service, role, destination);
    let route = proxy.routes.iter().find(|route| route.name == name.as_str())?;
    facts.containers.iter().find(|c| route.leads_to(&c.id))
}

/// The running containers of a role on a host other than the one that serves: left by a run that was cut off, or
/// started by hand. In the order of [`HostFacts::containers`].
pub fn leftovers<'a>(
    facts: &'a HostFacts,
    service: &ServiceName,
    destination: Option<&Destination>,
    role: &RoleName,
) -> Vec<&'a Container> {
    let serving = serving(facts, service, destination, role).map(|c| &c.id);
    let mut rest = running(facts, service, destination, role);
    rest.retain(|c| Some(&c.id) != serving);
    rest
}

pub(super) fn container<'a>(facts: &'a HostFacts, id: &ContainerId) -> Option<&'a Container> {
    facts.containers.iter().find(|c| &c.id == id)
}

fn running<'a>(
    facts: &'a HostFacts,
    service: &ServiceName,
    destination: Option<&Destination>,
    role: &RoleName,
) -> Vec<&'a Container> {
    let of_role = |c: &&Container| c.belongs_to(service, destination) && c.role().as_ref() == Some(role);
    facts.containers.iter().filter(|c| c.state.is_running()).filter(of_role).collect()
}

/// The order of a host's journal is the order in which things happened there: every writer held the lease.
fn last_switched<'a>(facts: &HostFacts, role: &RoleName, among: &[&'a Container]) -> Option<&'a Container> {
    facts.journal.entries.iter().rev().find_map(|entry| match &entry.fact {
        Fact::Switched { role: switched, to, .. } if switched == role => among.iter().find(|c| &c.id == to).copied(),
        _ => None,
    })
}
