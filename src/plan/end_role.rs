//! A role that stops on a host: no new request finds its way any more, those that are on theirs are answered, then its
//! container stops and the end is written down.

use crate::fleet::{BackendName, Container, HostFacts};
use crate::name::RoleName;
use crate::plan::situation::{Now, Situation};
use crate::plan::work::HostWork;
use crate::plan::{Action, Ref, Serving, Step};

/// Ends what serves a role, and whatever else of it runs, once everything else has gone over.
pub(super) fn end(situation: &Situation<'_>, work: &mut HostWork, facts: &HostFacts, role: &RoleName, now: &Now<'_>) {
    let Some(container) = now.container else {
        work.after.push(now.serving.clone());
        return work.retire.extend(now.leftovers.iter().map(|left| stop(left, role, None, left.stop_timeout)));
    };
    let backend = now.serving.backend.clone();
    if let Some(backend) = &backend {
        let timeout = situation.config.drain_timeout.as_secs();
        let drain = Action::Drain { backend: backend.clone(), container: Ref::Id(container.id.clone()), timeout };
        work.retire.extend([Action::RemoveRoute { backend: backend.clone() }, drain].map(plain));
        work.retire.extend(situation.edge(facts, role).forget_all());
    }
    // Without a proxy a worker gets the time that Kamal's `drain_timeout` gives it to finish its work.
    let patience = u32::try_from(situation.config.drain_timeout.as_secs()).ok().filter(|_| backend.is_none());
    let mut step = stop(container, role, backend, container.stop_timeout.or(patience));
    if let Action::Retire { ends_role, .. } = &mut step.action {
        *ends_role = true;
    }
    work.retire.push(step);
    work.retire.extend(now.leftovers.iter().map(|left| stop(left, role, None, left.stop_timeout)));
    work.after.push(Serving { container: None, version: None, release: None, ..now.serving.clone() });
}

/// Stops a container that does not serve (any more).
pub(super) fn stop(container: &Container, role: &RoleName, backend: Option<BackendName>, timeout: Option<u32>) -> Step {
    let container = Ref::Id(container.id.clone());
    let role = role.clone();
    plain(Action::Retire { container, role, backend, timeout, stop_first: false, ends_role: false })
}

fn plain(action: Action) -> Step {
    Step { action, undo: Vec::new() }
}
