//! `windlass prune`.

use crate::cli::args::{Global, RunArgs};
use crate::cli::flow::Change;
use crate::cli::session::Session;
use crate::cli::{Failure, Kind, output};
use crate::config::VerbKind;
use crate::execute::{Removed, RunReport};
use crate::fleet::{Fleet, LeaseState};
use crate::history::{Item, Verdict};
use crate::name::HostName;
use crate::plan::{self, PruneRequest};
use crate::release::{Outcome, RunVerb};
use crate::render::pruned::{Pruned, PrunedHost};
use crate::render::verdicts::Verdicts;
use clap::Args;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  windlass prune --dry-run          every keep and every drop, with its reason
  windlass prune                    for cron: silent when there is nothing to do
  windlass prune --older-than 14d   keep what stopped serving less than two weeks ago
  windlass prune --json             what was removed, as one object (docs/schemas/prune.v1.json)";

/// Remove old containers and the images that nothing needs
///
/// Removes stopped containers that stopped serving more than three days ago, then the images that nothing needs.
/// Never what serves, never the last stable release, and nothing on a host whose journal cannot be read or holds a run
/// without an end. `retain:` in the configuration says how much else stays. With nothing to do it prints nothing and
/// exits 0. A host on which another run holds the lease is left alone, and the exit code is then 5; a host that does not
/// answer does not keep the others from being cleaned, and the exit code is then 6. `windlass init --cron` writes a
/// crontab and systemd units.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PruneArgs {
    /// Print what would be kept and dropped, and why; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep what stopped serving less than this ago, instead of `retain: age` [default: 3d]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
}

pub(crate) async fn run(global: Global, args: PruneArgs) -> Result<(), Failure> {
    // What `--json` prints is one summary at the end, not the run's events.
    let session = Session::with_secrets(global, VerbKind::Prune, false, |_| Vec::new())?;
    let mut config = session.project.config.clone();
    if let Some(age) = args.older_than {
        config.retain.age = age;
        config.role_retain.values_mut().for_each(|retain| retain.age = age);
    }
    let connections = session.connect(&session.project.hosts()).await?;
    let fleet = session.observe(&connections).await?;
    let verdicts = Mutex::new(Vec::new());
    let planner = |config: &_, fleet: &Fleet, request| {
        let now = clocks(fleet, session.clock.now());
        let (plan, judged) = plan::prune(config, fleet, &PruneRequest { request, now })?;
        if let Ok(mut verdicts) = verdicts.lock() {
            *verdicts = judged;
        }
        Ok(plan)
    };
    let run_args =
        RunArgs { dry_run: false, yes: true, skip_hooks: true, skip_unreachable: true, lock_wait: None, message: None };
    let mut change = Change {
        config: &config,
        ..Change::of((RunVerb::Prune, "prune".to_string()), &run_args, &session, &fleet, &planner)?
    };
    if args.dry_run {
        change.plan(&session, &fleet)?;
        return show(&session, &verdicts);
    }
    change.plan(&session, &fleet)?;
    // Planning again under the leases, it only judges the hosts that it has.
    let judged = verdicts.lock().map(|verdicts| verdicts.clone()).unwrap_or_default();
    warn(&session, &fleet, &verdicts);
    let ended = change.carry_out(&session, &connections, &fleet).await;
    if session.global.json {
        output::json(&summary(&session, &fleet, &judged, change.done.as_ref(), &ended))?;
    }
    ended?;
    every_host_answered(&session, &fleet)
}

/// The others were cleaned all the same.
fn every_host_answered(session: &Session, fleet: &Fleet) -> Result<(), Failure> {
    let away = fleet.unreachable().filter(|(host, _)| session.scope.hosts.contains(host));
    let away: Vec<_> = away.map(|(host, why)| format!("{host}: {}", why.message)).collect();
    match away.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Kind::SomeAnswers, format!("not every host was pruned:\n  {}", away.join("\n  ")))),
    }
}

fn summary(
    session: &Session,
    fleet: &Fleet,
    verdicts: &[Verdict],
    done: Option<&RunReport>,
    ended: &Result<(), Failure>,
) -> Pruned {
    let left_alone: BTreeMap<HostName, String> = verdicts
        .iter()
        .filter(|verdict| verdict.item == Item::Host)
        .map(|verdict| (verdict.host.clone(), verdict.reason.to_string()))
        .collect();
    let on_host = |host: &HostName| {
        let Removed { containers, images, freed } =
            done.and_then(|report| report.removed.get(host)).copied().unwrap_or_default();
        let held = fleet.facts(host).is_some_and(|facts| facts.lease != LeaseState::Free);
        let held = held.then(|| "another run holds it".to_string());
        let left_alone = left_alone.get(host).cloned().or(held);
        PrunedHost { host: host.clone(), containers, images, freed, left_alone }
    };
    let hosts: Vec<PrunedHost> = session.scope.hosts.iter().map(on_host).collect();
    let config = &session.project.config;
    let (outcome, reason) = match (done, ended) {
        (Some(report), _) => (outcome(report.outcome), report.reason.clone()),
        (None, Ok(())) => ("nothing to do", None),
        (None, Err(failure)) => ("failed", Some(failure.error.clone())),
    };
    Pruned {
        schema: 1,
        service: config.service.clone(),
        destination: config.destination.clone(),
        run: done.map(|_| session.run.clone()),
        outcome,
        reason,
        freed: hosts.iter().map(|host| host.freed).sum(),
        hosts,
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Interrupted => "interrupted",
        Outcome::Reverted | Outcome::Unverified | Outcome::Abandoned => "failed",
    }
}

fn show(session: &Session, verdicts: &Mutex<Vec<Verdict>>) -> Result<(), Failure> {
    let verdicts = verdicts.lock().map(|v| v.clone()).unwrap_or_default();
    let view = Verdicts::new(&verdicts);
    match session.global.json {
        true => output::json(&view),
        false => {
            output::print(&view.table());
            Ok(())
        }
    }
}

/// Whoever reads cron's mail hears of hosts that are never cleaned. A host that a run holds now is told by exit 5.
fn warn(session: &Session, fleet: &Fleet, verdicts: &Mutex<Vec<Verdict>>) {
    let held = |host: &HostName| fleet.facts(host).is_some_and(|facts| facts.lease != LeaseState::Free);
    for verdict in verdicts.lock().iter().flat_map(|verdicts| verdicts.iter()) {
        if verdict.item == Item::Host && !held(&verdict.host) {
            session.board.warn(&format!("warning: {}: left alone: {}", verdict.host, verdict.reason));
        }
    }
}

/// Every host's own time: ages are measured by the clock that stamped them.
fn clocks(fleet: &Fleet, now: Timestamp) -> BTreeMap<HostName, Timestamp> {
    let own = |ahead: i64| now.checked_add(jiff::SignedDuration::from_secs(ahead)).unwrap_or(now);
    fleet.reachable().map(|(host, facts)| (host.clone(), own(facts.clock_ahead))).collect()
}
