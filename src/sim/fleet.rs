//! A fleet of simulated hosts: how a test makes one.

use super::behaviour::ImageBehaviour;
use super::clock::SimClock;
use super::command::Script;
use super::connector::SimConnector;
use super::machine::Machine;
use super::world::Shared;
use crate::effect::Clock;
use crate::name::{Digest, HostName, ImageRef};
use std::sync::Arc;
use std::time::Duration;

/// Hosts, a registry and a clock. Clones are the same fleet.
///
/// Builder methods take names as text and panic on one that is invalid or unknown: they are written by tests, and a
/// test with a misspelt host must not pass.
#[derive(Debug, Clone)]
pub struct SimFleet {
    pub(super) shared: Arc<Shared>,
}

impl Default for SimFleet {
    fn default() -> Self {
        Self::new()
    }
}

/// A host name as a test writes it.
pub(super) fn host_name(text: &str) -> HostName {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

/// An image reference as a test writes it.
pub(super) fn image_ref(text: &str) -> ImageRef {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

impl SimFleet {
    /// No hosts, an empty registry, the seed 0.
    pub fn new() -> Self {
        Self::with_seed(0)
    }

    /// The same, with identifiers that follow from another seed.
    pub fn with_seed(seed: u64) -> Self {
        Self { shared: Arc::new(Shared::new(seed)) }
    }

    /// Adds empty hosts with an engine that runs.
    pub fn hosts<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut world = self.shared.lock();
        let seed = world.seed;
        for name in names.into_iter().map(host_name) {
            world.machines.insert(name.clone(), Machine::new(name, seed));
        }
        drop(world);
        self
    }

    /// Puts an image into the registry.
    pub fn registry_image(self, repository: &str, tag: &str, behaviour: ImageBehaviour) -> Self {
        self.push(repository, tag, behaviour);
        self
    }

    /// Makes the registry ask for credentials.
    pub fn registry_login(self, username: &str, password: &str) -> Self {
        self.shared.lock().registry.login = Some((username.to_string(), password.to_string()));
        self
    }

    /// Puts an image onto a host as `docker load` does: no registry vouches for it.
    pub fn loaded_image(self, host: &str, reference: &str, behaviour: ImageBehaviour) -> Self {
        let now = self.shared.now();
        let content = self.shared.lock().registry.build(behaviour, now);
        self.machine(host, |machine, _| machine.load_image(&image_ref(reference), content));
        self
    }

    /// Gives a host's login shell a command: exactly this line.
    pub fn command(self, host: &str, line: &str, script: Script) -> Self {
        self.machine(host, |machine, _| machine.commands.insert(line.to_string(), script));
        self
    }

    /// Round trip of every call; 2 ms unless told.
    pub fn latency(self, round_trip: Duration) -> Self {
        self.shared.lock().latency = round_trip;
        self
    }

    /// How long a pull takes; 300 ms unless told.
    pub fn pull_time(self, time: Duration) -> Self {
        self.shared.lock().registry.pull_time = time;
        self
    }

    /// Pushes an image, over a tag that may exist: the tag then means the new one. The answer is its digest.
    pub fn push(&self, repository: &str, tag: &str, behaviour: ImageBehaviour) -> Digest {
        let (image, now) = (image_ref(&format!("{repository}:{tag}")), self.shared.now());
        let registry = &mut self.shared.lock().registry;
        let content = registry.build(behaviour, now);
        let digest = content.index.clone();
        registry.push(image.repository.as_str(), tag, content);
        digest
    }

    /// What connects to the hosts.
    pub fn connector(&self) -> Arc<SimConnector> {
        Arc::new(SimConnector { shared: self.shared.clone() })
    }

    /// The fleet's clock.
    pub fn clock(&self) -> Arc<SimClock> {
        self.shared.clock.clone()
    }

    /// Lets time pass.
    pub async fn wait(&self, duration: Duration) {
        self.shared.clock.sleep(duration).await;
    }

    /// Does something to a host at this moment.
    pub(super) fn machine<T>(&self, host: &str, act: impl FnOnce(&mut Machine, Duration) -> T) -> T {
        self.shared.with(&host_name(host), act).unwrap_or_else(|| panic!("there is no host {host} in this fleet"))
    }
}
