//! A host that joined: beside the current release it gets those that retention asks for, from hosts that have them.

use crate::config::{Config, Role};
use crate::fleet::HostFacts;
use crate::history::{Availability, Help, History, Release};
use crate::name::HostName;
use crate::plan::remake::Remake;
use crate::plan::rollback_record::recorded;
use crate::plan::situation::Situation;
use crate::plan::work::stage;
use crate::plan::{Action, Plan, Refusal, Request, Stage, StageKind, Step, Strategy, names};
use crate::release::ReleaseRecord;
use std::collections::BTreeSet;

/// Adds the stage that brings hosts in scope what they lack (`deploy --copy`): the newest `retain_containers` stable
/// releases (at least the last one) that are neither left nor what serves once the deploy is through. Their containers
/// are made and not started.
///
/// # Errors
/// A host has no room for an image.
pub(super) fn append(plan: &mut Plan, situation: &Situation<'_>) -> Result<(), Refusal> {
    let mut supplied = Situation::of(situation.config, situation.fleet, situation.request, Strategy::default());
    supplied.supply(Help { copy: true, pull: false });
    let wanted = wanted(plan, &supplied.history, at_least(situation));
    let mut lanes = Vec::new();
    for host in &plan.hosts {
        let Some(facts) = situation.fleet.facts(host) else { continue };
        let joining = Joining { plan, supplied: &supplied, host, facts };
        lanes.push((host.clone(), joining.steps(&wanted, situation.request)?));
    }
    let brought: Option<Stage> = stage(StageKind::Retain, lanes);
    if let Some(stage) = &brought {
        let versions: BTreeSet<_> = wanted.iter().map(|release| release.version.short().to_string()).collect();
        let hosts: Vec<_> = stage.lanes.iter().map(|lane| lane.host.to_string()).collect();
        let versions = versions.into_iter().collect::<Vec<_>>().join(", ");
        plan.notes.push(format!("{} can be rolled back to {versions} afterwards", hosts.join(", ")));
    }
    plan.stages.extend(brought);
    Ok(())
}

/// How many releases the roles in scope ask for; the last stable one is always kept.
fn at_least(situation: &Situation<'_>) -> usize {
    let (config, scope) = (situation.config, &situation.request.scope.roles);
    let of_role = |role: &Role| config.role_retain.get(&role.name).unwrap_or(&config.retain).at_least;
    config.roles.iter().filter(|role| scope.contains(&role.name)).map(of_role).max().unwrap_or_default().max(1)
}

/// The releases that every host should have in reserve, newest first, one of each content: the pinned ones, and so many
/// of the others.
fn wanted<'h>(plan: &Plan, history: &'h History, at_least: usize) -> Vec<&'h Release> {
    let brings = |release: &Release| {
        let same = |new: &ReleaseRecord, old: &ReleaseRecord| {
            let print = |record: &ReleaseRecord| -> Vec<_> {
                record.roles.iter().map(|(role, r)| (role.clone(), r.fingerprint.clone())).collect()
            };
            (&new.version, &new.digest, print(new)) == (&old.version, &old.digest, print(old))
        };
        plan.release.as_ref().zip(release.record.as_ref()).is_some_and(|(new, old)| same(new, old))
    };
    let goes_over: BTreeSet<_> = plan.before.iter().filter(|s| !plan.after.contains(s)).map(|s| &s.host).collect();
    let stays = |release: &Release| release.running.keys().any(|host| !goes_over.contains(host));
    let mut chosen: Vec<&Release> = Vec::new();
    for release in history.releases.iter().rev().filter(|r| r.pin.is_some() || (r.stable && !r.left)) {
        let known = chosen.iter().any(|other| history.same_content(other, release));
        let serves = history.releases.iter().any(|r| stays(r) && history.same_content(r, release));
        let counted = chosen.iter().filter(|r| r.pin.is_none()).count();
        let asked_for = release.pin.is_some() || counted < at_least;
        if !known && !serves && !brings(release) && asked_for {
            chosen.push(release);
        }
    }
    chosen
}

/// One host that may lack something.
struct Joining<'a> {
    plan: &'a Plan,
    supplied: &'a Situation<'a>,
    host: &'a HostName,
    facts: &'a HostFacts,
}

impl Joining<'_> {
    fn steps(&self, wanted: &[&Release], request: &Request) -> Result<Vec<Step>, Refusal> {
        let mut actions: Vec<Action> = Vec::new();
        let in_scope =
            |role: &&Role| request.scope.roles.contains(&role.name) && role.hosts.iter().any(|h| h.name == *self.host);
        if !request.scope.hosts.contains(self.host) {
            return Ok(Vec::new());
        }
        let config: &Config = self.supplied.config;
        for release in wanted {
            for role in config.roles.iter().filter(in_scope) {
                for action in self.role(release, role, &actions)? {
                    if !actions.contains(&action) {
                        actions.push(action);
                    }
                }
            }
        }
        Ok(actions.into_iter().map(|action| Step { action, undo: Vec::new() }).collect())
    }

    fn role(&self, release: &Release, role: &Role, planned: &[Action]) -> Result<Vec<Action>, Refusal> {
        let Some(Availability::Elsewhere(source)) = release.availability(self.host, &role.name) else {
            return Ok(Vec::new());
        };
        let Some(spec) = recorded(&role.name, release) else { return Ok(Vec::new()) };
        let Some(run) = release.content.as_ref().or(release.run.as_ref()) else { return Ok(Vec::new()) };
        let id = self.supplied.identity(&role.name, &release.version);
        let number = release.number.unwrap_or_default();
        let mut taken: Vec<&str> =
            self.plan.steps().filter(|(_, h, _)| *h == self.host).filter_map(|s| made(&s.2.action)).collect();
        taken.extend(planned.iter().filter_map(made));
        let name = names::free_name_beside(id, self.facts, number, &taken);
        let (situation, host, facts) = (self.supplied, self.host, self.facts);
        let remake = Remake { situation, target: release, host, facts, role, spec, run, name };
        let supply = remake.image_from(source, false)?;
        let container = Box::new(remake.container(&supply, Some(source), &mut Vec::new())?);
        Ok(supply.step.into_iter().chain([Action::Create { container }]).collect())
    }
}

/// The name of the container that an action makes.
fn made(action: &Action) -> Option<&str> {
    match action {
        Action::Create { container } => Some(&container.name),
        Action::CreateLike { name, .. } => Some(name),
        _ => None,
    }
}
