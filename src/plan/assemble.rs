//! Puts the work of all hosts together into stages.

use crate::config::Config;
use crate::fleet::Fleet;
use crate::history::{History, missing_lines};
use crate::name::{HostName, RunId};
use crate::plan::deploy::{HostWork, by_host, stage};
use crate::plan::{Adoption, CatchUp, Plan, Request, Stage, StageKind, prepare};
use crate::release::{Entry, Fact, ReleaseRecord, RunVerb};
use std::collections::{BTreeMap, BTreeSet};

/// What every plan has around its work.
pub(super) struct Frame<'a> {
    pub(super) config: &'a Config,
    pub(super) fleet: &'a Fleet,
    pub(super) request: &'a Request,
    pub(super) verb: RunVerb,
}

impl Frame<'_> {
    /// Prepare everywhere → change wave by wave → retire everywhere. Pruning is added by the caller, at the very end.
    pub(super) fn plan(
        &self,
        work: Vec<HostWork>,
        waves: &[Vec<HostName>],
        adopted: Vec<Adoption>,
        release: Option<ReleaseRecord>,
    ) -> Plan {
        let hosts = by_host(&work);
        let notes: BTreeSet<_> = work.iter().flat_map(|w| w.notes.iter().cloned()).collect();
        let mut stages = Vec::new();
        stages.extend(stage(StageKind::Prepare, work.iter().map(|w| (w.host.clone(), w.prepare.clone()))));
        for (i, wave) in waves.iter().enumerate() {
            let lanes = wave.iter().filter_map(|host| Some((host.clone(), hosts.get(host)?.change.clone())));
            let last = i + 1 == waves.len();
            let pause_after = if last { 0 } else { self.config.boot.wait.as_secs() };
            stages.extend(stage(StageKind::Change, lanes).map(|s| Stage { pause_after, ..s }));
        }
        stages.extend(stage(StageKind::Retire, work.iter().map(|w| (w.host.clone(), w.retire.clone()))));
        let changes = stages.iter().any(|s| s.kind != StageKind::Prepare);
        Plan {
            verb: self.verb,
            service: self.config.service.clone(),
            destination: self.config.destination.clone(),
            run: self.request.run.clone(),
            release: release.filter(|_| changes),
            adopted,
            actor: self.request.actor.clone(),
            catch_up: catch_up(self.fleet),
            abandoned: abandoned(self.fleet, &self.request.run),
            hosts: self.fleet.reachable().map(|(host, _)| host.clone()).collect(),
            state_dirs: prepare::state_dirs(self.config, self.fleet),
            before: work.iter().flat_map(|w| w.before.clone()).collect(),
            after: work.iter().flat_map(|w| w.after.clone()).collect(),
            stages,
            notes: notes.into_iter().collect(),
        }
    }
}

/// The number of the release that a plan makes: after those that it adopts.
pub(super) fn number(history: &History, adopted: &[Adoption]) -> u32 {
    history.next_number().saturating_add(u32::try_from(adopted.len()).unwrap_or(u32::MAX))
}

/// Runs that a host's journal says were begun and never says how they ended. Whoever holds the lease now knows that
/// they are over.
pub(super) fn abandoned(fleet: &Fleet, own: &RunId) -> BTreeMap<HostName, Vec<RunId>> {
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
    let records: BTreeMap<&RunId, &ReleaseRecord> = fleet.reachable().flat_map(|(_, facts)| &facts.records).collect();
    let missed = fleet.reachable().map(|(host, facts)| {
        let unknown = records.iter().filter(|(run, _)| !facts.records.contains_key(**run));
        let records = unknown.map(|(_, record)| (*record).clone()).collect();
        (host.clone(), CatchUp { entries: missing_lines(&all, &facts.journal), records })
    });
    missed.filter(|(_, missed)| *missed != CatchUp::default()).collect()
}
