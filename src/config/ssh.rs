//! `ssh`: how windlass logs in.

use super::Problem;
use super::node::Value;
use super::problem::printable;
use super::reader::{Field, Findings, Section};
use super::servers::{SshDefaults, is_user, parse};
use super::types::{HostAddress, KeySource, Ssh, SshProxy};
use crate::name::HostName;
use crate::secret::Secret;
use std::path::{Path, PathBuf};

/// Where relative paths and `~` lead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) root: &'a Path,
    pub(super) home: Option<&'a Path>,
}

impl Places<'_> {
    /// An absolute path: `~/` is the home directory, anything else is relative to the project.
    pub(super) fn absolute(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.root.join(text),
        }
    }
}

/// Reads `ssh`, and of `sshkit` what means the same here.
pub(super) fn resolve(root: &Section, places: Places, found: &mut Findings) -> (Ssh, SshDefaults) {
    let (mut ssh, mut defaults) = (Ssh::default(), SshDefaults { user: None, port: None });
    sshkit(root, &mut ssh, found);
    let Some(section) = root.get("ssh").and_then(|f| f.known_section("ssh", found)) else { return (ssh, defaults) };
    for (key, field) in section.entries() {
        match key {
            "user" => defaults.user = user(&field, found),
            "port" => defaults.port = port(&field, found),
            "keys" => ssh.keys = paths(&field, places, found),
            "key_data" => ssh.key_data = key_data(&field, found),
            "keys_only" => ssh.keys_only = field.boolean(found),
            "accept_new" => ssh.accept_new = field.boolean(found),
            "known_hosts" => ssh.known_hosts = paths(&field, places, found),
            "docker_socket" => ssh.docker_socket = socket(&field, found),
            "config" => ssh.config = config_files(&field, places, found),
            "max_concurrent_starts" => ssh.max_concurrent_starts = starts(&field, found),
            _ => without_effect(key, &field, found),
        }
    }
    ssh.proxy = proxy(&section, found);
    (ssh, defaults)
}

/// Kamal's `sshkit`: how many connections are begun at a time, and how stubbornly names are resolved.
fn sshkit(root: &Section, ssh: &mut Ssh, found: &mut Findings) {
    let Some(section) = root.get("sshkit").and_then(|f| f.known_section("sshkit", found)) else { return };
    for (key, field) in section.entries() {
        match key {
            "max_concurrent_starts" => ssh.max_concurrent_starts = starts(&field, found),
            "dns_retries" => ssh.dns_retries = small(&field, 0, 100, found).unwrap_or(ssh.dns_retries),
            _ => {
                field.integer(0, i64::from(u32::MAX), found);
                found.not_yet(&field, &[], "windlass keeps its connection to each host for the whole run");
            }
        }
    }
}

fn starts(field: &Field, found: &mut Findings) -> usize {
    small(field, 1, 10_000, found).unwrap_or(Ssh::default().max_concurrent_starts)
}

fn small(field: &Field, low: i64, high: i64, found: &mut Findings) -> Option<usize> {
    field.integer(low, high, found).and_then(|n| usize::try_from(n).ok())
}

fn user(field: &Field, found: &mut Findings) -> Option<String> {
    let user = field.string(found)?;
    if is_user(&user) {
        return Some(user);
    }
    field.wrong("should be a login name", found);
    None
}

/// A port, which may stand in quotes here (and only here: Kamal checks it as a string).
fn port(field: &Field, found: &mut Findings) -> Option<u16> {
    match &field.node.value {
        Value::String(text) if text.parse::<u16>().is_ok_and(|port| port > 0) => text.parse().ok(),
        _ => field.port(found),
    }
}

fn paths(field: &Field, places: Places, found: &mut Findings) -> Vec<PathBuf> {
    field.one_or_more(found).iter().map(|text| places.absolute(text)).collect()
}

fn socket(field: &Field, found: &mut Findings) -> Option<String> {
    let text = field.string(found)?;
    let path = text.strip_prefix("unix://").unwrap_or(&text);
    if path.starts_with('/') {
        return Some(path.to_string());
    }
    field.wrong_hint("should be the absolute path of a socket", "such as /run/user/1000/docker.sock", found);
    None
}

/// `true` is the usual files, `false` none; else a path or several.
fn config_files(field: &Field, places: Places, found: &mut Findings) -> Option<Vec<PathBuf>> {
    match &field.node.value {
        Value::Bool(true) => None,
        Value::Bool(false) => Some(Vec::new()),
        _ => Some(paths(field, places, found)),
    }
}

/// Names of secrets. Kamal also takes the keys themselves, and warns.
fn key_data(field: &Field, found: &mut Findings) -> Vec<KeySource> {
    let mut sources = Vec::new();
    for text in field.strings(found) {
        if text.contains("PRIVATE KEY-----") {
            let message = "holds a private key: everybody who can read this file can use it";
            let note = Problem::new(&field.node.at, &field.path, message);
            found.notes.push(note.hint("put the key into a secret and write the secret's name here"));
            sources.push(KeySource::Inline(Secret::new(text)));
        } else {
            sources.extend(field.secret_name(&text, found).map(KeySource::Secret));
        }
    }
    sources
}

/// As in Kamal, `proxy` goes before `proxy_command`.
fn proxy(section: &Section, found: &mut Findings) -> Option<SshProxy> {
    let command = section.get("proxy_command").and_then(|field| proxy_command(&field, found));
    match section.get("proxy") {
        Some(field) => jump_hosts(&field, found).map(SshProxy::Jump),
        None => command.map(SshProxy::Command),
    }
}

fn jump_hosts(field: &Field, found: &mut Findings) -> Option<Vec<HostAddress>> {
    let text = field.string(found)?;
    let hops: Option<Vec<_>> = text.split(',').map(|hop| jump_host(hop.trim())).collect();
    if hops.is_none() {
        let message = format!("`{}` is not a jump host: expected [user@]host[:port]", printable(&text));
        field.wrong_hint(message, "several are written with commas, in the order in which they are passed", found);
    }
    hops
}

fn jump_host(text: &str) -> Option<HostAddress> {
    let (user, host, port) = parse(text)?;
    let name: HostName = host.parse().ok()?;
    Some(HostAddress { address: name.to_string(), port, user: user.map(str::to_string) })
}

fn proxy_command(field: &Field, found: &mut Findings) -> Option<String> {
    let text = field.string(found)?;
    let mut tokens = text.split('%').skip(1).peekable();
    while let Some(token) = tokens.next() {
        match token.chars().next() {
            Some('h' | 'p' | 'r' | 'n') => {}
            // `%%`: what follows the second sign is text.
            None if tokens.next().is_some() => {}
            other => {
                let shown = other.map(String::from).unwrap_or_default();
                field.wrong_hint(
                    format!("has an unknown token %{shown}"),
                    "%h, %p, %r, %n, or %% for a percent sign",
                    found,
                );
                return None;
            }
        }
    }
    Some(text)
}

fn without_effect(key: &str, field: &Field, found: &mut Findings) {
    match key {
        "forward_agent" => {
            field.boolean(found);
            found.not_yet(field, &[], "windlass runs nothing on a host that needs the agent: it is not forwarded");
        }
        "log_level" => {
            field.string(found);
            found.not_yet(field, &[], "use -v to see more");
        }
        _ => {}
    }
}
