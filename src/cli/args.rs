//! The command line: global options, the list of commands, and the options that changing commands share.

use crate::cli::{
    app, audit, completions, config, deploy, details, docs, init, lock, man, proxy, prune, releases, restart, rollback,
    server, setup, status, version,
};
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  windlass init                    write config/deploy.yml and .windlass/secrets
  windlass setup                   check and prepare the hosts, then deploy
  windlass deploy                  let out the version of the current git commit
  windlass rollback                haul it back in
  windlass releases                what was released, what serves, what can be rolled back to

Exit codes:
  0 converged, or nothing to do          4 refused, nothing was changed
  1 failed; what served before serves    5 leased by another run, or locked
  2 usage                                6 mixed or unverified, needs a look
  3 configuration                        130 interrupted; what served before serves
Commands that only read: 0 all hosts answered, 6 some, 4 none.
`app exec` and `server exec`: 1 the command failed everywhere, 6 somewhere; with -i the command's own code.";

fn styles() -> Styles {
    Styles::styled().header(AnsiColor::Green.on_default().bold()).literal(AnsiColor::Cyan.on_default())
}

/// Deploys containers to a fleet of Docker hosts over plain SSH, and hauls a bad release back in.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, styles = styles(), after_long_help = EXAMPLES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The configuration file
    #[arg(short, long, global = true, value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
    pub(crate) config_file: PathBuf,
    /// The destination: lays deploy.NAME.yml over the file
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) destination: Option<String>,
    /// Only these hosts: a comma list, with `*` and `{a,b}` as wildcards
    #[arg(long, global = true, value_name = "HOSTS")]
    pub(crate) hosts: Option<String>,
    /// Only these roles: a comma list, with `*` and `{a,b}` as wildcards
    #[arg(long, global = true, value_name = "ROLES")]
    pub(crate) roles: Option<String>,
    /// Only hosts with one of these tags: a comma list, with `*` and `{a,b}` as wildcards
    #[arg(long, global = true, value_name = "TAGS", visible_alias = "region")]
    pub(crate) tag: Option<String>,
    /// Print data as JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but problems
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say every detail; twice: the protocols' as well
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[allow(missing_docs)] // each variant's documentation is on its arguments, where clap takes the help from
pub(crate) enum Command {
    Init(init::InitArgs),
    Setup(setup::SetupArgs),
    #[command(alias = "redeploy")]
    Deploy(deploy::DeployArgs),
    Rollback(rollback::RollbackArgs),
    #[command(visible_alias = "rollout")]
    Restart(restart::RestartArgs),
    #[command(visible_alias = "revisions")]
    Releases(releases::ReleasesArgs),
    Status(status::StatusArgs),
    Prune(prune::PruneArgs),
    Config(config::ConfigArgs),
    Lock(lock::LockArgs),
    App(app::AppArgs),
    Proxy(proxy::ProxyArgs),
    Server(server::ServerArgs),
    Details(details::DetailsArgs),
    Audit(audit::AuditArgs),
    Docs(docs::DocsArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Version(version::VersionArgs),
}

/// Options of commands that change the fleet.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// Print the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask (without a terminal nothing is asked anyway)
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Do not run hooks
    #[arg(short = 'H', long)]
    pub(crate) skip_hooks: bool,
    /// Leave out hosts that do not answer, instead of refusing
    #[arg(long)]
    pub(crate) skip_unreachable: bool,
    /// Wait for another run to end, 15 minutes unless you say how long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "15m")]
    #[arg(value_parser = humantime::parse_duration)]
    pub(crate) lock_wait: Option<Duration>,
    /// Why, for `windlass releases`
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
}

/// Options of a change that makes no release and runs no hooks.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChangeArgs {
    /// Print the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask (without a terminal nothing is asked anyway)
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Leave out hosts that do not answer, instead of refusing
    #[arg(long)]
    pub(crate) skip_unreachable: bool,
    /// Wait for another run to end, 15 minutes unless you say how long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "15m")]
    #[arg(value_parser = humantime::parse_duration)]
    pub(crate) lock_wait: Option<Duration>,
}

impl ChangeArgs {
    /// Whether any of them was given.
    pub(crate) fn asks_for_a_run(&self) -> bool {
        self.dry_run || self.yes || self.skip_unreachable || self.lock_wait.is_some()
    }
}

impl From<&ChangeArgs> for RunArgs {
    fn from(args: &ChangeArgs) -> Self {
        Self {
            dry_run: args.dry_run,
            yes: args.yes,
            skip_hooks: true,
            skip_unreachable: args.skip_unreachable,
            lock_wait: args.lock_wait,
            message: None,
        }
    }
}

impl Command {
    /// The name of one that has nothing to do with hosts.
    fn without_hosts(&self) -> Option<&'static str> {
        match self {
            Self::Init(_) => Some("init"),
            Self::Config(_) => Some("config"),
            Self::Docs(_) => Some("docs"),
            Self::Completions(_) => Some("completions"),
            Self::Man(_) => Some("man"),
            Self::Version(_) => Some("version"),
            _ => None,
        }
    }

    /// Options that would be given in vain are refused: whoever gives one means something by it.
    pub(crate) fn check(&self, global: &Global) -> Result<(), crate::cli::Failure> {
        let Some(name) = self.without_hosts() else { return Ok(()) };
        let data = matches!(self, Self::Completions(_) | Self::Man(_));
        let vain = [
            ("--hosts", global.hosts.is_some()),
            ("--roles", global.roles.is_some()),
            ("--tag", global.tag.is_some()),
            ("--json", data && global.json),
        ];
        match vain.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => {
                Err(crate::cli::Failure::usage(format!("{option} has no effect on `windlass {name}`"))
                    .hint("leave it out"))
            }
        }
    }
}

impl Global {
    /// The words that a follow-up command needs to mean the same fleet, with a space in front; empty by default.
    pub(crate) fn flags(&self) -> String {
        let mut flags = String::new();
        if self.config_file.as_os_str() != crate::config::DEFAULT_FILE {
            let file = self.config_file.display().to_string();
            flags += &format!(" -c {}", shlex::try_quote(&file).unwrap_or_default());
        }
        if let Some(destination) = &self.destination {
            flags += &format!(" -d {destination}");
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn follow_up_commands_mean_the_same_fleet() {
        let cli = Cli::parse_from(["windlass", "status", "-c", "my file.yml", "-d", "staging"]);
        assert_eq!(cli.global.flags(), " -c 'my file.yml' -d staging");
        assert_eq!(Cli::parse_from(["windlass", "status"]).global.flags(), "");
    }

    #[test]
    fn lock_wait_never_swallows_a_target() {
        let cli = Cli::parse_from(["windlass", "rollback", "--lock-wait", "v41"]);
        let Command::Rollback(args) = cli.command else { panic!("not a rollback") };
        assert_eq!((args.target.as_deref(), args.run.lock_wait), (Some("v41"), Some(Duration::from_secs(900))));
    }
}
