//! `windlass init`.

use crate::cli::args::Global;
use crate::cli::{Failure, git, init_cron, output};
use clap::Args;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  windlass init                         config/deploy.yml and .windlass/secrets
  windlass init -c config/shop.yml      another name for the configuration
  windlass init --cron                  a crontab and systemd units that prune every night";

const SECRETS: &str = ".windlass/secrets";

/// Write a first configuration and secrets file
///
/// Writes config/deploy.yml and .windlass/secrets (mode 0600) with explained examples, and adds the secrets file to
/// .gitignore in a git repository. Files that exist are left alone.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct InitArgs {
    /// Write only a crontab and systemd units that prune every night, to config/cron
    #[arg(long)]
    cron: bool,
}

pub(crate) fn run(global: &Global, args: &InitArgs) -> Result<(), Failure> {
    if args.cron {
        return init_cron::run(global);
    }
    let files = [
        (global.config_file.clone(), include_str!("../../templates/deploy.yml"), 0o644),
        (PathBuf::from(SECRETS), include_str!("../../templates/secrets"), 0o600),
    ];
    let (mut wrote, mut kept) = (Vec::new(), Vec::new());
    for (path, content, mode) in files {
        let new = write_new(&path, content, mode)?;
        (if new { &mut wrote } else { &mut kept }).push(path.display().to_string());
        if !global.json {
            let what = if new { "wrote" } else { "exists, left alone:" };
            output::print(&format!("{what} {}\n", path.display()));
        }
    }
    let ignored = git::is_repository(Path::new(".")) && ignore(Path::new(".gitignore"))?;
    if global.json {
        return output::json(&serde_json::json!({ "schema": 1, "wrote": wrote, "kept": kept, "ignored": ignored }));
    }
    if ignored {
        output::print(&format!("added {SECRETS} to .gitignore\n"));
    }
    output::print(&format!("Edit {}, then `windlass setup`.\n", global.config_file.display()));
    Ok(())
}

/// Creates a file with its directories; `false` if it is there already. Nothing is ever written over.
pub(super) fn write_new(path: &Path, content: &str, mode: u32) -> Result<bool, Failure> {
    let failed = |error: std::io::Error| Failure::refused(format!("{}: {error}", path.display()));
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(mut file) => file.write_all(content.as_bytes()).map(|()| true).map_err(failed),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Adds the secrets file to `.gitignore`; `false` if it is ignored by name already.
fn ignore(path: &Path) -> Result<bool, Failure> {
    let failed = |error: std::io::Error| Failure::refused(format!("{}: {error}", path.display()));
    let present = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    if present.lines().any(|line| line.trim().trim_start_matches('/') == SECRETS) {
        return Ok(false);
    }
    let newline = if present.is_empty() || present.ends_with('\n') { "" } else { "\n" };
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
    file.write_all(format!("{newline}/{SECRETS}\n").as_bytes()).map_err(failed)?;
    Ok(true)
}
