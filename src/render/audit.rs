//! `windlass audit`: the runs that the hosts' journals know together.

use crate::fleet::Fleet;
use crate::name::{ContainerId, Destination, HostName, RoleName, RunId, ServiceName, Version};
use crate::release::{Entry, Fact, Outcome};
use crate::render::{table, time, words};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The runs of a service as `--json` prints them.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// Version of this object: 1.
    pub schema: u32,
    /// Service.
    pub service: ServiceName,
    /// Destination.
    pub destination: Option<Destination>,
    /// Newest first.
    pub runs: Vec<Run>,
    /// The hosts that did not answer: what only they know is missing here.
    pub unreachable: Vec<HostName>,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Its id.
    pub run: RunId,
    /// When it began.
    pub at: Timestamp,
    /// When the last host was told of its end.
    pub ended: Option<Timestamp>,
    /// `deploy`, `rollback`, `stop` …
    pub verb: &'static str,
    /// The version that it was about.
    pub version: Option<Version>,
    /// The number of the release that it made.
    pub number: Option<u32>,
    /// Who.
    pub actor: String,
    /// The hosts that it was allowed to change.
    pub hosts: Vec<HostName>,
    /// How it ended; `None`: no host knows.
    pub outcome: Option<Outcome>,
    /// Why it ended so.
    pub reason: Option<String>,
    /// What went over, in the order of hosts.
    pub switched: Vec<Switched>,
    /// The release that it said something of (a label, a pin, a removal): its run.
    pub marked: Option<RunId>,
    /// Containers that it removed.
    pub removed_containers: u32,
    /// Images that it removed.
    pub removed_images: u32,
}

/// A role that went over on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Switched {
    /// Host.
    pub host: HostName,
    /// Role.
    pub role: RoleName,
    /// What served before.
    pub from: Option<ContainerId>,
    /// What served from then on; `None`: nothing.
    pub to: Option<ContainerId>,
}

impl Audit {
    /// The newest `most` runs that the hosts of a fleet know.
    pub fn new(identity: (ServiceName, Option<Destination>), fleet: &Fleet, most: usize) -> Self {
        let mut by_run: BTreeMap<&RunId, Vec<(&HostName, &Entry)>> = BTreeMap::new();
        for (host, facts) in fleet.reachable() {
            for entry in &facts.journal.entries {
                by_run.entry(&entry.run).or_default().push((host, entry));
            }
        }
        let mut runs: Vec<Run> = by_run.into_iter().filter_map(|(run, entries)| merged(run, &entries)).collect();
        runs.sort_by(|a, b| (b.at, &b.run).cmp(&(a.at, &a.run)));
        runs.truncate(most);
        let unreachable = fleet.unreachable().map(|(host, _)| host.clone()).collect();
        Self { schema: 1, service: identity.0, destination: identity.1, runs, unreachable }
    }

    /// For people.
    pub fn table(&self, now: Timestamp) -> String {
        if self.runs.is_empty() {
            return format!("No run of {} is known to these hosts.\n", self.service);
        }
        let rows = self.runs.iter().map(|run| {
            let number = run.number.map(|n| format!(" (v{n})")).unwrap_or_default();
            let version = run.version.as_ref().map(|v| format!(" {}{number}", v.short())).unwrap_or_default();
            let took = run.ended.map(|end| end.duration_since(run.at)).and_then(|d| d.try_into().ok());
            [
                time::ago(run.at, now),
                run.actor.clone(),
                format!("{}{version}{}", run.verb, removed(run)),
                words::hosts(&run.hosts, 4),
                run.outcome.map_or_else(|| "no end is known".to_string(), |o| outcome(o).to_string()),
                took.map_or_else(|| "-".to_string(), time::took),
                run.reason.clone().unwrap_or_default(),
            ]
        });
        table::table(["WHEN", "WHO", "WHAT", "HOSTS", "OUTCOME", "TOOK", "REASON"], rows)
    }
}

fn removed(run: &Run) -> String {
    match (run.removed_containers, run.removed_images) {
        (0, 0) => String::new(),
        (c, i) => {
            format!(", removed {} and {}", words::count(c as usize, "container"), words::count(i as usize, "image"))
        }
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Reverted => "failed, went back",
        Outcome::Interrupted => "interrupted, went back",
        Outcome::Unverified => "mixed or unverified",
        Outcome::Abandoned => "cut off",
    }
}

/// What all hosts say of one run; none of a run that nobody knows the beginning of.
fn merged(run: &RunId, entries: &[(&HostName, &Entry)]) -> Option<Run> {
    let (at, verb, release, actor, hosts) = entries.iter().find_map(|(_, entry)| match &entry.fact {
        Fact::Intent { verb, release, actor, hosts } => Some((entry.at, verb, release, actor, hosts)),
        _ => None,
    })?;
    let mut switched = Vec::new();
    let (mut containers, mut images) = (0, 0);
    let mut pruned = BTreeSet::new();
    let mut marked = None;
    let mut ends: Vec<(Timestamp, Outcome, Option<String>)> = Vec::new();
    for (host, entry) in entries {
        match &entry.fact {
            Fact::Switched { role, from, to, .. } => {
                push(&mut switched, host, role, from.clone(), Some(to.clone()));
            }
            Fact::Stopped { role, from } => push(&mut switched, host, role, Some(from.clone()), None),
            Fact::Pruned { containers: c, images: i } if pruned.insert((*host, entry.at)) => {
                containers += c;
                images += i;
            }
            Fact::Outcome { outcome, reason } => ends.push((entry.at, *outcome, reason.clone())),
            Fact::Marked { release, .. } => marked = Some(release.clone()),
            Fact::Intent { .. } | Fact::Pruned { .. } => {}
        }
    }
    // A host that was away learns of the end from another; one that closes what it found open says so.
    let end = ends.iter().find(|(_, outcome, _)| *outcome != Outcome::Abandoned).or_else(|| ends.first());
    Some(Run {
        run: run.clone(),
        at,
        ended: end.map(|(at, ..)| *at),
        verb: words::verb(*verb),
        version: release.as_ref().map(|r| r.version.clone()),
        number: release.as_ref().map(|r| r.number),
        actor: actor.clone(),
        hosts: hosts.clone(),
        outcome: end.map(|(_, outcome, _)| *outcome),
        reason: end.and_then(|(.., reason)| reason.clone()),
        switched,
        marked,
        removed_containers: containers,
        removed_images: images,
    })
}

/// A line that was appended twice says nothing new.
fn push(all: &mut Vec<Switched>, host: &HostName, role: &RoleName, from: Option<ContainerId>, to: Option<ContainerId>) {
    let one = Switched { host: host.clone(), role: role.clone(), from, to };
    if !all.contains(&one) {
        all.push(one);
    }
}
