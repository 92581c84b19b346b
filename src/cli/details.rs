//! `windlass details`.

use crate::cli::app;
use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::VerbKind;
use crate::fleet::{ContainerBrief, Fleet, label};
use crate::render::details::{ProxyDetail, proxies};
use crate::render::table;
use clap::Args;
use serde::Serialize;
use serde_json::json;

/// Show proxies, application containers and accessories
///
/// What `docker ps` would show of the service on every host in scope: the proxy with its routes, the running
/// containers, and accessories that run there. `status` says what is not as it should be.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass details\n  windlass details --hosts web-1 --json")]
pub(crate) struct DetailsArgs {}

#[derive(Serialize)]
struct Accessory {
    host: String,
    id: String,
    name: String,
    image: String,
    running: bool,
}

pub(crate) async fn run(global: Global, _: &DetailsArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    let app = app::details_of(&session, &fleet);
    let found: Vec<ProxyDetail> = fleet.reachable().map(|(host, facts)| ProxyDetail::new(host, &facts.proxy)).collect();
    let accessories = accessories(session.project.config.service.as_str(), &fleet);
    if session.global.json {
        output::json(&json!({
            "schema": 1,
            "proxies": found,
            "containers": app.containers,
            "accessories": accessories,
            "unreachable": app.unreachable,
        }))?;
    } else if fleet.reachable().next().is_some() {
        output::print(&format!("Proxies\n{}\nContainers\n{}", proxies(&found), app.table(session.clock.now())));
        if !accessories.is_empty() {
            let rows = accessories.into_iter().map(|a| {
                let state = if a.running { "running" } else { "stopped" };
                [a.host, a.id.chars().take(12).collect(), a.name, state.to_string(), a.image]
            });
            output::print(&format!("\nAccessories\n{}", table::table(["HOST", "ID", "NAME", "STATE", "IMAGE"], rows)));
        }
    }
    session.answered(&fleet)
}

/// Kamal labels an accessory with `<service>-<name>` as its service, and with no role.
fn accessories(service: &str, fleet: &Fleet) -> Vec<Accessory> {
    let prefix = format!("{service}-");
    let is_one = |c: &&ContainerBrief| {
        let of = c.labels.get(label::SERVICE).is_some_and(|s| s.starts_with(&prefix));
        of && !c.labels.contains_key(label::ROLE)
    };
    let all = fleet.reachable().flat_map(|(host, facts)| {
        facts.all_containers.iter().filter(is_one).map(move |c| Accessory {
            host: host.to_string(),
            id: c.id.to_string(),
            name: c.name.clone(),
            image: c.image.clone(),
            running: c.running,
        })
    });
    all.collect()
}
