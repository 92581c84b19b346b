//! `windlass man`.

use crate::cli::args::{Cli, Global};
use crate::cli::{Failure, output};
use clap::{Args, CommandFactory};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  windlass man ~/.local/share/man/man1
  windlass man . && man ./windlass-app-exec.1";

/// Write the manual pages
///
/// Writes one page for windlass and one for each of its commands into a directory, which is created if it is missing.
/// It needs no project.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// Where to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(global: &Global, args: &ManArgs) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::refused(format!("{}: {error}", args.dir.display()));
    std::fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), &args.dir).map_err(failed)?;
    if !global.quiet {
        output::talk(&format!("wrote the pages of windlass(1) to {}\n", args.dir.display()));
    }
    Ok(())
}
