//! One host's steps of one stage, and the way back.

use crate::event::{Event, Failure};
use crate::execute::action::{Means, perform};
use crate::execute::host::{RunHost, StepError, leased};
use crate::execute::{Leases, Removed};
use crate::mask::Masker;
use crate::name::RoleName;
use crate::plan::{Action, Lane, StageKind, StepId};
use crate::release::StepReport;
use jiff::Timestamp;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How a step ended: with something worth saying about it, or not.
type Ended = Result<Option<String>, Failure>;

/// How a lane went.
#[derive(Debug, Default)]
pub(super) struct LaneResult {
    /// How many of its steps were begun.
    pub(super) begun: usize,
    /// Steps that failed; in a stage that goes on there may be several.
    pub(super) failures: Vec<Failure>,
    /// Containers and images that were removed.
    pub(super) removed: Removed,
    /// What was done, for `releases show`.
    pub(super) steps: Vec<StepReport>,
}

/// What a lane needs besides its means.
pub(super) struct LaneContext<'a> {
    pub(super) means: &'a Means<'a>,
    pub(super) leases: &'a Leases,
    pub(super) masker: &'a Masker,
    /// No new step starts once this is cancelled.
    pub(super) stop: &'a CancellationToken,
}

impl LaneContext<'_> {
    /// Runs a lane. In a prepare or change stage the first failure ends it and stops all others.
    pub(super) async fn run(&self, host: &RunHost, kind: StageKind, place: (usize, usize), lane: &Lane) -> LaneResult {
        let goes_on = matches!(kind, StageKind::Retire | StageKind::Retain | StageKind::Prune);
        let mut left_alone = Vec::new();
        let mut result = LaneResult::default();
        for (index, step) in lane.steps.iter().enumerate() {
            if self.stop.is_cancelled() && kind != StageKind::Retire {
                break;
            }
            // What could not be drained or taken out of the proxy may still answer requests: it is not stopped.
            let container = crate::plan::container_of(&step.action);
            if container.is_some_and(|c| left_alone.contains(&c)) {
                continue;
            }
            let id = StepId { stage: place.0, lane: place.1, step: index };
            result.begun = index + 1;
            let began = (self.means.clock.now(), self.means.clock.elapsed());
            let ended = self.until_stopped(host, id, &step.action).await;
            result.steps.push(self.report(kind, &step.action, began, ended.as_ref()));
            match ended {
                None => break,
                Some(Ok(_)) => count(&mut result.removed, &step.action),
                Some(Err(failure)) => {
                    result.failures.push(failure);
                    left_alone.extend(container);
                    if !goes_on {
                        self.stop.cancel();
                        break;
                    }
                }
            }
        }
        result
    }

    /// A gate changes nothing and a pull or a copy nothing that serves, so nobody has to wait for them once the run goes back.
    /// Every other step is finished.
    async fn until_stopped(&self, host: &RunHost, id: StepId, action: &Action) -> Option<Ended> {
        if !matches!(action, Action::Gate { .. } | Action::Pull { .. } | Action::CopyImage { .. }) {
            return Some(self.step(host, id, action).await);
        }
        tokio::select! {
            result = self.step(host, id, action) => Some(result),
            () = self.stop.cancelled() => None,
        }
    }

    async fn step(&self, host: &RunHost, id: StepId, action: &Action) -> Ended {
        let name = &host.node.name;
        let started = self.means.clock.elapsed();
        self.means.sink.emit(Event::StepStarted { host: name.clone(), step: id });
        let outcome = self.guarded(host, Some(id), action).await;
        match outcome {
            Ok(note) => {
                let millis = (self.means.clock.elapsed() - started).as_millis() as u64;
                let note = note.map(|text| self.masker.mask(&text));
                self.means.sink.emit(Event::StepDone { host: name.clone(), step: id, millis, note: note.clone() });
                Ok(note)
            }
            Err(error) => {
                let failure = host.failure(&error, role_of(action), self.masker).await;
                let event = Event::StepFailed { host: name.clone(), step: id, failure: failure.clone() };
                self.means.sink.emit(event);
                Err(failure)
            }
        }
    }

    fn report(
        &self,
        kind: StageKind,
        action: &Action,
        (at, started): (Timestamp, Duration),
        ended: Option<&Ended>,
    ) -> StepReport {
        let failure = ended.and_then(|ended| ended.as_ref().err());
        let note = match ended {
            None => Some("given up, since the run went back".to_string()),
            Some(ended) => ended.as_ref().ok().cloned().flatten(),
        };
        StepReport {
            stage: kind.to_string(),
            step: crate::plan::describe(action),
            at,
            millis: (self.means.clock.elapsed() - started).as_millis() as u64,
            note,
            failure: failure.map(|f| f.message.clone()),
            log: failure.map(|f| f.log.clone()).unwrap_or_default(),
        }
    }

    /// An action under the host's lease: not begun without it, and given up when it is lost.
    async fn guarded(&self, host: &RunHost, id: Option<StepId>, action: &Action) -> Result<Option<String>, StepError> {
        leased(self.leases, host)?;
        tokio::select! {
            result = perform(self.means, host, id, action) => result,
            lost = self.leases.lost(&host.node.name) => Err(lost.into()),
        }
    }

    /// Takes back what was begun, last first. Goes on after a failure: what can be taken back is.
    pub(super) async fn undo(&self, host: &RunHost, begun: &[&crate::plan::Step]) -> Option<String> {
        let mut first = None;
        for action in begun.iter().rev().flat_map(|step| &step.undo) {
            if !self.exists(host, action).await {
                continue;
            }
            if let Err(error) = self.guarded(host, None, action).await {
                let text = self.masker.mask(&error.to_string());
                let message = format!("{}: {text}", crate::plan::describe(action));
                self.means.sink.emit(Event::Warning { host: Some(host.node.name.clone()), message: message.clone() });
                first.get_or_insert(message);
            }
        }
        first
    }

    /// A container whose creation failed has nothing to be taken back. One whose creation was done and only its answer
    /// lost is found by its name.
    async fn exists(&self, host: &RunHost, action: &Action) -> bool {
        match crate::plan::container_of(action) {
            None => true,
            Some(reference) => host.id(reference).is_ok() || host.find(reference, self.means.run).await,
        }
    }
}

fn role_of(action: &Action) -> Option<RoleName> {
    match action {
        Action::Create { container } => Some(container.role.clone()),
        Action::Gate { role, .. } | Action::Switch { role, .. } | Action::Retire { role, .. } => Some(role.clone()),
        _ => None,
    }
}

fn count(removed: &mut Removed, action: &Action) {
    match action {
        Action::Remove { .. } => removed.containers += 1,
        Action::RemoveImage { size, .. } if *size > 0 => {
            removed.images += 1;
            removed.freed += size;
        }
        _ => {}
    }
}
