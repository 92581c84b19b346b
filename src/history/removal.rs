//! `releases rm`: what goes with a release, and which releases may not go.

use crate::fleet::Fleet;
use crate::history::content::Contents;
use crate::history::protected::{Past, last_stable};
use crate::history::retention::Retention;
use crate::history::retention_images;
use crate::history::verdict::{Item, Reason, Verdict};
use crate::history::{History, Release};
use crate::name::{ContainerId, HostName};
use std::collections::BTreeSet;
use std::fmt;

/// Why a release may not be removed. Releases of the same content share their containers, so they share their fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It serves, or has the content of what serves.
    Serves {
        /// The release that serves.
        as_release: String,
        /// Where.
        hosts: Vec<HostName>,
    },
    /// Its run still goes on.
    Running,
    /// `app stop` took it out of service, and `app start` brings it back.
    Suspended {
        /// The release that was stopped.
        as_release: String,
    },
    /// A bare rollback would go back to it.
    LastStable {
        /// The release that the rollback would name.
        as_release: String,
    },
    /// It is pinned.
    Pinned {
        /// The release that is.
        as_release: String,
        /// Who pinned it, and why.
        by: String,
    },
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serves { as_release, hosts } => {
                let hosts: Vec<_> = hosts.iter().map(HostName::as_str).collect();
                write!(f, "it serves (as {as_release}) on {}", hosts.join(", "))
            }
            Self::Running => f.write_str("its run still goes on"),
            Self::Suspended { as_release } => {
                write!(f, "it is suspended (as {as_release}): `windlass app start` brings it back")
            }
            Self::LastStable { as_release } => {
                write!(f, "it is the last stable release ({as_release}): a bare `rollback` goes back to it")
            }
            Self::Pinned { as_release, by } => write!(f, "{as_release} is pinned by {by}"),
        }
    }
}

/// What goes with `release`, by host; containers first, then the images that nothing else needs.
///
/// # Errors
/// Why it stays.
pub fn removal(
    fleet: &Fleet,
    history: &History,
    release: &Release,
    rules: &Retention<'_>,
) -> Result<Vec<Verdict>, Kept> {
    let contents = Contents::of(&history.releases);
    let own = contents.of_release(release);
    let same = |other: &Release| contents.of_release(other) == own;
    may_go(fleet, history, release, &same)?;
    let mut verdicts = Vec::new();
    for (host, facts) in fleet.reachable() {
        let alike = history.releases.iter().filter(|r| same(r));
        let held: BTreeSet<&ContainerId> = alike
            .filter_map(|r| r.available.get(host))
            .flat_map(|roles| roles.values())
            .filter_map(|a| a.container())
            .collect();
        // A release's containers, those included that its run made and never served from.
        let made = |c: &crate::fleet::Container| release.run.is_some() && c.created_by() == release.run;
        let goes = facts.containers.iter().filter(|c| (held.contains(&c.id) || made(c)) && !c.state.is_running());
        let goes = goes.filter(|c| c.belongs_to(rules.service, rules.destination));
        let dropped: BTreeSet<&ContainerId> = goes.clone().map(|c| &c.id).collect();
        verdicts.extend(goes.map(|c| Verdict {
            host: host.clone(),
            item: Item::Container { id: c.id.clone(), name: c.name.clone(), version: c.version() },
            keep: false,
            reason: Reason::Removed { release: release.label() },
        }));
        verdicts.extend(retention_images::of_release(host, facts, history, release, &same, &dropped));
    }
    Ok(verdicts)
}

fn may_go(fleet: &Fleet, history: &History, release: &Release, same: &dyn Fn(&Release) -> bool) -> Result<(), Kept> {
    if release.status == crate::history::Status::Running {
        return Err(Kept::Running);
    }
    let alike = || history.releases.iter().rev().filter(|r| same(r));
    if let Some(serving) = alike().find(|r| !r.running.is_empty()) {
        let hosts = serving.running.keys().cloned().collect();
        return Err(Kept::Serves { as_release: serving.label(), hosts });
    }
    if let Some(suspended) = alike().find(|r| r.status == crate::history::Status::Suspended) {
        return Err(Kept::Suspended { as_release: suspended.label() });
    }
    if let Some((pinned, pin)) = alike().find_map(|r| Some((r, r.pin.as_ref()?))) {
        let why = pin.message.as_ref().map(|m| format!(": {m}")).unwrap_or_default();
        return Err(Kept::Pinned { as_release: pinned.label(), by: format!("{}{why}", pin.actor) });
    }
    let past = Past::of(history);
    let mut last = fleet.reachable().flat_map(|(host, _)| last_stable(host, &past));
    match last.find(|r| same(r)) {
        Some(stable) => Err(Kept::LastStable { as_release: stable.label() }),
        None => Ok(()),
    }
}
