//! `windlass proxy`.

mod change;
mod details;
mod logs;

pub(crate) use change::go;

use crate::cli::Failure;
use crate::cli::args::Global;
use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  windlass proxy details              what runs, what it routes, when certificates end
  windlass proxy certs                put the certificate of the secrets in force
  windlass proxy upgrade              replace it where its image or settings are not today's
  windlass proxy logs -n 50 --hosts web-1";

/// Look after the hosts' proxies
///
/// Every host with a proxied role has one proxy (HAProxy), which all services of the host share. Setup and deploy start
/// it where it does not run, and never replace it: that is for `reboot` and `upgrade`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ProxyArgs {
    #[command(subcommand)]
    what: ProxyCommand,
}

#[derive(Debug, Subcommand)]
enum ProxyCommand {
    Boot(change::BootArgs),
    Reboot(change::RebootArgs),
    Upgrade(change::UpgradeArgs),
    Certs(change::CertsArgs),
    Details(details::DetailsArgs),
    Logs(logs::LogsArgs),
    Remove(change::RemoveArgs),
}

pub(crate) async fn run(global: Global, args: ProxyArgs) -> Result<(), Failure> {
    match args.what {
        ProxyCommand::Boot(args) => change::boot(global, args).await,
        ProxyCommand::Reboot(args) => change::reboot(global, args).await,
        ProxyCommand::Upgrade(args) => change::upgrade(global, args).await,
        ProxyCommand::Certs(args) => change::certs(global, args).await,
        ProxyCommand::Details(args) => details::run(global, args).await,
        ProxyCommand::Logs(args) => logs::run(global, args).await,
        ProxyCommand::Remove(args) => change::remove(global, args).await,
    }
}
