//! `windlass server exec`.

use super::connect;
use crate::cli::args::Global;
use crate::cli::process::{self, Place, Show};
use crate::cli::project::environment;
use crate::cli::session::Session;
use crate::cli::{Failure, Kind, terminal};
use crate::config::VerbKind;
use crate::effect::HostCommand;
use crate::mask::Masker;
use crate::name::HostName;
use clap::Args;
use futures::future::join_all;

const EXAMPLES: &str = "\
Examples:
  windlass server exec 'df -h /'
  windlass server exec --hosts 'eu-*' 'sudo systemctl restart chrony'
  windlass server exec -i --hosts web-1 'journalctl -f'";

/// Run a command on the hosts
///
/// Runs the command in the login shell of every host in scope, side by side, each line of output with its host in front.
/// The exit code is 0 when all succeeded, 1 when all failed, and 6 when some did or did not answer. With -i it runs at
/// this terminal on the first host only, and its exit code is ours.
///
/// No container is involved and no secret of the service is known here: output is shown as it is.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ExecArgs {
    /// The command, for the host's shell; several words are joined by blanks
    #[arg(required = true, value_name = "CMD")]
    words: Vec<String>,
    /// At this terminal, or with a pipe as input; on the first host
    #[arg(short, long)]
    interactive: bool,
    /// On the primary host only
    #[arg(short, long)]
    primary: bool,
    /// Pass the output on byte for byte, without tags; one host only
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

pub(super) async fn run(global: Global, args: ExecArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let mut hosts = in_boot_order(&session);
    if args.primary || args.interactive {
        hosts.truncate(1);
    }
    if args.raw && hosts.len() > 1 {
        return Err(Failure::usage(format!("--raw is for one host, and this is {} of them", hosts.len()))
            .hint("choose one with --primary or --hosts"));
    }
    let line = args.words.join(" ");
    let found = connect(&session, &hosts).await?;
    if found.up.is_empty() {
        return found.answered();
    }
    if args.interactive {
        let (host, connected) = &found.up[0];
        let kind = environment("TERM").filter(|kind| !kind.is_empty()).unwrap_or_else(|| "xterm".to_string());
        let terminal = terminal::is_there().then(|| (kind, terminal::size()));
        let command = HostCommand { line, input: true, terminal };
        let process = session.unless_cancelled(connected.run(&command)).await?;
        let process = process.map_err(|error| Failure::new(Kind::Failed, format!("{host}: {error}")))?;
        return terminal::as_own(&terminal::converse(&session, process).await?);
    }
    let how = match (session.global.json, args.raw) {
        (true, _) => Show::Json,
        (false, true) => Show::Raw,
        (false, false) => Show::Tagged,
    };
    let command = &HostCommand { line, input: false, terminal: None };
    let runs = found.up.iter().map(|(host, connected)| async move {
        let place = Place { host: host.clone(), role: None };
        let end = match connected.run(command).await {
            Ok(process) => process::show(process, &place, Masker::default(), how).await,
            Err(error) => Err(error.to_string()),
        };
        (place, end)
    });
    let ends = tokio::select! {
        ends = join_all(runs) => ends,
        () = session.cancel.cancelled() => {
            let text = "interrupted; the connections were closed, and a command without a terminal may still run";
            return Err(Failure::new(Kind::Interrupted, text));
        }
    };
    process::with_unreachable(process::conclude(&session, &ends), found.answered())
}

/// The hosts in scope, those of the primary role first.
pub(super) fn in_boot_order(session: &Session) -> Vec<HostName> {
    let roles = session.project.config.roles.iter().flat_map(|role| role.hosts.iter().map(|h| h.name.clone()));
    let mut seen = std::collections::BTreeSet::new();
    roles.filter(|host| session.scope.hosts.contains(host) && seen.insert(host.clone())).collect()
}
