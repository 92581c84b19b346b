//! `servers`: which roles there are, on which hosts, with which tags.

use super::node::Value;
use super::problem::{Problem, printable};
use super::reader::{Field, Findings, Section};
use super::types::{HostAddress, RoleHost};
use crate::name::{HostName, RoleName};
use std::collections::BTreeMap;

/// A role as written.
#[derive(Debug)]
pub(super) struct WrittenRole<'a> {
    pub(super) name: RoleName,
    /// `servers` or `servers/web`.
    pub(super) path: String,
    pub(super) hosts: Vec<RoleHost>,
    /// The role's own settings, if it is written as a mapping.
    pub(super) section: Option<Section<'a>>,
    pub(super) at: super::Place,
    /// Whether it was written as a plain list of hosts.
    pub(super) plain: bool,
}

/// Login and port of hosts that do not say otherwise.
#[derive(Debug)]
pub(super) struct SshDefaults {
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
}

/// Hosts by name while roles are read.
pub(super) type Hosts = BTreeMap<HostName, HostAddress>;

/// Reads `servers`. Roles come in the order of their names.
pub(super) fn roles<'a>(
    field: &Field<'a>,
    defaults: &SshDefaults,
    hosts: &mut Hosts,
    found: &mut Findings,
) -> Vec<WrittenRole<'a>> {
    let mut roles = Vec::new();
    match &field.node.value {
        Value::Seq(_) => {
            if let Ok(web) = "web".parse() {
                roles.push(role(web, field, defaults, hosts, found));
            }
        }
        Value::Map(_) => {
            for (name, field) in field.as_section().iter().flat_map(Section::entries) {
                match name.parse() {
                    Ok(name) => roles.push(role(name, &field, defaults, hosts, found)),
                    Err(error) => field.wrong(error.to_string(), found),
                }
            }
        }
        _ => {
            field.wrong_hint("should be an array or a hash", "write a list of hosts, or roles with their hosts", found)
        }
    }
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    roles
}

fn role<'a>(
    name: RoleName,
    field: &Field<'a>,
    defaults: &SshDefaults,
    all: &mut Hosts,
    found: &mut Findings,
) -> WrittenRole<'a> {
    let section = field.as_section();
    let written = match (&field.node.value, &section) {
        (Value::Seq(_), _) => field.items(),
        (_, Some(section)) => {
            section.only_known("servers/*", found);
            section.get("hosts").map(|h| h.list(found)).unwrap_or_default()
        }
        _ => {
            field.wrong_hint(
                "should be an array or a hash",
                "write a list of hosts, or `hosts:` with other settings",
                found,
            );
            Vec::new()
        }
    };
    let mut hosts: Vec<RoleHost> = Vec::new();
    for item in written {
        let Some((host, address)) = host(&item, defaults, found) else { continue };
        if hosts.iter().any(|h| h.name == host.name) {
            let message = format!("the host {} is listed twice in the role {name}; it counts once", host.name);
            found.notes.push(Problem::new(&item.node.at, &item.path, message).hint("remove one of them"));
            continue;
        }
        remember(&item, &host.name, address, all, found);
        hosts.push(host);
    }
    let plain = section.is_none();
    WrittenRole { name, path: field.path.clone(), hosts, section, at: field.node.at.clone(), plain }
}

/// A host is reached in one way, whichever role it is written in.
fn remember(item: &Field, name: &HostName, address: HostAddress, all: &mut Hosts, found: &mut Findings) {
    if let Some(known) = all.get(name)
        && known != &address
    {
        let message =
            format!("the host {name} is written with different logins: {} and {}", shown(known), shown(&address));
        item.wrong_hint(message, "write the same user and port in every role", found);
    }
    all.entry(name.clone()).or_insert(address);
}

/// `host`, or `host: tag`, or `host: [tags]`.
fn host(item: &Field, defaults: &SshDefaults, found: &mut Findings) -> Option<(RoleHost, HostAddress)> {
    let (text, tags) = match &item.node.value {
        Value::String(text) => (text.clone(), Vec::new()),
        Value::Map(map) if map.0.len() > 1 => {
            item.wrong_hint("multiple hosts found", "begin each host with its own `-`", found);
            return None;
        }
        Value::Map(map) => {
            let entry = map.0.first()?;
            let tags = Field { node: &entry.value, path: item.path.clone() };
            (entry.key.clone(), tags.one_or_more(found))
        }
        Value::Int(_) | Value::Float(_) => {
            item.wrong_hint("should be a string or a hash: it is a number", "put the host in quotes", found);
            return None;
        }
        _ => {
            item.wrong_hint("should be a string or a hash", format!("it is {}", item.node.kind()), found);
            return None;
        }
    };
    let (name, address) = named(&text, item, defaults, found)?;
    Some((RoleHost { name, tags }, address))
}

/// `[user@]host[:port]` as a name and the way to reach it.
pub(super) fn named(
    text: &str,
    item: &Field,
    defaults: &SshDefaults,
    found: &mut Findings,
) -> Option<(HostName, HostAddress)> {
    match parse(text) {
        Some((user, host, port)) => match host.parse::<HostName>() {
            Ok(name) => {
                let address = HostAddress {
                    address: host.to_string(),
                    port: port.or(defaults.port),
                    user: user.map(str::to_string).or_else(|| defaults.user.clone()),
                };
                return Some((name, address));
            }
            Err(error) => item.wrong(error.to_string(), found),
        },
        None => {
            let message = format!("`{}` is not a valid host: expected [user@]host[:port]", printable(text));
            item.wrong_hint(message, "an IPv6 address with a port is written [::1]:22", found);
        }
    }
    None
}

/// `user@…:port`, with the defaults for what is not written.
fn shown(address: &HostAddress) -> String {
    format!("{}@…:{}", address.user.as_deref().unwrap_or("root"), address.port.unwrap_or(22))
}

/// `[user@]host[:port]`.
pub(super) fn parse(text: &str) -> Option<(Option<&str>, &str, Option<u16>)> {
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user).filter(|u| is_user(u)).map(Some)?, rest),
        None => (None, text),
    };
    let port = |text: &str| text.parse::<u16>().ok().filter(|p| *p > 0);
    if let Some(rest) = rest.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(number) => Some((user, host, Some(port(number)?))),
            None if after.is_empty() => Some((user, host, None)),
            None => None,
        };
    }
    match rest.split_once(':') {
        Some((host, number)) if !number.contains(':') => Some((user, host, Some(port(number)?))),
        _ => Some((user, rest, None)),
    }
}

/// A login name that can stand in an address.
pub(super) fn is_user(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-+@\\".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_user_and_port() {
        assert_eq!(parse("h"), Some((None, "h", None)));
        assert_eq!(parse("deploy@h.example.com:2222"), Some((Some("deploy"), "h.example.com", Some(2222))));
        assert_eq!(parse("[fe80::1]:22"), Some((None, "fe80::1", Some(22))));
        assert_eq!(parse("fe80::1"), Some((None, "fe80::1", None)));
        for bad in ["h:0", "h:x", "@h", "[::1", "[::1]x", "-o@h"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
