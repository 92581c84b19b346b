//! The verbs that change the hosts' proxies.

use crate::cli::args::{Global, RunArgs};
use crate::cli::flow::Change;
use crate::cli::front::Front;
use crate::cli::hooks::Hooks;
use crate::cli::session::Session;
use crate::cli::{Failure, confirm};
use crate::config::VerbKind;
use crate::name::ImageRef;
use crate::observe::Connections;
use crate::plan::{self, ProxyRequest, ProxyWork};
use clap::Args;
use std::time::Duration;

/// Start the proxies that do not run
///
/// Creates the state directory, the network and the proxy where they are missing. A proxy that runs stays as it is, and
/// is named when `proxy.run` says something else today.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass proxy boot\n  windlass proxy boot --hosts new-1 --dry-run")]
pub(super) struct BootArgs {
    #[command(flatten)]
    run: RunArgs,
}

/// Replace the proxies, host by host
///
/// Makes each host's proxy anew with today's `proxy.run`. The new image checks the configuration before the old container
/// stops; then nothing answers on that host until the new one does, and how long that was is printed. When the new one
/// does not answer, the old one is started again and the run stops. Runs the hooks pre-proxy-reboot and
/// post-proxy-reboot.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass proxy reboot\n  windlass proxy reboot --hosts web-1 --grace 10s")]
pub(super) struct RebootArgs {
    #[command(flatten)]
    replace: ReplaceArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// Replace the proxies that are not today's, host by host
///
/// Asks the registry what `proxy.run.image` means now, pulls it on every host, and replaces the proxies whose image or
/// settings differ, as `reboot` does. The others are not touched.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass proxy upgrade --dry-run\n  windlass proxy upgrade")]
pub(super) struct UpgradeArgs {
    #[command(flatten)]
    replace: ReplaceArgs,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Args)]
struct ReplaceArgs {
    /// How long requests in flight may take before the old proxy ends. New ones are refused meanwhile
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = humantime::parse_duration)]
    grace: Duration,
    /// Accepted for Kamal's sake: hosts always go one by one
    #[arg(long)]
    rolling: bool,
}

/// Put the certificates of the secrets in force
///
/// Reads the certificate and the key that `proxy.ssl` names and puts them in force on every host, by a reload that
/// loses no request. A key of another certificate, and a certificate that has expired or is not valid yet, is refused
/// before a host is asked; names that the certificate is not for are said. A deploy does the same on its way.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass proxy certs\n  windlass proxy certs --dry-run -d staging")]
pub(super) struct CertsArgs {
    #[command(flatten)]
    run: RunArgs,
}

/// Take the proxies away
///
/// Stops and removes the proxy's container. One that routes anything, also for another service, is only removed with
/// --force or after a question; its files stay then, and `windlass proxy boot` brings every route back. Where nothing is
/// routed its files are removed as well.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass proxy remove --hosts old-1\n  windlass proxy remove --force -y")]
pub(super) struct RemoveArgs {
    /// Also where it routes
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    run: RunArgs,
}

pub(super) async fn boot(global: Global, args: BootArgs) -> Result<(), Failure> {
    let session = open(global, &args.run)?;
    let connections = session.connect(&session.project.hosts()).await?;
    go(&session, &connections, "proxy boot", &args.run, ProxyWork::Boot, Front::default()).await
}

pub(super) async fn reboot(global: Global, args: RebootArgs) -> Result<(), Failure> {
    let session = open(global, &args.run)?;
    let connections = session.connect(&session.project.hosts()).await?;
    let work = ProxyWork::Reboot { grace: args.replace.grace.as_secs() };
    with_hooks(&session, &connections, "proxy reboot", &args.run, work).await
}

pub(super) async fn upgrade(global: Global, args: UpgradeArgs) -> Result<(), Failure> {
    let session = open(global, &args.run)?;
    let connections = session.connect(&session.project.hosts()).await?;
    let image = todays_image(&session, &connections).await?;
    let work = ProxyWork::Upgrade { image, grace: args.replace.grace.as_secs() };
    with_hooks(&session, &connections, "proxy upgrade", &args.run, work).await
}

pub(super) async fn remove(global: Global, args: RemoveArgs) -> Result<(), Failure> {
    let session = open(global, &args.run)?;
    let connections = session.connect(&session.project.hosts()).await?;
    // Whoever is asked sees what is routed and says yes or no to that.
    let is_asked = confirm::can_ask() && !args.run.yes && !session.global.json;
    let work = ProxyWork::Remove { force: args.force || is_asked };
    go(&session, &connections, "proxy remove", &args.run, work, Front::default()).await
}

pub(super) async fn certs(global: Global, args: CertsArgs) -> Result<(), Failure> {
    let session = Session::with_secrets(global, VerbKind::Connect, !args.run.dry_run, |project| {
        project.config.certificate_secrets().into_iter().map(str::to_string).collect()
    })?;
    let front = Front::certificates(&session.project.config, &session.secrets)?;
    if front.roles.is_empty() {
        return Err(Failure::config(
            "no role has a certificate of its own (`proxy: ssl: {certificate_pem, private_key_pem}`)",
        )
        .hint("`windlass docs proxy` shows how to give one"));
    }
    let connections = session.connect(&session.project.hosts()).await?;
    go(&session, &connections, "proxy certs", &args.run, ProxyWork::Certificates, front).await
}

fn open(global: Global, run: &RunArgs) -> Result<Session, Failure> {
    Session::with_secrets(global, VerbKind::Connect, !run.dry_run, |_| Vec::new())
}

/// What the image's tag means now. Without an answer the hosts' own images count.
async fn todays_image(session: &Session, connections: &Connections) -> Result<Option<ImageRef>, Failure> {
    let text = &session.project.config.proxy.image;
    let image: ImageRef = text.parse().map_err(|e| Failure::config(format!("proxy.run.image: {e}")))?;
    let Some(node) = connections.nodes.values().next() else { return Ok(None) };
    match session.unless_cancelled(node.engine.resolve(&image, None)).await? {
        Ok(resolved) => Ok(Some(ImageRef { repository: image.repository, tag: None, digest: Some(resolved.digest) })),
        Err(error) => {
            session.board.warn(&format!("warning: {text}: {error}; the image that each host has counts"));
            Ok(None)
        }
    }
}

async fn with_hooks(
    session: &Session,
    connections: &Connections,
    what: &'static str,
    args: &RunArgs,
    work: ProxyWork,
) -> Result<(), Failure> {
    let hooks = (!args.skip_hooks && !args.dry_run).then(|| Hooks::new(session, "proxy", ""));
    if let Some(hooks) = &hooks {
        hooks.run("pre-proxy-reboot", &session.cancel).await?;
    }
    go(session, connections, what, args, work, Front::default()).await?;
    match hooks {
        Some(hooks) => Ok(hooks.run("post-proxy-reboot", &session.cancel).await?),
        None => Ok(()),
    }
}

/// Plans and carries out one change of the proxies.
pub(crate) async fn go(
    session: &Session,
    connections: &Connections,
    what: &str,
    args: &RunArgs,
    work: ProxyWork,
    mut front: Front,
) -> Result<(), Failure> {
    let fleet = session.observe(connections).await?;
    let planner =
        |config: &_, fleet: &_, request| plan::proxy(config, fleet, &ProxyRequest { request, work: work.clone() });
    let change = Change {
        notes: std::mem::take(&mut front.notes),
        edge: front,
        ..Change::of((work.verb(), what.to_string()), args, session, &fleet, &planner)?
    };
    change.go(session, connections, &fleet).await
}
