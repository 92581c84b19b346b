//! The state that everything simulated shares.

use super::call::CallRecord;
use super::clock::SimClock;
use super::machine::Machine;
use super::registry::Registry;
use crate::effect::Clock;
use crate::name::HostName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// All machines, the registry, and what was called.
#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) machines: BTreeMap<HostName, Machine>,
    pub(super) registry: Registry,
    pub(super) calls: Vec<CallRecord>,
    /// Round trip of every call.
    pub(super) latency: Duration,
}

/// The world and its time.
#[derive(Debug)]
pub(super) struct Shared {
    world: Mutex<World>,
    pub(super) clock: Arc<SimClock>,
    /// Somebody changed something: those who wait look again.
    pub(super) changed: Notify,
}

impl Shared {
    pub(super) fn new(seed: u64) -> Self {
        let world = World {
            seed,
            machines: BTreeMap::new(),
            registry: Registry::new(seed),
            calls: Vec::new(),
            latency: Duration::from_millis(2),
        };
        Self { world: Mutex::new(world), clock: Arc::default(), changed: Notify::new() }
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// The world; a test that panicked while it held it has said so already.
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a machine at this moment. `None` if there is no such host.
    pub(super) fn with<T>(&self, host: &HostName, change: impl FnOnce(&mut Machine, Duration) -> T) -> Option<T> {
        let now = self.now();
        let result = self.lock().machines.get_mut(host).map(|machine| {
            machine.advance(now);
            let result = change(machine, now);
            machine.settle(now);
            result
        });
        self.changed.notify_waiters();
        result
    }
}
