//! What differs between two specifications of a role.

use crate::name::RoleName;
use crate::release::diff::{Change, Kind, What};
use crate::spec::{Env, Mount, RoleSpec};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The differences, grouped by what they are about.
pub(super) fn changes(role: &RoleName, a: &RoleSpec, b: &RoleSpec) -> Vec<Change> {
    let command = |spec: &RoleSpec| {
        let words = spec.command.as_ref()?;
        Some(shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" ")))
    };
    let mut changes: Vec<Change> =
        Change::of(Some(role), What::Command, "", command(a), command(b)).into_iter().collect();
    changes.extend(env(role, "", &a.env, &b.env));
    let tags: BTreeSet<&String> = a.env_tags.keys().chain(b.env_tags.keys()).collect();
    for tag in tags {
        let of = |spec: &RoleSpec| spec.env_tags.get(tag).cloned().unwrap_or_default();
        changes.extend(env(role, &format!("{tag}/"), &of(a), &of(b)));
    }
    changes.extend(mounts(role, a, b));
    changes.extend(leaves(role, What::Option, &options(a), &options(b)));
    changes.extend(leaves(role, What::Label, &flat(&a.labels), &flat(&b.labels)));
    changes.extend(leaves(role, What::Proxy, &flat(&a.route), &flat(&b.route)));
    changes
}

/// Names only: clear variables may hold what was meant to be a secret.
fn env(role: &RoleName, prefix: &str, a: &Env, b: &Env) -> Vec<Change> {
    let named = |what, name: &String, change| Change::named(role, what, format!("{prefix}{name}"), change);
    let mut changes = Vec::new();
    for (what, a, b) in [(What::Env, &a.clear, &b.clear), (What::Secret, &a.secret, &b.secret)] {
        let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        changes.extend(names.into_iter().filter_map(|name| match (a.get(name), b.get(name)) {
            (None, _) => Some(named(what, name, Kind::Added)),
            (_, None) => Some(named(what, name, Kind::Removed)),
            (x, y) if x == y => None,
            // The name under which a secret is looked up is no secret.
            (Some(x), Some(y)) if what == What::Secret => {
                Some(Change { from: Some(x.clone()), to: Some(y.clone()), ..named(what, name, Kind::Changed) })
            }
            _ => Some(named(what, name, Kind::Changed)),
        }));
    }
    changes
}

fn mounts(role: &RoleName, a: &RoleSpec, b: &RoleSpec) -> Vec<Change> {
    let (a, b) = (mount_texts(a), mount_texts(b));
    let all: BTreeSet<&String> = a.union(&b).collect();
    let change = |text: &String| match (a.contains(text), b.contains(text)) {
        (true, false) => Some(Change::named(role, What::Mount, text.clone(), Kind::Removed)),
        (false, true) => Some(Change::named(role, What::Mount, text.clone(), Kind::Added)),
        _ => None,
    };
    all.into_iter().filter_map(change).collect()
}

fn mount_texts(spec: &RoleSpec) -> BTreeSet<String> {
    let mount = |m: &Mount| {
        let source = m.source.as_ref().map(|s| format!("{s}:")).unwrap_or_default();
        let mode = if m.read_only { ":ro" } else { "" };
        format!("{} {source}{}{mode}", m.kind, m.target)
    };
    let tmpfs = spec.options.tmpfs.iter().map(|(path, options)| {
        if options.is_empty() { format!("tmpfs {path}") } else { format!("tmpfs {path}:{options}") }
    });
    spec.volumes.iter().cloned().chain(spec.options.mount.iter().map(mount)).chain(tmpfs).collect()
}

/// Everything about a container that has no heading of its own.
fn options(spec: &RoleSpec) -> BTreeMap<String, String> {
    let mut all = flat(&spec.options);
    all.retain(|path, _| path != "mount" && !path.starts_with("tmpfs"));
    let logging = flat(&spec.logging).into_iter().map(|(path, value)| (format!("logging.{path}"), value));
    all.extend(logging);
    all.insert("restart".to_string(), spec.restart.to_string());
    all.insert("readiness_delay".to_string(), spec.readiness_delay.to_string());
    all.extend(spec.stop_timeout.map(|seconds| ("stop_timeout".to_string(), seconds.to_string())));
    all
}

/// The leaves of a value by their path; lists are leaves.
fn flat(value: &impl Serialize) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    collect("", &serde_json::to_value(value).unwrap_or_default(), &mut out);
    out
}

fn collect(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    let mut leaf = |text: String| _ = out.insert(path.to_string(), text);
    match value {
        Value::Null => {}
        Value::String(text) => leaf(text.clone()),
        Value::Object(map) => {
            let dot = if path.is_empty() { "" } else { "." };
            map.iter().for_each(|(key, value)| collect(&format!("{path}{dot}{key}"), value, out));
        }
        other => leaf(other.to_string()),
    }
}

fn leaves(role: &RoleName, what: What, a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<Change> {
    let paths: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let change = |path: &String| Change::of(Some(role), what, path, a.get(path).cloned(), b.get(path).cloned());
    paths.into_iter().filter_map(change).collect()
}
