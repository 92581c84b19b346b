//! Puts the work of all hosts together into stages.

use crate::config::Config;
use crate::fleet::{Fleet, StateHome};
use crate::history::missing_lines;
use crate::name::{HostName, RunId};
use crate::plan::situation::Situation;
use crate::plan::work::{HostWork, stage};
use crate::plan::{Action, CatchUp, Plan, Request, Stage, StageKind, Step, Strategy};
use crate::release::{Entry, Fact, ReleaseRecord, RunVerb};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The plan of a release. Pruning is added by the caller, at the very end.
pub(super) fn release(
    situation: &Situation<'_>,
    verb: RunVerb,
    work: Vec<HostWork>,
    record: Option<ReleaseRecord>,
) -> Plan {
    let changing = work.iter().filter(|w| !w.change.is_empty()).map(|w| w.host.clone()).collect();
    let plan = staged(situation, verb, work, &situation.waves(changing));
    let tidies = |step: &Step| matches!(step.action, Action::ForgetEdgeFiles { .. });
    let is_change = |s: &Stage| s.kind != StageKind::Prepare && !s.lanes.iter().flat_map(|l| &l.steps).all(tidies);
    let changes = plan.stages.iter().any(is_change);
    Plan { release: record.filter(|_| changes), adopted: situation.adopted.clone(), ..plan }
}

/// Prepare everywhere → change wave by wave → retire everywhere.
pub(super) fn staged(situation: &Situation<'_>, verb: RunVerb, work: Vec<HostWork>, waves: &[Vec<HostName>]) -> Plan {
    let config = situation.config;
    let hosts: BTreeMap<_, _> = work.iter().map(|w| (&w.host, w)).collect();
    let notes: BTreeSet<_> = work.iter().flat_map(|w| w.notes.iter().cloned()).collect();
    let mut stages = Vec::new();
    stages.extend(stage(StageKind::Prepare, work.iter().map(|w| (w.host.clone(), w.prepare.clone()))));
    for (i, wave) in waves.iter().enumerate() {
        let lanes = wave.iter().filter_map(|host| Some((host.clone(), hosts.get(host)?.change.clone())));
        let last = i + 1 == waves.len();
        let pause_after = if last { 0 } else { config.boot.wait.as_secs() };
        stages.extend(stage(StageKind::Change, lanes).map(|s| Stage { pause_after, ..s }));
    }
    stages.extend(stage(StageKind::Retire, work.iter().map(|w| (w.host.clone(), w.retire.clone()))));
    Plan {
        strategy: situation.strategy,
        before: work.iter().flat_map(|w| w.before.clone()).collect(),
        after: work.iter().flat_map(|w| w.after.clone()).collect(),
        stages,
        notes: notes.into_iter().collect(),
        ..frame(config, situation.fleet, situation.request, verb)
    }
}

/// The plan of a change on all hosts at once that makes no release. `notes` come before those of the work.
pub(super) fn all_at_once(situation: &Situation<'_>, verb: RunVerb, work: Vec<HostWork>, notes: Vec<String>) -> Plan {
    let changing: Vec<_> = work.iter().filter(|w| !w.change.is_empty()).map(|w| w.host.clone()).collect();
    let staged = staged(situation, verb, work, &[changing]);
    let notes = notes.into_iter().chain(staged.notes).collect();
    Plan { adopted: situation.adopted.clone(), notes, ..staged }
}

/// What every plan has around its work: which run of whom, on which hosts, and what their journals lack.
pub(super) fn frame(config: &Config, fleet: &Fleet, request: &Request, verb: RunVerb) -> Plan {
    let state_dir = |home: &StateHome| home.of_service(&config.service, config.destination.as_ref());
    Plan {
        verb,
        service: config.service.clone(),
        destination: config.destination.clone(),
        run: request.run.clone(),
        release: None,
        strategy: Strategy::default(),
        pulls: false,
        inherited: None,
        adopted: Vec::new(),
        actor: request.actor.clone(),
        catch_up: catch_up(fleet),
        abandoned: abandoned(fleet, &request.run),
        hosts: fleet.reachable().map(|(host, _)| host.clone()).collect(),
        state_dirs: fleet.reachable().map(|(host, facts)| (host.clone(), state_dir(&facts.home))).collect(),
        before: Vec::new(),
        after: Vec::new(),
        stages: Vec::new(),
        notes: Vec::new(),
    }
}

/// Runs that a host's journal says were begun and never says how they ended. Whoever holds the lease now knows that
/// they are over.
fn abandoned(fleet: &Fleet, own: &RunId) -> BTreeMap<HostName, Vec<RunId>> {
    let open = |entries: &[Entry]| -> Vec<RunId> {
        let ended: BTreeSet<_> =
            entries.iter().filter(|e| matches!(e.fact, Fact::Outcome { .. })).map(|e| e.run.clone()).collect();
        let begun: BTreeSet<_> =
            entries.iter().filter(|e| matches!(e.fact, Fact::Intent { .. })).map(|e| e.run.clone()).collect();
        begun.difference(&ended).filter(|run| *run != own).cloned().collect()
    };
    let hosts = fleet.reachable().map(|(host, facts)| (host.clone(), open(&facts.journal.entries)));
    hosts.filter(|(_, runs)| !runs.is_empty()).collect()
}

/// What each host has missed: how runs began and ended, and the records, that any other host has.
fn catch_up(fleet: &Fleet) -> BTreeMap<HostName, CatchUp> {
    let all: Vec<Entry> = fleet.reachable().flat_map(|(_, facts)| facts.journal.entries.iter().cloned()).collect();
    let records: BTreeMap<&RunId, &Arc<ReleaseRecord>> =
        fleet.reachable().flat_map(|(_, facts)| &facts.records).collect();
    let missed = fleet.reachable().map(|(host, facts)| {
        let unknown = records.iter().filter(|(run, _)| !facts.records.contains_key(**run));
        let records = unknown.map(|(_, record)| (***record).clone()).collect();
        (host.clone(), CatchUp { entries: missing_lines(&all, &facts.journal), records })
    });
    missed.filter(|(_, missed)| *missed != CatchUp::default()).collect()
}
