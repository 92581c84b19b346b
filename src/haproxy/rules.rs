//! Which backend a request belongs to: the rules of the one frontend, made from the routes of all backends.
//!
//! An exact host name goes before a wildcard (`*.example.com`, exactly one label), a wildcard before every host name;
//! then the longest path prefix wins. HAProxy takes the first rule that matches.

use crate::effect::Backend;
use crate::haproxy::words::{host_word, path_word};
use crate::spec::Route;
use std::collections::{BTreeMap, BTreeSet};

/// A line `acl <name> var(<variable>) -m <match> '<value>'`. Lines of the same name are alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acl {
    pub(super) name: String,
    pub(super) variable: &'static str,
    pub(super) how: &'static str,
    pub(super) value: String,
}

/// A line `use_backend <backend> if <acls>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) backend: String,
    pub(super) acls: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Exact,
    Wildcard,
    Any,
}

impl Specificity {
    fn of(host: Option<&str>) -> Self {
        match host {
            None => Self::Any,
            Some(h) if h.starts_with("*.") => Self::Wildcard,
            Some(_) => Self::Exact,
        }
    }

    fn acl(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Exact => Some(("host", "txn.host")),
            Self::Wildcard => Some(("wildcard", "txn.wildcard")),
            Self::Any => None,
        }
    }
}

/// The route's host names, each once, in lower case and without a trailing dot; `None` alone stands for every name.
pub(super) fn hosts(route: &Route) -> Result<BTreeSet<Option<String>>, String> {
    if route.hosts.is_empty() {
        return Ok([None].into());
    }
    route.hosts.iter().map(|h| host_word(h).map(Some)).collect()
}

/// The route's path prefixes, each once and without a trailing slash, longest first; everything is the empty one.
pub(super) fn prefixes(route: &Route) -> Result<Vec<String>, String> {
    let mut prefixes: Vec<String> =
        route.path_prefixes.iter().map(|p| path_word(p, false)).collect::<Result<_, _>>()?;
    prefixes.iter_mut().for_each(|p| p.truncate(p.trim_end_matches('/').len()));
    if prefixes.is_empty() {
        prefixes.push(String::new());
    }
    prefixes.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    prefixes.dedup();
    Ok(prefixes)
}

/// The frontend's lines for these backends. The error says which two claim the same requests, or what is not a host
/// name or path.
pub(super) fn rules(backends: &[&Backend]) -> Result<(Vec<Acl>, Vec<Rule>), String> {
    let mut claims: BTreeMap<(Option<String>, String), &Backend> = BTreeMap::new();
    let mut acls = Vec::new();
    let mut ordered = Vec::new();
    for backend in backends {
        let hosts = hosts(&backend.route)?;
        for (number, prefix) in prefixes(&backend.route)?.iter().enumerate() {
            for host in &hosts {
                if let Some(other) = claims.insert((host.clone(), prefix.clone()), backend) {
                    return Err(conflict(backend, other, host.as_deref(), prefix));
                }
            }
            let path = (!prefix.is_empty()).then(|| format!("path{number}:{}", backend.name));
            if let Some(name) = &path {
                acls.push(Acl { name: name.clone(), variable: "txn.path", how: "beg", value: format!("{prefix}/") });
            }
            let kinds: BTreeSet<_> = hosts.iter().map(|h| Specificity::of(h.as_deref())).collect();
            for kind in kinds {
                let host = kind.acl().map(|(word, _)| format!("{word}:{}", backend.name));
                let rule =
                    Rule { backend: backend.name.to_string(), acls: host.into_iter().chain(path.clone()).collect() };
                ordered.push((kind, usize::MAX - prefix.len(), rule));
            }
        }
        acls.extend(hosts.iter().filter_map(|h| host_acl(backend, h.as_deref())));
    }
    ordered.sort_by(|a, b| (a.0, a.1, &a.2.backend).cmp(&(b.0, b.1, &b.2.backend)));
    Ok((acls, ordered.into_iter().map(|(_, _, rule)| rule).collect()))
}

fn host_acl(backend: &Backend, host: Option<&str>) -> Option<Acl> {
    let (word, variable) = Specificity::of(host).acl()?;
    Some(Acl { name: format!("{word}:{}", backend.name), variable, how: "str", value: host?.to_string() })
}

fn conflict(one: &Backend, other: &Backend, host: Option<&str>, prefix: &str) -> String {
    let host = host.unwrap_or("every host name");
    let path = if prefix.is_empty() { "/" } else { prefix };
    format!(
        "{host} with path {path} is claimed by {} and already belongs to {} (service {}, role {}): give one of them \
         another `proxy.host` or `proxy.path_prefix`, or remove the other",
        one.name, other.name, other.service, other.role
    )
}
