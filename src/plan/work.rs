//! What is to be done on one host, before it becomes lanes of stages.

use crate::name::{HostName, Version};
use crate::plan::change::Change;
use crate::plan::situation::Now;
use crate::plan::{Action, Lane, MadeOf, Serving, Stage, StageKind, Step};

/// One host's share of a plan.
pub(super) struct HostWork {
    pub(super) host: HostName,
    pub(super) prepare: Vec<Step>,
    pub(super) change: Vec<Step>,
    pub(super) retire: Vec<Step>,
    pub(super) before: Vec<Serving>,
    pub(super) after: Vec<Serving>,
    pub(super) notes: Vec<String>,
}

impl HostWork {
    pub(super) fn new(host: &HostName) -> Self {
        Self {
            host: host.clone(),
            prepare: Vec::new(),
            change: Vec::new(),
            retire: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// One more thing that the host needs beforehand; several roles may need the same.
    pub(super) fn prepare_with(&mut self, action: Option<Action>) {
        let steps = action.into_iter().map(|action| Step { action, undo: Vec::new() });
        let new: Vec<_> = steps.filter(|step| !self.prepare.contains(step)).collect();
        self.prepare.extend(new);
    }

    /// A role goes over, and serves `version` from then on.
    pub(super) fn go_over(
        &mut self,
        change: &Change<'_>,
        now: &Now<'_>,
        version: Option<Version>,
        made_of: Option<MadeOf>,
    ) {
        if change.stop_first {
            let why = if change.host_ports.is_empty() { "" } else { " publishes host ports" };
            let gap = "what serves stops before the new one starts, with a gap in between";
            self.notes.push(format!("role {}{why}: {gap}", change.role));
        }
        if !change.gate_first {
            self.notes.push(format!("role {}: requests go over before it is known to be healthy", change.role));
        }
        self.change.extend(change.steps());
        self.retire.extend(change.retire_steps());
        self.after.push(Serving {
            container: Some(change.incoming_ref()),
            version,
            release: change.release.clone(),
            made_of,
            ..now.serving.clone()
        });
    }
}

/// Lanes of one kind, leaving out hosts without steps.
pub(super) fn stage(kind: StageKind, lanes: impl IntoIterator<Item = (HostName, Vec<Step>)>) -> Option<Stage> {
    let lanes: Vec<_> =
        lanes.into_iter().filter(|(_, steps)| !steps.is_empty()).map(|(host, steps)| Lane { host, steps }).collect();
    (!lanes.is_empty()).then_some(Stage { kind, lanes, pause_after: 0 })
}
