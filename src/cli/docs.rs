//! `windlass docs`.

use crate::cli::{Failure, output};
use crate::config::docs::{SECTIONS, section};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass docs            the sections
  windlass docs proxy      every key of one section, with an example";

/// Explain the configuration, section by section
///
/// Prints a section of the configuration as commented YAML.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DocsArgs {
    /// The section; none lists them
    section: Option<String>,
}

pub(crate) fn run(args: &DocsArgs) -> Result<(), Failure> {
    let names: Vec<_> = SECTIONS.iter().map(|s| s.name).collect();
    match args.section.as_deref().map(|name| (name, section(name))) {
        None => output::print(&format!("Sections (windlass docs SECTION):\n  {}\n", names.join("\n  "))),
        Some((_, Some(section))) => output::print(section.text),
        Some((name, None)) => {
            let failure = Failure::usage(format!("there is no section `{}`", name.escape_debug()));
            return Err(failure.hint(format!("sections: {}", names.join(", "))));
        }
    }
    Ok(())
}
