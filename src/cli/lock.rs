//! `windlass lock`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, Kind, failure, output};
use crate::config::VerbKind;
use crate::fleet::{Fleet, Freeze, HostFacts, LeaseState};
use crate::journal;
use crate::name::HostName;
use crate::observe::Connections;
use crate::render::{status, table, time};
use clap::{Args, Subcommand};
use futures::future::join_all;

const EXAMPLES: &str = "\
Examples:
  windlass lock status                           who may change the service now
  windlass lock acquire -m 'database upgrade'    keep everybody out until it is released
  windlass lock release";

/// Keep others from changing the service, or see who does
///
/// While a run changes the service it holds a lease on every host, which ends by itself when the run ends or dies.
/// `lock acquire` is for people: it stays until `lock release`, and setup, deploy, rollback, prune, app start and app
/// stop exit 5 meanwhile.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct LockArgs {
    #[command(subcommand)]
    what: LockCommand,
}

#[derive(Debug, Subcommand)]
enum LockCommand {
    Status(StatusArgs),
    Acquire(AcquireArgs),
    Release(ReleaseArgs),
}

/// Show leases and locks, with their age
///
/// Shows for every host who holds the lease and whether it is locked by hand, by whom, since when and why.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass lock status\n  windlass lock status --json")]
struct StatusArgs {}

/// Lock the service by hand, until it is released
///
/// Writes a file on every host of the service. Whatever would change the service (setup, deploy, rollback, prune, app
/// start and stop) exits 5 while it is there.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass lock acquire -m 'database upgrade until 3 pm'")]
struct AcquireArgs {
    /// Why, for those who find it
    #[arg(short, long, value_name = "TEXT")]
    message: String,
}

/// Take away a lock that was taken by hand
///
/// Removes the file on every host of the service, whoever wrote it. Leases of runs are not touched.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass lock release")]
struct ReleaseArgs {}

pub(crate) async fn run(global: Global, args: LockArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let connections = session.connect(&session.project.hosts()).await?;
    let fleet = session.observe(&connections).await?;
    match args.what {
        LockCommand::Status(_) => show(&session, &fleet),
        LockCommand::Acquire(AcquireArgs { message }) => acquire(&session, &connections, &fleet, message).await,
        LockCommand::Release(_) => release(&session, &connections, &fleet).await,
    }
}

fn show(session: &Session, fleet: &Fleet) -> Result<(), Failure> {
    if session.global.json {
        let hosts = fleet.reachable().map(|(host, facts)| {
            let lease = match &facts.lease {
                LeaseState::Free => serde_json::json!({ "held": false }),
                LeaseState::Held(holder) => serde_json::json!({ "held": true, "holder": holder }),
            };
            serde_json::json!({ "host": host, "lease": lease, "lock": facts.freeze })
        });
        let hosts: Vec<_> = hosts.collect();
        output::json(&serde_json::json!({ "schema": 1, "hosts": hosts }))?;
    } else if fleet.reachable().next().is_some() {
        let now = session.clock.now();
        let rows = fleet.reachable().map(|(host, facts)| {
            let lease = match &facts.lease {
                LeaseState::Free => "free".to_string(),
                LeaseState::Held(None) => "held".to_string(),
                LeaseState::Held(Some(h)) => format!("{} by {} {}", h.what, h.actor, time::ago(h.since, now)),
            };
            let lock = facts.freeze.as_ref().map_or_else(|| "none".to_string(), |f| status::freeze(f, now));
            [host.to_string(), lease, lock]
        });
        output::print(&table::table(["HOST", "LEASE", "LOCK"], rows));
    }
    session.answered(fleet)
}

/// All hosts or none: a lock that only some hosts know would let others through.
async fn acquire(session: &Session, connections: &Connections, fleet: &Fleet, message: String) -> Result<(), Failure> {
    session.answered(fleet).map_err(|f| Failure::refused(format!("{}; nothing was locked", f.error)))?;
    if let Some((host, freeze)) = fleet.reachable().find_map(|(h, facts)| Some((h, facts.freeze.as_ref()?))) {
        let text = format!("{host} is {}", status::freeze(freeze, session.clock.now()));
        return Err(Failure::new(Kind::Leased, text).hint("`windlass lock release` takes it away"));
    }
    let freeze = Freeze { actor: session.project.actor.clone(), message, since: session.clock.now() };
    let content = serde_json::to_vec(&freeze).map_err(|e| Failure::refused(format!("JSON: {e}")))?;
    let content = &content;
    let write = |(host, facts): (HostName, &HostFacts)| {
        let (dir, path) = paths(session, facts);
        let node = connections.nodes.get(&host).cloned();
        async move {
            let node = node?;
            let written = match node.host.make_dir(&dir).await {
                Ok(()) => node.host.write(&path, content, 0o600).await,
                Err(error) => Err(error),
            };
            written.err().map(|error| format!("{host}: {error}"))
        }
    };
    let work = join_all(fleet.reachable().map(|(host, facts)| write((host.clone(), facts))));
    let errors: Vec<String> = session.unless_cancelled(work).await?.into_iter().flatten().collect();
    if errors.is_empty() {
        session.board.say(
            "Locked. Setup, deploy, rollback, prune, app start and app stop exit 5 until `windlass lock release`.",
        );
        return Ok(());
    }
    let text = format!("the lock could not be written everywhere:\n{}", errors.join("\n"));
    Err(Failure::new(Kind::Mixed, text).hint("`windlass lock release` takes away what was written"))
}

async fn release(session: &Session, connections: &Connections, fleet: &Fleet) -> Result<(), Failure> {
    let locked = fleet.reachable().filter(|(_, facts)| facts.freeze.is_some());
    let remove = |(host, facts): (HostName, &HostFacts)| {
        let (_, path) = paths(session, facts);
        let node = connections.nodes.get(&host).cloned();
        async move { node?.host.remove(&path).await.err().map(|error| format!("{host}: {error}")) }
    };
    let work = join_all(locked.map(|(host, facts)| remove((host.clone(), facts))));
    let results = session.unless_cancelled(work).await?;
    let (count, errors) = (results.len(), results.into_iter().flatten().collect::<Vec<_>>());
    if !errors.is_empty() {
        return Err(Failure::new(Kind::Mixed, format!("the lock could not be removed:\n{}", errors.join("\n"))));
    }
    session.board.say(if count == 0 { "It was not locked." } else { "Released." });
    let unreachable = fleet.unreachable().count();
    failure::answered(fleet.hosts.len(), unreachable).map_err(|failure| {
        failure.hint("a host that did not answer may still be locked; run it again when the host is back")
    })
}

fn paths(session: &Session, facts: &HostFacts) -> (String, String) {
    let config = &session.project.config;
    let dir = facts.home.of_service(&config.service, config.destination.as_ref());
    let path = journal::freeze_path(&dir);
    (dir, path)
}
