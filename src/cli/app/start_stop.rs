//! `windlass app start` and `windlass app stop`.

use crate::cli::Failure;
use crate::cli::args::{Global, RunArgs};
use crate::cli::flow::{self, Change};
use crate::cli::front::Front;
use crate::cli::session::Session;
use crate::config::VerbKind;
use crate::plan;
use crate::release::RunVerb;
use clap::Args;
use std::collections::BTreeMap;
use std::time::Duration;

const STOP_EXAMPLES: &str = "\
Examples:
  windlass app stop                   everything, everywhere
  windlass app stop --roles worker    the workers only
  windlass app stop --dry-run         what would be done";

const START_EXAMPLES: &str = "\
Examples:
  windlass app start                  what was stopped, everywhere
  windlass app start --hosts web-1    on one host
  windlass app start --dry-run        what would be done";

/// Stop the service without removing anything
///
/// Takes every role in scope out of the proxy on all hosts, then lets requests in flight finish and stops the
/// containers. Routes, containers and images stay: the proxy answers 503 until `windlass app start` (which waits for
/// the health check again), a deploy or a rollback. `releases` and `status` show the release as suspended.
#[derive(Debug, Args)]
#[command(after_long_help = STOP_EXAMPLES)]
pub(super) struct StopArgs {
    #[command(flatten)]
    change: ChangeArgs,
}

/// Start what was stopped
///
/// Starts the very containers that served last, waits until each is healthy, and sends traffic to them. Nothing is
/// pulled, and no secrets file is read: to change what runs, deploy. When a host fails, all go back.
#[derive(Debug, Args)]
#[command(after_long_help = START_EXAMPLES)]
pub(super) struct StartArgs {
    #[command(flatten)]
    change: ChangeArgs,
}

/// Options of a change that makes no release and runs no hooks.
#[derive(Debug, Clone, Args)]
pub(super) struct ChangeArgs {
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask (without a terminal nothing is asked anyway)
    #[arg(short, long)]
    yes: bool,
    /// Leave out hosts that do not answer, instead of refusing
    #[arg(long)]
    skip_unreachable: bool,
    /// Wait for another run to end, 15 minutes unless you say how long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "15m")]
    #[arg(value_parser = humantime::parse_duration)]
    lock_wait: Option<Duration>,
}

impl ChangeArgs {
    /// Whether any of them was given.
    pub(super) fn asks_for_a_run(&self) -> bool {
        self.dry_run || self.yes || self.skip_unreachable || self.lock_wait.is_some()
    }
}

/// Which change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    Stop,
    StopStale,
}

pub(super) async fn start(global: Global, args: StartArgs) -> Result<(), Failure> {
    change(global, &args.change, Verb::Start).await
}

pub(super) async fn stop(global: Global, args: StopArgs) -> Result<(), Failure> {
    change(global, &args.change, Verb::Stop).await
}

pub(super) async fn change(global: Global, args: &ChangeArgs, verb: Verb) -> Result<(), Failure> {
    let session = Session::with_secrets(global, VerbKind::Connect, !args.dry_run, |_| Vec::new())?;
    let connections = session.connect(&session.project.hosts()).await?;
    let fleet = session.observe(&connections).await?;
    let planner = |config: &_, fleet: &_, request: plan::Request| match verb {
        Verb::Start => plan::start(config, fleet, &request),
        Verb::Stop => plan::stop(config, fleet, &request),
        Verb::StopStale => plan::stop_stale(config, fleet, &request),
    };
    let run_args = RunArgs {
        dry_run: args.dry_run,
        yes: args.yes,
        skip_hooks: true,
        skip_unreachable: args.skip_unreachable,
        lock_wait: args.lock_wait,
        message: None,
    };
    let (run_verb, what) = match verb {
        Verb::Start => (RunVerb::Start, "app start"),
        Verb::Stop => (RunVerb::Stop, "app stop"),
        Verb::StopStale => (RunVerb::Stop, "app stale_containers --stop"),
    };
    let change = Change {
        verb: run_verb,
        what: what.to_string(),
        args: &run_args,
        config: &session.project.config,
        secrets: BTreeMap::new(),
        login: None,
        key: flow::key(&fleet)?,
        edge: Front::default(),
        hooks: None,
        planner: &planner,
        notes: Vec::new(),
        label: None,
        only: None,
        left_out: None,
        done: None,
    };
    change.go(&session, &connections, &fleet).await
}
