//! The merged tree to a [`Config`]: each section is read by its own module, this one brings them together.

use super::accessories::{self, Accessory};
use super::node::Map;
use super::problem::{Place, Problem, Problems};
use super::reader::{Findings, Section};
use super::servers::{self, WrittenRole};
use super::ssh::Places;
use super::types::{Config, Role};
use super::{aliases, docs, passive, proxy_rules, registry, role, secrets, settings, ssh};
use crate::name::{Destination, HostName, RoleName, ServiceName};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a tree is resolved against.
pub(super) struct Setting<'a> {
    /// The project's directory.
    pub(super) root: &'a Path,
    /// The user's home directory.
    pub(super) home: Option<&'a Path>,
    /// `-d`.
    pub(super) destination: Option<&'a Destination>,
}

/// Resolves a tree, or says everything that is wrong with it. `notes` are the warnings so far.
pub(super) fn resolve(tree: &Map, at: &Place, setting: &Setting, notes: Vec<Problem>) -> Result<Config, Problems> {
    let root = Section { map: tree, at: at.clone(), path: String::new() };
    let mut found = Findings { notes, ..Findings::default() };
    let config = config(&root, setting, &mut found);
    let mut seen = BTreeSet::new();
    found.problems.retain(|p| seen.insert((p.place.clone(), p.message.clone())));
    match config {
        Some(config) if found.problems.is_empty() => Ok(finish(config, found)),
        _ => {
            found.problems.sort_by(|a, b| (&a.place.file, a.place.line).cmp(&(&b.place.file, b.place.line)));
            Err(Problems(found.problems))
        }
    }
}

fn finish(mut config: Config, found: Findings) -> Config {
    let mut seen = BTreeSet::new();
    config.not_acted_on = found.not_acted_on;
    config.not_acted_on.retain(|n| seen.insert((n.location.clone(), n.reason.clone())));
    let mut notes: Vec<String> = found
        .notes
        .iter()
        .map(|n| n.to_string().replace("\n  ", " (") + if n.hint.is_some() { ")" } else { "" })
        .collect();
    notes.dedup();
    config.notes = notes;
    config
}

fn config(root: &Section, setting: &Setting, found: &mut Findings) -> Option<Config> {
    only_known(root, found);
    let places = Places { root: setting.root, home: setting.home };
    let service = service(root, found);
    let (ssh, defaults) = ssh::resolve(root, places, found);
    let registry = registry::resolve(root, found);
    let repository = registry::repository(root, &registry, found);
    let mut hosts = servers::Hosts::new();
    let written = match root.get("servers") {
        Some(field) => servers::roles(&field, &defaults, &mut hosts, found),
        None => Vec::new(),
    };
    let has_servers = root.get("servers").is_some();
    if !has_servers && root.get("accessories").is_none() {
        root.wrong("No servers or accessories specified", "add `servers:` with a list of hosts", found);
    }
    let primary_role = primary(root, &written, has_servers, found);
    let accessories = accessories::resolve(root, &written, &defaults, found);
    let shared = role::Shared::read(root, found);
    let resolved: Vec<_> = written
        .iter()
        .map(|w| role::resolve(w, Some(&w.name) == primary_role.as_ref(), root, &shared, found))
        .collect();
    let proxy = proxy_rules::check(&written, &resolved, &accessories, found);
    local_keys(root, &resolved, found);
    settings::switch(root, "require_destination", found);
    passive::check(root, found);
    let retain = settings::retain(root, found);
    let role_retain = settings::role_retain(&written, &retain, found);
    let aliases = aliases::resolve(root, found);
    let mut roles: Vec<Role> =
        written.into_iter().zip(resolved).map(|(w, r)| Role { name: w.name, hosts: w.hosts, spec: r.spec }).collect();
    roles.sort_by_key(|r| Some(&r.name) != primary_role.as_ref());
    let seconds = |key, low, default, found: &mut Findings| {
        Duration::from_secs(settings::seconds(root, key, low, default, found).into())
    };
    let secrets_path = root.get("secrets_path").and_then(|f| f.string(found)).map(PathBuf::from);
    let destination = setting.destination.map(Destination::as_str);
    Some(Config {
        destination: setting.destination.cloned(),
        registry,
        accessory_hosts: accessory_hosts(&accessories),
        hosts,
        ssh,
        proxy,
        boot: settings::boot(root, found),
        retain,
        role_retain,
        deploy_timeout: seconds("deploy_timeout", 1, 30, found),
        drain_timeout: seconds("drain_timeout", 0, 30, found),
        error_pages: root.get("error_pages_path").and_then(|f| f.string(found)).map(|path| setting.root.join(path)),
        hooks_path: hooks_path(root, setting.root, found),
        secrets_files: secrets::files(setting.root, secrets_path.as_deref(), destination),
        variables: Default::default(),
        aliases,
        not_acted_on: Vec::new(),
        notes: Vec::new(),
        service: service?,
        repository: repository?,
        primary_role: primary_role?,
        roles,
    })
}

/// The root allows `x-…` besides the keys of the documentation.
fn only_known(root: &Section, found: &mut Findings) {
    let plain = Map(root.map.0.iter().filter(|e| !e.key.starts_with("x-")).cloned().collect());
    Section { map: &plain, at: root.at.clone(), path: String::new() }.only_known("", found);
    debug_assert!(!docs::keys("").is_empty());
}

fn service(root: &Section, found: &mut Findings) -> Option<ServiceName> {
    let Some(field) = root.get("service") else {
        root.wrong("Missing required configuration for service", "add `service:` with the application's name", found);
        return None;
    };
    let text = match &field.node.value {
        super::node::Value::Int(_) | super::node::Value::Float(_) => None,
        _ => Some(field.string(found)?),
    };
    match text.as_deref().map(str::parse) {
        Some(Ok(service)) => Some(service),
        _ => {
            let message = "Service name can only include alphanumeric characters, hyphens, and underscores";
            field.wrong_hint(message, "write a text such as my-app", found);
            None
        }
    }
}

/// The primary role exists and has hosts; the others have hosts, unless they may be empty.
fn primary(root: &Section, roles: &[WrittenRole], has_servers: bool, found: &mut Findings) -> Option<RoleName> {
    let field = root.get("primary_role");
    let text = field.as_ref().and_then(|f| f.string(found)).unwrap_or_else(|| "web".to_string());
    let allow_empty = settings::switch(root, "allow_empty_roles", found);
    let at =
        field.map_or_else(|| root.get("servers").map_or(root.at.clone(), |f| f.node.at.clone()), |f| f.node.at.clone());
    let name = match text.parse::<RoleName>() {
        Ok(name) => name,
        Err(error) => {
            found.problems.push(Problem::new(&at, "primary_role", error.to_string()));
            return None;
        }
    };
    if !has_servers {
        return Some(name);
    }
    match roles.iter().find(|r| r.name == name) {
        None if roles.is_empty() && !found.problems.is_empty() => {}
        None => {
            let names = roles.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(", ");
            let problem = Problem::new(&at, "", format!("The primary_role {name} isn't defined"));
            found.problems.push(problem.hint(format!("set `primary_role:` to one of: {names}")));
        }
        Some(role) if role.hosts.is_empty() => {
            let problem = Problem::new(&role.at, "", format!("No servers specified for the {name} primary_role"));
            found.problems.push(problem.hint("list at least one host"));
        }
        Some(_) => {}
    }
    for role in roles.iter().filter(|r| r.name != name && r.hosts.is_empty() && !allow_empty) {
        let message = format!(
            "No servers specified for the {} role. You can ignore this with allow_empty_roles: true",
            role.name
        );
        found.problems.push(Problem::new(&role.at, "", message).hint("list its hosts, or remove it"));
    }
    Some(name)
}

fn accessory_hosts(accessories: &[Accessory]) -> Vec<HostName> {
    let mut hosts = Vec::new();
    for host in accessories.iter().flat_map(|a| &a.hosts) {
        if !hosts.contains(host) {
            hosts.push(host.clone());
        }
    }
    hosts
}

/// Keys about local files that change what users see.
fn local_keys(root: &Section, roles: &[role::Resolved], found: &mut Findings) {
    let proxied = roles.iter().any(|r| r.spec.route.is_some());
    if let Some(field) = root.get("error_pages_path").filter(|_| !proxied) {
        found.not_yet(&field, &[], "no role has a proxy that would show them");
    }
}

/// `hooks_path`, else `.windlass/hooks` if it exists, else `.kamal/hooks`.
fn hooks_path(root: &Section, project: &Path, found: &mut Findings) -> PathBuf {
    let written = root.get("hooks_path").and_then(|f| f.string(found));
    let own = Path::new(".windlass/hooks");
    let path = match written {
        Some(text) => project.join(text),
        None if project.join(own).is_dir() => project.join(own),
        None => project.join(".kamal/hooks"),
    };
    for (old, new) in [("pre-traefik-reboot", "pre-proxy-reboot"), ("post-traefik-reboot", "post-proxy-reboot")] {
        if path.join(old).exists() {
            let message = format!("Found {old}, these should be renamed to (pre|post)-proxy-reboot");
            let at = Place::file(&path.join(old).display().to_string());
            found.problems.push(Problem::new(&at, "", message).hint(format!("rename it to {new}")));
        }
    }
    path
}
