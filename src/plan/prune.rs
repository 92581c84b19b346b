//! `windlass prune`, and the pruning at the end of a deploy.

use crate::config::{Config, VerbKind};
use crate::fleet::Fleet;
use crate::history::{self, History, Item, Retention, Verdict};
use crate::name::{HostName, RunId};
use crate::plan::{Action, Plan, PruneRequest, Ref, Refusal, StageKind, Step, assemble, preflight, situation, work};
use crate::release::{ReleaseRecord, RunVerb};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Plans a prune: the removals, and the verdict on every container and image with its reason.
///
/// # Errors
/// A [`Refusal`] when a host cannot be used.
pub fn prune(config: &Config, fleet: &Fleet, request: &PruneRequest) -> Result<(Plan, Vec<Verdict>), Refusal> {
    let mut common = request.request.clone();
    common.skip_unreachable = true; // one host that is away does not keep the others from being cleaned
    let notes = preflight::check(config, fleet, &common, &[VerbKind::Prune])?;
    let history = situation::history_of(config, fleet);
    let mut verdicts = verdicts(config, fleet, &history, &request.now, None);
    verdicts.retain(|v| request.request.scope.hosts.contains(&v.host));
    let mut plan = assemble::frame(config, fleet, &request.request, RunVerb::Prune);
    plan.abandoned.clear(); // a prune does not judge what another run left behind
    plan.notes = notes;
    plan.stages.extend(removals(&verdicts));
    plan.hosts.retain(|host| plan.stages.iter().any(|s| s.lanes.iter().any(|l| l.host == *host)));
    Ok((plan, verdicts))
}

/// Adds the pruning at the very end of a deploy. Ages are measured at the time the run began.
pub(super) fn append(plan: &mut Plan, config: &Config, fleet: &Fleet, history: &History, at: Timestamp) {
    if plan.is_empty() {
        return;
    }
    let now = fleet.reachable().map(|(host, facts)| (host.clone(), on_host(at, facts.clock_ahead))).collect();
    let verdicts = verdicts(config, fleet, history, &now, Some(&plan.run));
    let in_scope = |v: &Verdict| plan.after.iter().any(|s| s.host == v.host) && !plan.abandoned.contains_key(&v.host);
    let release = plan.release.as_ref();
    let verdicts: Vec<_> = verdicts.into_iter().filter(in_scope).filter(|v| !is_needed(v, release)).collect();
    plan.stages.extend(removals(&verdicts));
}

/// The image that this run is about may have been on a host before it, needed by nothing until now.
fn is_needed(verdict: &Verdict, release: Option<&ReleaseRecord>) -> bool {
    let (Item::Image { references, id, .. }, Some(release)) = (&verdict.item, release) else { return false };
    let digest = release.digest.as_ref().map(ToString::to_string);
    let named =
        |r: &String| *r == release.image.to_string() || digest.as_ref().is_some_and(|d| r.ends_with(d.as_str()));
    references.iter().any(named) || release.image.to_string() == id.as_str()
}

/// A moment of the coordinator's clock as a host's clock shows it.
fn on_host(at: Timestamp, clock_ahead: i64) -> Timestamp {
    at.checked_add(jiff::SignedDuration::from_secs(clock_ahead)).unwrap_or(at)
}

fn verdicts(
    config: &Config,
    fleet: &Fleet,
    history: &History,
    now: &BTreeMap<HostName, Timestamp>,
    own_run: Option<&RunId>,
) -> Vec<Verdict> {
    let rules = Retention {
        service: &config.service,
        destination: config.destination.as_ref(),
        repository: &config.repository,
        retain: &config.retain,
        role_retain: &config.role_retain,
        now,
        own_run,
    };
    history::retention(fleet, history, &rules)
}

pub(super) fn removals(verdicts: &[Verdict]) -> Option<crate::plan::Stage> {
    let mut lanes: BTreeMap<HostName, Vec<Step>> = BTreeMap::new();
    for verdict in verdicts.iter().filter(|v| !v.keep) {
        let actions = match &verdict.item {
            Item::Host => Vec::new(),
            Item::Container { id, name, .. } => vec![Action::Remove {
                container: Ref::Id(id.clone()),
                name: name.clone(),
                reason: verdict.reason.to_string(),
            }],
            Item::Image { references, others, size, .. } => references
                .iter()
                .enumerate()
                .map(|(i, reference)| Action::RemoveImage {
                    reference: reference.clone(),
                    reason: verdict.reason.to_string(),
                    size: if i + 1 == references.len() && others.is_empty() { *size } else { 0 },
                })
                .collect(),
        };
        let steps = actions.into_iter().map(|action| Step { action, undo: Vec::new() });
        lanes.entry(verdict.host.clone()).or_default().extend(steps);
    }
    work::stage(StageKind::Prune, lanes)
}
