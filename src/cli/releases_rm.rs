//! `windlass releases rm`.

use crate::cli::Failure;
use crate::cli::args::{ChangeArgs, Global, RunArgs};
use crate::cli::flow::Change;
use crate::cli::session::Session;
use crate::config::VerbKind;
use crate::plan::{self, RemoveRequest};
use crate::release::RunVerb;
use clap::Args;

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
    #[command(flatten)]
    change: ChangeArgs,
    /// Why, for the journal
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
}

pub(crate) async fn run(global: Global, args: RmArgs) -> Result<(), Failure> {
    let session = Session::with_secrets(global, VerbKind::Prune, !args.change.dry_run, |_| Vec::new())?;
    let connections = session.connect(&session.project.hosts()).await?;
    let fleet = session.observe(&connections).await?;
    let RmArgs { target, change, message } = args;
    let planner = |config: &_, fleet: &_, request| {
        plan::remove(config, fleet, &RemoveRequest { request, target: target.clone() })
    };
    let args = RunArgs { message, ..RunArgs::from(&change) };
    let change = Change::of((RunVerb::Remove, format!("remove {target}")), &args, &session, &fleet, &planner)?;
    change.go(&session, &connections, &fleet).await
}
