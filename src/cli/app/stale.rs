//! `windlass app stale_containers`.

use super::start_stop::{Verb, change};
use crate::cli::args::ChangeArgs;
use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::VerbKind;
use crate::history;
use crate::render::containers::{Containers, Row};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass app stale_containers           which containers run and do not serve
  windlass app stale_containers --stop    stop them; what serves is not touched";

/// Find running containers that do not serve
///
/// A run that was cut off, or somebody by hand, may leave a container running beside the one that serves. Every deploy
/// and rollback stops such containers; with --stop this does nothing else.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct StaleArgs {
    /// Stop them
    #[arg(short, long)]
    stop: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

pub(super) async fn run(global: Global, args: StaleArgs) -> Result<(), Failure> {
    if args.stop {
        return change(global, &args.change, Verb::StopStale).await;
    }
    if args.change.asks_for_a_run() {
        return Err(Failure::usage("without --stop nothing is changed, so there is nothing to plan or to wait for"));
    }
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    let config = &session.project.config;
    let of = |role| {
        let destination = config.destination.as_ref();
        fleet.reachable().flat_map(move |(host, facts)| {
            let stale = history::leftovers(facts, &config.service, destination, role);
            stale.into_iter().map(move |c| Row::new(host, c, false))
        })
    };
    let containers: Vec<Row> = session.scope.roles.iter().flat_map(of).collect();
    let view = Containers { schema: 1, containers, unreachable: super::unreachable(&fleet) };
    match (session.global.json, session.global.quiet) {
        (true, _) => output::json(&view)?,
        (false, true) => output::print(&view.ids()),
        (false, false) if view.containers.is_empty() => session.board.say("Nothing runs but what serves."),
        (false, false) => {
            output::print(&view.table(session.clock.now()));
            session.board.say("`windlass app stale_containers --stop` stops them.");
        }
    }
    session.answered(&fleet)
}
