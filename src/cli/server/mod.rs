//! `windlass server`.

mod bootstrap;
mod bootstrap_commands;
mod exec;

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, wire};
use crate::effect::Host;
use crate::name::HostName;
use clap::{Args, Subcommand};
use futures::future::join_all;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  windlass server exec uptime
  windlass server exec -i --hosts web-1 htop
  windlass server bootstrap --dry-run    what would be installed where";

/// Run commands on the hosts themselves, and prepare new ones
///
/// Works without a container engine: only SSH is needed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ServerArgs {
    #[command(subcommand)]
    what: ServerCommand,
}

#[derive(Debug, Subcommand)]
#[allow(missing_docs)]
enum ServerCommand {
    Exec(exec::ExecArgs),
    Bootstrap(bootstrap::BootstrapArgs),
}

pub(crate) async fn run(global: Global, args: ServerArgs) -> Result<(), Failure> {
    match args.what {
        ServerCommand::Exec(args) => exec::run(global, args).await,
        ServerCommand::Bootstrap(args) => bootstrap::run(global, args).await,
    }
}

/// The hosts that answered, and how many did not: those were named on standard error.
struct Hosts {
    up: Vec<(HostName, Arc<dyn Host>)>,
    away: usize,
}

/// Connects to hosts without asking for an engine.
async fn connect(session: &Session, hosts: &[HostName]) -> Result<Hosts, Failure> {
    let connector = wire::connector(session)?;
    let attempts = hosts.iter().map(|host| {
        let connector = connector.clone();
        async move { (host, connector.connect_host(host).await) }
    });
    let mut found = Hosts { up: Vec::new(), away: 0 };
    for (host, result) in session.unless_cancelled(join_all(attempts)).await? {
        match result {
            Ok(connected) => found.up.push((host.clone(), connected)),
            Err(error) => {
                found.away += 1;
                session.board.warn(&format!("{host}: {}", error.message));
                error.hint.iter().for_each(|hint| session.board.warn(&format!("{host}: hint: {hint}")));
            }
        }
    }
    Ok(found)
}

impl Hosts {
    fn answered(&self) -> Result<(), Failure> {
        crate::cli::failure::answered(self.up.len() + self.away, self.away)
    }
}
