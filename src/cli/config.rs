//! `windlass config`.

use crate::cli::args::Global;
use crate::cli::project::Project;
use crate::cli::{Failure, output};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass config                 what the file comes to
  windlass config -d staging      with deploy.staging.yml laid over it
  windlass config --json          for machines";

/// Show the resolved configuration, without secret values
///
/// Reads the configuration with its destination, resolves every default, and prints the result as YAML. Secrets are
/// shown by name. Keys that windlass knows but does not act on yet are listed with the commands that refuse them.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ConfigArgs {}

pub(crate) fn run(global: &Global, _: &ConfigArgs) -> Result<(), Failure> {
    let mut shown = Project::load(global)?.config.redacted();
    if global.json {
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("schema".to_string(), 1.into());
        }
        return output::json(&shown);
    }
    let text = serde_yaml::to_string(&shown).map_err(|error| Failure::config(format!("YAML: {error}")))?;
    output::print(&text);
    Ok(())
}
