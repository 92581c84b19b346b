//! What differs between two releases, for people: a heading for the release and for each role, a line a change.

use crate::history::Release;
use crate::name::{RunId, Version};
use crate::release::{Change, Diff, Kind, ReleaseRecord, What};
use crate::render::releases;
use serde::Serialize;
use std::fmt::Write as _;

/// Two releases and what differs, as `--json` prints it; `docs/schemas/diff.v1.json` describes it.
#[derive(Debug, Clone, Serialize)]
pub struct Compared<'a> {
    /// Version of this object: 1.
    pub schema: u32,
    /// Before.
    pub from: Side,
    /// After.
    pub to: Side,
    /// What differs.
    #[serde(flatten)]
    pub diff: &'a Diff,
}

/// Which release a side of a comparison is.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    /// `v42`; `None` for one that only containers know of.
    pub number: Option<String>,
    /// Version.
    pub version: Version,
    /// Its run.
    pub run: Option<RunId>,
}

impl From<&Release> for Side {
    fn from(release: &Release) -> Self {
        let number = releases::number(release);
        Self { number, version: release.version.clone(), run: release.run.clone() }
    }
}

impl From<&ReleaseRecord> for Side {
    fn from(record: &ReleaseRecord) -> Self {
        let number = Some(format!("v{}", record.number));
        Self { number, version: record.version.clone(), run: Some(record.run.clone()) }
    }
}

impl<'a> Compared<'a> {
    /// The comparison of two releases.
    pub fn new(from: impl Into<Side>, to: impl Into<Side>, diff: &'a Diff) -> Self {
        Self { schema: 1, from: from.into(), to: to.into(), diff }
    }
}

/// The lines; one that says so where nothing differs.
pub fn diff(diff: &Diff) -> String {
    let mut out = String::new();
    let mut heading = None;
    for change in &diff.changes {
        if let Some(role) = change.role.as_ref().filter(|role| heading != Some(*role)) {
            let _ = writeln!(out, "  {role}");
            heading = Some(role);
        }
        let indent = if change.role.is_some() { "    " } else { "  " };
        let _ = writeln!(out, "{indent}{}", line(change));
    }
    if diff.changes.is_empty() {
        out.push_str("  nothing differs\n");
    }
    diff.unknown.iter().for_each(|why| _ = writeln!(out, "  not known: {why}"));
    out
}

/// `+ env     NEW`, `~ option  memory: 512 → 1024`.
fn line(change: &Change) -> String {
    let sign = match change.change {
        Kind::Added => '+',
        Kind::Removed => '-',
        Kind::Changed => '~',
    };
    let colon = if change.name.is_empty() { "" } else { ": " };
    let sides = match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{colon}{from} → {to}"),
        (Some(only), None) | (None, Some(only)) => format!("{colon}{only}"),
        (None, None) => match (change.what, change.change) {
            (What::Secret, Kind::Changed) => format!("{colon}another value"),
            (What::Env, Kind::Changed) => format!("{colon}another value (not shown)"),
            _ => String::new(),
        },
    };
    format!("{sign} {:<8}{}{sides}", what(change.what), change.name).trim_end().to_string()
}

fn what(what: What) -> &'static str {
    match what {
        What::Version => "version",
        What::Image => "image",
        What::Role => "role",
        What::Host => "host",
        What::Command => "command",
        What::Env => "env",
        What::Secret => "secret",
        What::Mount => "mount",
        What::Option => "option",
        What::Label => "label",
        What::Proxy => "proxy",
    }
}
