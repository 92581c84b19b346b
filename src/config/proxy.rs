//! `proxy`: how requests reach a role.

use super::node::Value;
use super::proxy_run;
use super::reader::{Field, Findings, Section};
use super::types::VerbKind;
use crate::spec::{BodyLimits, HttpCheck, Route, Tls};

/// The verbs that a difference in routing matters to.
const ROUTING: &[VerbKind] = &[VerbKind::Setup, VerbKind::Deploy, VerbKind::Rollback];

/// A proxied role's proxy settings.
#[derive(Debug)]
pub(super) struct Proxied {
    pub(super) route: Route,
    /// Whether certificates are wanted, and whether they are the user's own.
    pub(super) ssl: Ssl,
}

/// What `ssl` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ssl {
    Off,
    Automatic,
    OwnCertificate,
}

/// Reads and checks a `proxy` section.
pub(super) fn resolve(section: &Section, found: &mut Findings) -> Proxied {
    section.only_known("proxy", found);
    let ssl = ssl(section, found);
    let hosts = hosts(section, found);
    if matches!(ssl, Written::Automatic) && hosts.is_empty() {
        section.wrong("Must set a host to enable automatic SSL", "add `host:` to this `proxy`", found);
    }
    passive(section, found);
    if let Some(run) = section.get("run") {
        proxy_run::run_settings(&run, found);
    }
    let flag = |key: &str, default: bool, found: &mut Findings| {
        section.get(key).map_or(Some(default), |f| f.boolean(found)).unwrap_or(default)
    };
    let redirect = flag("ssl_redirect", true, found);
    let (ssl, tls) = match ssl {
        Written::Off => (Ssl::Off, None),
        Written::Automatic => (Ssl::Automatic, None),
        Written::Own(pair) => (
            Ssl::OwnCertificate,
            pair.map(|(certificate_pem, private_key_pem)| Tls { certificate_pem, private_key_pem, redirect }),
        ),
    };
    let route = Route {
        hosts,
        path_prefixes: path_prefixes(section, found),
        strip_path_prefix: flag("strip_path_prefix", true, found),
        app_port: section.get("app_port").and_then(|f| f.port(found)).unwrap_or(80),
        check: section.get("healthcheck").map(|f| check(&f, found)).unwrap_or_default(),
        response_timeout: section.get("response_timeout").and_then(|f| f.seconds(1, found)).unwrap_or(30),
        forward_headers: flag("forward_headers", ssl == Ssl::Off, found),
        tls,
        limits: limits(section, found),
    };
    Proxied { route, ssl }
}

/// `ssl` as it is written.
enum Written {
    Off,
    Automatic,
    /// The names of the secrets that hold certificate and key, unless something is wrong with them.
    Own(Option<(String, String)>),
}

fn ssl(section: &Section, found: &mut Findings) -> Written {
    let Some(field) = section.get("ssl") else { return Written::Off };
    match &field.node.value {
        Value::Bool(false) => Written::Off,
        Value::Bool(true) => {
            let reason = "windlass does not fetch certificates (Let's Encrypt): give it your own with `ssl: \
                          {certificate_pem: NAME, private_key_pem: NAME}`, the names of two secrets (`windlass docs proxy`), \
                          or terminate TLS in front of the hosts and set `proxy: {ssl: false}` below `x-windlass`";
            found.not_yet(&field, ROUTING, reason);
            Written::Automatic
        }
        Value::Map(_) => Written::Own(certificate(&field, section, found)),
        _ => {
            field.wrong_hint("should be a boolean or a hash", format!("it is {}", field.node.kind()), found);
            Written::Off
        }
    }
}

fn certificate(field: &Field, proxy: &Section, found: &mut Findings) -> Option<(String, String)> {
    let section = field.known_section("proxy/ssl", found)?;
    let mut given = |key: &str| {
        let field = section.get(key)?;
        let text = field.string(found).filter(|t| !t.is_empty())?;
        Some(field.secret_name(&text, found))
    };
    let hint = "name the secrets that hold certificate and key";
    let missing = match (given("certificate_pem"), given("private_key_pem")) {
        (Some(certificate), Some(key)) => return certificate.zip(key),
        (Some(_), None) => "Missing private_key_pem setting (required when certificate_pem is present)",
        (None, Some(_)) => "Missing certificate_pem setting (required when private_key_pem is present)",
        (None, None) => "Missing certificate_pem and private_key_pem settings",
    };
    proxy.wrong(missing, hint, found);
    None
}

/// `buffering.max_request_body` and `max_response_body`, in bytes; 0 is without a limit, as in kamal-proxy.
fn limits(section: &Section, found: &mut Findings) -> BodyLimits {
    let Some(buffering) = section.get("buffering").and_then(|f| f.as_section()) else { return BodyLimits::default() };
    let mut limit = |key: &str| {
        let bytes = buffering.get(key)?.integer(0, i64::MAX, found)?;
        u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)
    };
    BodyLimits { request: limit("max_request_body"), response: limit("max_response_body") }
}

/// `host` (comma list) or `hosts`.
fn hosts(section: &Section, found: &mut Findings) -> Vec<String> {
    let (host, hosts) = (section.get("host"), section.get("hosts"));
    if let (Some(_), Some(both)) = (&host, &hosts) {
        let at = super::Problem::new(&both.node.at, &section.path, "Specify one of 'host' or 'hosts', not both");
        found.problems.push(at.hint("keep `hosts`"));
    }
    let mut names = Vec::new();
    for field in [host, hosts].into_iter().flatten() {
        for text in field.one_or_more(found) {
            for name in text.split(',').map(str::trim).filter(|n| !n.is_empty()) {
                host_name(name, &field, found);
                names.push(name.to_string());
            }
        }
    }
    names
}

fn host_name(name: &str, field: &Field, found: &mut Findings) {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let word = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if plain.is_empty() || plain.len() > 253 || !plain.chars().all(word) {
        let message = format!("`{}` is not a host name", super::problem::printable(name));
        field.wrong_hint(message, "write the name as in the browser's address, without scheme, port and path", found);
    }
}

fn path_prefixes(section: &Section, found: &mut Findings) -> Vec<String> {
    let (one, many) = (section.get("path_prefix"), section.get("path_prefixes"));
    if let (Some(_), Some(both)) = (&one, &many) {
        let at = super::Problem::new(
            &both.node.at,
            &section.path,
            "Specify one of 'path_prefix' or 'path_prefixes', not both",
        );
        found.problems.push(at.hint("keep `path_prefixes`"));
    }
    let mut prefixes = Vec::new();
    for field in [one, many].into_iter().flatten() {
        for text in field.one_or_more(found) {
            for prefix in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
                prefixes.extend(path(prefix, &field, found).map(|p| match p.trim_end_matches('/') {
                    "" => "/".to_string(),
                    trimmed => trimmed.to_string(),
                }));
            }
        }
    }
    if prefixes.is_empty() { vec!["/".to_string()] } else { prefixes }
}

/// A path of a URL that is safe in the proxy's configuration.
fn path(text: &str, field: &Field, found: &mut Findings) -> Option<String> {
    let safe = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\`<>{}|^#".contains(&b));
    if text.starts_with('/') && safe && text.len() <= 1024 {
        return Some(text.to_string());
    }
    field.wrong_hint(
        "should be a path beginning with /",
        "write it as in a URL, with special characters as %XX",
        found,
    );
    None
}

fn check(field: &Field, found: &mut Findings) -> HttpCheck {
    let default = HttpCheck::default();
    let Some(section) = field.known_section("proxy/healthcheck", found) else { return default };
    let seconds = |key: &str, default: u32, found: &mut Findings| {
        section.get(key).and_then(|f| f.seconds(1, found)).unwrap_or(default)
    };
    let written = section.get("path").and_then(|f| Some((f.string(found)?, f)));
    HttpCheck {
        path: written.and_then(|(text, f)| path(&text, &f, found)).unwrap_or(default.path),
        interval: seconds("interval", default.interval, found),
        timeout: seconds("timeout", default.timeout, found),
    }
}

/// Keys that are checked but change nothing here, and what the limits of bodies mean to HAProxy.
fn passive(section: &Section, found: &mut Findings) {
    if let Some(buffering) = section.get("buffering").and_then(|f| f.known_section("proxy/buffering", found)) {
        for (key, field) in buffering.entries() {
            let reason = match key {
                "requests" | "responses" => {
                    field.boolean(found);
                    "HAProxy streams requests and responses: nothing is buffered"
                }
                "memory" => {
                    field.integer(0, i64::MAX, found);
                    "HAProxy streams requests and responses: nothing is buffered"
                }
                "max_request_body" => "a request with a body that does not say its length is refused (411)",
                "max_response_body" => "only a response that says its length is limited (502); a streamed one passes",
                _ => continue,
            };
            found.not_yet(&field, &[], reason);
        }
    }
    if let Some(logging) = section.get("logging").and_then(|f| f.known_section("proxy/logging", found)) {
        for (_, field) in logging.entries() {
            field.strings(found);
            found.not_yet(&field, &[], "the proxy's log does not hold these headers");
        }
    }
}
