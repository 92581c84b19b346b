//! `windlass deploy`.

use crate::cli::args::{Global, RunArgs};
use crate::cli::flow::Change;
use crate::cli::front::Front;
use crate::cli::hooks::Hooks;
use crate::cli::promote::{self, Source};
use crate::cli::session::Session;
use crate::cli::{Failure, image};
use crate::config::VerbKind;
use crate::name::{ImageRef, Label, Version};
use crate::plan::{self, DeployRequest};
use crate::release::RunVerb;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass deploy                            the git commit that is checked out
  windlass deploy --version v2 -m 'faster'   a version by name
  windlass deploy --image ghcr.io/me/app:v2  an image from anywhere
  windlass deploy -d production --from staging   exactly what runs in staging: the same digest, not the same tag
  windlass deploy --label before-the-migration   a name for `rollback` and `releases`
  windlass deploy --dry-run                  what changes, the plan, and nothing else
  windlass deploy -d staging --hosts 'eu-*'  a part of another destination";

/// Let a release out to the fleet
///
/// Resolves the version's image once, pulls it on every host, and starts it beside what serves: on one host first,
/// then on the rest. The proxy sends traffic over when its own health check has passed, and the old container is
/// drained, stopped and retained. (A role that publishes host ports cannot run twice: there the old one stops first.)
/// When a host fails, every host that changed goes back.
///
/// The version is --version, else the environment's VERSION, else the git commit. Build and push it first.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DeployArgs {
    /// What to deploy: the tag of the image
    #[arg(long = "version", value_name = "V")]
    pub(crate) version: Option<Version>,
    /// Exactly what runs in another destination, or a release of it: `staging`, `staging:v12` (`_`: no destination)
    #[arg(long, value_name = "DESTINATION[:RELEASE]", conflicts_with_all = ["version", "image"])]
    pub(crate) from: Option<Source>,
    /// An image to deploy instead of the configuration's
    #[arg(long, value_name = "REF")]
    pub(crate) image: Option<ImageRef>,
    /// Hosts that lack what retention keeps on others get it from there, over SSH
    #[arg(long)]
    pub(crate) copy: bool,
    /// Accepted for Kamal's sake: windlass does not build or push yet
    #[arg(short = 'P', long)]
    pub(crate) skip_push: bool,
    /// What the release is called, for `rollback NAME` and `windlass releases`
    #[arg(long, value_name = "NAME")]
    pub(crate) label: Option<Label>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

pub(crate) async fn run(global: Global, args: DeployArgs) -> Result<(), Failure> {
    release(global, args, false).await
}

/// Deploys, after preparing hosts that are new (`setup`).
pub(crate) async fn release(global: Global, mut args: DeployArgs, setup: bool) -> Result<(), Failure> {
    let kind = if setup { VerbKind::Setup } else { VerbKind::Deploy };
    let session = Session::with_secrets(global, kind, !args.run.dry_run, |project| {
        project.config.secret_names().into_iter().map(str::to_string).collect()
    })?;
    let config = &session.project.config;
    let wanted = match &args.from {
        Some(source) => promote::wanted(&session, source, &mut args.run.message).await?,
        None => image::wanted(args.version.as_ref(), args.image.as_ref(), &config.repository, &session.project.root)?,
    };
    // Whatever is wrong with certificate, key and pages is said before a host is asked.
    let mut edge = Front::of_deploy(config, &session.secrets)?;
    let (verb, command) = if setup { (RunVerb::Setup, "setup") } else { (RunVerb::Deploy, "deploy") };
    let hooks =
        (!args.run.skip_hooks && !args.run.dry_run).then(|| Hooks::new(&session, command, wanted.version.as_str()));
    if let Some(hooks) = &hooks {
        hooks.run("pre-connect", &session.cancel).await?;
    }
    let connections = session.connect(&session.project.hosts()).await?;
    let login = session.project.login(&wanted.source.repository, &session.secrets);
    let fleet = session.observe(&connections).await?;
    // Whatever must refuse the run on its own account is said before the registry is asked.
    let (digest, notes) = match fleet.unreachable().next().is_some() && !args.run.skip_unreachable {
        true => (None, Vec::new()),
        false => image::resolve(&session, &connections, &wanted, login.as_ref()).await?,
    };
    let planner = |config: &_, fleet: &_, request| {
        let (version, image) = (wanted.version.clone(), wanted.name());
        let (digest, copy) = (digest.clone(), args.copy);
        plan::deploy(config, fleet, &DeployRequest { request, version, image, digest, copy, setup })
    };
    let names = config.secret_names();
    let edge_notes = std::mem::take(&mut edge.notes);
    let change = Change {
        secrets: session.secrets.only(&names),
        login,
        edge,
        hooks,
        label: args.label.clone(),
        notes: wanted.notes.iter().cloned().chain(edge_notes).chain(notes).collect(),
        ..Change::of((verb, format!("{command} {}", wanted.version)), &args.run, &session, &fleet, &planner)?
    };
    change.go(&session, &connections, &fleet).await
}
