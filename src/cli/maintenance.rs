//! `windlass app maintenance` and `windlass app live`.

use crate::cli::Failure;
use crate::cli::args::{ChangeArgs, Global, RunArgs};
use crate::cli::front::Front;
use crate::cli::pages::{self, Pages};
use crate::cli::proxy;
use crate::cli::session::Session;
use crate::config::VerbKind;
use crate::plan::ProxyWork;
use crate::secret::Secret;
use crate::spec::{EdgeFile, Maintenance};
use clap::Args;
use std::time::Duration;

/// Answer every request with a maintenance page
///
/// The proxies answer 503 with your `503.html` (`error_pages_path`; `{{ .Message }}` in it is the message) or with a
/// page of their own. Requests that are on their way are finished first, for as long as the drain timeout allows; when
/// the command is done the application gets none any more. It lasts until `windlass app live`, also over a deploy and a
/// restart of the proxy.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  windlass app maintenance\n  windlass app maintenance --message 'We are back at 3 pm.'\n  windlass app maintenance --roles web --drain-timeout 60s"
)]
pub(crate) struct MaintenanceArgs {
    /// A sentence for the page
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// How long requests on their way may take [default: drain_timeout of the configuration]
    #[arg(long, value_name = "TIME", value_parser = drain_timeout)]
    drain_timeout: Option<Duration>,
    #[command(flatten)]
    run: ChangeArgs,
}

/// End maintenance
///
/// The proxies route again to the containers that serve.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass app live\n  windlass app live --hosts web-1 --dry-run")]
pub(crate) struct LiveArgs {
    #[command(flatten)]
    run: ChangeArgs,
}

/// Kamal takes plain seconds.
fn drain_timeout(text: &str) -> Result<Duration, humantime::DurationError> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text),
    }
}

pub(crate) async fn maintenance(global: Global, args: MaintenanceArgs) -> Result<(), Failure> {
    let session = Session::with_secrets(global, VerbKind::Connect, !args.run.dry_run, |_| Vec::new())?;
    let config = &session.project.config;
    let pages = config.error_pages.as_deref().map_or_else(|| Ok(Pages::default()), pages::read)?;
    let (page, note) = pages.maintenance(args.message.as_deref())?;
    let maintenance = Maintenance { page: pages::digest(&page), message: args.message.clone(), since: session.at };
    let mut front = Front::default();
    front.files.insert(EdgeFile::page(&maintenance.page), Secret::new(page));
    front.notes.extend(note);
    let roles = config.roles.iter().filter(|r| r.spec.route.is_some());
    let work = ProxyWork::Maintenance {
        roles: roles.map(|r| (r.name.clone(), maintenance.clone())).collect(),
        drain_timeout: args.drain_timeout.unwrap_or(config.drain_timeout).as_secs(),
    };
    let connections = session.connect(&session.project.hosts()).await?;
    proxy::go(&session, &connections, "app maintenance", &RunArgs::from(&args.run), work, front).await
}

pub(crate) async fn live(global: Global, args: LiveArgs) -> Result<(), Failure> {
    let session = Session::with_secrets(global, VerbKind::Connect, !args.run.dry_run, |_| Vec::new())?;
    let connections = session.connect(&session.project.hosts()).await?;
    let args = RunArgs::from(&args.run);
    proxy::go(&session, &connections, "app live", &args, ProxyWork::Live, Front::default()).await
}
