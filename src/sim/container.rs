//! A simulated container: what it was made from and where it is in its life.

use super::behaviour::ImageBehaviour;
use super::clock::SimClock;
use crate::effect::{LogStream, NewContainer};
use crate::fleet::{Container, ContainerBrief, Health, State};
use crate::name::{ContainerId, Digest};
use crate::spec::{PublishedPort, RestartPolicy};
use std::collections::BTreeMap;
use std::time::Duration;

/// Docker's `health-start-period` and retries are not modelled: after this long a check that fails is a verdict.
const UNHEALTHY_AFTER: Duration = Duration::from_secs(30);

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Created,
    Running,
    Restarting,
    Exited { code: i64 },
}

/// What somebody who connects to a container's port gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// An HTTP status.
    Status(u16),
    /// Connection refused.
    Refused,
    /// Nobody has this address.
    NoOne,
}

/// A container on a machine.
#[derive(Debug, Clone)]
pub(super) struct SimContainer {
    pub(super) id: ContainerId,
    pub(super) made_from: NewContainer,
    pub(super) image_id: Digest,
    pub(super) behaviour: ImageBehaviour,
    pub(super) life: Life,
    pub(super) created_at: Duration,
    pub(super) started_at: Option<Duration>,
    pub(super) finished_at: Option<Duration>,
    pub(super) restart: RestartPolicy,
    pub(super) restart_count: u64,
    /// Docker's `HasBeenManuallyStopped`: `unless-stopped` respects it.
    pub(super) stopped_by_hand: bool,
    /// SIGTERM was sent: it takes no more connections.
    pub(super) stopping: bool,
    pub(super) address: Option<String>,
    /// Host ports in use, while it runs.
    pub(super) host_ports: Vec<u16>,
    /// When it ends, and with which code, if that is known.
    pub(super) ends_at: Option<(Duration, i64)>,
    /// When the restart policy starts it again.
    pub(super) restarts_at: Option<Duration>,
    /// By absolute path: the image's, and what was copied in.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) log: Vec<(Duration, LogStream, String)>,
    /// Requests in flight: how many, until when.
    pub(super) requests: Vec<(u64, Duration)>,
}

impl SimContainer {
    pub(super) fn is_running(&self) -> bool {
        matches!(self.life, Life::Running | Life::Restarting)
    }

    fn since_start(&self, after: Option<Duration>) -> Option<Duration> {
        Some(self.started_at? + after?)
    }

    /// When it begins and ceases to be healthy, if it keeps running.
    fn turns(&self) -> [Option<Duration>; 2] {
        let behaviour = &self.behaviour;
        [behaviour.becomes_healthy_after, behaviour.becomes_unhealthy_after].map(|after| self.since_start(after))
    }

    /// The next moment after `after` at which something about it changes by itself.
    pub(super) fn next_event(&self, after: Duration) -> Option<Duration> {
        let turns = self.turns().into_iter().flatten().filter(|at| self.life == Life::Running && *at > after);
        turns.chain(self.ends_at.map(|(at, _)| at)).chain(self.restarts_at).min()
    }

    /// What a request to its port gets.
    pub(super) fn answer(&self, port: u16, now: Duration) -> Answer {
        if self.life != Life::Running || self.stopping || port != self.behaviour.listens_on {
            return Answer::Refused;
        }
        let [healthy, unhealthy] = self.turns().map(|at| at.is_some_and(|at| at <= now));
        match (healthy && !unhealthy, self.behaviour.unhealthy_status) {
            (true, _) => Answer::Status(200),
            (false, Some(status)) => Answer::Status(status),
            (false, None) => Answer::Refused,
        }
    }

    /// Whether it runs and answers with 200.
    pub(super) fn is_healthy(&self, now: Duration) -> bool {
        self.answer(self.behaviour.listens_on, now) == Answer::Status(200)
    }

    pub(super) fn requests_in_flight(&self, now: Duration) -> u64 {
        self.requests.iter().filter(|(_, until)| *until > now).map(|(n, _)| n).sum()
    }

    fn has_healthcheck(&self) -> bool {
        let flags = self.made_from.options.health.as_ref();
        let own = flags.is_some_and(|h| h.command.is_some());
        (self.behaviour.docker_healthcheck || own) && !flags.is_some_and(|h| h.disabled)
    }

    fn health(&self, now: Duration) -> Health {
        let [healthy, unhealthy] = self.turns().map(|at| at.is_some_and(|at| at <= now));
        let waited = self.started_at.is_some_and(|at| now >= at + UNHEALTHY_AFTER);
        match () {
            () if !self.has_healthcheck() => Health::None,
            () if healthy && !unhealthy => Health::Healthy,
            () if unhealthy || waited => Health::Unhealthy,
            () => Health::Starting,
        }
    }

    pub(super) fn state(&self, now: Duration) -> State {
        match self.life {
            Life::Created => State::Created,
            Life::Running => State::Running(self.health(now)),
            Life::Restarting => State::Restarting,
            Life::Exited { code } => State::Exited { code, oom: false },
        }
    }

    fn ports(&self) -> Vec<PublishedPort> {
        let wanted = &self.made_from.options.publish;
        let actual = |(n, port): (usize, &PublishedPort)| PublishedPort {
            host_port: self.host_ports.get(n).copied().or(port.host_port),
            ..port.clone()
        };
        wanted.iter().enumerate().map(actual).collect()
    }

    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.behaviour.labels.clone();
        labels.extend(self.made_from.labels.clone());
        labels
    }

    /// As the inspect call shows it.
    pub(super) fn inspected(&self, now: Duration) -> Container {
        let network = &self.made_from.network;
        Container {
            id: self.id.clone(),
            name: self.made_from.name.clone(),
            image: self.made_from.image.clone(),
            image_id: self.image_id.clone(),
            labels: self.labels(),
            state: self.state(now),
            created_at: Some(SimClock::timestamp(self.created_at)),
            started_at: self.started_at.map(SimClock::timestamp),
            finished_at: self.finished_at.map(SimClock::timestamp),
            restart: self.restart,
            restart_count: self.restart_count,
            addresses: self.address.iter().map(|address| (network.clone(), address.clone())).collect(),
            networks: std::iter::once(network).chain(&self.made_from.options.network).cloned().collect(),
            ports: self.ports(),
            has_healthcheck: self.has_healthcheck(),
            stop_timeout: self.made_from.stop_timeout,
        }
    }

    /// As the list call shows it.
    pub(super) fn brief(&self) -> ContainerBrief {
        ContainerBrief {
            id: self.id.clone(),
            name: self.made_from.name.clone(),
            image: self.made_from.image.clone(),
            image_id: Some(self.image_id.clone()),
            labels: self.labels(),
            running: self.is_running(),
            host_ports: self.host_ports.clone(),
        }
    }
}
