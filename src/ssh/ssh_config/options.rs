//! What the lines that count come to, with every token replaced.

use super::jump::{self, Jump};
use super::lines::Line;
use super::reader::Found;
use super::tokens::{self, Tokens};
use super::{Asked, SshConfig, SshConfigError};
use std::path::PathBuf;
use std::time::Duration;

/// What the configuration says about one host. None and empty: it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// `HostName`: what the resolver or the network is asked for.
    pub host_name: Option<String>,
    /// `User`.
    pub user: Option<String>,
    /// `Port`.
    pub port: Option<u16>,
    /// `IdentityFile`, each once.
    pub identities: Vec<PathBuf>,
    /// `CertificateFile`, each once.
    pub certificates: Vec<PathBuf>,
    /// `IdentitiesOnly`.
    pub identities_only: Option<bool>,
    /// `IdentityAgent`.
    pub agent: Option<AgentChoice>,
    /// `ProxyJump` or `ProxyCommand`, whichever came first.
    pub proxy: Option<Proxy>,
    /// `UserKnownHostsFile`; empty for `none`.
    pub user_known_hosts: Option<Vec<PathBuf>>,
    /// `GlobalKnownHostsFile`; empty for `none`.
    pub global_known_hosts: Option<Vec<PathBuf>>,
    /// `HostKeyAlias`: the name to look for in known_hosts.
    pub host_key_alias: Option<String>,
    /// `StrictHostKeyChecking`: whether an unknown key is enrolled.
    pub accept_new: Option<bool>,
    /// `ConnectTimeout`.
    pub connect_timeout: Option<Duration>,
    /// Lines that could not be honoured, each with its place.
    pub notes: Vec<String>,
}

/// `IdentityAgent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentChoice {
    /// `none`.
    None,
    /// `SSH_AUTH_SOCK`.
    Environment,
    /// A socket.
    Socket(PathBuf),
}

/// How the connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// `none`: straight.
    None,
    /// Through these hosts, in this order.
    Jump(Vec<Jump>),
    /// Through a command's standard input and output; for `sh -c`.
    Command(String),
}

pub(super) fn settle(config: &SshConfig, asked: Asked, found: Found) -> Result<HostOptions, SshConfigError> {
    let host_name = found.get("hostname").map(|line| tokens::host_name(line, asked.host)).transpose()?;
    let user = found.get("user").and_then(first);
    let port = found.get("port").map(port).transpose()?;
    let alias = found.get("hostkeyalias").and_then(first);
    let tokens = Tokens {
        host: host_name.as_deref().unwrap_or(asked.host),
        original: asked.host,
        port: asked.port.or(port).unwrap_or(22),
        user: asked.user.or(user.as_deref()).unwrap_or(asked.default_user),
        local_user: &config.local_user,
        home: &config.home,
        alias: alias.as_deref(),
    };
    let paths = |line: &Line| -> Result<Vec<PathBuf>, SshConfigError> {
        line.args.iter().filter(|a| !a.eq_ignore_ascii_case("none")).map(|a| tokens.path(a, line)).collect()
    };
    let all_paths = |keyword: &str| -> Result<Vec<PathBuf>, SshConfigError> {
        let mut each_once = Vec::new();
        for path in found.all(keyword).iter().map(paths).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            if !each_once.contains(&path) {
                each_once.push(path);
            }
        }
        Ok(each_once)
    };
    let mut notes = found.notes.clone();
    Ok(HostOptions {
        identities: all_paths("identityfile")?,
        certificates: all_paths("certificatefile")?,
        identities_only: found.get("identitiesonly").map(yes_or_no).transpose()?,
        agent: found.get("identityagent").map(|line| agent(line, &tokens)).transpose()?,
        proxy: found.get("proxy").map(|line| proxy(line, &tokens)).transpose()?,
        user_known_hosts: found.get("userknownhostsfile").map(paths).transpose()?,
        global_known_hosts: found.get("globalknownhostsfile").map(paths).transpose()?,
        accept_new: found.get("stricthostkeychecking").map(|line| strict(line, &mut notes)).transpose()?,
        connect_timeout: found.get("connecttimeout").map(timeout).transpose()?.flatten(),
        host_name,
        user,
        port,
        host_key_alias: alias,
        notes,
    })
}

fn first(line: &Line) -> Option<String> {
    line.args.first().cloned()
}

fn value(line: &Line) -> String {
    line.args.first().map(|a| a.to_ascii_lowercase()).unwrap_or_default()
}

fn port(line: &Line) -> Result<u16, SshConfigError> {
    let text = value(line);
    text.parse().ok().filter(|p| *p > 0).ok_or_else(|| line.place.error(format!("Port {text}: expected 1 to 65535")))
}

fn yes_or_no(line: &Line) -> Result<bool, SshConfigError> {
    match value(line).as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        other => Err(line.place.error(format!("`{other}`: expected yes or no"))),
    }
}

fn strict(line: &Line, notes: &mut Vec<String>) -> Result<bool, SshConfigError> {
    match value(line).as_str() {
        "yes" | "true" | "ask" => Ok(false),
        "accept-new" => Ok(true),
        "no" | "off" | "false" => {
            notes.push(format!("{}: windlass enrols an unknown host key, but refuses a changed one", line.place));
            Ok(true)
        }
        other => Err(line.place.error(format!("StrictHostKeyChecking {other}: expected yes, ask, accept-new or no"))),
    }
}

/// Seconds, or as sshd writes times (`1m30s`).
fn timeout(line: &Line) -> Result<Option<Duration>, SshConfigError> {
    let text = value(line);
    if matches!(text.as_str(), "none" | "0") {
        return Ok(None);
    }
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds
        .or_else(|| humantime::parse_duration(&text).ok())
        .map(Some)
        .ok_or_else(|| line.place.error(format!("ConnectTimeout {text}: expected seconds")))
}

fn agent(line: &Line, tokens: &Tokens) -> Result<AgentChoice, SshConfigError> {
    let text = line.args.first().map_or("", String::as_str);
    match text {
        "none" => Ok(AgentChoice::None),
        "SSH_AUTH_SOCK" => Ok(AgentChoice::Environment),
        _ => match text.strip_prefix('$').filter(|name| !name.starts_with('{')) {
            Some(name) => tokens.path(&format!("${{{name}}}"), line).map(AgentChoice::Socket),
            None => tokens.path(text, line).map(AgentChoice::Socket),
        },
    }
}

fn proxy(line: &Line, tokens: &Tokens) -> Result<Proxy, SshConfigError> {
    if value(line) == "none" {
        return Ok(Proxy::None);
    }
    if line.keyword == "proxycommand" {
        return tokens.expand(&line.rest, line).map(Proxy::Command);
    }
    let text = tokens.expand(&line.args.concat(), line)?;
    jump::parse(&text).map(Proxy::Jump).map_err(|message| line.place.error(message))
}
