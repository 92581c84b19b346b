//! `accessories`: checked in full, not booted yet. A running accessory is never touched by `deploy`, in Kamal too.

use super::flags;
use super::node::Value;
use super::reader::{Field, Findings, Section};
use super::servers::{Hosts, SshDefaults, WrittenRole, named};
use super::types::VerbKind;
use super::{Problem, env, proxy, registry};
use crate::name::HostName;

/// An accessory as far as others have to know about it.
#[derive(Debug)]
pub(super) struct Accessory<'a> {
    pub(super) hosts: Vec<HostName>,
    /// Its `proxy: run:`.
    pub(super) run: Option<Field<'a>>,
}

const PLACEMENT: [&str; 6] = ["host", "hosts", "role", "roles", "tag", "tags"];

/// Reads `accessories`.
pub(super) fn resolve<'a>(
    root: &Section<'a>,
    roles: &[WrittenRole],
    defaults: &SshDefaults,
    found: &mut Findings,
) -> Vec<Accessory<'a>> {
    let Some(field) = root.get("accessories") else { return Vec::new() };
    let Some(section) = field.section(found) else { return Vec::new() };
    if !section.map.0.is_empty() {
        let reason = "accessories are not booted by windlass yet: boot them with `kamal accessory boot all`";
        found.not_yet(&field, &[VerbKind::Setup], reason);
    }
    section.entries().filter_map(|(name, field)| accessory(name, &field, roles, defaults, found)).collect()
}

fn accessory<'a>(
    name: &str,
    field: &Field<'a>,
    roles: &[WrittenRole],
    defaults: &SshDefaults,
    found: &mut Findings,
) -> Option<Accessory<'a>> {
    let section = field.known_section("accessories/*", found)?;
    // What the fields come to is of no use yet; reading them finds what is wrong with them.
    let mut unused = Findings::default();
    for key in ["image", "service", "cmd", "port", "network"] {
        section.get(key).map(|f| f.string(&mut unused));
    }
    if section.get("image").is_none() {
        let hint = "add `image:` with the accessory's image";
        section.wrong("Missing required configuration for image", hint, &mut unused);
    }
    section.get("env").map(|f| env::inner(&f, &mut unused));
    section.get("options").map(|f| flags::resolve(&f, &format!("accessory {name}"), &mut unused));
    section.get("registry").map(|f| registry::section(&f, &mut unused));
    for (key, _, label) in section.get("labels").map(|f| f.string_map(&mut unused)).unwrap_or_default() {
        super::labels::not_reserved(key, &label, &mut unused);
    }
    for key in ["volumes", "files", "directories"] {
        for item in section.get(key).map(|f| f.list(&mut unused)).unwrap_or_default() {
            paths(key, &item, &mut unused);
        }
    }
    let proxy = section.get("proxy").filter(|f| f.node.value != Value::Bool(false));
    let proxy = proxy.and_then(|f| f.section(&mut unused)).filter(|p| !p.map.0.is_empty());
    proxy.iter().for_each(|p| drop(proxy::resolve(p, &mut unused)));
    found.problems.append(&mut unused.problems);
    found.notes.append(&mut unused.notes);
    Some(Accessory { hosts: hosts(&section, roles, defaults, found), run: proxy.and_then(|p| p.get("run")) })
}

/// A volume is a text; a file or directory may also be a mapping.
fn paths(key: &str, item: &Field, found: &mut Findings) {
    match item.node.value {
        Value::Map(_) if key != "volumes" => {
            if let Some(section) = item.known_section("accessories/*/files/*", found) {
                section.entries().for_each(|(_, f)| drop(f.string(found)));
            }
        }
        _ => drop(item.string(found)),
    }
}

fn hosts(section: &Section, roles: &[WrittenRole], defaults: &SshDefaults, found: &mut Findings) -> Vec<HostName> {
    let written: Vec<_> = PLACEMENT.iter().filter_map(|key| Some((*key, section.get(key)?))).collect();
    let [(key, field)] = written.as_slice() else {
        let message = "specify one of `host`, `hosts`, `role`, `roles`, `tag` or `tags`";
        section.wrong(message, "say where the accessory runs, in one way", found);
        return Vec::new();
    };
    let texts = field.one_or_more(found);
    match *key {
        "host" | "hosts" => {
            let mut elsewhere = Hosts::new();
            for text in texts {
                elsewhere.extend(named(&text, field, defaults, found));
            }
            elsewhere.into_keys().collect()
        }
        "role" | "roles" => {
            let unknown: Vec<_> = texts.iter().filter(|t| !roles.iter().any(|r| r.name.as_str() == *t)).collect();
            if !unknown.is_empty() {
                let names = unknown.iter().map(|t| super::problem::printable(t)).collect::<Vec<_>>().join(", ");
                let plural = if unknown.len() == 1 { "" } else { "s" };
                let known = roles.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(", ");
                let problem = Problem::new(&field.node.at, &section.path, format!("unknown role{plural} {names}"));
                found.problems.push(problem.hint(format!("roles: {known}")));
            }
            let of = |r: &&WrittenRole| texts.iter().any(|t| t == r.name.as_str());
            roles.iter().filter(of).flat_map(|r| r.hosts.iter().map(|h| h.name.clone())).collect()
        }
        _ => {
            let hosts = roles.iter().filter(|r| r.plain).flat_map(|r| &r.hosts);
            hosts.filter(|h| h.tags.iter().any(|t| texts.contains(t))).map(|h| h.name.clone()).collect()
        }
    }
}
