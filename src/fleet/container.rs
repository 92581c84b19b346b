//! Containers and images as an engine reports them.

use crate::name::{ContainerId, Destination, Digest, ImageRef, RoleName, RunId, ServiceName, Version};
use crate::release::Fingerprint;
use crate::spec::{PublishedPort, RestartPolicy};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The labels that carry a container's identity. Names are never used for it.
pub mod label {
    /// Kamal's: the service.
    pub const SERVICE: &str = "service";
    /// Kamal's: the role.
    pub const ROLE: &str = "role";
    /// Kamal's: the destination, empty without one.
    pub const DESTINATION: &str = "destination";
    /// The version; containers that Kamal made have it in their image's tag.
    pub const VERSION: &str = "windlass.version";
    /// The run that created the container.
    pub const CREATED_BY: &str = "windlass.created_by";
    /// The fingerprint of what it was made from.
    pub const SPEC: &str = "windlass.spec";
    /// Which of several replicas, from 1.
    pub const REPLICA: &str = "windlass.replica";
    /// The absolute state directory; also on the volume that marks it.
    pub const HOME: &str = "windlass.home";
    /// On a container for one command (`app exec`): the service it was made for. It has none of the labels above.
    pub const ONE_OFF: &str = "windlass.one_off";
    /// The restart policy while the container serves: a retired one has `no`.
    pub const RESTART: &str = "windlass.restart";
}

/// A container, inspected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Full id.
    pub id: ContainerId,
    /// Name without the leading slash.
    pub name: String,
    /// The reference it was created from, as text (`Config.Image`).
    pub image: String,
    /// The image's id on that host.
    pub image_id: Digest,
    /// Labels, the image's included.
    pub labels: BTreeMap<String, String>,
    /// State.
    pub state: State,
    /// By the host's clock.
    pub created_at: Option<Timestamp>,
    /// Last start, by the host's clock; `None` = never.
    pub started_at: Option<Timestamp>,
    /// Last end, by the host's clock; `None` = never.
    pub finished_at: Option<Timestamp>,
    /// The policy in force now.
    pub restart: RestartPolicy,
    /// Restarts by the engine since the last start.
    pub restart_count: u64,
    /// Network name → address, of a running one.
    pub addresses: BTreeMap<String, String>,
    /// The networks that it was created with.
    pub networks: Vec<String>,
    /// Ports it publishes.
    pub ports: Vec<PublishedPort>,
    /// Whether it has a Docker health check (its own or the image's).
    pub has_healthcheck: bool,
    /// The stop timeout it was made with, in seconds.
    pub stop_timeout: Option<u32>,
}

/// A container's state, as far as it matters to a deployer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Created, never started.
    Created,
    /// Running, with the verdict of Docker's health check if there is one.
    Running(Health),
    /// Between two attempts of the restart policy.
    Restarting,
    /// Frozen by `docker pause`.
    Paused,
    /// Ended.
    Exited {
        /// Exit code.
        code: i64,
        /// Killed for want of memory.
        oom: bool,
    },
    /// Being removed, dead, or a state that this build does not know; the engine's word for it.
    Other(String),
}

/// Docker's own health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Health {
    /// There is no health check.
    None,
    Starting,
    Healthy,
    Unhealthy,
}

impl State {
    /// Whether a process may be running in it (a paused or restarting one counts).
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Restarting | Self::Paused)
    }
}

impl Container {
    fn parsed<T: std::str::FromStr>(&self, label: &str) -> Option<T> {
        self.labels.get(label)?.parse().ok()
    }

    /// Its service.
    pub fn service(&self) -> Option<ServiceName> {
        self.parsed(label::SERVICE)
    }

    /// Its role.
    pub fn role(&self) -> Option<RoleName> {
        self.parsed(label::ROLE)
    }

    /// Its destination; an empty label is none.
    pub fn destination(&self) -> Option<Destination> {
        self.parsed(label::DESTINATION)
    }

    /// Whether it belongs to a service and destination.
    pub fn belongs_to(&self, service: &ServiceName, destination: Option<&Destination>) -> bool {
        self.service().as_ref() == Some(service) && self.destination().as_ref() == destination
    }

    /// Its version: the label, else (made by Kamal) the tag of its image.
    pub fn version(&self) -> Option<Version> {
        self.parsed(label::VERSION).or_else(|| self.image.parse::<ImageRef>().ok()?.tag)
    }

    /// The run that created it; none for one that windlass did not make.
    pub fn created_by(&self) -> Option<RunId> {
        self.parsed(label::CREATED_BY)
    }

    /// Whether it never became what it was made for: until its gate has passed, a container of windlass's has no restart
    /// policy.
    pub fn is_unproven(&self) -> bool {
        let meant: Option<RestartPolicy> = self.parsed(label::RESTART);
        self.created_by().is_some() && self.restart == RestartPolicy::No && meant.is_some_and(|p| p != self.restart)
    }

    /// What it was made from; none for one that windlass did not make.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.parsed(label::SPEC)
    }

    /// The restart policy it should have while it serves.
    pub fn serving_restart(&self) -> RestartPolicy {
        let recorded = self.parsed(label::RESTART);
        match (recorded, self.restart) {
            (Some(policy), _) => policy,
            (None, RestartPolicy::No) => RestartPolicy::UnlessStopped,
            (None, policy) => policy,
        }
    }
}

/// A container as the list call shows it: enough to know who holds a port or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerBrief {
    /// Full id.
    pub id: ContainerId,
    /// Name without the leading slash.
    pub name: String,
    /// The reference it was created from.
    pub image: String,
    /// The image's id.
    pub image_id: Option<Digest>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is running (or paused, or restarting).
    pub running: bool,
    /// Published host ports, while it runs.
    pub host_ports: Vec<u16>,
}

/// An image on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id there.
    pub id: Digest,
    /// `repo:tag`s.
    pub tags: Vec<String>,
    /// `repo@digest`s: what registries call it.
    pub digests: Vec<String>,
    /// Bytes, shared layers counted.
    pub size: u64,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was built.
    pub created_at: Option<Timestamp>,
}
