//! `windlass releases show`.

use crate::history::Release;
use crate::release::{HostReport, ReleaseRecord, StepReport};
use crate::render::releases::{Row, row};
use crate::render::{releases_table, time, words};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;

/// One release with everything that is known of it; `docs/schemas/release.v1.json` describes it.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Version of this object: 1.
    pub schema: u32,
    /// As in the list.
    pub release: Row,
    /// What it was made from; `None` if no host that answered has its record.
    pub record: Option<ReleaseRecord>,
    /// How its run went on each host that still knows.
    pub reports: Vec<HostReport>,
}

impl Shown {
    /// The view of a release.
    pub fn new(release: &Release, reports: Vec<HostReport>) -> Self {
        Self { schema: 1, release: row(release), record: release.record.as_deref().cloned(), reports }
    }

    /// For people, with its configuration as `deploy_yml` says it.
    pub fn text(&self, now: Timestamp, deploy_yml: &str) -> String {
        let mut out = heading(&self.release);
        for (name, value) in facts(&self.release, now) {
            let _ = writeln!(out, "  {name:<9} {value}");
        }
        out.push_str(&steps(&self.reports));
        out.push_str("\nconfiguration:\n");
        deploy_yml.lines().for_each(|line| _ = writeln!(out, "  {line}"));
        out
    }
}

fn heading(row: &Row) -> String {
    let number = row.number.clone().unwrap_or_else(|| "(no number)".to_string());
    let badges: Vec<_> = row.badges.iter().map(ToString::to_string).collect();
    format!("{number}  {}  {}: {}\n", row.version.short(), row.kind, badges.join(", "))
}

fn facts(row: &Row, now: Timestamp) -> Vec<(&'static str, String)> {
    let hosts = |names: &[crate::name::HostName]| match names.is_empty() {
        true => "no host".to_string(),
        false => words::hosts(names, 12),
    };
    let pin = row.pin.as_ref().map(|pin| {
        let why = pin.message.as_ref().map(|m| format!(": {m}")).unwrap_or_default();
        format!("by {} {}{why}", pin.actor, time::ago(pin.at, now))
    });
    let when = row.at.map(|at| format!("{}, {}", time::exact(at), time::ago(at, now)));
    let took = row.took.map(|seconds| time::took(Duration::from_secs_f64(seconds)));
    let all = [
        ("image", Some(releases_table::image_of(row))),
        ("label", row.label.as_ref().map(ToString::to_string)),
        ("pinned", pin),
        ("message", row.message.clone()),
        ("by", Some(row.actor.clone()).filter(|actor| !actor.is_empty())),
        ("at", when),
        ("took", took),
        ("active", releases_table::active(row, now)),
        ("sent to", Some(hosts(&row.sent))),
        ("serves on", Some(hosts(&row.running))),
        ("kept on", Some(hosts(&row.retained))),
        ("failed", row.reason.clone()),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The steps of each host, in order, with the output of a container that failed.
fn steps(reports: &[HostReport]) -> String {
    let mut out = String::new();
    for report in reports.iter().filter(|report| !report.steps.is_empty()) {
        let _ = writeln!(out, "\n{}:", report.host);
        report.steps.iter().for_each(|step| out.push_str(&lines(step)));
    }
    out
}

fn lines(step: &StepReport) -> String {
    let took = time::took(Duration::from_millis(step.millis));
    let mut out = format!("  {:<8} {:>7}  {}\n", step.stage, took, step.step);
    let more = step.note.iter().map(|note| format!("note: {note}"));
    let more = more.chain(step.failure.iter().map(|why| format!("failed: {why}")));
    more.chain(step.log.iter().map(|line| format!("| {line}"))).for_each(|line| _ = writeln!(out, "           {line}"));
    out
}
