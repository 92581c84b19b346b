//! HAProxy's files. Each is a function of what it describes: the same facts give the same bytes.

use crate::effect::Backend;
use crate::haproxy::header::Header;
use crate::haproxy::layout::{EMPTY, Inside, SLOTS};
use crate::haproxy::rules::{Acl, Rule, hosts, prefixes, rules};
use crate::haproxy::words::{literal, path_word, seconds};
use crate::spec::Route;
use minijinja::{Environment, Value, context};

fn fill(template: &str, values: Value) -> Result<Vec<u8>, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    let text = environment.render_str(template, values).map_err(|e| format!("a template is broken: {e:#}"))?;
    Ok((text.trim_end().to_string() + "\n").into_bytes())
}

/// `00-base.cfg`.
pub(super) fn base(inside: &Inside) -> Result<Vec<u8>, String> {
    let values = context! { dir => inside.dir.as_str(), nameserver => inside.nameserver.as_str() };
    fill(include_str!("../../templates/haproxy/base.cfg.j2"), values)
}

/// `10-frontend.cfg`.
pub(super) fn frontend(inside: &Inside, digest: &str, backends: &[&Backend]) -> Result<Vec<u8>, String> {
    let (acls, rules) = rules(backends)?;
    let values = context! {
        bind => inside.bind.as_str(),
        digest,
        acls => acls.into_iter().map(acl).collect::<Vec<_>>(),
        rules => rules.into_iter().map(rule).collect::<Vec<_>>(),
    };
    fill(include_str!("../../templates/haproxy/frontend.cfg.j2"), values)
}

fn acl(acl: Acl) -> Value {
    context! { name => acl.name, variable => acl.variable, match => acl.how, value => acl.value }
}

fn rule(rule: Rule) -> Value {
    context! { backend => rule.backend, acls => rule.acls }
}

/// `20-<backend>.cfg`.
pub(super) fn backend(header: &Header) -> Result<Vec<u8>, String> {
    let Header { backend, active, .. } = header;
    let route = &backend.route;
    let slot = |name: &&str| {
        let active = active.as_ref().filter(|a| a.slot == *name);
        context! { name => *name, host => active.map(|a| a.container.short()), port => active.map(|a| a.port) }
    };
    let values = context! {
        header => header.line()?,
        name => backend.name.as_str(),
        check_path => path_word(&route.check.path, true)?,
        check_host => check_host(route)?,
        check_interval => seconds(route.check.interval),
        check_timeout => seconds(route.check.timeout),
        response_timeout => seconds(route.response_timeout),
        forward_headers => route.forward_headers,
        strip => strip(route)?,
        slots => SLOTS.iter().map(slot).collect::<Vec<_>>(),
        empty => EMPTY,
    };
    fill(include_str!("../../templates/haproxy/backend.cfg.j2"), values)
}

/// The name that health checks ask for: the first exact one, since frameworks refuse names that they do not know.
fn check_host(route: &Route) -> Result<String, String> {
    let exact = hosts(route)?.into_iter().flatten().find(|h| !h.starts_with("*."));
    Ok(exact.unwrap_or_else(|| "localhost".to_string()))
}

/// What is cut off a path: any of the prefixes, the longest first. Its third group is the rest.
fn strip(route: &Route) -> Result<Option<String>, String> {
    let prefixes: Vec<_> = prefixes(route)?.into_iter().filter(|p| !p.is_empty()).map(|p| literal(&p)).collect();
    let wanted = route.strip_path_prefix && !prefixes.is_empty();
    Ok(wanted.then(|| format!("^({})(/(.*))?$", prefixes.join("|"))))
}
