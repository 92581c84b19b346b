//! `proxy`: how requests reach a role, and how the proxy itself runs.

use super::node::Value;
use super::reader::{Field, Findings, Section};
use super::types::{ProxyRun, VerbKind};
use crate::spec::{HttpCheck, Route};

/// The proxy's image unless `proxy.run.image` names another: HAProxy's long-term release.
pub const DEFAULT_IMAGE: &str = "haproxy:3.2";
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
    if ssl == Ssl::Automatic && hosts.is_empty() {
        section.wrong("Must set a host to enable automatic SSL", "add `host:` to this `proxy`", found);
    }
    passive(section, found);
    if let Some(run) = section.get("run") {
        run_settings(&run, found);
    }
    let flag = |key: &str, default: bool, found: &mut Findings| {
        section.get(key).map_or(Some(default), |f| f.boolean(found)).unwrap_or(default)
    };
    let route = Route {
        hosts,
        path_prefixes: path_prefixes(section, found),
        strip_path_prefix: flag("strip_path_prefix", true, found),
        app_port: section.get("app_port").and_then(|f| f.port(found)).unwrap_or(80),
        check: section.get("healthcheck").map(|f| check(&f, found)).unwrap_or_default(),
        response_timeout: section.get("response_timeout").and_then(|f| f.seconds(1, found)).unwrap_or(30),
        forward_headers: flag("forward_headers", ssl == Ssl::Off, found),
    };
    Proxied { route, ssl }
}

fn ssl(section: &Section, found: &mut Findings) -> Ssl {
    let Some(field) = section.get("ssl") else { return Ssl::Off };
    let ssl = match &field.node.value {
        Value::Bool(false) => return Ssl::Off,
        Value::Bool(true) => Ssl::Automatic,
        Value::Map(_) => {
            certificate(&field, section, found);
            Ssl::OwnCertificate
        }
        _ => {
            field.wrong_hint("should be a boolean or a hash", format!("it is {}", field.node.kind()), found);
            return Ssl::Off;
        }
    };
    let reason = "windlass does not terminate TLS yet: terminate it in front of the hosts and set `proxy: {ssl: false}` below `x-windlass`";
    found.not_yet(&field, ROUTING, reason);
    ssl
}

fn certificate(field: &Field, proxy: &Section, found: &mut Findings) {
    let Some(section) = field.known_section("proxy/ssl", found) else { return };
    let mut given = |key: &str| section.get(key).and_then(|f| f.string(found)).is_some_and(|t| !t.is_empty());
    let (certificate, key) = (given("certificate_pem"), given("private_key_pem"));
    let hint = "name the secrets that hold certificate and key";
    if certificate && !key {
        proxy.wrong("Missing private_key_pem setting (required when certificate_pem is present)", hint, found);
    } else if key && !certificate {
        proxy.wrong("Missing certificate_pem setting (required when private_key_pem is present)", hint, found);
    } else if !key {
        proxy.wrong("Missing certificate_pem and private_key_pem settings", hint, found);
    }
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
    } else if plain.len() < name.len() {
        found.not_yet(field, ROUTING, "a host name with a wildcard is not acted on yet: list the names");
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

/// Keys that are checked but change nothing here, or not yet.
fn passive(section: &Section, found: &mut Findings) {
    if let Some(field) = section.get("ssl_redirect") {
        field.boolean(found);
    }
    if let Some(buffering) = section.get("buffering").and_then(|f| f.known_section("proxy/buffering", found)) {
        for (key, field) in buffering.entries() {
            match key {
                "requests" | "responses" => drop(field.boolean(found)),
                "memory" => drop(field.integer(0, i64::MAX, found)),
                "max_request_body" | "max_response_body" => {
                    field.integer(0, i64::MAX, found);
                    found.not_yet(
                        &field,
                        ROUTING,
                        "windlass does not limit the size of bodies yet: limit it in the application",
                    );
                    continue;
                }
                _ => continue,
            }
            found.not_yet(&field, &[], "HAProxy streams requests and responses: nothing is buffered");
        }
    }
    if let Some(logging) = section.get("logging").and_then(|f| f.known_section("proxy/logging", found)) {
        for (_, field) in logging.entries() {
            field.strings(found);
            found.not_yet(&field, &[], "the proxy's log does not hold these headers");
        }
    }
}

/// Reads `proxy.run`.
pub(super) fn run_settings(field: &Field, found: &mut Findings) -> ProxyRun {
    let mut run = ProxyRun { image: DEFAULT_IMAGE.to_string(), http_port: 80, https_port: 443 };
    let Some(section) = field.known_section("proxy/run", found) else { return run };
    let ports = ["http_port", "https_port", "bind_ips"].iter().any(|k| section.map.get(k).is_some());
    for (key, field) in section.entries() {
        match key {
            "image" => run.image = image(&field, found).unwrap_or(run.image),
            "http_port" => run.http_port = field.port(found).unwrap_or(run.http_port),
            "https_port" => run.https_port = field.port(found).unwrap_or(run.https_port),
            _ => other_run_key(key, &field, ports, &section, found),
        }
    }
    if run.http_port == run.https_port {
        section.wrong("http_port and https_port should differ", "the defaults are 80 and 443", found);
    }
    run
}

fn image(field: &Field, found: &mut Findings) -> Option<String> {
    let text = field.string(found)?;
    match text.parse::<crate::name::ImageRef>() {
        Ok(_) => Some(text),
        Err(error) => {
            field.wrong(error.to_string(), found);
            None
        }
    }
}

fn other_run_key(key: &str, field: &Field, ports: bool, section: &Section, found: &mut Findings) {
    const BOOT: &[VerbKind] = &[VerbKind::Setup, VerbKind::Deploy];
    match key {
        "publish" => publish(field, ports, section, found),
        "bind_ips" => {
            field.strings(found);
            found.not_yet(
                field,
                BOOT,
                "windlass publishes the proxy's ports on all addresses: restrict them by a firewall",
            );
        }
        "metrics_port" => {
            field.port(found);
            found.not_yet(field, &[VerbKind::Setup], "windlass does not publish the proxy's metrics yet");
        }
        "options" => {
            field.section(found);
            found.not_yet(field, BOOT, "docker's flags for the proxy's container are not acted on yet");
        }
        "debug" => {
            field.boolean(found);
            found.not_yet(field, &[], "this is a setting of kamal-proxy; windlass runs HAProxy");
        }
        "registry" | "repository" | "version" => {
            field.string(found);
            found.not_yet(field, &[], "this names kamal-proxy's image; windlass runs HAProxy (`proxy.run.image`)");
        }
        "log_max_size" => {
            field.string(found);
            found.not_yet(field, &[], "the proxy's log is limited to 10m");
        }
        _ => {}
    }
}

/// `publish: false` excludes settings of the ports.
fn publish(field: &Field, ports: bool, section: &Section, found: &mut Findings) {
    if field.boolean(found) != Some(false) {
        return;
    }
    if ports {
        let hint = "remove `publish: false`, or the ports";
        section.wrong("Cannot set http_port, https_port or bind_ips when publish is false", hint, found);
    }
    found.not_yet(field, &[VerbKind::Setup, VerbKind::Deploy], "windlass always publishes the proxy's ports");
}
