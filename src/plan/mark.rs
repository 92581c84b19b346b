//! `windlass releases label`, `pin` and `unpin`: something said of a release, on every host.

use crate::config::{Config, VerbKind};
use crate::fleet::Fleet;
use crate::history::{History, Release, gaps};
use crate::name::{Label, RunId};
use crate::plan::{
    Action, Lane, MarkRequest, Marking, Plan, Refusal, Stage, StageKind, Step, assemble, preflight, situation,
};
use crate::release::{Mark, RunVerb};

/// Plans a mark. A release that has it already makes an empty plan.
///
/// # Errors
/// A [`Refusal`] when a host cannot be reached (it would prune what is pinned), no release is meant, or a label could
/// not be told from a version.
pub fn mark(config: &Config, fleet: &Fleet, request: &MarkRequest) -> Result<Plan, Refusal> {
    let verb = match request.marking {
        Marking::Label(_) => RunVerb::Label,
        Marking::Pin => RunVerb::Pin,
        Marking::Unpin => RunVerb::Unpin,
    };
    let mut notes = preflight::check(config, fleet, &request.request, &[VerbKind::Connect])?;
    let history = situation::history_of(config, fleet);
    let (release, run) = named(&history, &request.target)?;
    if let Marking::Label(Some(label)) = &request.marking {
        label_is_free(&history, label)?;
        let other = history.releases.iter().find(|r| r.name.as_ref() == Some(label) && r.run != release.run);
        notes.extend(other.map(|other| format!("{} was called {label} until now", other.label())));
    }
    if request.marking == Marking::Pin {
        notes.extend(incomplete(config, release));
    }
    let mut plan = assemble::frame(config, fleet, &request.request, verb);
    plan.notes = notes;
    if let Some(mark) = wanted(release, request) {
        let step = || Step {
            action: Action::Mark { release: run.clone(), name: release.label(), mark: mark.clone() },
            undo: Vec::new(),
        };
        let lanes = plan.hosts.iter().map(|host| Lane { host: host.clone(), steps: vec![step()] }).collect();
        plan.stages = vec![Stage { kind: StageKind::Prepare, lanes, pause_after: 0 }];
    }
    Ok(plan)
}

/// The release that a text names, with its run: what only containers know of cannot be written about.
pub(super) fn named<'h>(history: &'h History, text: &str) -> Result<(&'h Release, RunId), Refusal> {
    let found = history
        .resolve(Some(text), &Default::default())
        .map_err(|error| Refusal::new(error.to_string()).hint("`windlass releases` lists what there is, and where"))?;
    let release = found.release;
    match &release.run {
        Some(run) => Ok((release, run.clone())),
        None => Err(Refusal::new(format!("no journal knows {}: only its containers do", release.version)).hint(
            "the next deploy or rollback records what serves; what does not serve by then stays without a record",
        )),
    }
}

/// A label that is also a version would never be reached: a version comes first.
pub(super) fn label_is_free(history: &History, label: &Label) -> Result<(), Refusal> {
    match history.releases.iter().find(|r| r.version.as_str() == label.as_str()) {
        None => Ok(()),
        Some(release) => {
            let message =
                format!("`{label}` is the version of {}, and a version is meant before a label", release.label());
            Err(Refusal::new(message).hint("choose another label"))
        }
    }
}

/// The mark that has to be written; `None` if it is so already.
fn wanted(release: &Release, request: &MarkRequest) -> Option<Mark> {
    match &request.marking {
        Marking::Label(label) => (release.name != *label).then(|| Mark::Labelled { label: label.clone() }),
        Marking::Unpin => release.pin.as_ref().map(|_| Mark::Unpinned),
        Marking::Pin => {
            let message = request.request.message.clone();
            let is_so = release.pin.as_ref().is_some_and(|pin| message.is_none() || pin.message == message);
            (!is_so).then(|| Mark::Pinned { actor: request.request.actor.clone(), message })
        }
    }
}

/// A pin keeps what is there; it brings nothing back.
fn incomplete(config: &Config, release: &Release) -> Vec<String> {
    let mut scope = crate::history::Scope::new();
    for role in &config.roles {
        for host in &role.hosts {
            scope.entry(host.name.clone()).or_default().insert(role.name.clone());
        }
    }
    let missing = gaps(release, &scope).into_iter();
    missing.map(|gap| format!("{} is not complete: {gap}", release.label())).collect()
}
