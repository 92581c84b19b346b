//! `windlass releases`.

use crate::history::{Availability, History, Release, Status};
use crate::name::{Destination, Digest, HostName, ImageRef, RunId, ServiceName, Version};
use crate::render::{table, time, words};
use jiff::Timestamp;
use serde::Serialize;

/// The list as `--json` prints it.
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
    /// `current`, `stable`, `failed`, `rolled back`, `interrupted` or `running`.
    pub status: &'static str,
    /// Hosts on which it serves.
    pub running: usize,
    /// Hosts from which it can be brought back without pulling (those on which it serves included).
    pub retaining: usize,
    /// Hosts it was sent to, or that answered where no record says.
    pub of: usize,
    /// Who.
    pub actor: String,
    /// When, RFC 3339.
    pub at: Option<Timestamp>,
    /// `-m`.
    pub message: Option<String>,
}

impl Releases {
    /// The view of a history over these hosts.
    pub fn new(
        (service, destination): (ServiceName, Option<Destination>),
        (hosts, unreachable): (Vec<HostName>, Vec<HostName>),
        history: &History,
    ) -> Self {
        let releases = history.releases.iter().rev().map(|r| row(r, hosts.len())).collect();
        Self { schema: 1, service, destination, hosts, unreachable, releases }
    }

    /// For people; `image` adds the image and its digest.
    pub fn table(&self, now: Timestamp, image: bool) -> String {
        if self.releases.is_empty() {
            return format!("No release of {} is known to these hosts.\n", self.service);
        }
        let text = |row: &Row| {
            let share = |n: usize| format!("{n}/{}", row.of);
            let when = row.at.map(|at| time::ago(at, now)).unwrap_or_else(|| "-".to_string());
            let message = row.message.clone().unwrap_or_default();
            let number = row.number.clone().unwrap_or_else(|| "-".to_string());
            let version = row.version.short().to_string();
            let [kind, status] = [row.kind, row.status].map(str::to_string);
            (number, version, kind, status, share(row.running), share(row.retaining), row.actor.clone(), when, message)
        };
        let rows = self.releases.iter().map(|row| (row, text(row)));
        if image {
            let header =
                ["RELEASE", "VERSION", "TYPE", "STATUS", "RUNNING", "RETAINED", "WHO", "WHEN", "MESSAGE", "IMAGE"];
            return table::table(
                header,
                rows.map(|(row, t)| [t.0, t.1, t.2, t.3, t.4, t.5, t.6, t.7, t.8, image_of(row)]),
            );
        }
        let header = ["RELEASE", "VERSION", "TYPE", "STATUS", "RUNNING", "RETAINED", "WHO", "WHEN", "MESSAGE"];
        table::table(header, rows.map(|(_, t)| [t.0, t.1, t.2, t.3, t.4, t.5, t.6, t.7, t.8]))
    }
}

fn image_of(row: &Row) -> String {
    let digest = row.digest.as_ref().map(|d| format!("@sha256:{}", d.short())).unwrap_or_default();
    row.image.as_ref().map_or_else(|| "-".to_string(), |image| format!("{image}{digest}"))
}

fn row(release: &Release, answered: usize) -> Row {
    let sent = release.record.as_ref().map(|record| {
        let hosts: std::collections::BTreeSet<_> =
            record.roles.values().flat_map(|role| role.hosts.iter().map(|h| &h.name)).collect();
        hosts.len()
    });
    let complete = |roles: &std::collections::BTreeMap<_, Availability>| {
        !roles.is_empty() && roles.values().all(|a| !matches!(a, Availability::Missing { .. }))
    };
    Row {
        number: number(release),
        run: release.run.clone(),
        version: release.version.clone(),
        image: release.image.clone(),
        digest: release.digest.clone(),
        kind: words::kind(&release.kind),
        status: status(release.status),
        running: release.running.len(),
        retaining: release.available.values().filter(|roles| complete(roles)).count(),
        of: sent.unwrap_or(answered).max(release.running.len()),
        actor: release.actor.clone(),
        at: release.at,
        message: release.message.clone(),
    }
}

/// `v42`, `v43.2`.
pub fn number(release: &Release) -> Option<String> {
    let twin = if release.twin > 1 { format!(".{}", release.twin) } else { String::new() };
    release.number.map(|n| format!("v{n}{twin}"))
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Current => "current",
        Status::Stable => "stable",
        Status::Failed => "failed",
        Status::RolledBack => "rolled back",
        Status::Interrupted => "interrupted",
        Status::Running => "running",
        Status::Unrecorded => "unrecorded",
    }
}
