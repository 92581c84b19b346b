//! What differs between two releases, for people: a heading for the release and for each role, a line a change.

use crate::release::{Change, Diff, Kind, What};
use std::fmt::Write as _;

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
