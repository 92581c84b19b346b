//! What must hold before a plan is made at all. A refusal here has changed nothing.

use crate::config::{Config, VerbKind};
use crate::fleet::{Fleet, HostFacts};
use crate::name::HostName;
use crate::plan::{Refusal, RefusalKind, Request};

/// Refuses what must not begin; returns notes for the plan.
pub(super) fn check(
    config: &Config,
    fleet: &Fleet,
    request: &Request,
    verbs: &[VerbKind],
) -> Result<Vec<String>, Refusal> {
    not_acted_on(config, verbs)?;
    if request.scope.hosts.is_empty() || request.scope.roles.is_empty() {
        return Err(Refusal::new("no host is in scope").hint("look at `windlass config` and at --hosts and --roles"));
    }
    let mut notes = unreachable(fleet, request)?;
    frozen(fleet)?;
    for (host, facts) in fleet.reachable() {
        usable(host, facts)?;
        if !verbs.contains(&VerbKind::Prune) {
            notes.extend(room(host, facts)?);
        }
        notes.extend(clock(host, facts));
    }
    notes.extend(config.notes.iter().cloned());
    Ok(notes)
}

/// Keys that are understood but not acted on yet stop the verbs whose outcome they would change.
///
/// # Errors
/// They are named, with where they are.
pub fn not_acted_on(config: &Config, verbs: &[VerbKind]) -> Result<(), Refusal> {
    let blocking: Vec<_> = config
        .not_acted_on
        .iter()
        .filter(|key| key.verbs.iter().any(|v| *v == VerbKind::Connect || verbs.contains(v)))
        .map(|key| format!("{}: {}: {}", key.location, key.key, key.reason))
        .collect();
    if blocking.is_empty() {
        return Ok(());
    }
    let message =
        format!("this configuration asks for things that windlass does not do yet:\n  {}", blocking.join("\n  "));
    Err(Refusal::new(message)
        .of(RefusalKind::Config)
        .hint("take the keys out, or override them under `x-windlass:`, which only windlass reads"))
}

fn unreachable(fleet: &Fleet, request: &Request) -> Result<Vec<String>, Refusal> {
    let lines: Vec<_> = fleet.unreachable().map(|(host, why)| format!("{host}: {}", why.message)).collect();
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    if request.skip_unreachable && fleet.reachable().next().is_some() {
        let note = |line: &String| format!("left out because it cannot be reached: {line}");
        return Ok(lines.iter().map(note).collect());
    }
    let mut refusal = Refusal::new(format!("not every host can be reached:\n  {}", lines.join("\n  ")));
    refusal.hints.extend(fleet.unreachable().filter_map(|(host, why)| Some(format!("{host}: {}", why.hint.as_ref()?))));
    Err(refusal.hint("repair the connection, or go on without these hosts: --skip-unreachable"))
}

fn frozen(fleet: &Fleet) -> Result<(), Refusal> {
    let Some((host, freeze)) = fleet.reachable().find_map(|(host, facts)| Some((host, facts.freeze.as_ref()?))) else {
        return Ok(());
    };
    let message =
        format!("{} locked this service by hand since {} ({host}): {}", freeze.actor, freeze.since, freeze.message);
    Err(Refusal::new(message).of(RefusalKind::Leased).hint("when it is over: windlass lock release"))
}

fn usable(host: &HostName, facts: &HostFacts) -> Result<(), Refusal> {
    if let Some(command) = facts.missing_commands.iter().next() {
        return Err(Refusal::new(format!("{host} has no `{command}` command, which leases need")).hint(format!(
            "install it there ({} is in Debian's {})",
            command,
            package_of(command)
        )));
    }
    if let Some(recorded) = facts.home.recorded.as_ref().filter(|dir| **dir != facts.home.own) {
        let message = format!(
            "{host} keeps windlass's state in {recorded}, and this login would keep it in {}: two histories of one service",
            facts.home.own
        );
        return Err(Refusal::new(message).hint("log in as the user who set this host up (`ssh.user`)"));
    }
    if facts.journal.newer_schema {
        return Err(Refusal::new(format!(
            "the journal on {host} was written by a newer windlass; this one only reads it"
        ))
        .hint("update windlass on this machine"));
    }
    Ok(())
}

/// Less than this on the engine's file system, and a pull or a journal write would fail half-way: refused.
const NO_ROOM: u64 = 128 << 20;
/// Less than this is worth a note.
const LITTLE_ROOM: u64 = 2 << 30;
/// A clock further off than this, in seconds, is worth a note.
const CLOCK_OFF: i64 = 60;

fn room(host: &HostName, facts: &HostFacts) -> Result<Option<String>, Refusal> {
    let Some(disk) = facts.disk else { return Ok(None) };
    let left = format!("{} MiB of {} MiB", disk.free >> 20, disk.total >> 20);
    if disk.free < NO_ROOM {
        let refusal = Refusal::new(format!("{host} has no room left where the engine keeps its data: {left} are free"));
        return Err(refusal.hint("see what fills it: `docker system df` and `df -h` there"));
    }
    Ok((disk.free < LITTLE_ROOM).then(|| format!("{host} has little room left: {left} are free")))
}

/// Nothing is decided by comparing clocks of two machines, but logs and times of releases look odd.
fn clock(host: &HostName, facts: &HostFacts) -> Option<String> {
    let off = facts.clock_ahead;
    let way = if off > 0 { "ahead of" } else { "behind" };
    (off.abs() > CLOCK_OFF).then(|| format!("the clock of {host} is {} s {way} this machine's", off.abs()))
}

fn package_of(command: &str) -> &'static str {
    match command {
        "flock" => "util-linux",
        _ => "coreutils",
    }
}
