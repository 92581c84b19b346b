//! `windlass status`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::status_host::View;
use crate::cli::{Failure, output, releases};
use crate::config::VerbKind;
use crate::render::status::Status;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass status
  windlass status --hosts 'eu-*'
  windlass status --json";

/// Show each host: what serves, since when, and what is not as it should be
///
/// Asks every host for its engine, its proxy, what serves each role, and how that differs from the newest release that
/// was sent there. Also shows runs that ended without a word, with the command that takes them on, and who holds the
/// lease or a lock.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct StatusArgs {}

pub(crate) async fn run(global: Global, _: StatusArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    let config = &session.project.config;
    let history = releases::history(config, &fleet);
    let flags = session.global.flags();
    let view = View { config, scope: &session.scope, history: &history, fleet: &fleet, flags: &flags };
    let status = Status {
        schema: 1,
        service: config.service.clone(),
        destination: config.destination.clone(),
        hosts: fleet.hosts.iter().map(|(host, state)| view.host(host, state)).collect(),
    };
    if session.global.json {
        output::json(&status)?;
    } else {
        output::print(&status.table(session.clock.now()));
    }
    // The table has said already which hosts did not answer.
    crate::cli::failure::answered(fleet.hosts.len(), fleet.unreachable().count())
}
