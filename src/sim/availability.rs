//! Whether requests are answered: the log that "never a moment without a healthy route" is judged by.

use super::machine::Machine;
use crate::fleet::{BackendName, ServerRole};
use crate::name::ContainerId;
use std::time::Duration;

/// What a request to a backend would get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteState {
    /// It was never routed anywhere, or its route was taken away.
    Unrouted,
    /// A running container that answers with 200.
    Up(ContainerId),
    /// An error, and why.
    Down(String),
}

/// From this moment on a backend was in this state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Availability {
    /// Since the beginning of the world.
    pub at: Duration,
    /// What requests got.
    pub state: RouteState,
}

/// A time during which requests to a backend failed although it had served before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// First moment.
    pub from: Duration,
    /// The moment it was over; `None`: it lasts.
    pub to: Option<Duration>,
    /// Why, one reason after the other.
    pub why: String,
}

impl Machine {
    /// Writes down every backend whose state has changed.
    pub(super) fn note_availability(&mut self, at: Duration) {
        let known: Vec<_> = self.proxy.files.keys().chain(self.availability.keys()).cloned().collect();
        for backend in known {
            let state = self.route_state(&backend, at);
            let log = self.availability.entry(backend).or_default();
            let last = log.last().map_or(&RouteState::Unrouted, |last| &last.state);
            if *last != state {
                log.push(Availability { at, state });
            }
        }
    }

    fn route_state(&self, backend: &BackendName, now: Duration) -> RouteState {
        let Some(file) = self.proxy.files.get(backend) else { return RouteState::Unrouted };
        let down = |why: String| RouteState::Down(why);
        let Some(runtime) = &self.proxy.runtime else {
            return match &file.active {
                Some(_) => down("the proxy does not run".to_string()),
                None => RouteState::Unrouted,
            };
        };
        let slots = runtime.get(backend).map(Vec::as_slice).unwrap_or_default();
        let ready = slots.iter().find(|slot| slot.role == ServerRole::Ready).and_then(|slot| slot.occupant.as_ref());
        let Some(active) = ready else {
            let served = self.availability.get(backend).is_some_and(|log| !log.is_empty());
            return if served { down("no server is ready".to_string()) } else { RouteState::Unrouted };
        };
        let short = active.container.short();
        match self.at_address(&active.address) {
            None => down(format!("{short} does not run, or is not at {:?} any more", active.address)),
            Some(other) if other.id != active.container => down(format!("{} answers for {short}", other.id.short())),
            Some(container) if container.answer(active.port, now) != super::container::Answer::Status(200) => {
                down(format!("{short} is not healthy"))
            }
            Some(container) => RouteState::Up(container.id.clone()),
        }
    }
}

/// The failures in a log, from the first moment at which it served. Failures that follow each other are one.
pub(super) fn gaps(log: &[Availability]) -> Vec<Gap> {
    let served = log.iter().position(|entry| matches!(entry.state, RouteState::Up(_))).unwrap_or(log.len());
    let mut gaps: Vec<Gap> = Vec::new();
    for entry in &log[served..] {
        let open = gaps.last_mut().filter(|gap| gap.to.is_none());
        match (&entry.state, open) {
            (RouteState::Down(why), Some(gap)) => gap.why = format!("{}, then {why}", gap.why),
            (RouteState::Down(why), None) => gaps.push(Gap { from: entry.at, to: None, why: why.clone() }),
            (_, Some(gap)) => gap.to = Some(entry.at),
            (_, None) => {}
        }
    }
    gaps
}
