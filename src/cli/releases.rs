//! `windlass releases`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::{Config, VerbKind};
use crate::fleet::Fleet;
use crate::history::History;
use crate::render::releases::Releases;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass releases               newest first
  windlass releases --image       with image and digest
  windlass releases --json        for machines";

/// List what was released, what serves, and what can be rolled back to
///
/// Asks the hosts; there is no other database. RUNNING and RETAINED count hosts: where a release serves, and where it
/// could be started again without pulling anything.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ReleasesArgs {
    /// Also show the image and its digest
    #[arg(long)]
    image: bool,
}

pub(crate) async fn run(global: Global, args: ReleasesArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    let config = &session.project.config;
    let hosts = fleet.reachable().map(|(host, _)| host.clone()).collect();
    let unreachable = fleet.unreachable().map(|(host, _)| host.clone()).collect();
    let identity = (config.service.clone(), config.destination.clone());
    let list = Releases::new(identity, (hosts, unreachable), &history(config, &fleet));
    if session.global.json {
        output::json(&list)?;
    } else if fleet.reachable().next().is_some() {
        output::print(&list.table(session.clock.now(), args.image));
    }
    session.answered(&fleet)
}

/// What the hosts know together of the service.
pub(crate) fn history(config: &Config, fleet: &Fleet) -> History {
    let roles = config.roles.iter().map(|role| {
        let hosts = role.hosts.iter().map(|h| h.name.clone()).collect();
        (role.name.clone(), hosts)
    });
    History::of(fleet, &config.service, config.destination.as_ref(), &roles.collect())
}
