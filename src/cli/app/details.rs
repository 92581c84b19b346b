//! `windlass app details`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::VerbKind;
use crate::render::details::{AppDetails, Detail};
use clap::Args;

/// Show the running containers in detail
///
/// Shows every running container of the roles in scope: its image, state, restarts, addresses, ports, and whether it
/// serves. Retained ones are in `app containers`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass app details\n  windlass app details --roles worker --json")]
pub(super) struct DetailsArgs {}

pub(super) async fn run(global: Global, _: &DetailsArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    let view = of(&session, &fleet);
    match session.global.json {
        true => output::json(&view)?,
        false => output::print(&view.table(session.clock.now())),
    }
    session.answered(&fleet)
}

/// The running containers of the roles in scope.
pub(super) fn of(session: &Session, fleet: &crate::fleet::Fleet) -> AppDetails {
    let serving = super::serving(session, fleet);
    let running = super::in_scope(session, fleet).filter(|(_, c)| c.state.is_running());
    let containers = running
        .map(|(host, c)| Detail::new(host, c, serving.iter().any(|(h, _, s)| *h == host && s.id == c.id)))
        .collect();
    AppDetails { schema: 1, containers, unreachable: super::unreachable(fleet) }
}
