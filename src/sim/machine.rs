//! One simulated host: what is on it, and how time passes on it.

use super::availability::Availability;
use super::command::Script;
use super::container::{Answer, SimContainer};
use super::files::Files;
use super::lease::Leases;
use super::proxy::ProxyBox;
use super::registry::{Content, hash};
use crate::effect::ConnectError;
use crate::fleet::{BackendName, DiskSpace};
use crate::name::{ContainerId, Digest, HostName};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After so much silence a coordinator takes its leases as lost.
pub(super) const LEASE_LOST_AFTER: Duration = Duration::from_secs(10);
/// After so much silence both sides have given up a connection.
pub(super) const CONNECTION_LOST_AFTER: Duration = Duration::from_secs(15);

/// How the coordinator's way to a machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    Up,
    /// Packets vanish.
    Cut {
        since: Duration,
    },
    /// New connections fail like this at once.
    Refusing(ConnectError),
}

/// An image on a machine.
#[derive(Debug, Clone)]
pub(super) struct LocalImage {
    pub(super) content: Content,
    /// `repo:tag`s.
    pub(super) tags: BTreeSet<String>,
    /// `repo@digest`s.
    pub(super) digests: BTreeSet<String>,
}

/// What a machine is at the beginning, besides empty.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) home: String,
    pub(super) uid: u32,
    pub(super) clock_ahead: i64,
    pub(super) missing_commands: BTreeSet<String>,
    pub(super) disk: Option<DiskSpace>,
    /// Ports that something else than a container listens on.
    pub(super) listeners: BTreeSet<u16>,
    pub(super) arch: String,
    pub(super) engine_version: String,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            home: "/root".to_string(),
            uid: 0,
            clock_ahead: 0,
            missing_commands: BTreeSet::new(),
            disk: Some(DiskSpace { free: 50_000_000_000, total: 100_000_000_000 }),
            listeners: [22].into(),
            arch: "amd64".to_string(),
            engine_version: "20.10.24".to_string(),
        }
    }
}

/// A host.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) name: HostName,
    seed: u64,
    pub(super) facts: Facts,
    pub(super) link: Link,
    /// Connections of an earlier generation are broken.
    pub(super) generation: u64,
    /// While the engine is down: when it is back, if it comes back by itself.
    pub(super) engine_down: Option<Option<Duration>>,
    /// While the machine is off: when it is back.
    pub(super) off_until: Option<Duration>,
    pub(super) containers: BTreeMap<ContainerId, SimContainer>,
    made: u64,
    pub(super) images: BTreeMap<Digest, LocalImage>,
    /// Network → third part of its addresses.
    pub(super) networks: BTreeMap<String, u8>,
    pub(super) volumes: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) files: Files,
    /// The next append to a path stops after so many bytes and its answer is lost.
    pub(super) torn: BTreeMap<String, usize>,
    /// The next answers to calls of these methods are lost.
    pub(super) lost_answers: BTreeSet<String>,
    pub(super) leases: Leases,
    /// What lines for the login shell do; others are not found.
    pub(super) commands: BTreeMap<String, Script>,
    pub(super) proxy: ProxyBox,
    pub(super) availability: BTreeMap<BackendName, Vec<Availability>>,
    /// Everything up to here has happened.
    pub(super) past: Duration,
}

impl Machine {
    pub(super) fn new(name: HostName, seed: u64) -> Self {
        let networks = ["bridge", "host", "none"].iter().zip(0..).map(|(n, i)| (n.to_string(), i)).collect();
        let mut files = Files::default();
        let facts = Facts::default();
        files.make_dir(&facts.home).unwrap_or_else(|e| unreachable!("nothing is there yet: {e}"));
        Self {
            name,
            seed,
            facts,
            link: Link::Up,
            generation: 0,
            engine_down: None,
            off_until: None,
            containers: BTreeMap::new(),
            made: 0,
            images: BTreeMap::new(),
            networks,
            volumes: BTreeMap::new(),
            files,
            torn: BTreeMap::new(),
            lost_answers: BTreeSet::new(),
            leases: Leases::default(),
            commands: BTreeMap::new(),
            proxy: ProxyBox::default(),
            availability: BTreeMap::new(),
            past: Duration::ZERO,
        }
    }

    /// Becomes a new machine. What requests got from the old one stays known.
    pub(super) fn replace(&mut self, now: Duration) {
        self.break_connections();
        let fresh = Self::new(self.name.clone(), self.seed);
        let (generation, made) = (self.generation, self.made);
        let availability = std::mem::take(&mut self.availability);
        *self = Self { generation, made, availability, past: now, ..fresh };
    }

    /// An id that no container of the fleet has.
    pub(super) fn next_id(&mut self) -> ContainerId {
        self.made += 1;
        let id = hash(&format!("container/{}/{}/{}", self.seed, self.name, self.made));
        id.parse().unwrap_or_else(|e| unreachable!("a SHA-256 in hex is a container id: {e}"))
    }

    /// The lowest free address of a network: one that was just given up comes first, which is as unkind as Docker gets.
    pub(super) fn free_address(&self, network: &str) -> Option<String> {
        let third = self.networks.get(network)?;
        let taken: BTreeSet<_> = self.containers.values().filter_map(|c| c.address.as_deref()).collect();
        (2..255).map(|last| format!("172.18.{third}.{last}")).find(|address| !taken.contains(address.as_str()))
    }

    /// Who answers at an address of the proxy's network.
    pub(super) fn at_address(&self, address: &str) -> Option<&SimContainer> {
        self.containers.values().find(|c| c.address.as_deref() == Some(address))
    }

    pub(super) fn answer_at(&self, address: &str, port: u16, now: Duration) -> Answer {
        self.at_address(address).map_or(Answer::NoOne, |container| container.answer(port, now))
    }

    pub(super) fn engine_runs(&self) -> bool {
        self.engine_down.is_none() && self.off_until.is_none()
    }

    /// Lets time pass until `now`: everything that was going to happen happens, each at its own moment.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some(at) = self.next_event().filter(|at| *at <= now) {
            self.past = self.past.max(at);
            self.happen(at);
            self.note_availability(at);
        }
        self.past = self.past.max(now);
    }

    /// The next moment at which something happens by itself.
    pub(super) fn next_event(&self) -> Option<Duration> {
        let containers = self.containers.values().filter_map(|c| c.next_event(self.past));
        let silence = match self.link {
            Link::Cut { since } => vec![since + LEASE_LOST_AFTER, since + CONNECTION_LOST_AFTER],
            _ => Vec::new(),
        };
        let silence = silence.into_iter().filter(|at| *at > self.past);
        containers
            .chain(self.proxy.next_event())
            .chain(silence)
            .chain(self.off_until)
            .chain(self.engine_down.flatten())
            .min()
    }

    fn happen(&mut self, at: Duration) {
        if let Link::Cut { since } = self.link {
            if at >= since + LEASE_LOST_AFTER {
                self.leases.lose_all();
            }
            if at == since + CONNECTION_LOST_AFTER {
                self.break_connections();
            }
        }
        if self.off_until.is_some_and(|back| back <= at) {
            self.off_until = None;
            self.boot_engine(at);
        }
        if self.engine_down.flatten().is_some_and(|back| back <= at) {
            self.boot_engine(at);
        }
        self.containers_happen(at);
        self.checks_happen(at);
    }

    /// Ends every connection and with it every lease.
    pub(super) fn break_connections(&mut self) {
        self.generation += 1;
        for dir in self.leases.free_all() {
            self.files.remove_dir(&dir);
        }
    }
}
