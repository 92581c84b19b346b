//! `windlass status`.

use crate::fleet::{Freeze, Holder};
use crate::name::{ContainerId, Destination, HostName, RoleName, RunId, ServiceName, Version};
use crate::render::{table, time};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;

/// The state of a fleet as `--json` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Version of this object: 1.
    pub schema: u32,
    /// Service.
    pub service: ServiceName,
    /// Destination.
    pub destination: Option<Destination>,
    /// In name order.
    pub hosts: Vec<HostStatus>,
}

/// One host.
#[derive(Debug, Clone, Serialize)]
pub struct HostStatus {
    /// Host.
    pub host: HostName,
    /// Whether it answered.
    pub reachable: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Version of its engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// `running`, `stopped`, `not set up`, `running, but …`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// What serves, by role.
    pub roles: Vec<RoleStatus>,
    /// Whatever is not as it should be on the host as a whole.
    pub problems: Vec<String>,
    /// Runs that ended without a word.
    pub interrupted: Vec<InterruptedRun>,
    /// Who changes the service here now. The outer `None` is nobody, the inner one somebody who left no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<Option<Holder>>,
    /// A lock taken by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

/// What serves a role on a host.
#[derive(Debug, Clone, Serialize)]
pub struct RoleStatus {
    /// Role.
    pub role: RoleName,
    /// The container; `None` when nothing serves.
    pub container: Option<ContainerId>,
    /// Its version.
    pub version: Option<Version>,
    /// `v42`.
    pub release: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// `healthy`, `running`, `unhealthy: L4CON`, `exited 1` …
    pub health: String,
    /// How it differs from what is expected; empty when it does not.
    pub drift: Vec<String>,
}

/// A run that began on a host and whose end no host knows.
#[derive(Debug, Clone, Serialize)]
pub struct InterruptedRun {
    /// The run.
    pub run: RunId,
    /// `deploy v43`.
    pub what: String,
    /// Who.
    pub actor: String,
    /// When it began.
    pub at: Timestamp,
    /// The command that takes it on.
    pub next: String,
}

impl Status {
    /// For people: one table, then what needs a look, each with its host.
    pub fn table(&self, now: Timestamp) -> String {
        let header = ["HOST", "ENGINE", "PROXY", "ROLE", "VERSION", "RELEASE", "SINCE", "HEALTH", "DRIFT"];
        let mut out = table::table(header, self.hosts.iter().flat_map(|h| rows(h, now)));
        let remarks: Vec<String> = self.hosts.iter().flat_map(|host| remarks(host, now)).collect();
        if !remarks.is_empty() {
            let _ = writeln!(out, "\n{}", remarks.join("\n"));
        }
        out
    }
}

fn rows(host: &HostStatus, now: Timestamp) -> Vec<[String; 9]> {
    let dash = || "-".to_string();
    let name = host.host.to_string();
    if !host.reachable {
        return vec![[name, "unreachable".to_string(), dash(), dash(), dash(), dash(), dash(), dash(), dash()]];
    }
    let own = [name, host.engine.clone().unwrap_or_else(dash), host.proxy.clone().unwrap_or_else(dash)];
    if host.roles.is_empty() {
        let [name, engine, proxy] = own;
        return vec![[name, engine, proxy, dash(), dash(), dash(), dash(), dash(), dash()]];
    }
    let first = std::iter::once(own).chain(std::iter::repeat([String::new(), String::new(), String::new()]));
    let row = |([name, engine, proxy], role): ([String; 3], &RoleStatus)| {
        let version = role.version.as_ref().map_or_else(dash, |v| v.short().to_string());
        let since = role.since.map_or_else(dash, |at| time::ago(at, now));
        let drift = if role.drift.is_empty() { "none".to_string() } else { "see below".to_string() };
        let release = role.release.clone().unwrap_or_else(dash);
        [name, engine, proxy, role.role.to_string(), version, release, since, role.health.clone(), drift]
    };
    first.zip(&host.roles).map(row).collect()
}

fn remarks(host: &HostStatus, now: Timestamp) -> Vec<String> {
    let name = &host.host;
    let mut out = Vec::new();
    if let Some(error) = &host.error {
        out.push(format!("{name}: {error}"));
        out.extend(host.hint.iter().map(|hint| format!("{name}: hint: {hint}")));
    }
    for role in &host.roles {
        out.extend(role.drift.iter().map(|drift| format!("{name}: {}: {drift}", role.role)));
    }
    out.extend(host.problems.iter().map(|problem| format!("{name}: {problem}")));
    for run in &host.interrupted {
        let when = time::ago(run.at, now);
        out.push(format!("{name}: {} by {} began {when} and ended without a word; {}", run.what, run.actor, run.next));
    }
    match &host.lease {
        Some(Some(h)) => out.push(format!(
            "{name}: {} changes the service now: {}, since {}",
            h.actor,
            h.what,
            time::ago(h.since, now)
        )),
        Some(None) => out.push(format!("{name}: somebody changes the service now")),
        None => {}
    }
    out.extend(host.freeze.iter().map(|f| format!("{name}: {}", freeze(f, now))));
    out
}

/// `locked by ann@laptop 3h ago: database upgrade`.
pub fn freeze(freeze: &Freeze, now: Timestamp) -> String {
    format!("locked by {} {}: {}", freeze.actor, time::ago(freeze.since, now), freeze.message)
}
