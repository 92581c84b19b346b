//! `windlass prune`.

use crate::cli::args::{Global, RunArgs};
use crate::cli::flow::{self, Change};
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::VerbKind;
use crate::fleet::{Fleet, LeaseState};
use crate::history::{Item, Verdict};
use crate::name::HostName;
use crate::plan::{self, PruneRequest};
use crate::release::RunVerb;
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
  windlass prune --older-than 14d   keep what stopped serving less than two weeks ago";

/// Remove old containers and the images that nothing needs
///
/// Removes stopped containers that stopped serving more than three days ago, then the images that nothing needs.
/// Never what serves, never the last stable release, and nothing on a host whose journal cannot be read or holds a run
/// without an end. With nothing to do it prints nothing and exits 0. A host on which another run holds the lease
/// is left alone, and the exit code is then 5.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PruneArgs {
    /// Print what would be kept and dropped, and why; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep what stopped serving less than this ago [default: 3d]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
}

pub(crate) async fn run(global: Global, args: PruneArgs) -> Result<(), Failure> {
    let session = Session::with_secrets(global, VerbKind::Prune, !args.dry_run, |_| Vec::new())?;
    let mut config = session.project.config.clone();
    config.retain.age = args.older_than.unwrap_or(config.retain.age);
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
    let change = Change {
        verb: RunVerb::Prune,
        what: "prune".to_string(),
        args: &run_args,
        config: &config,
        secrets: BTreeMap::new(),
        login: None,
        key: flow::key(&fleet)?,
        hooks: None,
        planner: &planner,
        notes: Vec::new(),
        only: None,
        left_out: None,
    };
    if args.dry_run {
        change.plan(&session, &fleet)?;
        return show(&session, &verdicts);
    }
    change.plan(&session, &fleet)?;
    warn(&session, &fleet, &verdicts);
    change.go(&session, &connections, &fleet).await
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
