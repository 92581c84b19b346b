//! What retention must not take on a host, whatever its age.

use crate::fleet::HostFacts;
use crate::history::content::Contents;
use crate::history::retention::{Retention, has_failed};
use crate::history::verdict::Reason;
use crate::history::{History, Release, Scope, serving, suspended};
use crate::name::{ContainerId, HostName, RoleName};
use std::collections::{BTreeMap, BTreeSet};

/// What is the same for all hosts, so that it is worked out once.
pub(super) struct Past<'a> {
    history: &'a History,
    contents: Contents,
    default: Option<&'a Release>,
}

impl<'a> Past<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let default = history.resolve(None, &serving_scope(history)).ok().map(|target| target.release);
        Self { history, contents: Contents::of(&history.releases), default }
    }
}

/// Containers with the reason why they stay, and the releases whose images stay.
pub(super) struct Protected<'a> {
    pub(super) containers: BTreeMap<ContainerId, Reason>,
    /// Which of the newest complete releases a container belongs to, from 1.
    pub(super) ranks: BTreeMap<ContainerId, usize>,
    pub(super) releases: Vec<&'a Release>,
}

impl<'a> Protected<'a> {
    pub(super) fn on(host: &HostName, facts: &HostFacts, past: &Past<'a>, rules: &Retention<'_>) -> Self {
        let history = past.history;
        let mut protected = Self { containers: BTreeMap::new(), ranks: BTreeMap::new(), releases: Vec::new() };
        protected.add_serving(host, facts, history, rules);
        for (release, pin) in history.releases.iter().filter_map(|r| Some((r, r.pin.as_ref()?))) {
            let reason = Reason::Pinned { release: release.label(), by: pin.actor.clone(), why: pin.message.clone() };
            protected.add(host, release, |_| Some(reason.clone()));
        }
        for release in last_stable(host, past) {
            protected.add(host, release, |_| Some(Reason::LastStable { release: release.label() }));
        }
        for (rank, release) in newest_complete(host, past) {
            protected.rank(host, release, rank);
            protected.add(host, release, |role| {
                let of = rules.retain_of(role).at_least;
                (rank <= of).then(|| Reason::Newest { release: release.label(), rank, of })
            });
        }
        let own = |r: &&Release| r.run.is_some() && r.run.as_ref() == rules.own_run;
        protected.releases.extend(history.releases.iter().filter(own));
        protected
    }

    /// Keeps the containers of a release's roles that there is a reason for, and with any of them its image.
    fn add(&mut self, host: &HostName, release: &'a Release, reason: impl Fn(&RoleName) -> Option<Reason>) {
        let mut is_kept = release.available.get(host).is_none_or(|roles| roles.is_empty());
        for (role, available) in release.available.get(host).into_iter().flatten() {
            let Some(reason) = reason(role) else { continue };
            is_kept = true;
            if let Some(id) = available.container() {
                self.containers.entry(id.clone()).or_insert(reason);
            }
        }
        self.releases.extend(is_kept.then_some(release));
    }

    fn rank(&mut self, host: &HostName, release: &Release, rank: usize) {
        let available = release.available.get(host).into_iter().flat_map(|roles| roles.values());
        for id in available.filter_map(|a| a.container()) {
            self.ranks.entry(id.clone()).or_insert(rank);
        }
    }

    /// What serves, and everything that a file or the runtime of the proxy names: it may be routed to in a moment.
    fn add_serving(&mut self, host: &HostName, facts: &HostFacts, history: &'a History, rules: &Retention<'_>) {
        let roles: BTreeSet<RoleName> = facts.containers.iter().filter_map(|c| c.role()).collect();
        let serving = roles.iter().filter_map(|role| serving::serving(facts, rules.service, rules.destination, role));
        let servers = facts.proxy.backends.values().flat_map(|b| &b.servers).filter_map(|s| s.container.as_ref());
        let files = facts.proxy.backends.values().filter_map(|b| b.file_active.as_ref());
        let suspended = |role| suspended::suspended(facts, rules.service, rules.destination, role)?.container;
        for container in roles.iter().filter_map(suspended) {
            self.containers.insert(container.id.clone(), Reason::Suspended);
        }
        for id in serving.map(|c| &c.id).chain(servers).chain(files) {
            self.containers.insert(id.clone(), Reason::Serves);
        }
        self.releases.extend(history.releases.iter().filter(|r| r.running.contains_key(host)));
    }
}

/// The releases that a bare rollback could go back to: that of the whole fleet, and for each role of this host the
/// newest that is there, complete or not. Where nothing serves it is the newest stable one.
pub(super) fn last_stable<'a>(host: &HostName, past: &Past<'a>) -> Vec<&'a Release> {
    let history = past.history;
    let mut found: Vec<&Release> = Vec::new();
    let roles: BTreeSet<&RoleName> =
        history.releases.iter().filter_map(|r| r.available.get(host)).flat_map(|roles| roles.keys()).collect();
    for role in roles {
        let only = Scope::from([(host.clone(), BTreeSet::from([role.clone()]))]);
        let current = history.newest_serving(&only);
        let is_default = |r: &Release| match current {
            Some(current) => history.is_default(&past.contents, current, r),
            None => r.stable && !r.left,
        };
        let is_there = |r: &&Release| r.availability(host, role).is_some_and(|a| a.is_there());
        found.extend(history.releases.iter().rev().filter(|r| is_default(r)).find(is_there));
    }
    found.extend(past.default);
    found
}

/// Everything that serves now: the scope of a bare rollback without a filter.
fn serving_scope(history: &History) -> Scope {
    let mut scope = Scope::new();
    for (host, roles) in history.releases.iter().flat_map(|r| &r.running) {
        scope.entry(host.clone()).or_default().extend(roles.iter().cloned());
    }
    scope
}

/// The newest releases all of whose roles are on this host, counted by content from 1. Neither what serves nor a
/// release that failed or was left counts: those are no targets to have in reserve.
fn newest_complete<'a>(host: &HostName, past: &Past<'a>) -> Vec<(usize, &'a Release)> {
    let (history, contents) = (past.history, &past.contents);
    let serving = history.releases.iter().filter(|r| r.running.contains_key(host));
    let mut seen: BTreeSet<_> = serving.map(|r| contents.of_release(r)).collect();
    let is_complete = |r: &&Release| {
        r.available.get(host).is_some_and(|roles| !roles.is_empty() && roles.values().all(|a| a.is_there()))
    };
    let counted = history.releases.iter().rev().filter(|r| !has_failed(r) && !r.left).filter(is_complete);
    counted.filter(|r| seen.insert(contents.of_release(r))).enumerate().map(|(i, r)| (i + 1, r)).collect()
}
