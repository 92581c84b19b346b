//! `windlass releases rm`.

use crate::cli::Failure;
use crate::cli::args::{Global, RunArgs};
use crate::cli::flow::{self, Change};
use crate::cli::front::Front;
use crate::cli::session::Session;
use crate::config::VerbKind;
use crate::plan::{self, RemoveRequest};
use crate::release::RunVerb;
use clap::Args;
use std::collections::BTreeMap;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  windlass releases rm v38             its containers and images, on every host
  windlass releases rm v38 --dry-run   what that would be";

/// Remove a release's containers and images, everywhere
///
/// Never what serves, never the last stable release, never a pinned one, and nothing while a host's history is in doubt.
/// An image goes when nothing else needs it. What is recorded of the release stays: `windlass releases` shows it as
/// pruned.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RmArgs {
    /// A version, a release such as v41, or a label
    target: String,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask (without a terminal nothing is asked anyway)
    #[arg(short, long)]
    yes: bool,
    /// Leave out hosts that do not answer: what they have of it stays there
    #[arg(long)]
    skip_unreachable: bool,
    /// Wait for another run to end, 15 minutes unless you say how long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "15m")]
    #[arg(value_parser = humantime::parse_duration)]
    lock_wait: Option<Duration>,
    /// Why, for the journal
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
}

pub(crate) async fn run(global: Global, args: RmArgs) -> Result<(), Failure> {
    let session = Session::with_secrets(global, VerbKind::Prune, !args.dry_run, |_| Vec::new())?;
    let connections = session.connect(&session.project.hosts()).await?;
    let fleet = session.observe(&connections).await?;
    let RmArgs { target, dry_run, yes, skip_unreachable, lock_wait, message } = args;
    let planner = |config: &_, fleet: &_, request| {
        plan::remove(config, fleet, &RemoveRequest { request, target: target.clone() })
    };
    let args = RunArgs { dry_run, yes, skip_hooks: true, skip_unreachable, lock_wait, message };
    let change = Change {
        verb: RunVerb::Remove,
        what: format!("remove {target}"),
        args: &args,
        config: &session.project.config,
        secrets: BTreeMap::new(),
        login: None,
        key: flow::key(&fleet)?,
        edge: Front::default(),
        hooks: None,
        planner: &planner,
        label: None,
        notes: Vec::new(),
        only: None,
        left_out: None,
        done: None,
    };
    change.go(&session, &connections, &fleet).await
}
