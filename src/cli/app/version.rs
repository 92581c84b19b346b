//! `windlass app version`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output, releases};
use crate::config::VerbKind;
use crate::fleet::Container;
use crate::history::Release;
use crate::render::table;
use clap::Args;
use serde::Serialize;

/// Show which version serves, host by host
///
/// With -q it prints the versions only, each once.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  windlass app version\n  windlass app version -q\n  windlass app version --json"
)]
pub(super) struct VersionArgs {}

#[derive(Serialize)]
struct Row {
    host: String,
    role: String,
    version: Option<String>,
    release: Option<String>,
}

pub(super) async fn run(global: Global, _: &VersionArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    let history = releases::history(&session.project.config, &fleet);
    let serving = super::serving(&session, &fleet);
    let rows: Vec<Row> = serving
        .into_iter()
        .map(|(host, role, container)| {
            let mut served = history.releases.iter().rev();
            let release = served.find(|r| r.running.get(host).is_some_and(|roles| roles.contains(role)));
            Row {
                host: host.to_string(),
                role: role.to_string(),
                version: Container::version(container).map(|v| v.to_string()),
                release: release.filter(|r| r.number.is_some()).map(Release::label),
            }
        })
        .collect();
    let unknown = || "unknown".to_string();
    if session.global.json {
        let unreachable = super::unreachable(&fleet);
        output::json(&serde_json::json!({ "schema": 1, "serving": rows, "unreachable": unreachable }))?;
    } else if session.global.quiet {
        let versions: std::collections::BTreeSet<_> = rows.iter().filter_map(|r| r.version.clone()).collect();
        output::print(&versions.into_iter().map(|v| v + "\n").collect::<String>());
    } else {
        let cells = rows.into_iter().map(|row| {
            let release = row.release.unwrap_or_else(|| "-".to_string());
            [row.host, row.role, row.version.unwrap_or_else(unknown), release]
        });
        output::print(&table::table(["HOST", "ROLE", "VERSION", "RELEASE"], cells));
    }
    session.answered(&fleet)
}
