//! `windlass setup`.

use crate::cli::Failure;
use crate::cli::args::Global;
use crate::cli::deploy::{self, DeployArgs};
use crate::cli::take_over::{self, Direction};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass setup                 check and prepare all hosts, then deploy
  windlass setup --dry-run       only say what would be done
  windlass setup --hosts new-1   add one host
  windlass setup --take-over     put windlass's proxy in kamal-proxy's place, and deploy nothing
  windlass setup --hand-back     the way back: kamal-proxy again, in front of what serves";

/// Check and prepare the hosts, then deploy
///
/// Checks every host (ssh, engine version, commands, disk, clock, ports 80 and 443 free or ours), creates network,
/// state directory and proxy where they are missing, and deploys. Running it again is harmless.
///
/// A host that Kamal set up is refused until it is taken over: --take-over starts windlass's proxy in the place of
/// kamal-proxy, in front of the containers that serve, and prints for how long nothing answered. On a failure
/// kamal-proxy runs as before. docs/from-kamal.md says all about it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    deploy: DeployArgs,
    /// Put windlass's proxy in the place of kamal-proxy; deploys nothing
    #[arg(long, conflicts_with_all = ["version", "image", "hand_back"])]
    take_over: bool,
    /// Put kamal-proxy back in its place; deploys nothing
    #[arg(long, conflicts_with_all = ["version", "image"])]
    hand_back: bool,
}

pub(crate) async fn run(global: Global, args: SetupArgs) -> Result<(), Failure> {
    match (args.take_over, args.hand_back) {
        (true, _) => take_over::run(global, &args.deploy.run, Direction::TakeOver).await,
        (_, true) => take_over::run(global, &args.deploy.run, Direction::HandBack).await,
        _ => deploy::release(global, args.deploy, true).await,
    }
}
