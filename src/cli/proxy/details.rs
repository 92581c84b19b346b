//! `windlass proxy details`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::VerbKind;
use crate::fleet::{BackendName, BackendState, HostFacts};
use crate::name::{ContainerId, HostName};
use crate::plan;
use crate::render::{table, time};
use crate::spec::{Certificate, Maintenance};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

/// Show the proxies: what runs, and what each of them routes
///
/// Shows every host's proxy with its image and ports, and all its routes, also those of other services: host names and
/// paths, the container that serves, when its certificate ends, and whether it is in maintenance.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass proxy details\n  windlass proxy details --hosts web-1 --json")]
pub(super) struct DetailsArgs {}

#[derive(Serialize)]
struct Details {
    schema: u32,
    proxies: Vec<Proxy>,
}

#[derive(Serialize)]
struct Proxy {
    host: HostName,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    ports: Vec<u16>,
    /// Whether it was made from other settings than today's.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    routes: Vec<Route>,
}

#[derive(Serialize)]
struct Route {
    backend: BackendName,
    hosts: Vec<String>,
    paths: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerId>,
    health: String,
    /// Whether HTTPS is answered.
    tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Certificate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance: Option<Maintenance>,
}

pub(super) async fn run(global: Global, _: DetailsArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    let proxies: Vec<Proxy> = fleet.reachable().map(|(host, facts)| proxy(&session, host, facts)).collect();
    if session.global.json {
        output::json(&Details { schema: 1, proxies })?;
    } else {
        print(&proxies, session.clock.now());
    }
    session.answered(&fleet)
}

fn proxy(session: &Session, host: &HostName, facts: &HostFacts) -> Proxy {
    let container = facts.proxy.container.as_ref();
    Proxy {
        host: host.clone(),
        state: match (container.map(|c| c.running), &facts.proxy.unreadable) {
            (None, _) => "not set up",
            (Some(false), _) => "stopped",
            (Some(true), Some(_)) => "does not answer",
            (Some(true), None) => "running",
        },
        image: container.map(|c| c.image.clone()),
        ports: container.map(|c| c.host_ports.clone()).unwrap_or_default(),
        drift: plan::other_settings(&session.project.config, host, facts),
        problem: facts.proxy.unreadable.clone(),
        routes: facts.proxy.backends.iter().map(|(name, state)| route(name, state)).collect(),
    }
}

fn route(name: &BackendName, state: &BackendState) -> Route {
    let active = state.active().cloned();
    let server = state.servers.iter().find(|s| active.is_some() && s.container == active);
    let health = match (&active, server.map(|s| s.healthy)) {
        (None, _) => "nothing serves".to_string(),
        (Some(_), None) => "unknown".to_string(),
        (_, Some(None)) => "not checked yet".to_string(),
        (_, Some(Some(true))) => "healthy".to_string(),
        (_, Some(Some(false))) => server.map_or_else(String::new, |s| format!("unhealthy: {}", s.check)),
    };
    Route {
        backend: name.clone(),
        hosts: state.route.hosts.clone(),
        paths: state.route.path_prefixes.clone(),
        container: active,
        health,
        tls: state.route.tls.is_some() && state.edge.certificate.is_some(),
        certificate: state.edge.certificate.clone(),
        maintenance: state.edge.maintenance.clone(),
    }
}

fn print(proxies: &[Proxy], now: Timestamp) {
    let rows = proxies.iter().map(|p| {
        let ports: Vec<_> =
            p.ports.iter().collect::<std::collections::BTreeSet<_>>().iter().map(ToString::to_string).collect();
        [p.host.to_string(), p.state.to_string(), p.image.clone().unwrap_or_default(), ports.join(" ")]
    });
    output::print(&table::table(["HOST", "PROXY", "IMAGE", "PORTS"], rows));
    let routes = proxies.iter().flat_map(|p| p.routes.iter().map(move |r| (p, r)));
    let rows: Vec<_> = routes.map(|(p, r)| row(&p.host, r, now)).collect();
    if !rows.is_empty() {
        output::print("\n");
        let header = ["HOST", "ROUTE", "NAMES", "PATHS", "CONTAINER", "HEALTH", "CERTIFICATE"];
        output::print(&table::table(header, rows));
    }
    for p in proxies {
        for note in p.drift.iter().chain(&p.problem) {
            output::print(&format!("{}: {note}\n", p.host));
        }
    }
}

fn row(host: &HostName, route: &Route, now: Timestamp) -> [String; 7] {
    let names = if route.hosts.is_empty() { "every name".to_string() } else { route.hosts.join(",") };
    let health = match &route.maintenance {
        Some(m) => format!("in maintenance {}; {}", time::ago(m.since, now), route.health),
        None => route.health.clone(),
    };
    let certificate = match &route.certificate {
        Some(c) if route.tls && c.not_after < now => format!("EXPIRED {}", c.not_after.strftime("%Y-%m-%d")),
        Some(c) if route.tls => format!("until {}", c.not_after.strftime("%Y-%m-%d")),
        _ => "none".to_string(),
    };
    let container = route.container.as_ref().map_or_else(String::new, |id| id.short().to_string());
    [host.to_string(), route.backend.to_string(), names, route.paths.join(","), container, health, certificate]
}
