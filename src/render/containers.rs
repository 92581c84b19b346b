//! `windlass app containers`.

use crate::fleet::{Container, Health, State};
use crate::name::{ContainerId, HostName, RoleName, Version};
use crate::render::{table, time};
use jiff::Timestamp;
use serde::Serialize;

/// The containers of a service as `--json` prints them.
#[derive(Debug, Clone, Serialize)]
pub struct Containers {
    /// Version of this object: 1.
    pub schema: u32,
    /// In the order of hosts and names.
    pub containers: Vec<Row>,
    /// The hosts that did not answer.
    pub unreachable: Vec<HostName>,
}

/// One container.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Host.
    pub host: HostName,
    /// Full id.
    pub id: ContainerId,
    /// Name.
    pub name: String,
    /// Role.
    pub role: Option<RoleName>,
    /// Version.
    pub version: Option<Version>,
    /// Whether requests (or, without a proxy, the role's duty) go to it.
    pub serving: bool,
    /// `running`, `running, healthy`, `exited 1` …
    pub state: String,
    /// When it got into that state.
    pub since: Option<Timestamp>,
    /// The reference it was made from.
    pub image: String,
}

impl Row {
    /// The view of one container.
    pub fn new(host: &HostName, container: &Container, serving: bool) -> Self {
        let since = if container.state.is_running() { container.started_at } else { container.finished_at };
        Self {
            host: host.clone(),
            id: container.id.clone(),
            name: container.name.clone(),
            role: container.role(),
            version: container.version(),
            serving,
            state: state(&container.state),
            since: since.or(container.created_at),
            image: container.image.clone(),
        }
    }
}

impl Containers {
    /// For people.
    pub fn table(&self, now: Timestamp) -> String {
        let rows = self.containers.iter().map(|row| {
            let dash = || "-".to_string();
            [
                row.host.to_string(),
                row.id.short().to_string(),
                row.name.clone(),
                row.role.as_ref().map_or_else(dash, ToString::to_string),
                row.version.as_ref().map_or_else(dash, |v| v.short().to_string()),
                if row.serving { "yes" } else { "no" }.to_string(),
                row.state.clone(),
                row.since.map_or_else(dash, |at| time::ago(at, now)),
            ]
        });
        table::table(["HOST", "ID", "NAME", "ROLE", "VERSION", "SERVES", "STATE", "SINCE"], rows)
    }

    /// `-q`: one short id a line.
    pub fn ids(&self) -> String {
        self.containers.iter().map(|row| format!("{}\n", row.id.short())).collect()
    }
}

/// A container's state in words.
pub fn state(state: &State) -> String {
    match state {
        State::Created => "created, never started".to_string(),
        State::Running(Health::None) => "running".to_string(),
        State::Running(Health::Starting) => "running, health check starting".to_string(),
        State::Running(Health::Healthy) => "running, healthy".to_string(),
        State::Running(Health::Unhealthy) => "running, unhealthy".to_string(),
        State::Restarting => "restarting".to_string(),
        State::Paused => "paused".to_string(),
        State::Exited { oom: true, .. } => "killed, out of memory".to_string(),
        State::Exited { code, .. } => format!("exited {code}"),
        State::Other(word) => word.clone(),
    }
}
