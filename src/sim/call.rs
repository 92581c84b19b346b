//! The one door between code under test and the simulated world.
//!
//! Every effect call goes through [`SimConnection::call`]: there it travels to the host, happens at one moment, is
//! written down, and its answer travels back. A fault before the effect, after it with the answer lost, or a slow or
//! vanished host, is a fault at this place.

use super::machine::{CONNECTION_LOST_AFTER, Link, Machine};
use super::registry::Registry;
use super::world::Shared;
use crate::effect::{EngineError, EngineErrorKind, HostError, LeaseError, ProxyError};
use crate::name::HostName;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

/// A method of the effect traits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    /// `engine.create`.
    pub(super) name: &'static str,
    /// Whether it can change anything on the host (leases do not count).
    pub(super) mutates: bool,
}

pub(super) const fn reads(name: &'static str) -> Method {
    Method { name, mutates: false }
}

pub(super) const fn mutates(name: &'static str) -> Method {
    Method { name, mutates: true }
}

/// A call that reached its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Since the beginning of the world.
    pub at: Duration,
    /// Host.
    pub host: HostName,
    /// `engine.create`, `host.append`, `proxy.switch` …
    pub method: &'static str,
    /// Whether such a call can change anything on the host. Leases do not count.
    pub mutates: bool,
    /// Its arguments, as much as a test wants to see; never a secret.
    pub args: String,
    /// What the host answered if it could not.
    pub error: Option<String>,
}

/// What a call sees of the world while it happens.
pub(super) struct At<'w> {
    pub(super) machine: &'w mut Machine,
    pub(super) registry: &'w mut Registry,
    pub(super) now: Duration,
}

/// The errors that can say that a connection is gone.
pub(super) trait CallError: Display {
    fn disconnected(why: String) -> Self;
}

impl CallError for HostError {
    fn disconnected(why: String) -> Self {
        Self::Disconnected(why)
    }
}

impl CallError for LeaseError {
    fn disconnected(why: String) -> Self {
        Self::Host(HostError::Disconnected(why))
    }
}

impl CallError for EngineError {
    fn disconnected(why: String) -> Self {
        Self { kind: EngineErrorKind::Disconnected, message: format!("the connection was lost: {why}") }
    }
}

impl CallError for ProxyError {
    fn disconnected(why: String) -> Self {
        Self::Failed(format!("the connection was lost: {why}"))
    }
}

/// One connection to one host.
#[derive(Debug, Clone)]
pub(super) struct SimConnection {
    pub(super) shared: Arc<Shared>,
    pub(super) host: HostName,
    pub(super) generation: u64,
}

impl SimConnection {
    /// Makes a call: the way there, the effect at one moment, the record of it, the way back.
    pub(super) async fn call<T, E: CallError>(
        &self,
        method: Method,
        args: String,
        effect: impl FnOnce(&mut At<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.travel().await?;
        let result = self.happen(Some((method, args)), effect);
        self.travel().await?;
        result
    }

    /// The second half of a call that takes time: waits for its moment, happens without a record of its own.
    pub(super) async fn finish<T, E: CallError>(
        &self,
        at: Duration,
        effect: impl FnOnce(&mut At<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.shared.clock.sleep_until(at).await;
        self.travel().await?;
        self.happen(None, effect)
    }

    fn happen<T, E: CallError>(
        &self,
        record: Option<(Method, String)>,
        effect: impl FnOnce(&mut At<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let now = self.shared.now();
        let mut guard = self.shared.lock();
        let world = &mut *guard;
        let Some(machine) = world.machines.get_mut(&self.host) else {
            return Err(E::disconnected(format!("there is no host {}", self.host)));
        };
        machine.advance(now);
        let mut result = effect(&mut At { machine, registry: &mut world.registry, now });
        machine.settle(now);
        if record.as_ref().is_some_and(|(method, _)| machine.lost_answers.remove(method.name)) {
            result = Err(E::disconnected("the answer never came".to_string()));
        }
        if let Some((method, args)) = record {
            let error = result.as_ref().err().map(ToString::to_string);
            let host = self.host.clone();
            world.calls.push(CallRecord { at: now, host, method: method.name, mutates: method.mutates, args, error });
        }
        drop(guard);
        self.shared.changed.notify_waiters();
        result
    }

    /// One way: half the latency, and no arrival while packets vanish. Both sides give up after 15 seconds of silence.
    pub(super) async fn travel<E: CallError>(&self) -> Result<(), E> {
        let half = self.shared.lock().latency / 2;
        if !half.is_zero() {
            tokio::time::sleep(half).await;
        }
        loop {
            let changed = self.shared.changed.notified();
            let silent_since = self.look(|machine, _| match machine.link {
                _ if machine.generation != self.generation => Err("it was reset".to_string()),
                Link::Cut { since } => Ok(Some(since)),
                _ => Ok(None),
            });
            let Some(since) = silent_since.map_err(E::disconnected)? else { return Ok(()) };
            tokio::select! {
                () = changed => {}
                () = self.shared.clock.sleep_until(since + CONNECTION_LOST_AFTER) => {}
            }
        }
    }

    /// Looks at the machine now, without a call.
    pub(super) fn look<T>(&self, question: impl FnOnce(&Machine, Duration) -> T) -> T {
        let now = self.shared.now();
        let mut world = self.shared.lock();
        let seed = world.seed;
        // A connection is only ever made to a host that exists, and hosts stay.
        let machine = world.machines.entry(self.host.clone()).or_insert_with(|| Machine::new(self.host.clone(), seed));
        machine.advance(now);
        question(machine, now)
    }
}
