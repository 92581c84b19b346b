//! The closing words of a run: what serves where, how long each phase took, how to undo it.

use crate::name::HostName;
use crate::plan::{Plan, Serving};
use crate::release::{Outcome, RunVerb};
use crate::render::board::Seen;
use crate::render::words;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The summary of a run that ended with `outcome`. `seen` is what the board saw of it; `flags` are the words that a
/// follow-up command needs to mean the same fleet (`-c FILE -d DESTINATION`), with a space in front, or empty.
pub fn summary(plan: &Plan, outcome: Outcome, seen: &Seen, flags: &str) -> String {
    let mut out = format!("{}: {}\n", headline(plan), words::outcome(outcome));
    let serving = if seen.serving.is_empty() && outcome == Outcome::Succeeded { &plan.after } else { &seen.serving };
    for (what, hosts) in by_content(serving) {
        let _ = writeln!(out, "  {what} on {}", words::hosts(hosts, 12));
    }
    let phases = seen.phases();
    if !phases.is_empty() {
        let _ = writeln!(out, "  took {phases}");
    }
    if let Some(next) = next_step(plan, outcome, flags) {
        let _ = writeln!(out, "  {next}");
    }
    out
}

fn headline(plan: &Plan) -> String {
    let release = plan.release.as_ref().map(|r| format!(" {}", words::release(r))).unwrap_or_default();
    format!("{}{release}", words::verb(plan.verb))
}

fn by_content(serving: &[Serving]) -> BTreeMap<String, Vec<&HostName>> {
    let mut groups: BTreeMap<String, Vec<&HostName>> = BTreeMap::new();
    for it in serving {
        let what = match (&it.container, &it.version) {
            (Some(_), Some(version)) => format!("serving {} {}", it.role, version.short()),
            (Some(_), None) => format!("serving {}, an unknown version,", it.role),
            (None, _) => format!("nothing serves {}", it.role),
        };
        groups.entry(what).or_default().push(&it.host);
    }
    groups
}

/// The command that takes the run back, or that shows what to look at.
fn next_step(plan: &Plan, outcome: Outcome, flags: &str) -> Option<String> {
    let undoes = matches!(plan.verb, RunVerb::Deploy | RunVerb::Setup | RunVerb::Rollback) && plan.before != plan.after;
    match outcome {
        Outcome::Succeeded if undoes => undo(plan, flags),
        Outcome::Succeeded if plan.verb == RunVerb::Stop && plan.before != plan.after => {
            Some(format!("start it again with `windlass app start{flags}`"))
        }
        Outcome::Unverified | Outcome::Abandoned => Some(format!(
            "look at it with `windlass status{flags}`; `windlass deploy{flags}` or `windlass rollback{flags}` converges from any state"
        )),
        _ => None,
    }
}

/// Going back means naming what served before: bare `rollback` follows content and could mean something older.
fn undo(plan: &Plan, flags: &str) -> Option<String> {
    let before: Vec<_> = plan.before.iter().filter(|s| s.container.is_some()).collect();
    let version = before.first()?.version.as_ref()?;
    let same = before.iter().all(|s| s.version.as_ref() == Some(version));
    let redeployed = plan.release.as_ref().is_some_and(|r| &r.version == version);
    match same && !redeployed {
        true => Some(format!("undo it with `windlass rollback {}{flags}`", version.short())),
        false => Some(format!("`windlass releases{flags}` lists what can be rolled back to")),
    }
}
