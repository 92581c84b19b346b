//! Writing facts down: an intent on every leased host before the first change, each switch with its change, the
//! outcome on all.

use crate::effect::HostError;
use crate::execute::action::Means;
use crate::execute::host::{RunHost, StepError};
use crate::journal;
use crate::name::{HostName, RunId};
use crate::plan::{Adoption, Plan, Ref};
use crate::release::{Entry, Fact, HostReport, IntendedRelease, Outcome, ReleaseRecord, SCHEMA, StepReport};
use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use std::collections::BTreeMap;

pub(super) type Hosts = BTreeMap<HostName, RunHost>;

/// Appends one fact of a run to a host's journal.
pub(super) async fn append(means: &Means<'_>, host: &RunHost, run: &RunId, fact: Fact) -> Result<(), StepError> {
    let entry = Entry { schema: SCHEMA, run: run.clone(), at: means.clock.now(), fact };
    Ok(write_entries(host, &[entry]).await?)
}

async fn write_entries(host: &RunHost, entries: &[Entry]) -> Result<(), HostError> {
    if entries.is_empty() {
        return Ok(());
    }
    let lines: Vec<u8> = entries.iter().flat_map(journal::line).collect();
    host.node.host.append(&journal::journal_path(&host.state_dir), &lines).await
}

async fn write_record(host: &RunHost, record: &ReleaseRecord) -> Result<(), HostError> {
    let path = journal::record_path(&host.state_dir, &record.run);
    host.node.host.write(&path, &journal::render_record(record), 0o600).await
}

/// Everything that must be on every host before the first change: what a host missed, adopted releases, the intent,
/// the release's record. Returns the hosts on which it could not be written.
pub(super) async fn intent(means: &Means<'_>, hosts: &Hosts, plan: &Plan) -> Vec<(HostName, String)> {
    // One time for all hosts: what they say of the run as a whole is then the same line.
    let at = means.clock.now();
    let writes = hosts.iter().map(|(name, host)| async move {
        let result = intent_on(at, name, host, plan).await;
        result.err().map(|error| (name.clone(), error.to_string()))
    });
    join_all(writes).await.into_iter().flatten().collect()
}

async fn intent_on(at: Timestamp, name: &HostName, host: &RunHost, plan: &Plan) -> Result<(), HostError> {
    host.node.host.make_dir(&format!("{}/releases", host.state_dir)).await?;
    let missed = plan.catch_up.get(name);
    let missed_records = missed.into_iter().flat_map(|missed| &missed.records);
    let records = missed_records.chain(plan.adopted.iter().map(|a| &a.record)).chain(&plan.release);
    try_join_all(records.map(|record| write_record(host, record))).await?;
    let mut entries: Vec<Entry> = missed.into_iter().flat_map(|missed| missed.entries.clone()).collect();
    entries.extend(plan.adopted.iter().flat_map(|adoption| adopted_entries(at, name, adoption)));
    let actor = plan.release.as_ref().map(|r| r.actor.clone()).unwrap_or_else(|| plan.actor.clone());
    let fact = Fact::Intent {
        verb: plan.verb,
        release: plan.release.as_ref().map(intended),
        actor,
        hosts: plan.hosts.clone(),
    };
    entries.push(Entry { schema: SCHEMA, run: plan.run.clone(), at, fact });
    write_entries(host, &entries).await
}

fn intended(record: &ReleaseRecord) -> IntendedRelease {
    IntendedRelease { number: record.number, kind: record.kind.clone(), version: record.version.clone() }
}

/// An adopted release in a host's journal: begun, serving here (where it does), succeeded.
fn adopted_entries(at: Timestamp, host: &HostName, adoption: &Adoption) -> Vec<Entry> {
    let record = &adoption.record;
    let hosts = adoption.serving.iter().map(|s| s.host.clone()).collect::<std::collections::BTreeSet<_>>();
    let intent = Fact::Intent {
        verb: crate::release::RunVerb::Deploy,
        release: Some(intended(record)),
        actor: record.actor.clone(),
        hosts: hosts.into_iter().collect(),
    };
    let switched = adoption.serving.iter().filter(|s| s.host == *host).filter_map(|s| match &s.container {
        Some(Ref::Id(id)) => {
            Some(Fact::Switched { role: s.role.clone(), from: None, to: id.clone(), release: Some(record.run.clone()) })
        }
        _ => None,
    });
    let outcome = Fact::Outcome { outcome: Outcome::Succeeded, reason: None };
    let facts = std::iter::once(intent).chain(switched).chain(std::iter::once(outcome));
    facts.map(|fact| Entry { schema: SCHEMA, run: record.run.clone(), at, fact }).collect()
}

/// The outcome on every host, and the end of runs that were cut off. Returns the hosts on which it could not be
/// written.
pub(super) async fn outcome(
    means: &Means<'_>,
    hosts: &Hosts,
    plan: &Plan,
    outcome: Outcome,
    reason: Option<&str>,
) -> Vec<(HostName, String)> {
    let at = means.clock.now();
    let writes = hosts.iter().map(|(name, host)| async move {
        let entry = |run: &RunId, outcome: Outcome, reason: Option<String>| Entry {
            schema: SCHEMA,
            run: run.clone(),
            at,
            fact: Fact::Outcome { outcome, reason },
        };
        let abandoned = plan.abandoned.get(name).into_iter().flatten();
        let closing = |run: &RunId| entry(run, Outcome::Abandoned, Some(format!("closed by run {}", plan.run)));
        let mut entries = vec![entry(&plan.run, outcome, reason.map(str::to_string))];
        entries.extend(abandoned.map(closing));
        write_entries(host, &entries).await.err().map(|error| (name.clone(), error.to_string()))
    });
    join_all(writes).await.into_iter().flatten().collect()
}

/// What a prune removed, host by host.
pub(super) async fn pruned(
    means: &Means<'_>,
    host: &RunHost,
    run: &RunId,
    containers: u32,
    images: u32,
) -> Result<(), StepError> {
    append(means, host, run, Fact::Pruned { containers, images }).await
}

/// Each host's own steps, on the host. Returns the hosts on which they could not be written.
pub(super) async fn reports(
    hosts: &Hosts,
    run: &RunId,
    steps: &BTreeMap<HostName, Vec<StepReport>>,
) -> Vec<(HostName, String)> {
    let writes = steps.iter().filter_map(|(name, steps)| {
        let host = hosts.get(name)?;
        let report = HostReport { schema: SCHEMA, run: run.clone(), host: name.clone(), steps: steps.clone() };
        Some(async move { report_on(host, &report).await.err().map(|error| (name.clone(), error.to_string())) })
    });
    join_all(writes).await.into_iter().flatten().collect()
}

async fn report_on(host: &RunHost, report: &HostReport) -> Result<(), HostError> {
    host.node.host.make_dir(&journal::report_dir(&host.state_dir, &report.run)).await?;
    let path = journal::report_path(&host.state_dir, &report.run);
    host.node.host.write(&path, &journal::render_report(report), 0o600).await
}
