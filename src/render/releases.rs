//! `windlass releases`: what `--json` prints. `docs/schemas/releases.v1.json` describes it.

use crate::history::{Badge, Doubt, History, Pin, Release, Status};
use crate::name::{Destination, Digest, HostName, ImageRef, Label, RoleName, RunId, ServiceName, Version};
use crate::release::ReleaseKind;
use crate::render::words;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The list.
#[derive(Debug, Clone, Serialize)]
pub struct Releases {
    /// Version of this object: 1.
    pub schema: u32,
    /// Service.
    pub service: ServiceName,
    /// Destination.
    pub destination: Option<Destination>,
    /// The hosts that answered.
    pub hosts: Vec<HostName>,
    /// The hosts that did not: what only they know is missing here.
    pub unreachable: Vec<HostName>,
    /// Newest first.
    pub releases: Vec<Row>,
    /// How many more there are that `-n` left out.
    pub more: usize,
    /// Hosts whose own history cannot be relied on. The others answered for them.
    pub doubts: BTreeMap<HostName, Vec<Note>>,
    /// Numbers that no host that answered knows of.
    pub unknown: Vec<String>,
}

/// A doubt about a host's history, for machines and for people.
#[derive(Debug, Clone, Serialize)]
pub struct Note {
    /// For machines.
    #[serde(flatten)]
    pub doubt: Doubt,
    /// For people.
    pub text: String,
}

/// One release.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `v42`, or `v43.2` for the later of two that share a number; `None` for one that only containers know of.
    pub number: Option<String>,
    /// Its run.
    pub run: Option<RunId>,
    /// Version.
    pub version: Version,
    /// `repository:tag`.
    pub image: Option<ImageRef>,
    /// Digest.
    pub digest: Option<Digest>,
    /// `deploy`, `rollback` or `adopted`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The release that a rollback went back to: its run.
    pub of: Option<RunId>,
    /// One word: `deploying`, `current`, `suspended`, `failed`, `interrupted`, `rolled back`, `stable`, `deployed` or `pruned`.
    pub status: &'static str,
    /// Everything that is true of it.
    pub badges: Vec<Badge>,
    /// What people call it.
    pub label: Option<Label>,
    /// Why retention may not touch it.
    pub pin: Option<Pin>,
    /// Its roles.
    pub roles: Vec<RoleName>,
    /// Hosts on which it serves.
    pub running: Vec<HostName>,
    /// Hosts from which it can be brought back without pulling (those on which it serves included).
    pub retained: Vec<HostName>,
    /// Hosts it was sent to; those that have something of it where no record says.
    pub sent: Vec<HostName>,
    /// Who.
    pub actor: String,
    /// When its run began, RFC 3339.
    pub at: Option<Timestamp>,
    /// When its run ended.
    pub ended: Option<Timestamp>,
    /// Seconds that its run took.
    pub took: Option<f64>,
    /// Since when it served.
    pub active_from: Option<Timestamp>,
    /// Until when; `None` while it serves.
    pub active_until: Option<Timestamp>,
    /// `-m`.
    pub message: Option<String>,
    /// Why its run failed.
    pub reason: Option<String>,
}

/// Which releases are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those that have all of these badges.
    pub badges: BTreeSet<Badge>,
    /// Those whose run began then or later.
    pub since: Option<Timestamp>,
    /// Those that have this role.
    pub role: Option<RoleName>,
    /// So many of the newest.
    pub newest: Option<usize>,
}

impl Filter {
    fn takes(&self, release: &Release) -> bool {
        let badges = release.badges();
        let young = self.since.is_none_or(|since| release.at.is_some_and(|at| at >= since));
        let has_role = self.role.as_ref().is_none_or(|role| release.has_role(role));
        self.badges.iter().all(|badge| badges.contains(badge)) && young && has_role
    }
}

impl Releases {
    /// The view of a history over these hosts.
    pub fn new(
        (service, destination): (ServiceName, Option<Destination>),
        (hosts, unreachable): (Vec<HostName>, Vec<HostName>),
        history: &History,
        doubts: BTreeMap<HostName, Vec<Doubt>>,
        filter: &Filter,
    ) -> Self {
        let wanted: Vec<&Release> = history.releases.iter().rev().filter(|r| filter.takes(r)).collect();
        let shown = filter.newest.unwrap_or(wanted.len()).min(wanted.len());
        let note = |doubt: Doubt| Note { text: doubt.to_string(), doubt };
        Self {
            schema: 1,
            service,
            destination,
            hosts,
            unreachable,
            releases: wanted[..shown].iter().map(|release| row(release)).collect(),
            more: wanted.len() - shown,
            doubts: doubts.into_iter().map(|(host, all)| (host, all.into_iter().map(note).collect())).collect(),
            unknown: unknown(history),
        }
    }

    /// What people should know besides the table, a line each.
    pub fn notes(&self) -> Vec<String> {
        let doubts =
            self.doubts.iter().flat_map(|(host, notes)| notes.iter().map(move |n| format!("{host}: {}", n.text)));
        let unknown = (!self.unknown.is_empty())
            .then(|| format!("no host that answered knows of {}", words::list(&self.unknown, 6)));
        let more = (self.more > 0).then(|| format!("{} more: -n {}", self.more, self.releases.len() + self.more));
        doubts.chain(unknown).chain(more).collect()
    }
}

/// One release as a row.
pub fn row(release: &Release) -> Row {
    let of = match &release.kind {
        ReleaseKind::Rollback { of, .. } => of.clone(),
        _ => None,
    };
    let roles = release.record.iter().flat_map(|record| record.roles.keys().cloned());
    let names = |hosts: BTreeSet<&HostName>| hosts.into_iter().cloned().collect();
    let took = release.at.zip(release.ended).map(|(at, ended)| (ended - at).total(jiff::Unit::Second).unwrap_or(0.0));
    Row {
        number: number(release),
        run: release.run.clone(),
        version: release.version.clone(),
        image: release.image.clone(),
        digest: release.digest.clone(),
        kind: words::kind(&release.kind),
        of,
        status: status(release.status),
        badges: release.badges(),
        label: release.name.clone(),
        pin: release.pin.clone(),
        roles: roles.collect(),
        running: release.running.keys().cloned().collect(),
        retained: names(release.retained_on().collect()),
        sent: names(release.sent_to()),
        actor: release.actor.clone(),
        at: release.at,
        ended: release.ended,
        took: took.map(|seconds| seconds.max(0.0)),
        active_from: release.served.map(|(from, _)| from),
        active_until: release.served.and_then(|(_, until)| until),
        message: release.message.clone(),
        reason: release.reason.clone(),
    }
}

/// `v42`, `v43.2`.
pub fn number(release: &Release) -> Option<String> {
    release.number.map(|_| release.label())
}

/// Between the lowest and the highest number that is known.
fn unknown(history: &History) -> Vec<String> {
    let known: BTreeSet<u32> = history.releases.iter().filter_map(|r| r.number).collect();
    let Some((first, last)) = known.first().zip(known.last()) else { return Vec::new() };
    (*first..*last).filter(|number| !known.contains(number)).map(|number| format!("v{number}")).collect()
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Current => "current",
        Status::Suspended => "suspended",
        Status::Stable => "stable",
        Status::Pruned => "pruned",
        Status::Failed => "failed",
        Status::RolledBack => "rolled back",
        Status::Interrupted => "interrupted",
        Status::Running => "deploying",
        Status::Unrecorded => "deployed",
    }
}
