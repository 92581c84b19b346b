//! `windlass server bootstrap`.

use super::bootstrap_commands::{Found, LOOK};
use super::{Hosts, connect};
use crate::cli::args::Global;
use crate::cli::hooks::Hooks;
use crate::cli::process::{self, End, Place, Show};
use crate::cli::session::Session;
use crate::cli::{Failure, Kind, confirm, output};
use crate::config::VerbKind;
use crate::effect::{Exit, Host, HostCommand, ProcessEvent};
use crate::mask::Masker;
use crate::name::HostName;
use clap::Args;
use futures::StreamExt;
use futures::future::join_all;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A host that says nothing of itself for so long is not going to.
const LOOK_DEADLINE: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  windlass server bootstrap --dry-run       what would be run where
  windlass server bootstrap --hosts new-1   one host; it asks first
  windlass server bootstrap --yes           for scripts";

/// Install Docker on hosts that lack it
///
/// Looks at every host in scope, prints the commands that it would run, asks, and runs them: the host's own package
/// manager installs its own Docker package, and nothing is downloaded from elsewhere. The login must be root or have
/// sudo without a password; one that is not root joins the group `docker`. Hosts that have Docker are left alone. Then
/// the hook `docker-setup` runs.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct BootstrapArgs {
    /// Print the commands and run none
    #[arg(long)]
    dry_run: bool,
    /// Do not ask; without a terminal this is needed
    #[arg(short, long)]
    yes: bool,
    /// Do not run the hook
    #[arg(short = 'H', long)]
    skip_hooks: bool,
}

/// What is to be done on one host.
struct Work {
    host: HostName,
    connected: Arc<dyn Host>,
    commands: Result<Vec<String>, String>,
}

impl Work {
    /// What is said of the host before anybody is asked.
    fn plan(&self) -> String {
        match &self.commands {
            Err(why) => format!("{}: {why}\n", self.host),
            Ok(commands) if commands.is_empty() => format!("{}: has Docker\n", self.host),
            Ok(commands) => commands.iter().map(|command| format!("{}: {command}\n", self.host)).collect(),
        }
    }
}

pub(super) async fn run(global: Global, args: BootstrapArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let found = connect(&session, &super::exec::in_boot_order(&session)).await?;
    if found.up.is_empty() {
        return found.answered();
    }
    let work = session.unless_cancelled(look(&found)).await?;
    show(&session, &work, args.dry_run)?;
    let (blocked, needed): (Vec<_>, Vec<_>) = {
        let needs = work.iter().filter(|w| w.commands.as_ref().map_or(true, |c| !c.is_empty()));
        needs.partition(|w| w.commands.is_err())
    };
    let verdict = match (blocked.len(), work.len()) {
        (0, _) => Ok(()),
        (n, all) if n == all => Err(Failure::refused("Docker can be installed on none of the hosts")),
        (n, all) => Err(Failure::new(Kind::Mixed, format!("Docker cannot be installed on {n} of {all} hosts"))),
    };
    if args.dry_run || needed.is_empty() {
        return process::with_unreachable(verdict, found.answered());
    }
    confirm(&session, &args, &needed).await?;
    let ends = join_all(needed.iter().map(|w| async { (place(&w.host), install(w, session.global.json).await) }));
    let ends = tokio::select! {
        ends = ends => ends,
        () = session.cancel.cancelled() => {
            return Err(Failure::new(Kind::Mixed, "interrupted while packages were being installed")
                .hint("run it again: it goes on from what it finds"));
        }
    };
    let ran = process::conclude(&session, &ends);
    if ran.is_ok() && !args.skip_hooks {
        let hooks = Hooks::new(&session, "server", "").with("SUBCOMMAND", "bootstrap");
        hooks.run("docker-setup", &session.cancel).await?;
    }
    process::with_unreachable(ran.and(verdict), found.answered())
}

fn place(host: &HostName) -> Place {
    Place { host: host.clone(), role: None }
}

async fn look(found: &Hosts) -> Vec<Work> {
    let works = found.up.iter().map(|(host, connected)| async move {
        let looked = tokio::time::timeout(LOOK_DEADLINE, ask(connected)).await;
        let facts = looked.unwrap_or_else(|_| Err("it does not say what it has".to_string()));
        let commands = facts.and_then(|facts| facts.commands());
        Work { host: host.clone(), connected: connected.clone(), commands }
    });
    join_all(works).await
}

/// Bytes of a host's answer about itself; an honest one has a few lines.
const LONGEST_ANSWER: usize = 64 << 10;

async fn ask(host: &Arc<dyn Host>) -> Result<Found, String> {
    let line = shlex::try_join(["sh", "-c", LOOK]).map_err(|error| error.to_string())?;
    let command = HostCommand { line, input: false, terminal: None };
    let mut process = host.run(&command).await.map_err(|error| error.to_string())?;
    let mut said = Vec::new();
    while let Some(event) = process.events.next().await {
        if said.len() > LONGEST_ANSWER {
            return Err("it does not say what it has: its answer has no end".to_string());
        }
        match event.map_err(|error| error.to_string())? {
            ProcessEvent::Output(_, piece) => said.extend_from_slice(&piece),
            ProcessEvent::Ended(Exit::Code(0)) => return Ok(Found::parse(&String::from_utf8_lossy(&said))),
            ProcessEvent::Ended(exit) => return Err(format!("it could not be looked at: {exit}")),
        }
    }
    Err("it could not be looked at".to_string())
}

fn show(session: &Session, work: &[Work], dry_run: bool) -> Result<(), Failure> {
    if session.global.json {
        if !dry_run {
            return Ok(());
        }
        let host = |w: &Work| match &w.commands {
            Ok(commands) => json!({ "host": w.host, "commands": commands }),
            Err(why) => json!({ "host": w.host, "error": why }),
        };
        let hosts: Vec<_> = work.iter().map(host).collect();
        return output::json(&json!({ "schema": 1, "hosts": hosts }));
    }
    let text: String = work.iter().map(Work::plan).collect();
    match dry_run {
        true => output::print(&text),
        false => session.board.say(&text),
    }
    Ok(())
}

async fn confirm(session: &Session, args: &BootstrapArgs, needed: &[&Work]) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    if !confirm::can_ask() {
        return Err(Failure::refused(
            "packages are installed only when somebody says yes, and nobody can be asked here",
        )
        .hint("`--yes` says it, `--dry-run` shows what would be run"));
    }
    let hosts: Vec<_> = needed.iter().map(|w| w.host.as_str()).collect();
    confirm::ask(&format!("Install Docker on {}?", hosts.join(", ")), &session.cancel).await
}

/// One command after the other; the first that fails is the end.
async fn install(work: &Work, as_json: bool) -> End {
    let how = if as_json { Show::Json } else { Show::Tagged };
    let commands = work.commands.as_ref().map_err(String::clone)?;
    let last = ["docker --version".to_string()];
    let mut end = Exit::Code(0);
    for line in commands.iter().chain(&last) {
        let command = HostCommand { line: line.clone(), input: false, terminal: None };
        let process = work.connected.run(&command).await.map_err(|error| error.to_string())?;
        end = process::show(process, &place(&work.host), Masker::default(), how).await?;
        if !end.success() {
            return Err(format!("`{line}` ended with {end}"));
        }
    }
    Ok(end)
}
