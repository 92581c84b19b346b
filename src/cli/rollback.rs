//! `windlass rollback`.

use crate::cli::Failure;
use crate::cli::args::{Global, RunArgs};
use crate::cli::flow::Change;
use crate::cli::front::Front;
use crate::cli::hooks::Hooks;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::VerbKind;
use crate::history::Help;
use crate::plan::{self, RollbackRequest, Strategy};
use crate::release::RunVerb;
use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  windlass rollback                   back to the last stable release before
  windlass rollback v1                to a version, or a unique prefix of one
  windlass rollback v41               to exactly that release
  windlass rollback --tag iad         on the hosts with this tag first; a bare `rollback` then does the rest
  windlass rollback --strategy rolling  group after group, as a deploy goes
  windlass rollback --config current v1  the image of v1 with today's configuration
  windlass rollback --copy            hosts that lack it get it from those that have it
  windlass rollback --dry-run         what would be started where, and nothing else";

/// Haul a release back in
///
/// Starts the retained container of an earlier release on every host and sends traffic back to it when it is healthy.
/// Nothing is pulled, and no secrets file is read (but for `--config current`): the container has the environment,
/// secrets, mounts and command it ran with. Every host in scope is asked first; when one lacks the target, nothing is changed anywhere.
/// The plan says what is taken from the release and what from today's configuration. Hooks do not run unless you say so.
///
/// TARGET is a version, a unique prefix of one, or a release such as v41. Without it: a rollback that serves on a part of
/// the scope only is finished; else the newest stable release older than what serves that all hosts in scope have. Where
/// a version is itself called v41, write @41 for the release.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RollbackArgs {
    /// A version, a unique prefix of one, or a release such as v41
    pub(crate) target: Option<String>,
    /// Which configuration the old image gets: the one it ran with, or today's
    #[arg(long = "config", value_name = "WHICH", default_value = "release")]
    which: Which,
    /// How it goes over the fleet
    #[arg(long, value_name = "HOW", default_value = "together")]
    strategy: How,
    /// Take what a host lacks (image, record, secrets) from a host that has it, over SSH
    #[arg(long)]
    copy: bool,
    /// Pull the image where a host lacks it; secrets still come from other hosts
    #[arg(long)]
    pull: bool,
    /// Run the hooks of a deploy
    #[arg(long, conflicts_with = "skip_hooks")]
    with_hooks: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The release's: its containers as they ran
    #[value(alias = "retained")]
    Release,
    /// Today's configuration around the old image
    Current,
}

fn certificates(project: &Project) -> Vec<String> {
    project.config.certificate_secrets().into_iter().map(str::to_string).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// All hosts at once: start, wait until healthy, switch, then stop what served
    Together,
    /// The same in the groups of a deploy (boot.limit, else one host first)
    Rolling,
    /// Switch at once and wait for health afterwards
    Immediate,
    /// Stop what serves first, everywhere, then start
    Recreate,
}

impl From<How> for Strategy {
    fn from(how: How) -> Self {
        match how {
            How::Together => Self::Together,
            How::Rolling => Self::Rolling,
            How::Immediate => Self::Immediate,
            How::Recreate => Self::Recreate,
        }
    }
}

pub(crate) async fn run(global: Global, args: RollbackArgs) -> Result<(), Failure> {
    let current_config = args.which == Which::Current;
    let session =
        Session::with_secrets(global, VerbKind::Rollback, !args.run.dry_run, |project| match current_config {
            true => project.container_secrets().into_iter().chain(certificates(project)).collect(),
            false => Vec::new(),
        })?;
    let config = &session.project.config;
    let edge = match current_config {
        true => Front::of_deploy(config, &session.secrets)?,
        false => Front::default(),
    };
    let target = args.target.clone().unwrap_or_default();
    let hooks = (args.with_hooks && !args.run.dry_run).then(|| Hooks::new(&session, "rollback", &target));
    if let Some(hooks) = &hooks {
        hooks.run("pre-connect", &session.cancel).await?;
    }
    let connections = session.connect(&session.project.hosts()).await?;
    let fleet = session.observe(&connections).await?;
    let help = Help { copy: args.copy, pull: args.pull };
    let planner = |config: &_, fleet: &_, request| {
        let (target, strategy) = (args.target.clone(), args.strategy.into());
        plan::rollback(config, fleet, &RollbackRequest { request, target, current_config, strategy, help })
    };
    let change = Change {
        secrets: session.secrets.values.clone(),
        edge,
        hooks,
        ..Change::of(
            (RunVerb::Rollback, format!("rollback {target}").trim_end().to_string()),
            &args.run,
            &session,
            &fleet,
            &planner,
        )?
    };
    change.go(&session, &connections, &fleet).await
}
