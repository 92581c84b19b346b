//! `windlass restart`.

use crate::cli::Failure;
use crate::cli::args::{Global, RunArgs};
use crate::cli::flow::Change;
use crate::cli::session::Session;
use crate::config::VerbKind;
use crate::plan::{self, RestartRequest};
use crate::release::RunVerb;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass restart                  new containers of what serves, group after group, without a gap
  windlass restart --roles worker   of one role only
  windlass restart --force          what serves stops first, everywhere at once
  windlass restart --secrets        with the secrets as they are now: a release of its own
  windlass restart --dry-run        the plan, and nothing else";

/// Recycle all containers on the same release
///
/// Makes new containers exactly like those that serve (the same image, environment, secrets, mounts and command) and
/// goes over to them in the groups of a deploy: started beside what serves, switched to when they are healthy, the old
/// ones drained and stopped. With --force what serves stops first, without waiting for its requests.
///
/// Nothing is pulled and no hook runs. Changed secrets are picked up with --secrets only, which makes a release of type
/// restart: `windlass rollback` leads back from it. A changed configuration needs `windlass deploy`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RestartArgs {
    /// Stop what serves at once, on all hosts, and start anew
    #[arg(long)]
    force: bool,
    /// Take the secrets as they are now
    #[arg(long)]
    secrets: bool,
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) async fn run(global: Global, args: RestartArgs) -> Result<(), Failure> {
    let (force, secrets) = (args.force, args.secrets);
    let session = Session::with_secrets(global, VerbKind::Rollback, !args.run.dry_run, |project| match secrets {
        true => project.container_secrets(),
        false => Vec::new(),
    })?;
    let connections = session.connect(&session.project.hosts()).await?;
    let fleet = session.observe(&connections).await?;
    let planner =
        |config: &_, fleet: &_, request| plan::restart(config, fleet, &RestartRequest { request, force, secrets });
    let change = Change {
        secrets: session.secrets.values.clone(),
        ..Change::of((RunVerb::Restart, "restart".to_string()), &args.run, &session, &fleet, &planner)?
    };
    change.go(&session, &connections, &fleet).await
}
