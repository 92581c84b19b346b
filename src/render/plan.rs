//! A plan for people, before they say yes: what serves, what will, and every step on the way. At most one screen.

use crate::name::HostName;
use crate::plan::{Lane, Plan, Serving, Stage};
use crate::render::words;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Names of hosts shown in a list before it says "and 48 more".
const MOST_HOSTS: usize = 6;

/// Lines of steps up to which each step has a line of its own; longer plans get one line a group of hosts.
const MOST_LINES: usize = 36;

/// Characters of a line with several steps.
const MOST_COLUMNS: usize = 118;

/// The whole plan.
pub fn plan(plan: &Plan) -> String {
    let mut out = headline(plan) + "\n";
    let hosts: BTreeSet<_> = plan.steps().map(|(_, host, _)| host).collect();
    if !plan.is_empty() {
        serving(&mut out, plan, &hosts);
        inherited(&mut out, plan);
        stages(&mut out, plan);
    }
    notes(&mut out, plan);
    out
}

/// `deploy v2 (release v43) of shop to staging: 14 steps on 3 hosts`.
pub fn headline(plan: &Plan) -> String {
    let steps = plan.steps().count();
    let hosts = plan.steps().map(|(_, host, _)| host).collect::<BTreeSet<_>>().len();
    let release = plan.release.as_ref().map(|r| format!(" {}", words::release(r))).unwrap_or_default();
    let of = if release.is_empty() && !words::is_noun(plan.verb) { " " } else { " of " };
    let to = plan.destination.as_ref().map(|d| format!(" to {d}")).unwrap_or_default();
    let work = match steps {
        0 => "nothing to do".to_string(),
        _ => format!("{} on {}", words::count(steps, "step"), words::count(hosts, "host")),
    };
    format!("{}{release}{of}{}{to}: {work}", words::verb(plan.verb), plan.service)
}

fn serving(out: &mut String, plan: &Plan, hosts: &BTreeSet<&HostName>) {
    if plan.before == plan.after {
        return;
    }
    let mut line = |label: &str, list: &[Serving]| {
        for (text, hosts) in grouped(list, hosts) {
            let _ = writeln!(out, "  {label:<5} {text} on {}", words::hosts(hosts, MOST_HOSTS));
        }
    };
    line("now", &plan.before);
    line("then", &plan.after);
}

/// What a rollback takes from where.
fn inherited(out: &mut String, plan: &Plan) {
    let Some(inherited) = &plan.inherited else { return };
    let version = plan.release.as_ref().map_or("the release", |r| r.version.short());
    for (from, what) in [(version, &inherited.release), ("today's configuration", &inherited.config)] {
        let _ = writeln!(out, "  from {from}: {}", what.join(", "));
    }
}

/// What serves, with the hosts on which it is the same, in the order of the roles.
fn grouped<'a>(list: &'a [Serving], scope: &BTreeSet<&HostName>) -> Vec<(String, Vec<&'a HostName>)> {
    let mut groups: Vec<(String, Vec<&HostName>)> = Vec::new();
    for it in list.iter().filter(|s| scope.contains(&s.host)) {
        let version = match (&it.container, &it.version) {
            (None, _) => "nothing".to_string(),
            (Some(_), Some(version)) => version.short().to_string(),
            (Some(_), None) => "an unknown version".to_string(),
        };
        let text = format!("{} {version}", it.role);
        match groups.iter_mut().find(|(t, _)| *t == text) {
            Some((_, hosts)) => hosts.push(&it.host),
            None => groups.push((text, vec![&it.host])),
        }
    }
    groups
}

/// Hosts whose steps read the same, and the steps.
type Group<'a> = (Vec<&'a HostName>, Vec<String>);

fn groups<'a>(plan: &Plan, stage: &'a Stage) -> Vec<Group<'a>> {
    let mut order: Vec<Group> = Vec::new();
    let mut seen: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for Lane { host, steps } in stage.lanes.iter().filter(|lane| !lane.steps.is_empty()) {
        let steps: Vec<String> = steps.iter().map(|s| words::action(plan, host, &s.action)).collect();
        let at = *seen.entry(steps.clone()).or_insert(order.len());
        match order.get_mut(at) {
            Some((hosts, _)) => hosts.push(host),
            None => order.push((vec![host], steps)),
        }
    }
    order
}

fn stages(out: &mut String, plan: &Plan) {
    let stages: Vec<(&Stage, Vec<Group>)> =
        plan.stages.iter().map(|s| (s, groups(plan, s))).filter(|(_, groups)| !groups.is_empty()).collect();
    let all: usize = stages.iter().flat_map(|(_, groups)| groups).map(|(_, steps)| steps.len() + 1).sum();
    let groups_in_all: usize = stages.iter().map(|(_, groups)| groups.len()).sum();
    let one_line = all > MOST_LINES;
    let most_groups =
        if groups_in_all > MOST_LINES / 2 { (MOST_LINES / 2 / stages.len().max(1)).max(2) } else { usize::MAX };
    for (number, (stage, groups)) in stages.iter().enumerate() {
        for (hosts, steps) in groups.iter().take(most_groups) {
            let _ = writeln!(
                out,
                "  {} {}: {}",
                number + 1,
                words::stage(stage.kind),
                words::hosts(hosts.iter().copied(), MOST_HOSTS)
            );
            if one_line {
                let _ = writeln!(out, "      {}", console::truncate_str(&steps.join(", "), MOST_COLUMNS, " …"));
            } else {
                for step in steps {
                    let _ = writeln!(out, "      {step}");
                }
            }
        }
        rest(out, &groups[groups.len().min(most_groups)..]);
        if stage.pause_after > 0 {
            let _ = writeln!(out, "      then wait {} s", stage.pause_after);
        }
    }
}

fn rest(out: &mut String, groups: &[Group]) {
    let hosts: usize = groups.iter().map(|(hosts, _)| hosts.len()).sum();
    let steps: usize = groups.iter().map(|(hosts, steps)| hosts.len() * steps.len()).sum();
    if hosts > 0 {
        let (hosts, steps) = (words::count(hosts, "more host"), words::count(steps, "step"));
        let _ = writeln!(out, "      and {steps} on {hosts} (--dry-run --json shows all)");
    }
}

fn notes(out: &mut String, plan: &Plan) {
    for adoption in &plan.adopted {
        let (version, number) = (adoption.record.version.short(), adoption.record.number);
        let _ = writeln!(out, "  note: {version} serves and no journal knows it: it is adopted as release v{number}");
    }
    for note in &plan.notes {
        let _ = writeln!(out, "  note: {note}");
    }
}
