//! `windlass releases label`, `pin` and `unpin`.

use crate::cli::Failure;
use crate::cli::args::{Global, RunArgs};
use crate::cli::flow::Change;
use crate::cli::session::Session;
use crate::config::VerbKind;
use crate::name::Label;
use crate::plan::{self, MarkRequest, Marking};
use crate::release::RunVerb;
use clap::Args;
use std::time::Duration;

/// Options of commands that write something down about a release.
#[derive(Debug, Args)]
struct MarkOptions {
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave out hosts that do not answer: they do not know of it until the next deploy
    #[arg(long)]
    skip_unreachable: bool,
    /// Wait for another run to end, 15 minutes unless you say how long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "15m")]
    #[arg(value_parser = humantime::parse_duration)]
    lock_wait: Option<Duration>,
}

/// Give a release a name, or take it away
///
/// The name works wherever a release can be named: `windlass rollback before-the-migration`. It is of one release only:
/// given to another, it moves. A version of the same name would be meant first, so such a label is refused.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  windlass releases label v41 before-the-migration\n  windlass releases label v41 --remove"
)]
pub(crate) struct LabelArgs {
    /// A version, a release such as v41, or a label
    target: String,
    /// Lower-case letters, digits, `_`, `.` and `-`, starting with a letter
    #[arg(required_unless_present = "remove")]
    label: Option<Label>,
    /// Take its label away
    #[arg(long, conflicts_with = "label")]
    remove: bool,
    #[command(flatten)]
    options: MarkOptions,
}

/// Keep a release whatever retention says
///
/// A pinned release stays on every host until it is unpinned: no age and no number of newer releases takes it away, and
/// `releases rm` refuses it. Hosts that do not have all of it are named; a pin brings nothing back.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  windlass releases pin v41 -m 'the version that was audited'\n  windlass releases --status pinned"
)]
pub(crate) struct PinArgs {
    /// A version, a release such as v41, or a label
    target: String,
    /// Why
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    options: MarkOptions,
}

/// Let retention have a release again
///
/// Takes a pin away. The release then stays or goes as the rules say, with the next prune or deploy.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass releases unpin v41")]
pub(crate) struct UnpinArgs {
    /// A version, a release such as v41, or a label
    target: String,
    #[command(flatten)]
    options: MarkOptions,
}

pub(crate) async fn label(global: Global, args: LabelArgs) -> Result<(), Failure> {
    go(global, RunVerb::Label, args.target, Marking::Label(args.label), None, args.options).await
}

pub(crate) async fn pin(global: Global, args: PinArgs) -> Result<(), Failure> {
    go(global, RunVerb::Pin, args.target, Marking::Pin, args.message, args.options).await
}

pub(crate) async fn unpin(global: Global, args: UnpinArgs) -> Result<(), Failure> {
    go(global, RunVerb::Unpin, args.target, Marking::Unpin, None, args.options).await
}

async fn go(
    global: Global,
    verb: RunVerb,
    target: String,
    marking: Marking,
    message: Option<String>,
    options: MarkOptions,
) -> Result<(), Failure> {
    let session = Session::with_secrets(global, VerbKind::Connect, !options.dry_run, |_| Vec::new())?;
    let connections = session.connect(&session.project.hosts()).await?;
    let fleet = session.observe(&connections).await?;
    let planner = |config: &_, fleet: &_, request| {
        let (target, marking) = (target.clone(), marking.clone());
        plan::mark(config, fleet, &MarkRequest { request, target, marking })
    };
    let MarkOptions { dry_run, skip_unreachable, lock_wait } = options;
    let args = RunArgs { dry_run, yes: true, skip_hooks: true, skip_unreachable, lock_wait, message };
    let change = Change::of(
        (verb, format!("{} {target}", crate::render::words::verb(verb))),
        &args,
        &session,
        &fleet,
        &planner,
    )?;
    change.go(&session, &connections, &fleet).await
}
