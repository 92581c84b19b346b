//! `windlass app`.

mod containers;
mod details;
mod exec;
mod exec_one_off;
mod grep;
mod images;
mod logs;
mod logs_follow;
mod stale;
mod start_stop;
mod version;

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, maintenance};
use crate::fleet::{Container, Fleet};
use crate::history;
use crate::name::{HostName, RoleName};
use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  windlass app containers                all containers of the service, retained ones included
  windlass app logs -f --roles web       go on with new lines, also over deploys
  windlass app exec 'bin/rails about'    a command beside what serves, on every host
  windlass app exec -i --reuse bash      a shell in the container that serves on the primary host
  windlass app stop && windlass app start
  windlass app maintenance               answer with a page until `windlass app live`";

/// Look at the service's containers, run commands in them, stop, start or close the service
///
/// What serves, what it prints, commands beside or inside it, and taking the service out and back in without a deploy:
/// stopped, or behind a maintenance page.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct AppArgs {
    #[command(subcommand)]
    what: AppCommand,
}

#[derive(Debug, Subcommand)]
#[allow(missing_docs)]
enum AppCommand {
    Containers(containers::ContainersArgs),
    Details(details::DetailsArgs),
    Logs(logs::LogsArgs),
    Exec(exec::ExecArgs),
    Start(start_stop::StartArgs),
    Stop(start_stop::StopArgs),
    Maintenance(maintenance::MaintenanceArgs),
    Live(maintenance::LiveArgs),
    Images(images::ImagesArgs),
    Version(version::VersionArgs),
    #[command(name = "stale_containers", alias = "stale-containers")]
    Stale(stale::StaleArgs),
}

pub(crate) async fn run(global: Global, args: AppArgs) -> Result<(), Failure> {
    match args.what {
        AppCommand::Containers(args) => containers::run(global, &args).await,
        AppCommand::Details(args) => details::run(global, &args).await,
        AppCommand::Logs(args) => logs::run(global, args).await,
        AppCommand::Exec(args) => exec::run(global, args).await,
        AppCommand::Start(args) => start_stop::start(global, args).await,
        AppCommand::Stop(args) => start_stop::stop(global, args).await,
        AppCommand::Maintenance(args) => maintenance::maintenance(global, args).await,
        AppCommand::Live(args) => maintenance::live(global, args).await,
        AppCommand::Images(args) => images::run(global, &args).await,
        AppCommand::Version(args) => version::run(global, &args).await,
        AppCommand::Stale(args) => stale::run(global, args).await,
    }
}

/// The running containers of the roles in scope, in detail.
pub(crate) fn details_of(session: &Session, fleet: &Fleet) -> crate::render::details::AppDetails {
    details::of(session, fleet)
}

/// What serves each role in scope, in the order of hosts.
fn serving<'a>(session: &'a Session, fleet: &'a Fleet) -> Vec<(&'a HostName, &'a RoleName, &'a Container)> {
    let config = &session.project.config;
    let of = |host: &'a HostName, role: &'a RoleName| {
        let facts = fleet.facts(host)?;
        Some((host, role, history::serving(facts, &config.service, config.destination.as_ref(), role)?))
    };
    fleet.hosts.keys().flat_map(|host| session.scope.roles.iter().filter_map(move |role| of(host, role))).collect()
}

/// The containers of the roles in scope, in the order of hosts and names.
fn in_scope<'a>(session: &'a Session, fleet: &'a Fleet) -> impl Iterator<Item = (&'a HostName, &'a Container)> {
    let all = fleet.reachable().flat_map(|(host, facts)| facts.containers.iter().map(move |c| (host, c)));
    all.filter(|(_, c)| c.role().is_none_or(|role| session.scope.roles.contains(&role)))
}

/// The hosts that did not answer.
fn unreachable(fleet: &Fleet) -> Vec<HostName> {
    fleet.unreachable().map(|(host, _)| host.clone()).collect()
}
