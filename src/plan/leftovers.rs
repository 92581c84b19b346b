//! What runs on a host of roles that the configuration no longer puts there.

use crate::fleet::HostFacts;
use crate::history;
use crate::name::{HostName, RoleName};
use crate::plan::end_role;
use crate::plan::situation::Situation;
use crate::plan::work::HostWork;
use std::collections::BTreeSet;

/// Ends them, each as steps of the plan. Only for a command that is about all roles.
pub(super) fn end(situation: &Situation<'_>, work: &mut HostWork, facts: &HostFacts) {
    for role in roles(situation, &work.host, facts) {
        let now = situation.now(&work.host, facts, &role, routed(situation, facts, &role));
        work.before.push(now.serving.clone());
        work.notes.push(format!("{}: {role} is not configured there any more; it stops", work.host));
        end_role::end(situation, work, facts, &role, &now);
    }
}

/// Names them, for a command that leaves them alone.
pub(super) fn name(situation: &Situation<'_>, work: &mut HostWork, facts: &HostFacts) {
    let roles = roles(situation, &work.host, facts);
    let note =
        |role| format!("{}: {role} runs and is not configured there any more; `windlass deploy` stops it", work.host);
    let notes: Vec<_> = roles.into_iter().map(note).collect();
    work.notes.extend(notes);
}

/// Names hosts that the newest release which serves was sent to and that are not configured any more: nobody connects to
/// them, so they are left as they are.
pub(super) fn hosts(situation: &Situation<'_>) -> Option<String> {
    let serving = situation.history.releases.iter().rev().find(|r| !r.running.is_empty())?;
    let configured = |host: &HostName| situation.config.hosts.contains_key(host);
    let gone: BTreeSet<&str> =
        serving.sent_to().into_iter().filter(|host| !configured(host)).map(HostName::as_str).collect();
    let gone = gone.into_iter().collect::<Vec<_>>().join(", ");
    let label = serving.label();
    (!gone.is_empty()).then(|| {
        format!(
            "{label} was sent to {gone} too, not configured any more: what runs there goes on until it is stopped there"
        )
    })
}

/// The roles of running containers that the configuration does not put on this host.
fn roles(situation: &Situation<'_>, host: &HostName, facts: &HostFacts) -> BTreeSet<RoleName> {
    let config = situation.config;
    if config.roles.iter().any(|role| !situation.request.scope.roles.contains(&role.name)) {
        return BTreeSet::new();
    }
    let ours = facts.containers.iter().filter(|c| c.belongs_to(&config.service, config.destination.as_ref()));
    let running = ours.filter(|c| c.state.is_running()).filter_map(|c| c.role());
    let configured =
        |role: &RoleName| config.roles.iter().any(|r| r.name == *role && r.hosts.iter().any(|h| h.name == *host));
    // What a route leads to may have ended; it is a leftover all the same.
    let routed = facts.containers.iter().filter_map(|c| c.role()).filter(|role| {
        let serving = history::serving(facts, &config.service, config.destination.as_ref(), role);
        routed(situation, facts, role) && serving.is_some()
    });
    running.chain(routed).filter(|role| !configured(role)).collect()
}

fn routed(situation: &Situation<'_>, facts: &HostFacts, role: &RoleName) -> bool {
    facts.proxy.backends.contains_key(&situation.backend(role))
}
