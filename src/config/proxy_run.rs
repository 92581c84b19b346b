//! `proxy.run`: how the proxy itself runs.

use super::flag_values as values;
use super::flags;
use super::reader::{Field, Findings, Section};
use super::types::{ProxyRun, VerbKind};
use std::net::IpAddr;

/// The proxy's image unless `proxy.run.image` names another: HAProxy's long-term release.
pub const DEFAULT_IMAGE: &str = "haproxy:3.2";
/// Docker's flags that windlass sets by itself for the proxy's container.
const OWN_FLAGS: &[&str] =
    &["entrypoint", "hostname", "label", "network-alias", "restart", "stop-signal", "stop-timeout", "user", "volume"];

impl Default for ProxyRun {
    fn default() -> Self {
        Self { image: DEFAULT_IMAGE.to_string(), http_port: 80, https_port: 443, options: Default::default() }
    }
}

/// Reads `proxy.run`.
pub(super) fn run_settings(field: &Field, found: &mut Findings) -> ProxyRun {
    let mut run = ProxyRun::default();
    let Some(section) = field.known_section("proxy/run", found) else { return run };
    let ports = ["http_port", "https_port", "bind_ips"].iter().any(|k| section.map.get(k).is_some());
    for (key, field) in section.entries() {
        match key {
            "image" => run.image = image(&field, found).unwrap_or(run.image),
            "http_port" => run.http_port = field.port(found).unwrap_or(run.http_port),
            "https_port" => run.https_port = field.port(found).unwrap_or(run.https_port),
            "metrics_port" => run.options.metrics_port = field.port(found),
            "bind_ips" => run.options.bind_ips = addresses(&field, found),
            "publish" => run.options.publish = publish(&field, ports, &section, found),
            "log_max_size" => run.options.log_max_size = log_max_size(&field, found),
            "options" => run.options.container = options(&field, found),
            _ => kamal_proxys_own(key, &field, found),
        }
    }
    if run.http_port == run.https_port {
        section.wrong("http_port and https_port should differ", "the defaults are 80 and 443", found);
    }
    // Inside the container 80 and 443 are the web's whatever the host's ports are.
    let taken = [80, 443, run.http_port, run.https_port];
    if run.options.metrics_port.is_some_and(|port| taken.contains(&port)) {
        section.wrong("metrics_port should be another port than those of the web", "such as 9101", found);
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

/// Addresses of the hosts; an IPv6 address may be in brackets.
fn addresses(field: &Field, found: &mut Findings) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for item in field.list(found) {
        let Some(text) = item.string(found) else { continue };
        let plain = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(&text);
        match plain.parse() {
            Ok(address) if !addresses.contains(&address) => addresses.push(address),
            Ok(_) => {}
            Err(_) => item.wrong_hint("should be an IP address", "an address of the host, such as 10.0.0.5", found),
        }
    }
    addresses
}

/// `publish: false` excludes settings of the ports.
fn publish(field: &Field, ports: bool, section: &Section, found: &mut Findings) -> bool {
    let publish = field.boolean(found).unwrap_or(true);
    if !publish && ports {
        let hint = "remove `publish: false`, or the ports";
        section.wrong("Cannot set http_port, https_port or bind_ips when publish is false", hint, found);
    }
    publish
}

/// Docker's `max-size`; empty leaves the size to the engine, as in Kamal.
fn log_max_size(field: &Field, found: &mut Findings) -> Option<String> {
    let text = field.string(found)?;
    if !text.is_empty() && values::bytes(&text).is_err() {
        field.wrong_hint("should be a size", "such as 10m; empty is without a limit", found);
    }
    Some(text).filter(|text| !text.is_empty())
}

/// Docker's flags; those that the proxy needs for itself are refused by name.
fn options(field: &Field, found: &mut Findings) -> crate::spec::ContainerOptions {
    for (flag, value) in field.as_section().iter().flat_map(Section::entries) {
        if OWN_FLAGS.contains(&flag) {
            let message = format!("docker's flag --{flag} cannot be set for the proxy: windlass sets it itself");
            value.wrong_hint(message, "take it out", found);
        }
        if matches!(flag, "log-opt" | "log-driver") {
            value.wrong_hint(
                "the proxy's log is the engine's default one",
                "set its size with `proxy.run.log_max_size`",
                found,
            );
        }
    }
    flags::resolve(field, "the proxy", found).options
}

fn kamal_proxys_own(key: &str, field: &Field, found: &mut Findings) {
    const NO_VERB: &[VerbKind] = &[];
    match key {
        "debug" => {
            field.boolean(found);
            found.not_yet(field, NO_VERB, "this is a setting of kamal-proxy; windlass runs HAProxy");
        }
        "registry" | "repository" | "version" => {
            field.string(found);
            found.not_yet(field, NO_VERB, "this names kamal-proxy's image; windlass runs HAProxy (`proxy.run.image`)");
        }
        _ => {}
    }
}
