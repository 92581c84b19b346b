//! `windlass app`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, maintenance, output, retained};
use crate::config::VerbKind;
use crate::effect::{LogStream, LogsRequest, Node};
use crate::fleet::{Container, Fleet};
use crate::history;
use crate::mask::Masker;
use crate::name::{HostName, RoleName};
use crate::observe::Connections;
use crate::render::containers::{Containers, Row};
use clap::{Args, Subcommand};
use futures::StreamExt;
use futures::future::join_all;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  windlass app containers            all containers of the service, retained ones included
  windlass app containers -q         their ids
  windlass app logs -n 20            the last lines of what serves
  windlass app logs -f --roles web   go on with new ones
  windlass app maintenance           answer every request with a page, until `windlass app live`";

/// Look at the service's containers, and close the service for maintenance
///
/// Lists the containers of the service, shows the logs of those that serve, or has the proxies answer with a maintenance
/// page for a while.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct AppArgs {
    #[command(subcommand)]
    what: AppCommand,
}

#[derive(Debug, Subcommand)]
enum AppCommand {
    Containers(ContainersArgs),
    Logs(LogsArgs),
    Maintenance(maintenance::MaintenanceArgs),
    Live(maintenance::LiveArgs),
}

/// List the containers of the service
///
/// Lists every container of the service and destination, running or retained, and which of them serve. With -q it
/// prints their ids only.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass app containers\n  windlass app containers -q --hosts web-1")]
struct ContainersArgs {}

/// Show the logs of the containers that serve
///
/// Prints lines from every host in scope, each with its host in front. Values of the containers' own secrets are
/// masked. With -f it goes on until Ctrl-C; a connection that breaks is not opened again.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  windlass app logs -n 20\n  windlass app logs --since 10m --roles worker\n  windlass app logs -f"
)]
struct LogsArgs {
    /// So many lines from the end of each log
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
    lines: u64,
    /// Only lines that are not older than this
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Go on with new lines
    #[arg(short, long)]
    follow: bool,
}

pub(crate) async fn run(global: Global, args: AppArgs) -> Result<(), Failure> {
    match args.what {
        AppCommand::Maintenance(args) => maintenance::maintenance(global, args).await,
        AppCommand::Live(args) => maintenance::live(global, args).await,
        AppCommand::Containers(_) => {
            let session = Session::open(global, VerbKind::Connect)?;
            let (_, fleet) = session.read().await?;
            containers(&session, &fleet)?;
            session.answered(&fleet)
        }
        AppCommand::Logs(args) => {
            let session = Session::open(global, VerbKind::Connect)?;
            let (connections, fleet) = session.read().await?;
            logs(&session, &connections, &fleet, &args).await?;
            session.answered(&fleet)
        }
    }
}

fn containers(session: &Session, fleet: &Fleet) -> Result<(), Failure> {
    let serving = serving(session, fleet);
    let all = fleet.reachable().flat_map(|(host, facts)| facts.containers.iter().map(move |c| (host, c)));
    let in_scope = all.filter(|(_, c)| c.role().is_none_or(|role| session.scope.roles.contains(&role)));
    let row = |(host, c): (&HostName, &Container)| {
        Row::new(host, c, serving.iter().any(|(h, _, s)| *h == host && s.id == c.id))
    };
    let unreachable = fleet.unreachable().map(|(host, _)| host.clone()).collect();
    let view = Containers { schema: 1, containers: in_scope.map(row).collect(), unreachable };
    match (session.global.json, session.global.quiet) {
        (true, _) => output::json(&view)?,
        (false, true) => output::print(&view.ids()),
        (false, false) => output::print(&view.table(session.clock.now())),
    }
    Ok(())
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

async fn logs(session: &Session, connections: &Connections, fleet: &Fleet, args: &LogsArgs) -> Result<(), Failure> {
    let now = session.clock.now();
    let since = args.since.and_then(|age| now.checked_sub(age).ok());
    let request = LogsRequest { tail: Some(args.lines), since, follow: args.follow, timestamps: false };
    let streams = serving(session, fleet).into_iter().filter_map(|(host, role, container)| {
        let node = connections.nodes.get(host)?;
        Some(show(session, node, role, container, request.clone()))
    });
    let work = join_all(streams);
    tokio::select! {
        results = work => results.into_iter().collect::<Result<(), Failure>>(),
        () = session.cancel.cancelled() => Ok(()),
    }
}

async fn show(
    session: &Session,
    node: &Node,
    role: &RoleName,
    container: &Container,
    request: LogsRequest,
) -> Result<(), Failure> {
    let failed = |error: crate::effect::EngineError| Failure::refused(format!("{}: {error}", node.name));
    let secrets = retained::of_container(node, container, &session.project.secret_variables()).await;
    let masker = Masker::new(&secrets);
    let mut lines = node.engine.logs(&container.id, request).await.map_err(failed)?;
    while let Some(line) = lines.next().await {
        let line = line.map_err(failed)?;
        let text = masker.mask(&line.text);
        let stream = if line.stream == LogStream::Err { "!" } else { "|" };
        output::print(&format!("{} {role} {stream} {text}\n", node.name));
    }
    Ok(())
}
