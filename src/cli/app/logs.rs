//! `windlass app logs`.

use super::grep::{Grep, Picker};
use super::logs_follow;
use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output, retained};
use crate::config::VerbKind;
use crate::effect::{LogLine, LogStream, LogsRequest, Node};
use crate::fleet::{Container, Fleet};
use crate::history;
use crate::mask::Masker;
use crate::name::{HostName, RoleName};
use clap::Args;
use futures::StreamExt;
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  windlass app logs -n 20
  windlass app logs --since 10m --roles worker
  windlass app logs --grep timeout --grep-options '-i -C 2'
  windlass app logs -f                                       over deploys, until Ctrl-C";

/// Lines that are shown when neither their number nor their age was asked for.
const DEFAULT_LINES: u64 = 100;

/// Show the logs of the containers that serve
///
/// Prints lines from every host in scope, each with host, role and version in front (`!` marks standard error). Values
/// of the containers' own secrets are masked. A service that was stopped shows what it said last.
///
/// With -f it goes on until Ctrl-C with every container of the service: containers that a deploy by anybody starts are
/// followed as they appear, and it is said when one ends. A connection that breaks is made again, and what was printed
/// meanwhile is made up for. Lines that come faster than they can be shown are dropped, and counted.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct LogsArgs {
    /// So many lines from the end of each log [default: 100, or all with --since or --grep]
    #[arg(short = 'n', long, value_name = "LINES")]
    lines: Option<u64>,
    /// Only lines that are not older than this
    #[arg(short, long, value_name = "TIME", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only lines that match this regular expression
    #[arg(short, long, value_name = "PATTERN")]
    grep: Option<String>,
    /// Options as grep has them: -i -v -w -x -F, and -A, -B, -C with a number
    #[arg(long, value_name = "OPTIONS", requires = "grep", allow_hyphen_values = true)]
    grep_options: Option<String>,
    /// Go on with new lines and new containers
    #[arg(short, long)]
    follow: bool,
    /// Show when the engine got each line
    #[arg(short, long)]
    timestamps: bool,
    /// Accepted for Kamal's sake: without -t there are no timestamps
    #[arg(short = 'T', long, hide = true, conflicts_with = "timestamps")]
    skip_timestamps: bool,
    /// Only the container whose id begins with this
    #[arg(long, value_name = "ID", conflicts_with = "follow")]
    container_id: Option<String>,
}

/// How lines are shown.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    pub(super) json: bool,
    pub(super) timestamps: bool,
    pub(super) grep: Option<Grep>,
    pub(super) tail: Option<u64>,
    pub(super) since: Option<Timestamp>,
}

/// One log: its tag, its masker, its picker.
pub(super) struct Log {
    host: HostName,
    role: String,
    version: String,
    container: String,
    masker: Masker,
    picker: Picker<LogLine>,
    json: bool,
    timestamps: bool,
}

impl Log {
    pub(super) fn new(host: &HostName, container: &Container, masker: Masker, lines: &Lines) -> Self {
        Self {
            host: host.clone(),
            role: container.role().map(|r| r.to_string()).unwrap_or_default(),
            version: container.version().map_or_else(|| "?".to_string(), |v| v.short().to_string()),
            container: container.id.to_string(),
            masker,
            picker: Picker::new(lines.grep.clone()),
            json: lines.json,
            timestamps: lines.timestamps,
        }
    }

    /// `web-1 web v2`.
    pub(super) fn tag(&self) -> String {
        format!("{} {} {}", self.host, self.role, self.version)
    }

    /// Shows a line, if it is wanted, and the neighbours that are wanted with it.
    pub(super) fn take(&mut self, line: LogLine) {
        // The masked text is what is searched: a search must not tell a secret either.
        let line = LogLine { text: self.masker.mask(&line.text), ..line };
        let text = line.text.clone();
        for line in self.picker.pick(line, &text) {
            output::print(&self.shown(&line));
        }
    }

    fn shown(&self, line: &LogLine) -> String {
        let err = line.stream == LogStream::Err;
        if self.json {
            let stream = if err { "err" } else { "out" };
            let object = json!({
                "schema": 1, "host": self.host, "role": self.role, "version": self.version,
                "container": self.container, "stream": stream, "at": line.at, "line": line.text,
            });
            return format!("{object}\n");
        }
        let mark = if err { '!' } else { '|' };
        let at = line.at.filter(|_| self.timestamps).map(|at| format!("{at} ")).unwrap_or_default();
        format!("{} {mark} {at}{}\n", self.tag(), line.text)
    }
}

pub(super) async fn run(global: Global, args: LogsArgs) -> Result<(), Failure> {
    let grep = args.grep.as_deref().map(|text| Grep::parse(text, args.grep_options.as_deref())).transpose()?;
    let session = Session::open(global, VerbKind::Connect)?;
    let since = args.since.and_then(|age| session.clock.now().checked_sub(age).ok());
    let tail = args.lines.or_else(|| (since.is_none() && grep.is_none()).then_some(DEFAULT_LINES));
    let lines = Lines { json: session.global.json, timestamps: args.timestamps, grep, tail, since };
    if args.follow {
        return logs_follow::run(&session, &lines).await;
    }
    let (connections, fleet) = session.read().await?;
    let wanted = |c: &Container| args.container_id.as_ref().is_none_or(|id| c.id.as_str().starts_with(id.as_str()));
    let chosen: Vec<_> = match args.container_id {
        None => serving_or_suspended(&session, &fleet),
        Some(_) => super::in_scope(&session, &fleet).filter(|(_, c)| wanted(c)).collect(),
    };
    if let (Some(id), true) = (&args.container_id, chosen.is_empty()) {
        return Err(Failure::refused(format!(
            "no container in scope has an id that begins with `{}`",
            id.escape_debug()
        ))
        .hint("`windlass app containers` lists them"));
    }
    let logs = chosen
        .into_iter()
        .filter_map(|(host, container)| Some(show(&session, connections.nodes.get(host)?, container, &lines)));
    let results = session.unless_cancelled(join_all(logs)).await?;
    results.into_iter().collect::<Result<(), Failure>>()?;
    session.answered(&fleet)
}

fn serving_or_suspended<'a>(session: &'a Session, fleet: &'a Fleet) -> Vec<(&'a HostName, &'a Container)> {
    let config = &session.project.config;
    let of = |host: &'a HostName, role: &'a RoleName| {
        let facts = fleet.facts(host)?;
        let (service, destination) = (&config.service, config.destination.as_ref());
        let serving = history::serving(facts, service, destination, role);
        let container = serving.or_else(|| history::suspended(facts, service, destination, role)?.container);
        Some((host, container?))
    };
    fleet.hosts.keys().flat_map(|host| session.scope.roles.iter().filter_map(move |role| of(host, role))).collect()
}

async fn show(session: &Session, node: &Node, container: &Container, lines: &Lines) -> Result<(), Failure> {
    let failed = |error: crate::effect::EngineError| Failure::refused(format!("{}: {error}", node.name));
    let secrets = retained::of_container(node, container, &session.project.secret_variables()).await.map_err(failed)?;
    let mut log = Log::new(&node.name, container, Masker::new(&secrets), lines);
    let timestamps = lines.timestamps || lines.json;
    let request = LogsRequest { tail: lines.tail, since: lines.since, follow: false, timestamps };
    let mut stream = node.engine.logs(&container.id, request).await.map_err(failed)?;
    while let Some(line) = stream.next().await {
        log.take(line.map_err(failed)?);
    }
    Ok(())
}
