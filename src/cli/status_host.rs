//! One host's line of `windlass status`: from facts and history to words.

use crate::config::Config;
use crate::fleet::{BackendName, Container, Fleet, HostFacts, HostState, LeaseState, State};
use crate::history::{self, History, Release};
use crate::name::{HostName, RoleName, RunId};
use crate::plan::Scope;
use crate::release::Fact;
use crate::render::containers::state;
use crate::render::status::{HostStatus, InterruptedRun, RoleStatus};
use crate::render::words;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What the hosts are seen against.
pub(crate) struct View<'a> {
    pub(crate) config: &'a Config,
    pub(crate) scope: &'a Scope,
    pub(crate) history: &'a History,
    pub(crate) fleet: &'a Fleet,
    /// Words for a follow-up command, with a space in front.
    pub(crate) flags: &'a str,
}

impl View<'_> {
    /// One host.
    pub(crate) fn host(&self, host: &HostName, state: &HostState) -> HostStatus {
        match state {
            HostState::Up(facts) => self.up(host, facts),
            HostState::Unreachable(why) => {
                HostStatus { reachable: false, error: Some(why.message.clone()), hint: why.hint.clone(), ..empty(host) }
            }
        }
    }

    fn up(&self, host: &HostName, facts: &HostFacts) -> HostStatus {
        let here = |role: &&RoleName| {
            let configured = self.config.roles.iter().find(|r| r.name == **role);
            configured.is_some_and(|r| r.hosts.iter().any(|h| h.name == *host))
        };
        HostStatus {
            engine: Some(facts.engine.version.clone()),
            proxy: Some(proxy(facts)),
            roles: self.scope.roles.iter().filter(here).map(|role| self.role(host, facts, role)).collect(),
            problems: problems(facts),
            interrupted: self.interrupted(facts),
            lease: match &facts.lease {
                LeaseState::Free => None,
                LeaseState::Held(holder) => Some(holder.clone()),
            },
            freeze: facts.freeze.clone(),
            ..empty(host)
        }
    }

    fn role(&self, host: &HostName, facts: &HostFacts, role: &RoleName) -> RoleStatus {
        let (service, destination) = (&self.config.service, self.config.destination.as_ref());
        let serving = history::serving(facts, service, destination, role);
        let release = self.serves(host, role);
        let mut drift = self.drift(host, facts, role, serving);
        if serving.is_none()
            && let Some(suspended) = history::suspended(facts, service, destination, role)
        {
            return self.suspended(role, &suspended);
        }
        let others = history::leftovers(facts, service, destination, role);
        drift.extend(others.iter().map(|c| format!("{} also runs and does not serve", c.name)));
        RoleStatus {
            role: role.clone(),
            container: serving.map(|c| c.id.clone()),
            version: serving.and_then(Container::version),
            release: release.filter(|r| r.number.is_some()).map(Release::label),
            since: serving.and_then(|c| switched_at(facts, role, c).or(c.started_at)),
            health: serving.map_or_else(|| "nothing serves".to_string(), |c| self.health(facts, role, c)),
            drift,
        }
    }

    /// Stopped on purpose: nothing is missing.
    fn suspended(&self, role: &RoleName, suspended: &history::Suspended<'_>) -> RoleStatus {
        let release = self.history.releases.iter().find(|r| r.run.is_some() && r.run == suspended.release);
        let gone = suspended.container.is_none();
        RoleStatus {
            role: role.clone(),
            container: suspended.container.map(|c| c.id.clone()),
            version: suspended.container.and_then(Container::version).or_else(|| release.map(|r| r.version.clone())),
            release: release.filter(|r| r.number.is_some()).map(Release::label),
            since: Some(suspended.since),
            health: "suspended".to_string(),
            drift: gone.then(|| "it was stopped, and its container is gone".to_string()).into_iter().collect(),
        }
    }

    /// The release that serves a role on a host.
    fn serves(&self, host: &HostName, role: &RoleName) -> Option<&Release> {
        let releases = self.history.releases.iter().rev();
        releases.clone().find(|r| r.running.get(host).is_some_and(|roles| roles.contains(role)))
    }

    /// The newest release that succeeded and was sent to this role on this host.
    fn expected(&self, host: &HostName, role: &RoleName) -> Option<&Release> {
        let sent = |r: &&Release| {
            let record = r.record.as_ref().and_then(|record| record.roles.get(role));
            r.stable && record.is_some_and(|role| role.hosts.iter().any(|h| h.name == *host))
        };
        self.history.releases.iter().rev().find(sent)
    }

    fn drift(&self, host: &HostName, facts: &HostFacts, role: &RoleName, serving: Option<&Container>) -> Vec<String> {
        let Some(expected) = self.expected(host, role) else { return Vec::new() };
        let (what, label) = (expected.version.short(), expected.label());
        let Some(container) = serving else { return vec![format!("{what} ({label}) should serve and nothing does")] };
        let mut drift = Vec::new();
        let actual = self.serves(host, role);
        if actual.is_none_or(|actual| !self.history.same_content(actual, expected)) {
            let serves =
                actual.map_or_else(|| container.name.clone(), |a| format!("{} ({})", a.version.short(), a.label()));
            drift.push(format!("{what} ({label}) should serve; {serves} does"));
        } else {
            let recorded = expected.record.as_ref().and_then(|r| r.roles.get(role)?.fingerprint.clone());
            if let (Some(recorded), Some(found)) = (recorded, container.fingerprint())
                && recorded.spec != found.spec
                && !self.has_tags(host, role)
            {
                drift.push(format!("its container was made from another specification than {label} records"));
            }
        }
        if !container.state.is_running() {
            drift.push(format!("{} should run and is {}", container.name, state(&container.state)));
        }
        drift.extend(self.proxy_drift(facts, role, container));
        drift
    }

    /// Where tags change the environment, a host's fingerprint may differ from its role's.
    fn has_tags(&self, host: &HostName, role: &RoleName) -> bool {
        let role = self.config.roles.iter().find(|r| r.name == *role);
        role.is_some_and(|r| r.hosts.iter().any(|h| h.name == *host && !h.tags.is_empty()))
    }

    fn proxy_drift(&self, facts: &HostFacts, role: &RoleName, serving: &Container) -> Vec<String> {
        let mut drift = Vec::new();
        let name = BackendName::new(&self.config.service, role, self.config.destination.as_ref());
        let backend = facts.proxy.backends.get(&name);
        let routed = backend.and_then(|b| b.active());
        if let Some(file) = backend.and_then(|b| b.file_active.as_ref())
            && routed.is_some_and(|routed| routed != file)
        {
            drift.push(format!("the proxy routes to another container than its file says ({})", file.short()));
        }
        let journaled = facts.journal.entries.iter().rev().find_map(|entry| match &entry.fact {
            Fact::Switched { role: switched, to, .. } if switched == role => Some(to),
            _ => None,
        });
        if journaled.is_some_and(|journaled| *journaled != serving.id) {
            drift.push("it is not the container that the journal switched to last".to_string());
        }
        drift
    }

    fn health(&self, facts: &HostFacts, role: &RoleName, container: &Container) -> String {
        let name = BackendName::new(&self.config.service, role, self.config.destination.as_ref());
        let servers = facts.proxy.backends.get(&name).map_or(&[][..], |b| &b.servers);
        let server = servers.iter().find(|s| s.container.as_ref() == Some(&container.id));
        let edge = facts.proxy.backends.get(&name).map(|b| &b.edge);
        let maintenance = edge.and_then(|edge| edge.maintenance.as_ref()).map_or("", |_| ", in maintenance");
        let health = match (server, &container.state) {
            (Some(server), State::Running(_)) => match server.healthy {
                Some(true) => "healthy".to_string(),
                Some(false) => format!("unhealthy: {}", server.check),
                None => "not checked yet".to_string(),
            },
            (_, it) => state(it),
        };
        health + maintenance
    }

    /// Runs whose intent is here and whose outcome is nowhere, unless they hold a lease and thus go on.
    fn interrupted(&self, facts: &HostFacts) -> Vec<InterruptedRun> {
        let closed: BTreeSet<&RunId> = self.fleet.reachable().flat_map(|(_, facts)| outcomes(facts)).collect();
        let live = |run: &RunId| {
            self.fleet.reachable().any(|(_, f)| matches!(&f.lease, LeaseState::Held(Some(h)) if h.run == *run))
        };
        let next = format!("`windlass deploy{0}` or `windlass rollback{0}` converges from here", self.flags);
        let open = facts.journal.entries.iter().filter_map(|entry| match &entry.fact {
            Fact::Intent { verb, release, actor, .. } if !closed.contains(&entry.run) && !live(&entry.run) => {
                let release = release.as_ref().map(|r| format!(" {} (v{})", r.version.short(), r.number));
                let what = format!("{}{}", words::verb(*verb), release.unwrap_or_default());
                let (run, actor) = (entry.run.clone(), actor.clone());
                Some(InterruptedRun { run, what, actor, at: entry.at, next: next.clone() })
            }
            _ => None,
        });
        open.collect()
    }
}

fn outcomes(facts: &HostFacts) -> impl Iterator<Item = &RunId> {
    facts.journal.entries.iter().filter_map(|entry| match &entry.fact {
        Fact::Outcome { .. } => Some(&entry.run),
        _ => None,
    })
}

fn switched_at(facts: &HostFacts, role: &RoleName, container: &Container) -> Option<Timestamp> {
    facts.journal.entries.iter().rev().find_map(|entry| match &entry.fact {
        Fact::Switched { role: switched, to, .. } if switched == role && *to == container.id => Some(entry.at),
        _ => None,
    })
}

fn proxy(facts: &HostFacts) -> String {
    match (&facts.proxy.container, &facts.proxy.unreadable) {
        (None, _) => "not set up".to_string(),
        (Some(c), _) if !c.running => "stopped".to_string(),
        (Some(_), Some(_)) => "does not answer".to_string(),
        (Some(_), None) => "running".to_string(),
    }
}

/// Seconds between two clocks that are worth a word.
const CLOCK_SKEW: u64 = 5;

/// Bytes below which a pull is likely to fail.
const LITTLE_DISK: u64 = 1_000_000_000;

fn problems(facts: &HostFacts) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(why) = &facts.proxy.unreadable {
        problems.push(format!("the proxy's state could not be read: {why}"));
    }
    if let Some(why) = &facts.journal.unreadable {
        problems.push(format!("the journal cannot be relied on: {why}"));
    }
    problems.extend(facts.bad_records.iter().map(|name| format!("the release record {name} cannot be read")));
    problems.extend(facts.missing_commands.iter().map(|name| format!("the command `{name}` is missing")));
    if facts.clock_ahead.unsigned_abs() >= CLOCK_SKEW {
        let way = if facts.clock_ahead > 0 { "ahead of" } else { "behind" };
        problems.push(format!("its clock is {} s {way} this machine's", facts.clock_ahead.unsigned_abs()));
    }
    if let Some(disk) = facts.disk.filter(|disk| disk.free < LITTLE_DISK) {
        problems.push(format!("only {} of disk are free", crate::render::time::bytes(disk.free)));
    }
    problems
}

fn empty(host: &HostName) -> HostStatus {
    HostStatus {
        host: host.clone(),
        reachable: true,
        error: None,
        hint: None,
        engine: None,
        proxy: None,
        roles: Vec::new(),
        problems: Vec::new(),
        interrupted: Vec::new(),
        lease: None,
        freeze: None,
    }
}
