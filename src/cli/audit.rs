//! `windlass audit`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::VerbKind;
use crate::render::audit::Audit;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass audit             the last 50 runs, newest first
  windlass audit -n 5
  windlass audit --json      with hosts, reasons and what was switched";

/// Show who changed what, when, and how it ended
///
/// Merges the journals of all hosts: one line a run, whichever hosts know of it. A run that no host knows the end of
/// goes on, or was cut off; `status` tells which.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct AuditArgs {
    /// So many of the newest runs
    #[arg(short = 'n', long, value_name = "RUNS", default_value_t = 50)]
    lines: usize,
}

pub(crate) async fn run(global: Global, args: &AuditArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    let config = &session.project.config;
    let view = Audit::new((config.service.clone(), config.destination.clone()), &fleet, args.lines);
    if session.global.json {
        output::json(&view)?;
    } else if fleet.reachable().next().is_some() {
        output::print(&view.table(session.clock.now()));
    }
    session.answered(&fleet)
}
