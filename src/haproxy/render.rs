//! HAProxy's files. Each is a function of what it describes: the same facts give the same bytes.

use crate::effect::Backend;
use crate::haproxy::edge::{CertificateList, certificate, file_name};
use crate::haproxy::header::Header;
use crate::haproxy::layout::{EMPTY, Inside, SLOTS};
use crate::haproxy::rules::{Acl, Rule, hosts, prefixes, rules};
use crate::haproxy::words::{literal, path_word, seconds};
use crate::spec::{EdgeFile, PAGES, Route};
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
pub(super) fn frontend(
    inside: &Inside,
    digest: &str,
    backends: &[&Backend],
    certificates: Option<&CertificateList>,
) -> Result<Vec<u8>, String> {
    let (acls, rules) = rules(backends)?;
    let values = context! {
        bind => inside.bind.as_str(),
        bind_tls => inside.bind_tls.as_str(),
        certificates => certificates.map(|list| format!("{}/edge/{}", inside.dir, list.name)),
        digest,
        acls => acls.into_iter().map(acl).collect::<Vec<_>>(),
        rules => rules.into_iter().map(rule).collect::<Vec<_>>(),
    };
    fill(include_str!("../../templates/haproxy/frontend.cfg.j2"), values)
}

/// `05-metrics.cfg`.
pub(super) fn metrics(port: u16) -> Result<Vec<u8>, String> {
    fill(include_str!("../../templates/haproxy/metrics.cfg.j2"), context! { port })
}

fn acl(acl: Acl) -> Value {
    context! { name => acl.name, variable => acl.variable, match => acl.how, value => acl.value }
}

fn rule(rule: Rule) -> Value {
    context! { backend => rule.backend, acls => rule.acls }
}

/// `20-<backend>.cfg`. `dir` is where the proxy's process finds certificates and pages.
///
/// It is also written by a switch, beside a frontend and a base that an older windlass wrote: it must not refer to
/// anything in them but by what needs a new route anyway.
pub(super) fn backend(dir: &str, header: &Header) -> Result<Vec<u8>, String> {
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
        redirect => certificate(backend)?.is_some() && route.tls.as_ref().is_some_and(|tls| tls.redirect),
        max_request => route.limits.request,
        max_response => route.limits.response,
        maintenance => backend.edge.maintenance.as_ref().map(|m| page(dir, backend, &m.page)).transpose()?,
        pages => pages(dir, backend)?,
        slots => SLOTS.iter().map(slot).collect::<Vec<_>>(),
        empty => EMPTY,
    };
    fill(include_str!("../../templates/haproxy/backend.cfg.j2"), values)
}

/// The path of a page.
fn page(dir: &str, backend: &Backend, digest: &str) -> Result<String, String> {
    Ok(format!("{dir}/{}", file_name(&backend.name, &EdgeFile::page(digest))?))
}

fn pages(dir: &str, backend: &Backend) -> Result<Vec<Value>, String> {
    let one = |(status, digest): (&u16, &String)| Ok(context! { status, path => page(dir, backend, digest)? });
    backend.edge.pages.iter().filter(|(status, _)| PAGES.contains(status)).map(one).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::header::Active;

    fn demo() -> Header {
        let json = r#"{"name":"demo-web","service":"demo","role":"web","route":{"hosts":["Demo.example.com","*.demo.io"],
            "path_prefixes":["/api","/"],"strip_path_prefix":true,"app_port":3000,
            "check":{"path":"/up?x=1","interval":1,"timeout":5},"response_timeout":0,"forward_headers":false}}"#;
        let container = "3f2a9c1d0b7e".chars().chain("0".repeat(52).chars()).collect::<String>();
        let active = Active {
            container: container.parse().unwrap(),
            slot: "s2".to_string(),
            address: "172.18.0.5".to_string(),
            port: 3000,
        };
        Header::new(serde_json::from_str(json).unwrap(), Some(active))
    }

    fn text(bytes: Result<Vec<u8>, String>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn what_is_rendered_is_read_back() {
        let header = demo();
        let file = text(backend("/windlass/edge", &header));
        assert_eq!(Header::parse("20-demo-web.cfg", file.as_bytes()), Ok(header.clone()));
        assert!(Header::parse("20-other-web.cfg", file.as_bytes()).unwrap_err().contains("another file"));
    }

    /// Fleets live with these lines: a change of them is a new format or a fix, never an accident.
    #[test]
    fn the_servers_of_a_backend() {
        let file = text(backend("/windlass/edge", &demo()));
        let servers: Vec<&str> =
            file.lines().filter(|l| l.starts_with("  server s2") || l.starts_with("  server s1")).collect();
        insta::assert_snapshot!(servers.join("\n"), @r"
          server s1 windlass-proxy:1 disabled init-addr 255.255.255.255
          server s1-backup windlass-proxy:1 disabled init-addr 255.255.255.255 no-check backup
          server s2 3f2a9c1d0b7e:3000
          server s2-backup 3f2a9c1d0b7e:3000 no-check backup
        ");
        assert!(
            file.starts_with(r#"# windlass {"schema":1,"backend":{"name":"demo-web","service":"demo","role":"web""#),
            "{file}"
        );
        assert!(file.contains("timeout server 1s"), "0 would be for ever: {file}");
    }

    #[test]
    fn the_rules_of_the_frontend() {
        let file = text(frontend(&Inside::default(), "digest", &[&demo().backend], None));
        let rules: Vec<&str> = file.lines().filter(|l| l.contains("acl ") || l.contains("use_backend")).collect();
        insta::assert_snapshot!(rules.join("\n"), @r"
          acl path0:demo-web var(txn.path) -m beg '/api/'
          acl wildcard:demo-web var(txn.wildcard) -m str '*.demo.io'
          acl host:demo-web var(txn.host) -m str 'demo.example.com'
          use_backend demo-web if host:demo-web path0:demo-web
          use_backend demo-web if host:demo-web
          use_backend demo-web if wildcard:demo-web path0:demo-web
          use_backend demo-web if wildcard:demo-web
        ");
    }
}
