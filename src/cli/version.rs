//! `windlass version`.

use crate::cli::args::Global;
use crate::cli::{Failure, output};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass version
  windlass version --json";

/// Print the version of windlass
///
/// Prints the version of this program, and with --json the versions of the formats that it writes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct VersionArgs {}

pub(crate) fn run(global: &Global, _: &VersionArgs) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if global.json {
        return output::json(&serde_json::json!({
            "schema": 1,
            "version": version,
            "journal_schema": crate::release::SCHEMA,
            "event_schema": crate::event::SCHEMA,
        }));
    }
    output::print(&format!("windlass {version}\n"));
    Ok(())
}
