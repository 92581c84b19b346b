//! `windlass app start` and `windlass app stop`.

use crate::cli::Failure;
use crate::cli::args::{ChangeArgs, Global, RunArgs};
use crate::cli::flow::Change;
use crate::cli::session::Session;
use crate::config::VerbKind;
use crate::plan;
use crate::release::RunVerb;
use clap::Args;

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
    let run_args = RunArgs::from(args);
    let (run_verb, what) = match verb {
        Verb::Start => (RunVerb::Start, "app start"),
        Verb::Stop => (RunVerb::Stop, "app stop"),
        Verb::StopStale => (RunVerb::Stop, "app stale_containers --stop"),
    };
    let change = Change::of((run_verb, what.to_string()), &run_args, &session, &fleet, &planner)?;
    change.go(&session, &connections, &fleet).await
}
