//! A small world for tests: hosts that hold what windlass writes there, one command after another.

use crate::fleet::{
    BackendName, BackendState, Container, ContainerBrief, EngineInfo, Fleet, Health, HostFacts, HostState, Image,
    Journal, LeaseState, ProxyState, State, StateHome, label,
};
use crate::history::{History, Scope};
use crate::name::{ContainerId, Digest, HostName, RoleName, RunId, ServiceName, Version};
use crate::release::{
    Entry, Fact, Fingerprint, IntendedRelease, Outcome, ReleaseKind, ReleaseRecord, ReleasedRole, RunVerb, SCHEMA,
};
use crate::spec::{ContainerOptions, Env, HttpCheck, Logging, RestartPolicy, RoleHost, RoleSpec, Route};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The parsed name of any kind.
pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// The nth run.
pub(crate) fn run(n: u64) -> RunId {
    name(&ulid::Ulid::from_parts(n, 0).to_string())
}

/// The digest of a word.
pub(crate) fn digest(word: &str) -> Digest {
    use sha2::Digest as _;
    name(&format!("sha256:{}", hex::encode(sha2::Sha256::digest(word))))
}

/// A moment, in seconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// The specification that every role of these tests has.
pub(crate) fn spec() -> RoleSpec {
    RoleSpec {
        command: None,
        env: Env { clear: BTreeMap::new(), secret: [("KEY".to_string(), "KEY".to_string())].into() },
        env_tags: BTreeMap::new(),
        labels: BTreeMap::new(),
        volumes: Vec::new(),
        asset_path: None,
        options: ContainerOptions::default(),
        logging: Logging::default(),
        restart: RestartPolicy::UnlessStopped,
        stop_timeout: None,
        route: None,
        readiness_delay: 7,
    }
}

/// A running container of the service `app`, made by a run or (without one) by Kamal.
pub(crate) fn container(n: u64, role: &str, version: &str, made_by: Option<&RunId>, created: i64) -> Container {
    let mut labels = BTreeMap::from([
        (label::SERVICE.to_string(), "app".to_string()),
        (label::ROLE.to_string(), role.to_string()),
        (label::DESTINATION.to_string(), String::new()),
    ]);
    if let Some(made_by) = made_by {
        labels.insert(label::VERSION.to_string(), version.to_string());
        labels.insert(label::CREATED_BY.to_string(), made_by.to_string());
    }
    Container {
        id: name(&format!("{n:064x}")),
        name: format!("app-{role}-{version}_{n}"),
        image: format!("acme/app:{version}"),
        image_id: digest(&format!("image {version}")),
        labels,
        state: State::Running(Health::None),
        created_at: Some(at(created)),
        started_at: Some(at(created)),
        finished_at: None,
        restart: RestartPolicy::UnlessStopped,
        restart_count: 0,
        addresses: BTreeMap::new(),
        networks: vec!["kamal".to_string()],
        ports: Vec::new(),
        has_healthcheck: false,
        stop_timeout: None,
    }
}

/// The image of a version.
pub(crate) fn image(version: &str) -> Image {
    Image {
        id: digest(&format!("image {version}")),
        tags: vec![format!("acme/app:{version}")],
        digests: vec![format!("acme/app@{}", digest(version))],
        size: 1000,
        labels: BTreeMap::new(),
        created_at: None,
    }
}

/// A backend of a proxy that does not run: its file leads to a container.
pub(crate) fn backend(to: Option<&ContainerId>) -> BackendState {
    let route = Route {
        hosts: Vec::new(),
        path_prefixes: vec!["/".to_string()],
        strip_path_prefix: true,
        app_port: 80,
        check: HttpCheck::default(),
        response_timeout: 30,
        forward_headers: false,
        tls: None,
        limits: Default::default(),
    };
    BackendState { route, edge: Default::default(), file_active: to.cloned(), servers: Vec::new() }
}

/// A host with nothing on it.
pub(crate) fn empty_host() -> HostFacts {
    HostFacts {
        expansions: Default::default(),
        engine: EngineInfo {
            version: "20.10.24".to_string(),
            api_version: "1.41".to_string(),
            arch: "amd64".to_string(),
            rootless: false,
            root_dir: "/var/lib/docker".to_string(),
        },
        clock_ahead: 0,
        missing_commands: BTreeSet::new(),
        disk: None,
        listening: BTreeMap::new(),
        home: StateHome::default(),
        containers: Vec::new(),
        all_containers: Vec::new(),
        images: Vec::new(),
        networks: ["kamal".to_string()].into(),
        proxy: ProxyState::default(),
        kamal_proxy: None,
        journal: Journal::default(),
        records: BTreeMap::new(),
        bad_records: Vec::new(),
        key: None,
        lease: LeaseState::Free,
        freeze: None,
    }
}

/// How a run of the test world goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// To the end.
    Well,
    /// It switches the first host, fails, and goes back.
    Reverted,
    /// It is killed after the first host.
    Killed,
}

/// Hosts that each have every role. The role `web` has a proxy, the others do not.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) hosts: BTreeMap<HostName, HostFacts>,
    pub(crate) roles: Vec<RoleName>,
    pub(crate) now: i64,
    pub(crate) runs: u64,
    containers: u64,
}

impl World {
    /// Hosts by name, with these roles on each.
    pub(crate) fn new(hosts: &[&str], roles: &[&str]) -> Self {
        Self {
            hosts: hosts.iter().map(|h| (name(h), empty_host())).collect(),
            roles: roles.iter().map(|r| name(r)).collect(),
            now: 1_000_000,
            runs: 0,
            containers: 0,
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now += seconds;
    }

    /// Everything that is configured.
    pub(crate) fn scope(&self) -> Scope {
        self.hosts.keys().map(|host| (host.clone(), self.roles.iter().cloned().collect())).collect()
    }

    /// As it would be observed.
    pub(crate) fn fleet(&self) -> Fleet {
        let up = |(host, facts): (&HostName, &HostFacts)| {
            let mut facts = facts.clone();
            facts.all_containers = facts.containers.iter().map(brief).collect();
            (host.clone(), HostState::Up(Box::new(facts)))
        };
        Fleet { hosts: self.hosts.iter().map(up).collect() }
    }

    /// The history of all hosts.
    pub(crate) fn history(&self) -> History {
        let hosts: Vec<HostName> = self.hosts.keys().cloned().collect();
        let roles = self.roles.iter().map(|role| (role.clone(), hosts.clone())).collect();
        History::of(&self.fleet(), &name("app"), None, &roles)
    }

    /// What a bare rollback would go back to, by label.
    pub(crate) fn default_target(&self) -> Option<String> {
        self.history().resolve(None, &self.scope()).ok().map(|target| target.release.label())
    }

    /// Deploys a version.
    pub(crate) fn deploy(&mut self, version: &str, ends: Ends) -> RunId {
        self.go(ReleaseKind::Deploy, version, ends, |world, run, _, role| {
            world.containers += 1;
            container(world.containers, role.as_str(), version, Some(run), world.now)
        })
    }

    /// Rolls back to what a text names, as long as it can be restarted everywhere.
    pub(crate) fn rollback(&mut self, text: Option<&str>, ends: Ends) -> Option<RunId> {
        let history = self.history();
        let target = history.resolve(text, &self.scope()).ok()?.release.clone();
        let kind = ReleaseKind::Rollback { of: target.run.clone(), current_config: false };
        let version = target.version.clone();
        Some(self.go(kind, version.as_str(), ends, |world, _, host, role| {
            let id = target.availability(host, role).and_then(|a| a.container()).unwrap();
            world.hosts[host].containers.iter().find(|c| &c.id == id).unwrap().clone()
        }))
    }

    /// `rollback --config current`: new containers of an older version's image.
    pub(crate) fn rollback_with_current_config(&mut self, text: &str, ends: Ends) -> RunId {
        let target = self.history().resolve(Some(text), &Scope::new()).unwrap().release.clone();
        let kind = ReleaseKind::Rollback { of: target.run.clone(), current_config: true };
        let version = target.version.clone();
        self.go(kind, version.as_str(), ends, |world, run, _, role| {
            world.containers += 1;
            container(world.containers, role.as_str(), version.as_str(), Some(run), world.now)
        })
    }

    fn go(
        &mut self,
        kind: ReleaseKind,
        version: &str,
        ends: Ends,
        mut incoming: impl FnMut(&mut Self, &RunId, &HostName, &RoleName) -> Container,
    ) -> RunId {
        self.wait(60);
        self.close_open_runs();
        self.runs += 1;
        let run = run(self.runs);
        let number = self.history().next_number();
        let record = self.record(&run, number, kind.clone(), version);
        let hosts: Vec<HostName> = self.hosts.keys().cloned().collect();
        let release = Some(IntendedRelease { number, kind: kind.clone(), version: name(version) });
        let verb = if kind == ReleaseKind::Deploy { RunVerb::Deploy } else { RunVerb::Rollback };
        for host in &hosts {
            let (release, hosts) = (release.clone(), hosts.clone());
            self.write(host, &run, Fact::Intent { verb, release, actor: "ann".to_string(), hosts });
            let facts = self.hosts.get_mut(host).unwrap();
            facts.records.insert(run.clone(), Arc::new(record.clone()));
            if !facts.images.contains(&image(version)) {
                facts.images.push(image(version));
            }
        }
        let reached = if ends == Ends::Well { hosts.len() } else { 1 };
        for host in &hosts[..reached] {
            for role in self.roles.clone() {
                let before = self.serving(host, &role);
                let release = before.as_ref().and_then(|id| self.release_of(host, id));
                let container = incoming(self, &run, host, &role);
                let to = container.id.clone();
                self.switch(host, &run, &role, container, Some(run.clone()));
                if let (Ends::Reverted, Some(before)) = (ends, before.filter(|before| *before != to)) {
                    let container = self.hosts[host].containers.iter().find(|c| c.id == before).unwrap().clone();
                    self.switch(host, &run, &role, container, release);
                }
            }
        }
        let outcome = if ends == Ends::Well { Outcome::Succeeded } else { Outcome::Reverted };
        if ends != Ends::Killed {
            hosts.iter().for_each(|host| self.write(host, &run, Fact::Outcome { outcome, reason: None }));
        }
        run
    }

    /// What every run does first: a run without an outcome gets one.
    fn close_open_runs(&mut self) {
        let open = self.history().releases.into_iter().filter(|r| r.run.is_some() && r.outcome.is_none());
        for run in open.filter_map(|r| r.run).collect::<Vec<_>>() {
            for host in self.hosts.keys().cloned().collect::<Vec<_>>() {
                self.write(&host, &run, Fact::Outcome { outcome: Outcome::Abandoned, reason: None });
            }
        }
    }

    fn record(&self, run: &RunId, number: u32, kind: ReleaseKind, version: &str) -> ReleaseRecord {
        let host = |host: &HostName| RoleHost { name: host.clone(), tags: Vec::new() };
        // A print of the run: deploying a version again is another content (another secret, say).
        let fingerprint = Some(Fingerprint { spec: format!("{:016x}", self.runs), secrets: BTreeMap::new() });
        let hosts = self.hosts.keys().map(host).collect();
        let role = ReleasedRole { hosts, spec: Some(spec()), fingerprint };
        ReleaseRecord {
            schema: SCHEMA,
            run: run.clone(),
            number,
            kind,
            service: name::<ServiceName>("app"),
            destination: None,
            version: name::<Version>(version),
            image: name(&format!("acme/app:{version}")),
            digest: Some(digest(version)),
            roles: self.roles.iter().map(|r| (r.clone(), role.clone())).collect(),
            actor: "ann".to_string(),
            at: at(self.now),
            message: None,
            label: None,
        }
    }

    /// Appends a line to a host's journal.
    pub(crate) fn write(&mut self, host: &HostName, run: &RunId, fact: Fact) {
        let entry = Entry { schema: SCHEMA, run: run.clone(), at: at(self.now), fact };
        self.hosts.get_mut(host).unwrap().journal.entries.push(entry);
    }

    /// What serves a role on a host.
    pub(crate) fn serving(&self, host: &HostName, role: &RoleName) -> Option<ContainerId> {
        crate::history::serving(&self.hosts[host], &name("app"), None, role).map(|c| c.id.clone())
    }

    fn release_of(&self, host: &HostName, id: &ContainerId) -> Option<RunId> {
        self.hosts[host].journal.entries.iter().rev().find_map(|e| match &e.fact {
            Fact::Switched { to, release, .. } if to == id => release.clone(),
            _ => None,
        })
    }

    /// Starts a container, switches the role to it and stops what served before.
    fn switch(&mut self, host: &HostName, by: &RunId, role: &RoleName, new: Container, release: Option<RunId>) {
        let from = self.serving(host, role);
        let to = new.id.clone();
        let now = at(self.now);
        let facts = self.hosts.get_mut(host).unwrap();
        facts.containers.retain(|c| c.id != to);
        facts.containers.push(Container { state: State::Running(Health::None), finished_at: None, ..new });
        facts.containers.sort_by(|a, b| a.name.cmp(&b.name));
        if role.as_str() == "web" {
            facts.proxy.backends.insert(BackendName::new(&name("app"), role, None), backend(Some(&to)));
        }
        for old in facts.containers.iter_mut().filter(|c| Some(&c.id) == from.as_ref() && c.id != to) {
            old.state = State::Exited { code: 0, oom: false };
            old.finished_at = Some(now);
        }
        self.write(host, by, Fact::Switched { role: role.clone(), from, to, release });
    }
}

fn brief(c: &Container) -> ContainerBrief {
    ContainerBrief {
        id: c.id.clone(),
        name: c.name.clone(),
        image: c.image.clone(),
        image_id: Some(c.image_id.clone()),
        labels: c.labels.clone(),
        running: c.state.is_running(),
        host_ports: if c.state.is_running() {
            c.ports.iter().filter_map(|p| p.host_port).collect()
        } else {
            Vec::new()
        },
    }
}
