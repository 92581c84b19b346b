//! `windlass releases`, and what can be done with one of them.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output, releases_diff, releases_mark, releases_rm, releases_show};
use crate::config::{Config, VerbKind};
use crate::fleet::Fleet;
use crate::history::{self, Badge, History, Release};
use crate::name::RoleName;
use crate::render::releases::{Filter, Releases};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use std::collections::BTreeSet;

const EXAMPLES: &str = "\
Examples:
  windlass releases                          newest first
  windlass releases --status stable -n 5     the newest five that are known to be good
  windlass releases --since 7d --role web    what was tried with web in a week
  windlass releases --image                  with image and digest
  windlass releases --json                   for machines (docs/schemas/releases.v1.json)
  windlass releases show v41                 one of them, and how its run went";

/// List what was released, what serves, and what can be rolled back to
///
/// Asks the hosts; there is no other database. RUNNING and RETAINED count hosts: where a release serves, and where it
/// could be started again without pulling anything. TOOK is how long its run took, ACTIVE for how long it served.
///
/// STATUS is `current` (it serves), `stable` (it was healthy everywhere and is retained), `deployed` (retained, and
/// nothing says that it was ever healthy), `deploying`, `failed`, `interrupted`, `rolled back` or `pruned` (nothing is
/// left of it). Hosts that missed releases or whose history is damaged are named, and the others answer for them.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct ReleasesArgs {
    #[command(subcommand)]
    what: Option<ReleasesCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum ReleasesCommand {
    Show(releases_show::ShowArgs),
    Diff(releases_diff::DiffArgs),
    Label(releases_mark::LabelArgs),
    Pin(releases_mark::PinArgs),
    Unpin(releases_mark::UnpinArgs),
    Rm(releases_rm::RmArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Also show the image and its digest
    #[arg(long)]
    image: bool,
    /// Only releases of which this is true; several words must all be
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = badge)]
    status: Vec<Badge>,
    /// Only releases since then: 7d, 2025-03-01, 2025-03-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// Only releases that have this role
    #[arg(long, value_name = "ROLE")]
    role: Option<RoleName>,
    /// So many of the newest
    #[arg(short = 'n', long = "number", value_name = "COUNT")]
    newest: Option<usize>,
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy)]
enum Since {
    Ago(std::time::Duration),
    At(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(Since::Ago(ago));
    }
    let day = || Some(text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::system()).ok()?.timestamp());
    let moment = text.parse::<Timestamp>().ok().or_else(day);
    moment.map(Since::At).ok_or_else(|| "expected how long ago (7d, 12h), or a day (2025-03-01)".to_string())
}

fn badge(text: &str) -> Result<Badge, String> {
    let named = |badge: &Badge| badge.to_string().replace(' ', "-") == text.replace([' ', '_'], "-");
    let words = || Badge::ALL.map(|badge| badge.to_string().replace(' ', "-")).join(", ");
    Badge::ALL.into_iter().find(named).ok_or_else(|| format!("expected one of {}", words()))
}

pub(crate) async fn run(global: Global, args: ReleasesArgs) -> Result<(), Failure> {
    match args.what {
        None => list(global, args.list).await,
        Some(ReleasesCommand::Show(args)) => releases_show::run(global, args).await,
        Some(ReleasesCommand::Diff(args)) => releases_diff::run(global, args).await,
        Some(ReleasesCommand::Label(args)) => releases_mark::label(global, args).await,
        Some(ReleasesCommand::Pin(args)) => releases_mark::pin(global, args).await,
        Some(ReleasesCommand::Unpin(args)) => releases_mark::unpin(global, args).await,
        Some(ReleasesCommand::Rm(args)) => releases_rm::run(global, args).await,
    }
}

async fn list(global: Global, args: ListArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let since = match args.since {
        None => None,
        Some(Since::At(at)) => Some(at),
        Some(Since::Ago(ago)) => session.at.checked_sub(ago).ok(),
    };
    let badges = args.status.into_iter().collect::<BTreeSet<_>>();
    let filter = Filter { badges, since, role: args.role, newest: args.newest };
    let (_, fleet) = session.read().await?;
    let config = &session.project.config;
    let hosts = fleet.reachable().map(|(host, _)| host.clone()).collect();
    let unreachable = fleet.unreachable().map(|(host, _)| host.clone()).collect();
    let identity = (config.service.clone(), config.destination.clone());
    let history = history(config, &fleet);
    let doubts = history::doubts(&fleet, &history);
    let list = Releases::new(identity, (hosts, unreachable), &history, doubts, &filter);
    if session.global.json {
        output::json(&list)?;
    } else if fleet.reachable().next().is_some() {
        output::print(&list.table(session.clock.now(), args.image));
        list.notes().iter().for_each(|note| session.board.warn(&format!("note: {note}")));
    }
    session.answered(&fleet)
}

/// What the hosts know together of the service.
pub(crate) fn history(config: &Config, fleet: &Fleet) -> History {
    let roles = config.roles.iter().map(|role| {
        let hosts = role.hosts.iter().map(|h| h.name.clone()).collect();
        (role.name.clone(), hosts)
    });
    History::of(fleet, &config.service, config.destination.as_ref(), &roles.collect())
}

/// The release that a person names: a version, `v41`, a label, or the beginning of a version.
pub(crate) fn named<'h>(history: &'h History, text: &str) -> Result<&'h Release, Failure> {
    let found = history.resolve(Some(text), &Default::default());
    found
        .map(|target| target.release)
        .map_err(|error| Failure::refused(error.to_string()).hint("`windlass releases` lists what there is"))
}
