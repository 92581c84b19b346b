//! Which stopped containers and unused images of a service may go.
//!
//! Only containers of the service and destination and images of its repositories are ever mentioned. Whatever is not
//! plainly safe to drop is kept, with the reason.

use crate::fleet::{Container, Fleet, HostFacts, HostState, State};
use crate::history::doubt;
use crate::history::protected::{Past, Protected};
use crate::history::retention_images::image_verdicts;
use crate::history::verdict::{Item, Reason, Verdict};
use crate::history::{History, Release};
use crate::name::{ContainerId, Destination, HostName, Repository, RoleName, RunId, ServiceName};
use crate::release::{Fact, ReleaseKind};
use crate::spec::Retain;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What retention is asked to judge, and by which rules.
#[derive(Debug, Clone, Copy)]
pub struct Retention<'a> {
    /// The service.
    pub service: &'a ServiceName,
    /// Its destination.
    pub destination: Option<&'a Destination>,
    /// The repository of its images; those of older releases count as well.
    pub repository: &'a Repository,
    /// What is kept besides what must be.
    pub retain: &'a Retain,
    /// Roles that keep more or less than the others.
    pub role_retain: &'a BTreeMap<RoleName, Retain>,
    /// The time on every host, by its own clock.
    pub now: &'a BTreeMap<HostName, Timestamp>,
    /// The run that asks: its own intent without an outcome does not stand in the way.
    pub own_run: Option<&'a RunId>,
}

impl Retention<'_> {
    /// What is kept of a role.
    pub(super) fn retain_of(&self, role: &RoleName) -> &Retain {
        self.role_retain.get(role).unwrap_or(self.retain)
    }
}

/// What stays and what goes on every host: hosts by name, on each its containers by name, then its images.
///
/// `history` must be that of the same fleet: a fleet observed later may serve something else.
pub fn retention(fleet: &Fleet, history: &History, rules: &Retention<'_>) -> Vec<Verdict> {
    let past = Past::of(history);
    let judge = |(host, state): (&HostName, &HostState)| match state {
        HostState::Unreachable(why) => vec![keep_host(host, Reason::Unreachable { why: why.message.clone() })],
        HostState::Up(facts) => on_host(host, facts, history, &past, rules),
    };
    fleet.hosts.iter().flat_map(judge).collect()
}

fn keep_host(host: &HostName, reason: Reason) -> Verdict {
    Verdict { host: host.clone(), item: Item::Host, keep: true, reason }
}

fn on_host(
    host: &HostName,
    facts: &HostFacts,
    history: &History,
    past: &Past<'_>,
    rules: &Retention<'_>,
) -> Vec<Verdict> {
    let now = match (untouchable(facts, history, rules.own_run), rules.now.get(host)) {
        (Some(reason), _) => return vec![keep_host(host, reason)],
        (None, None) => return vec![keep_host(host, Reason::UnknownClock)],
        (None, Some(now)) => *now,
    };
    let protected = Protected::on(host, facts, past, rules);
    let mut own: Vec<&Container> =
        facts.containers.iter().filter(|c| c.belongs_to(rules.service, rules.destination)).collect();
    own.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let mut verdicts = Vec::new();
    let mut dropped: BTreeSet<&ContainerId> = BTreeSet::new();
    for container in own {
        let (keep, reason) = judge(container, facts, history, &protected, now, rules);
        if !keep {
            dropped.insert(&container.id);
        }
        let (id, name, version) = (container.id.clone(), container.name.clone(), container.version());
        verdicts.push(Verdict { host: host.clone(), item: Item::Container { id, name, version }, keep, reason });
    }
    verdicts.extend(image_verdicts(host, facts, history, rules.repository, &protected, &dropped));
    verdicts
}

/// Why nothing on a host may be judged: what it knows of its past is incomplete, or something is under way.
fn untouchable(facts: &HostFacts, history: &History, own_run: Option<&RunId>) -> Option<Reason> {
    if let Some(doubt) = doubt::on_host(facts, history).first() {
        return Some(Reason::UnreliableHistory { why: doubt.to_string() });
    }
    if let Some(run) = open_run(facts, history, own_run) {
        return Some(Reason::OpenRun { run: run.clone() });
    }
    facts.proxy.unreadable.as_ref().map(|why| Reason::UnreadableProxy { why: why.clone() })
}

/// A run that began here and that no line here ends. The last word of another host ends a release's run as well: it is
/// over, and this host only missed the line.
fn open_run<'a>(facts: &'a HostFacts, history: &History, own_run: Option<&RunId>) -> Option<&'a RunId> {
    let entries = &facts.journal.entries;
    let ended: BTreeSet<&RunId> =
        entries.iter().filter(|e| matches!(e.fact, Fact::Outcome { .. })).map(|e| &e.run).collect();
    let ended_elsewhere: BTreeSet<&RunId> =
        history.releases.iter().filter(|r| r.outcome.is_some()).filter_map(|r| r.run.as_ref()).collect();
    let begun = entries.iter().filter(|e| matches!(e.fact, Fact::Intent { .. })).map(|e| &e.run);
    begun.filter(|run| Some(*run) != own_run).find(|run| !ended.contains(run) && !ended_elsewhere.contains(run))
}

fn judge(
    container: &Container,
    facts: &HostFacts,
    history: &History,
    protected: &Protected<'_>,
    now: Timestamp,
    rules: &Retention<'_>,
) -> (bool, Reason) {
    if let Some(reason) = protected.containers.get(&container.id) {
        return (true, reason.clone());
    }
    match &container.state {
        state if state.is_running() => return (true, Reason::Runs),
        State::Other(state) if state != "dead" => return (true, Reason::State { state: state.clone() }),
        _ => {}
    }
    let Some(role) = container.role() else { return (true, Reason::NoRole) };
    let retain = rules.retain_of(&role);
    if let (Some(rank), Some(of)) = (protected.ranks.get(&container.id).copied(), retain.at_most)
        && rank > of
    {
        return (false, Reason::TooMany { rank, of });
    }
    let Some(age) = age(container, facts, now) else { return (true, Reason::UnknownAge) };
    let limit = retain.age.as_secs();
    if age < limit {
        return (true, Reason::Recent { age, limit });
    }
    let made_by = container.created_by();
    let made_by = history.releases.iter().find(|r| r.run.is_some() && r.run == made_by);
    let failed = container.state == State::Created || made_by.is_some_and(has_failed);
    (false, Reason::Old { age, limit, failed })
}

pub(super) fn has_failed(release: &Release) -> bool {
    release.run.is_some() && !release.stable && release.kind != ReleaseKind::Adopted
}

/// Seconds since a container stopped serving: by the newest line of the journal that says so (written by a
/// coordinator's clock, so the host's lead is taken off), else since its process ended, else, if it never had one,
/// since it was made. A moment in the future is no age at all: 0.
fn age(container: &Container, facts: &HostFacts, now: Timestamp) -> Option<u64> {
    let now = now.as_second();
    let age = match left_service(&container.id, facts) {
        Some(left) => now.saturating_sub(facts.clock_ahead).saturating_sub(left.as_second()),
        None => now.saturating_sub(ended(container)?.as_second()),
    };
    Some(u64::try_from(age).unwrap_or(0))
}

fn ended(container: &Container) -> Option<Timestamp> {
    match container.state {
        State::Created => container.created_at,
        _ => container.finished_at.or(container.created_at),
    }
}

/// When the journal says that it stopped serving; `None` if its newest line about the container says that it serves.
fn left_service(id: &ContainerId, facts: &HostFacts) -> Option<Timestamp> {
    let newest = facts.journal.entries.iter().rev().find_map(|entry| match &entry.fact {
        Fact::Switched { to, .. } if to == id => Some(None),
        Fact::Switched { from: Some(from), .. } | Fact::Stopped { from, .. } if from == id => Some(Some(entry.at)),
        _ => None,
    });
    newest.flatten()
}
