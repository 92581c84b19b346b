//! Why a rollback has no target. The texts are for people and say what there is instead.

use crate::history::Release;
use crate::name::{HostName, RoleName, Version};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// A release as messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// `v42`, or `v43.1` and `v43.2` where a bare `v43` would be ambiguous; `None` for one without a number.
    pub label: Option<String>,
    /// Its version.
    pub version: Version,
    /// When its run began.
    pub at: Option<Timestamp>,
}

/// A role that cannot be brought back on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Host.
    pub host: HostName,
    /// Role.
    pub role: RoleName,
    /// Why.
    pub why: String,
}

/// Why there is no target. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// No release is called that.
    #[error("no release is called `{}`{}", text.escape_debug(), suggestions(near, newest))]
    NotFound {
        /// What was asked for.
        text: String,
        /// Names like it, the most similar first.
        near: Vec<Candidate>,
        /// The newest releases.
        newest: Vec<Candidate>,
    },
    /// Several are.
    #[error("`{}` could be any of these; name one of them:{}", text.escape_debug(), listed(candidates))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// What it could mean.
        candidates: Vec<Candidate>,
    },
    /// Nothing of the service serves in scope, so there is nothing to go back from.
    #[error("nothing serves in scope, so there is no release before it; name the one to bring up{}", known(releases))]
    NothingServes {
        /// The newest releases.
        releases: Vec<Candidate>,
    },
    /// What serves has no stable predecessor.
    #[error("there is no stable release older than {current}, which serves now{}", reasons(others))]
    NothingOlder {
        /// What serves.
        current: Candidate,
        /// The newest other releases and why none of them is the default.
        others: Vec<(Candidate, &'static str)>,
    },
    /// It cannot be brought back everywhere.
    #[error(
        "{release} cannot be brought back everywhere in scope:{}\ncomplete there, newest first:{}",
        grouped(gaps),
        inventory(there)
    )]
    Incomplete {
        /// The target.
        release: Candidate,
        /// What is missing, in host and role order.
        gaps: Vec<Gap>,
        /// What every host in scope has complete, newest first.
        there: BTreeMap<HostName, Vec<Candidate>>,
    },
}

impl Candidate {
    /// The name of a release.
    pub fn of(release: &Release) -> Self {
        let label = release.number.map(|_| release.label());
        Self { label, version: release.version.clone(), at: release.at }
    }

    /// The same where the number alone does not tell it from its twins.
    pub(super) fn twin(release: &Release) -> Self {
        let label = release.number.map(|number| format!("v{number}.{}", release.twin));
        Self { label, ..Self::of(release) }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            Some(label) => write!(f, "{label} ({})", self.version.short()),
            None => f.write_str(self.version.as_str()),
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: {}", self.role, self.host, self.why)
    }
}

fn joined(candidates: &[Candidate]) -> String {
    candidates.iter().map(Candidate::to_string).collect::<Vec<_>>().join(", ")
}

fn listed(candidates: &[Candidate]) -> String {
    let line = |c: &Candidate| {
        let name = c.label.as_ref().map(|label| format!("{label}  ")).unwrap_or_default();
        let at = c.at.map(|at| format!("  {}", at.strftime("%Y-%m-%d %H:%M UTC"))).unwrap_or_default();
        format!("\n  {name}{}{at}", c.version)
    };
    candidates.iter().map(line).collect()
}

fn known(newest: &[Candidate]) -> String {
    if newest.is_empty() {
        "; there are no releases yet".into()
    } else {
        format!("\nnewest releases: {}", joined(newest))
    }
}

fn suggestions(near: &[Candidate], newest: &[Candidate]) -> String {
    let near = if near.is_empty() { String::new() } else { format!("; did you mean {}?", joined(near)) };
    format!("{near}{}", known(newest))
}

fn reasons(others: &[(Candidate, &'static str)]) -> String {
    let intro = if others.is_empty() { "" } else { "; name one of the others to go there all the same:" };
    let lines: String = others.iter().map(|(candidate, why)| format!("\n  {candidate}: {why}")).collect();
    format!("{intro}{lines}")
}

/// One line a role and reason, the hosts behind it: many hosts tend to lack a release for the same reason.
fn grouped(gaps: &[Gap]) -> String {
    let mut groups: BTreeMap<(&RoleName, &str), Vec<&str>> = BTreeMap::new();
    for gap in gaps {
        groups.entry((&gap.role, &gap.why)).or_default().push(gap.host.as_str());
    }
    groups.into_iter().map(|((role, why), hosts)| format!("\n  {role} on {}: {why}", hosts.join(", "))).collect()
}

/// Hosts that have the same are on one line.
fn inventory(there: &BTreeMap<HostName, Vec<Candidate>>) -> String {
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for (host, candidates) in there {
        let has = if candidates.is_empty() { "nothing".to_string() } else { joined(candidates) };
        match groups.iter_mut().find(|(_, known)| *known == has) {
            Some((hosts, _)) => hosts.push(host.as_str()),
            None => groups.push((vec![host.as_str()], has)),
        }
    }
    groups.into_iter().map(|(hosts, has)| format!("\n  {}: {has}", hosts.join(", "))).collect()
}
