//! The lives of a machine's containers: start, stop, end, restart, and what an engine brings back.

use super::container::{Life, SimContainer};
use super::machine::Machine;
use crate::effect::{EngineError, EngineErrorKind, LogStream, NewContainer};
use crate::name::{ContainerId, Digest};
use crate::spec::RestartPolicy;
use std::time::Duration;

/// Docker's first wait before a restart; it doubles up to a minute.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// Docker's default between SIGTERM and SIGKILL, in seconds.
const DEFAULT_STOP_TIMEOUT: u32 = 10;
/// The first port of those that the engine chooses itself.
const FIRST_EPHEMERAL_PORT: u16 = 32768;

pub(super) fn error(kind: EngineErrorKind, message: impl Into<String>) -> EngineError {
    EngineError { kind, message: message.into() }
}

impl Machine {
    /// Creates a container from an image that is here.
    pub(super) fn create(&mut self, new: NewContainer, now: Duration) -> Result<ContainerId, EngineError> {
        if self.containers.values().any(|c| c.made_from.name == new.name) {
            let message = format!("the container name \"/{}\" is already in use", new.name);
            return Err(error(EngineErrorKind::Conflict, message));
        }
        let Some(image_id) = self.find_image(&new.image) else {
            return Err(error(EngineErrorKind::NotFound, format!("no such image: {}", new.image)));
        };
        if let Some(network) = new.options.network.iter().find(|network| !self.networks.contains_key(*network)) {
            return Err(error(EngineErrorKind::NotFound, format!("network {network} not found")));
        }
        for volume in new.volumes.iter().filter_map(|v| v.split(':').next()).filter(|v| !v.starts_with('/')) {
            self.volumes.entry(volume.to_string()).or_default();
        }
        let id = self.next_id();
        let container = self.new_container(id.clone(), new, image_id, now);
        self.containers.insert(id.clone(), container);
        Ok(id)
    }

    fn new_container(&self, id: ContainerId, new: NewContainer, image_id: Digest, now: Duration) -> SimContainer {
        let behaviour = self.images.get(&image_id).map(|image| image.content.behaviour.clone()).unwrap_or_default();
        SimContainer {
            id,
            restart: new.restart,
            made_from: new,
            image_id,
            files: behaviour.files.clone(),
            behaviour,
            life: Life::Created,
            created_at: now,
            started_at: None,
            finished_at: None,
            restart_count: 0,
            stopped_by_hand: false,
            stopping: false,
            address: None,
            host_ports: Vec::new(),
            ends_at: None,
            restarts_at: None,
            log: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// The ports that a container takes when it starts, or why it cannot.
    fn ports_for(&self, container: &SimContainer) -> Result<Vec<u16>, EngineError> {
        let taken = |port: u16| {
            let mut others = self.containers.values().filter(|c| c.id != container.id);
            self.facts.listeners.contains(&port) || others.any(|c| c.host_ports.contains(&port))
        };
        let mut ports: Vec<u16> = Vec::new();
        for published in &container.made_from.options.publish {
            let free = |port: &u16| !taken(*port) && !ports.contains(port);
            let chosen = match published.host_port {
                Some(port) => Some(port).filter(free),
                None => (FIRST_EPHEMERAL_PORT..).find(free),
            };
            let wanted = published.host_port.unwrap_or_default();
            let message = || format!("Bind for 0.0.0.0:{wanted} failed: port is already allocated");
            ports.push(chosen.ok_or_else(|| error(EngineErrorKind::Conflict, message()))?);
        }
        Ok(ports)
    }

    /// Starts a container; one that fails to start stays as it was.
    pub(super) fn start(&mut self, id: &ContainerId, now: Duration) -> Result<(), EngineError> {
        let container = self.container(id)?;
        if container.is_running() {
            return Ok(());
        }
        let network = container.made_from.network.clone();
        if !self.networks.contains_key(&network) {
            return Err(error(EngineErrorKind::NotFound, format!("network {network} not found")));
        }
        if let Some(words) = &container.behaviour.fails_to_start {
            return Err(error(EngineErrorKind::Other, words.clone()));
        }
        let ports = self.ports_for(container)?;
        let address = self.free_address(&network);
        let container = self.container_mut(id)?;
        container.stopped_by_hand = false;
        container.restart_count = 0;
        container.run(address, ports, now);
        self.proxy_follows_start(id, now);
        Ok(())
    }

    /// Sends the stop signal. The answer is the moment at which the container will have ended.
    pub(super) fn begin_stop(
        &mut self,
        id: &ContainerId,
        seconds: Option<u32>,
        now: Duration,
    ) -> Result<Duration, EngineError> {
        let container = self.container_mut(id)?;
        container.stopped_by_hand |= container.is_running();
        if container.life != Life::Running {
            container.restarts_at = None;
            if container.life == Life::Restarting {
                container.life = Life::Exited { code: container.behaviour.exit_code };
            }
            return Ok(now);
        }
        let timeout = seconds.or(container.made_from.stop_timeout).unwrap_or(DEFAULT_STOP_TIMEOUT);
        let timeout = Duration::from_secs(timeout.into());
        let (after, code) = match container.behaviour.stops_after {
            after if after <= timeout => (after, 0),
            _ => (timeout, 137),
        };
        container.stopping = true;
        let end = container.ends_at.filter(|(at, _)| *at <= now + after).unwrap_or((now + after, code));
        container.ends_at = Some(end);
        Ok(end.0)
    }

    /// Sends a signal: KILL and TERM end it, others do nothing that can be seen.
    pub(super) fn signal(&mut self, id: &ContainerId, signal: &str, now: Duration) -> Result<(), EngineError> {
        if !self.container(id)?.is_running() {
            return Err(error(EngineErrorKind::Conflict, format!("container {} is not running", id.short())));
        }
        match signal.trim_start_matches("SIG") {
            "KILL" => {
                self.container_mut(id)?.stopped_by_hand = true;
                self.end(id, 137, now);
            }
            "TERM" => drop(self.begin_stop(id, Some(u32::MAX), now)?),
            _ => {}
        }
        Ok(())
    }

    /// A container's process ends, and its restart policy has its say.
    pub(super) fn end(&mut self, id: &ContainerId, code: i64, now: Duration) {
        let Ok(container) = self.container_mut(id) else { return };
        container.halt(Life::Exited { code }, now);
        if container.made_from.one_off {
            self.containers.remove(id);
            return;
        }
        if container.wants_restart(code) {
            container.life = Life::Restarting;
            container.restarts_at = Some(now + container.backoff());
        }
        self.proxy_follows_end(id);
    }

    /// What was going to happen to containers by this moment.
    pub(super) fn containers_happen(&mut self, at: Duration) {
        let ids: Vec<_> = self.containers.keys().cloned().collect();
        for id in ids {
            let Some(container) = self.containers.get(&id) else { continue };
            let (ends, restarts) = (container.ends_at, container.restarts_at);
            if let Some((_, code)) = ends.filter(|(when, _)| *when <= at) {
                self.end(&id, code, at);
            } else if restarts.is_some_and(|when| when <= at) {
                self.restart(&id, at);
            }
        }
    }

    fn restart(&mut self, id: &ContainerId, now: Duration) {
        let Some(container) = self.containers.get_mut(id) else { return };
        let count = container.restart_count + 1;
        container.restarts_at = None;
        container.life = Life::Exited { code: container.behaviour.exit_code };
        if self.start(id, now).is_ok()
            && let Some(container) = self.containers.get_mut(id)
        {
            container.restart_count = count;
        }
    }

    /// The engine ends with all its containers (there is no live-restore here).
    pub(super) fn stop_engine(&mut self, back_at: Option<Duration>, now: Duration) {
        let running: Vec<_> = self.containers.values().filter(|c| c.is_running()).map(|c| c.id.clone()).collect();
        for id in running {
            if let Ok(container) = self.container_mut(&id) {
                container.halt(Life::Exited { code: 0 }, now);
            }
            self.proxy_follows_end(&id);
        }
        self.engine_down = Some(back_at);
    }

    /// The engine comes up and starts what the policies say, in the order in which containers were made.
    pub(super) fn boot_engine(&mut self, now: Duration) {
        self.engine_down = None;
        let mut back: Vec<_> = self.containers.values().filter(|c| c.comes_back()).collect();
        back.sort_by_key(|c| (c.created_at, c.made_from.name.clone()));
        for id in back.into_iter().map(|c| c.id.clone()).collect::<Vec<_>>() {
            // A port that is taken by now leaves it where it is, as in Docker.
            let _ = self.start(&id, now);
        }
    }

    pub(super) fn container(&self, id: &ContainerId) -> Result<&SimContainer, EngineError> {
        self.containers.get(id).ok_or_else(|| no_such_container(id))
    }

    pub(super) fn container_mut(&mut self, id: &ContainerId) -> Result<&mut SimContainer, EngineError> {
        self.containers.get_mut(id).ok_or_else(|| no_such_container(id))
    }
}

fn no_such_container(id: &ContainerId) -> EngineError {
    error(EngineErrorKind::NotFound, format!("no such container: {}", id.short()))
}

impl SimContainer {
    fn run(&mut self, address: Option<String>, ports: Vec<u16>, now: Duration) {
        self.life = Life::Running;
        self.stopping = false;
        self.started_at = Some(now);
        self.address = address;
        self.host_ports = ports;
        self.restarts_at = None;
        self.ends_at = self.behaviour.crashes_after.map(|after| (now + after, self.behaviour.exit_code));
        let lines = self.behaviour.prints.iter().map(|line| (now, LogStream::Out, line.clone()));
        self.log.extend(lines);
    }

    fn halt(&mut self, life: Life, now: Duration) {
        self.life = life;
        self.stopping = false;
        self.finished_at = Some(now);
        self.address = None;
        self.host_ports.clear();
        self.ends_at = None;
        self.restarts_at = None;
        self.requests.clear();
    }

    /// moby's restart manager: by hand is by hand, whatever the policy.
    fn wants_restart(&self, code: i64) -> bool {
        !self.stopped_by_hand && self.policy_wants_restart(code)
    }

    fn policy_wants_restart(&self, code: i64) -> bool {
        match self.restart {
            RestartPolicy::No => false,
            RestartPolicy::Always => true,
            RestartPolicy::UnlessStopped => !self.stopped_by_hand,
            RestartPolicy::OnFailure(most) => code != 0 && most.is_none_or(|most| self.restart_count < most.into()),
        }
    }

    /// Whether an engine that comes up starts it. `always` comes back even when it was stopped by hand; one that was
    /// never started does not (since moby 36924).
    fn comes_back(&self) -> bool {
        match self.life {
            Life::Exited { code } => self.policy_wants_restart(code),
            Life::Created | Life::Running | Life::Restarting => false,
        }
    }

    fn backoff(&self) -> Duration {
        let doublings = u32::try_from(self.restart_count).unwrap_or(u32::MAX).min(10);
        (FIRST_BACKOFF * 2u32.pow(doublings)).min(LONGEST_BACKOFF)
    }
}
