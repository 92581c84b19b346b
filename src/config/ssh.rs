//! `ssh`: how windlass logs in.

use super::node::Value;
use super::reader::{Field, Findings, Section};
use super::servers::{SshDefaults, is_user};
use super::types::{Ssh, VerbKind};
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

/// Reads `ssh`.
pub(super) fn resolve(root: &Section, places: Places, found: &mut Findings) -> (Ssh, SshDefaults) {
    let (mut ssh, mut defaults) = (Ssh::default(), SshDefaults { user: "root".into(), port: 22 });
    let Some(section) = root.get("ssh").and_then(|f| f.known_section("ssh", found)) else { return (ssh, defaults) };
    for (key, field) in section.entries() {
        match key {
            "user" => defaults.user = user(&field, found).unwrap_or(defaults.user),
            "port" => defaults.port = field.port(found).unwrap_or(defaults.port),
            "keys" => ssh.keys = paths(&field, places, found),
            "keys_only" => ssh.keys_only = field.boolean(found).unwrap_or(false),
            "accept_new" => ssh.accept_new = field.boolean(found).unwrap_or(false),
            "known_hosts" => ssh.known_hosts = paths(&field, places, found),
            "docker_socket" => ssh.docker_socket = socket(&field, found),
            _ => other(key, &field, found),
        }
    }
    (ssh, defaults)
}

fn user(field: &Field, found: &mut Findings) -> Option<String> {
    let user = field.string(found)?;
    if is_user(&user) {
        return Some(user);
    }
    field.wrong("should be a login name", found);
    None
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

fn other(key: &str, field: &Field, found: &mut Findings) {
    const CONNECT: &[VerbKind] = &[VerbKind::Connect];
    match key {
        "proxy" | "proxy_command" => {
            field.string(found);
            found.not_yet(field, CONNECT, "windlass does not go through a jump host yet: run it on the jump host");
        }
        "key_data" => {
            field.strings(found);
            found.not_yet(field, CONNECT, "keys from secrets are not read yet: write the key to a file and list it in `ssh: keys:`, or use an agent");
        }
        "config" => match &field.node.value {
            Value::Bool(false) => {}
            Value::Bool(true) => found.not_yet(field, &[], "windlass does not read ~/.ssh/config"),
            _ => {
                field.one_or_more(found);
                found.not_yet(
                    field,
                    CONNECT,
                    "windlass does not read SSH configuration files yet: set user, port and keys here",
                );
            }
        },
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
