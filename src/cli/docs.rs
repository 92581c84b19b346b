//! `windlass docs`.

use crate::cli::args::Global;
use crate::cli::{Failure, output};
use crate::config;
use crate::config::docs::{DocSection, SECTIONS, section};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  windlass docs                               the sections
  windlass docs proxy                         every key of one section, with an example
  windlass docs --schema > deploy.schema.json for an editor: in deploy.yml then begin with
                                              # yaml-language-server: $schema=deploy.schema.json";

/// Explain the configuration, section by section
///
/// Prints a section of the configuration as commented YAML, or a JSON schema of the whole for editors. The schema knows
/// the very keys that windlass accepts.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DocsArgs {
    /// The section; none lists them
    #[arg(value_parser = PossibleValuesParser::new(SECTIONS.iter().map(|s| s.name)), hide_possible_values = true)]
    section: Option<String>,
    /// Print a JSON schema of the configuration
    #[arg(long, conflicts_with = "section")]
    schema: bool,
}

pub(crate) fn run(global: &Global, args: &DocsArgs) -> Result<(), Failure> {
    if args.schema {
        return output::json(&config::schema());
    }
    let names: Vec<_> = SECTIONS.iter().map(|s| s.name).collect();
    match (global.json, args.section.as_deref().and_then(section)) {
        (true, Some(section)) => output::json(&json!({ "schema": 1, "sections": [object(section)] }))?,
        (true, None) => {
            let all: Vec<_> = SECTIONS.iter().map(object).collect();
            output::json(&json!({ "schema": 1, "sections": all }))?;
        }
        (false, Some(section)) => output::print(section.text),
        (false, None) => output::print(&format!("Sections (windlass docs SECTION):\n  {}\n", names.join("\n  "))),
    }
    Ok(())
}

fn object(section: &DocSection) -> serde_json::Value {
    json!({ "name": section.name, "text": section.text })
}
