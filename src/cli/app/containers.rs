//! `windlass app containers`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::VerbKind;
use crate::fleet::Container;
use crate::name::HostName;
use crate::render::containers::{Containers, Row};
use clap::Args;

/// List the containers of the service
///
/// Lists every container of the service and destination, running or retained, and which of them serve. With -q it
/// prints their ids only.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass app containers\n  windlass app containers -q --hosts web-1")]
pub(super) struct ContainersArgs {}

pub(super) async fn run(global: Global, _: &ContainersArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    let serving = super::serving(&session, &fleet);
    let row = |(host, c): (&HostName, &Container)| {
        Row::new(host, c, serving.iter().any(|(h, _, s)| *h == host && s.id == c.id))
    };
    let rows = super::in_scope(&session, &fleet).map(row).collect();
    let view = Containers { schema: 1, containers: rows, unreachable: super::unreachable(&fleet) };
    match (session.global.json, session.global.quiet) {
        (true, _) => output::json(&view)?,
        (false, true) => output::print(&view.ids()),
        (false, false) => output::print(&view.table(session.clock.now())),
    }
    session.answered(&fleet)
}
