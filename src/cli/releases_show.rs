//! `windlass releases show`.

use crate::cli::args::Global;
use crate::cli::releases::{history, named};
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::{self, Config, VerbKind, WritableRole};
use crate::fleet::Fleet;
use crate::history::Release;
use crate::journal;
use crate::name::RunId;
use crate::observe::Connections;
use crate::release::HostReport;
use crate::render::release::Shown;
use clap::Args;
use futures::future::join_all;

const EXAMPLES: &str = "\
Examples:
  windlass releases show v41                        what it is, how its run went, its configuration
  windlass releases show v41 --yaml >deploy.yml     its configuration alone, as a deploy.yml
  windlass releases show before-the-migration --json";

/// Show one release: what it is made of, and how its run went
///
/// Shows every step of its run with the time it took, host by host, and the last lines of a container that failed. The
/// configuration is the resolved one of its day: what is no part of a role (logins, credentials of the registry,
/// timeouts) is not in it. Of secrets it has the names.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// A version, a release such as v41, or a label
    target: String,
    /// Print its configuration as a deploy.yml, and nothing else
    #[arg(long, conflicts_with = "json")]
    yaml: bool,
}

pub(crate) async fn run(global: Global, args: ShowArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (connections, fleet) = session.read().await?;
    if fleet.reachable().next().is_none() {
        return session.answered(&fleet);
    }
    let config = &session.project.config;
    let history = history(config, &fleet);
    let release = named(&history, &args.target)?;
    let yaml = deploy_yml(config, release);
    if args.yaml {
        output::print(&yaml.map_err(Failure::refused)?);
        return session.answered(&fleet);
    }
    let reports = match &release.run {
        Some(run) => session.unless_cancelled(reports(config, &connections, &fleet, run)).await?,
        None => Vec::new(),
    };
    let shown = Shown::new(release, reports);
    if session.global.json {
        output::json(&shown)?;
    } else {
        let yaml = yaml.unwrap_or_else(|why| format!("# {why}\n"));
        output::print(&shown.text(session.clock.now(), &yaml));
    }
    session.answered(&fleet)
}

/// How the run went on each host that still knows, in host order.
async fn reports(config: &Config, connections: &Connections, fleet: &Fleet, run: &RunId) -> Vec<HostReport> {
    let asked = fleet.reachable().filter_map(|(host, facts)| {
        let node = connections.nodes.get(host)?;
        let dir = facts.home.of_service(&config.service, config.destination.as_ref());
        let dirs = [journal::report_dir(&dir, run)];
        Some(async move { journal::read_report(node.host.read_dirs(&dirs).await.ok()?.first()?) })
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// The release's configuration, or why there is none.
fn deploy_yml(config: &Config, release: &Release) -> Result<String, String> {
    let label = release.label();
    let record = release.record.as_ref().ok_or_else(|| format!("no host that answered has a record of {label}"))?;
    let roles = record
        .roles
        .iter()
        .filter_map(|(name, role)| Some(WritableRole { name, hosts: &role.hosts, spec: role.spec.as_ref()? }));
    let roles: Vec<_> = roles.collect();
    if roles.len() < record.roles.len() {
        return Err(format!("{label} was adopted: only its containers know what they were made from"));
    }
    Ok(config::deploy_yml(&config.service, &record.image.repository, &roles))
}
