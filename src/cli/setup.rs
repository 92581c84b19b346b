//! `windlass setup`.

use crate::cli::Failure;
use crate::cli::args::Global;
use crate::cli::deploy::{self, DeployArgs};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass setup                 check and prepare all hosts, then deploy
  windlass setup --dry-run       only say what would be done
  windlass setup --hosts new-1   add one host";

/// Check and prepare the hosts, then deploy
///
/// Checks every host (ssh, engine version, commands, disk, clock, ports 80 and 443 free or ours), creates network,
/// state directory and proxy where they are missing, and deploys. Running it again is harmless.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    deploy: DeployArgs,
}

pub(crate) async fn run(global: Global, args: SetupArgs) -> Result<(), Failure> {
    deploy::release(global, args.deploy, true).await
}
