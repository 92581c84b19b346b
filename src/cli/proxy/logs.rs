//! `windlass proxy logs`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::VerbKind;
use crate::effect::{LogStream, LogsRequest, Node};
use crate::name::ContainerId;
use clap::Args;
use futures::StreamExt;
use futures::future::join_all;
use std::time::Duration;

/// Show the proxies' logs
///
/// Prints what the hosts' proxies say, each line with its host in front: requests that failed, and servers that come and
/// go. Requests that succeeded are not logged.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  windlass proxy logs -n 50\n  windlass proxy logs --since 10m -g 503\n  windlass proxy logs -f"
)]
pub(super) struct LogsArgs {
    /// So many lines from the end of each log
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
    lines: u64,
    /// Only lines that are not older than this
    #[arg(short, long, value_name = "TIME", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only lines that hold this text
    #[arg(short, long, value_name = "TEXT")]
    grep: Option<String>,
    /// Go on with new lines
    #[arg(short, long)]
    follow: bool,
}

pub(super) async fn run(global: Global, args: LogsArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (connections, fleet) = session.read().await?;
    let since = args.since.and_then(|age| session.clock.now().checked_sub(age).ok());
    let request = LogsRequest { tail: Some(args.lines), since, follow: args.follow, timestamps: false };
    let of = |(host, facts): (_, &crate::fleet::HostFacts)| {
        let id = facts.proxy.container.as_ref()?.id.clone();
        Some(show(connections.nodes.get(host)?, id, request.clone(), args.grep.as_deref()))
    };
    let work = join_all(fleet.reachable().filter_map(of));
    tokio::select! {
        results = work => results.into_iter().collect::<Result<(), Failure>>()?,
        () = session.cancel.cancelled() => return Ok(()),
    }
    session.answered(&fleet)
}

async fn show(node: &Node, id: ContainerId, request: LogsRequest, grep: Option<&str>) -> Result<(), Failure> {
    let failed = |error: crate::effect::EngineError| Failure::refused(format!("{}: {error}", node.name));
    let mut lines = node.engine.logs(&id, request).await.map_err(failed)?;
    while let Some(line) = lines.next().await {
        let line = line.map_err(failed)?;
        if grep.is_none_or(|text| line.text.contains(text)) {
            let stream = if line.stream == LogStream::Err { "!" } else { "|" };
            output::print(&format!("{} proxy {stream} {}\n", node.name, line.text));
        }
    }
    Ok(())
}
