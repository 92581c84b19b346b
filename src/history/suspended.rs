//! Roles that somebody stopped on purpose.

use crate::fleet::{BackendName, Container, HostFacts};
use crate::history::serving;
use crate::history::view::facts_in_order;
use crate::name::{ContainerId, Destination, RoleName, RunId, ServiceName};
use crate::release::{Fact, RunVerb};
use jiff::Timestamp;

/// A role that `windlass app stop` stopped on a host, and that nothing serves since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspended<'a> {
    /// What served it; `None` when somebody removed the container.
    pub container: Option<&'a Container>,
    /// The release that it served.
    pub release: Option<RunId>,
    /// When it stopped serving.
    pub since: Timestamp,
}

/// Whether a role is suspended on a host: the last that the journal says of it is that a run of `stop` (or one of
/// `start` that failed) took it out of service.
pub fn suspended<'a>(
    facts: &'a HostFacts,
    service: &ServiceName,
    destination: Option<&Destination>,
    role: &RoleName,
) -> Option<Suspended<'a>> {
    if serving::serving(facts, service, destination, role).is_some() {
        return None;
    }
    let (entry, from) = last_stop(facts, role)?;
    // A start that failed took back what it had begun: what was suspended is so again.
    let on_purpose = |fact: &Fact| matches!(fact, Fact::Intent { verb: RunVerb::Stop | RunVerb::Start, .. });
    let by_stop = facts.journal.entries.iter().any(|e| e.run == entry.run && on_purpose(&e.fact));
    let release = facts.journal.entries.iter().rev().find_map(|e| match &e.fact {
        Fact::Switched { role: r, to, release, .. } if r == role && to == from => Some(release.clone()),
        _ => None,
    });
    let container = facts.containers.iter().find(|c| c.id == *from);
    by_stop.then(|| Suspended { container, release: release.flatten(), since: entry.at })
}

/// The last word of a host's journal on a role, if that is that it stopped serving.
fn last_stop<'a>(facts: &'a HostFacts, role: &RoleName) -> Option<(&'a crate::release::Entry, &'a ContainerId)> {
    let about = |fact: &Fact| match fact {
        Fact::Switched { role: r, .. } | Fact::Stopped { role: r, .. } => r == role,
        _ => false,
    };
    let last = facts_in_order(facts).into_iter().rev().find(|entry| about(&entry.fact))?;
    match &last.fact {
        Fact::Stopped { from, .. } => Some((last, from)),
        _ => None,
    }
}

/// A proxied role's container that runs and was taken out of service: it drains, and serves nobody.
pub(super) fn is_taken_out(
    facts: &HostFacts,
    service: &ServiceName,
    destination: Option<&Destination>,
    role: &RoleName,
    container: &ContainerId,
) -> bool {
    let backend = facts.proxy.backends.get(&BackendName::new(service, role, destination));
    backend.is_some_and(|b| b.active().is_none()) && last_stop(facts, role).is_some_and(|(_, from)| from == container)
}
