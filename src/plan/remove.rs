//! `windlass releases rm`: the containers and images of one release go, everywhere.

use crate::config::{Config, VerbKind};
use crate::fleet::Fleet;
use crate::history::{self, Retention};
use crate::plan::{
    Action, Lane, Plan, Refusal, RemoveRequest, Stage, StageKind, Step, assemble, mark, preflight, prune, situation,
};
use crate::release::{Mark, RunVerb};
use std::collections::BTreeMap;

/// Plans the removal of a release.
///
/// # Errors
/// A [`Refusal`] when it serves, is the last stable one or is pinned; when a host's past is not certain; when a host
/// cannot be reached.
pub fn remove(config: &Config, fleet: &Fleet, request: &RemoveRequest) -> Result<Plan, Refusal> {
    let mut notes = preflight::check(config, fleet, &request.request, &[VerbKind::Prune])?;
    let history = situation::history_of(config, fleet);
    let (release, run) = mark::named(&history, &request.target)?;
    if let Some((host, doubts)) = history::doubts(fleet, &history).into_iter().next() {
        let why: Vec<_> = doubts.iter().map(ToString::to_string).collect();
        return Err(Refusal::new(format!("{host}: its history cannot be relied on: {}", why.join("; ")))
            .hint("nothing is removed while something that should stay may be unknown"));
    }
    let rules = Retention {
        service: &config.service,
        destination: config.destination.as_ref(),
        repository: &config.repository,
        retain: &config.retain,
        role_retain: &config.role_retain,
        now: &BTreeMap::new(),
        own_run: None,
    };
    let verdicts = history::removal(fleet, &history, release, &rules).map_err(|kept| {
        let refusal = Refusal::new(format!("{} ({}) is not removed: {kept}", release.label(), release.version));
        match kept {
            history::Kept::Pinned { as_release, .. } => {
                refusal.hint(format!("`windlass releases unpin {as_release}` first"))
            }
            _ => refusal,
        }
    })?;
    notes.extend(release.name.as_ref().map(|label| format!("it is called {label}")));
    let mut plan = assemble::frame(config, fleet, &request.request, RunVerb::Remove);
    plan.notes = notes;
    let removals = prune::removals(&verdicts);
    if removals.is_some() {
        let mark = Action::Mark { release: run, name: release.label(), mark: Mark::Removed };
        let step = || Step { action: mark.clone(), undo: Vec::new() };
        let lanes = plan.hosts.iter().map(|host| Lane { host: host.clone(), steps: vec![step()] }).collect();
        plan.stages.push(Stage { kind: StageKind::Prepare, lanes, pause_after: 0 });
    }
    plan.stages.extend(removals);
    Ok(plan)
}
