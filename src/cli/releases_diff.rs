//! `windlass releases diff`, and the same above the plan of a dry run.

use crate::cli::args::Global;
use crate::cli::releases::{history, named};
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::{Config, VerbKind};
use crate::fleet::Fleet;
use crate::history::{Release, Scope};
use crate::plan::{Plan, Scope as Wanted};
use crate::release::{Diff, ReleaseRecord};
use crate::render::{self, diff::Compared};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  windlass releases diff v41          from v41 to what serves
  windlass releases diff v41 v43      between two releases
  windlass releases diff v41 --json   for machines (docs/schemas/diff.v1.json)";

/// Show what differs between two releases
///
/// Compares image, environment, mounts, command, options, labels, proxy and hosts. Of environment variables it shows
/// names only, and of secrets whether their value is another one. Without TO it compares with what serves.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DiffArgs {
    /// A version, a release such as v41, or a label
    from: String,
    /// The other one; what serves if it is not given
    to: Option<String>,
}

pub(crate) async fn run(global: Global, args: DiffArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    if fleet.reachable().next().is_none() {
        return session.answered(&fleet);
    }
    let config = &session.project.config;
    let history = history(config, &fleet);
    let from = named(&history, &args.from)?;
    let to = match &args.to {
        Some(text) => named(&history, text)?,
        None => history.newest_serving(&scope(config, &session.scope)).ok_or_else(|| {
            Failure::refused("nothing serves that it could be compared with").hint("name two releases")
        })?,
    };
    let diff = Diff::between(record(from)?, record(to)?);
    if session.global.json {
        output::json(&Compared::new(from, to, &diff))?;
    } else {
        output::print(&format!("{} → {}\n{}", title(from), title(to), render::diff::diff(&diff)));
    }
    session.answered(&fleet)
}

/// What a plan's release changes against what serves where the plan changes it, as lines for people and as a value; none
/// where there is nothing to compare.
pub(crate) fn of_plan(
    config: &Config,
    fleet: &Fleet,
    wanted: &Wanted,
    plan: &Plan,
) -> Option<(String, serde_json::Value)> {
    let next = plan.release.as_ref()?;
    let history = history(config, fleet);
    let current = history.newest_serving(&scope(config, wanted))?;
    let mut before = current.record.as_deref()?.clone();
    // Only a part of the fleet may be asked for: the rest of the other release does not change.
    before.roles.retain(|role, _| wanted.roles.contains(role));
    before.roles.values_mut().for_each(|role| role.hosts.retain(|host| wanted.hosts.contains(&host.name)));
    let diff = Diff::between(&before, next);
    let text = format!("  changes from {}:\n{}", title(current), indented(&render::diff::diff(&diff)));
    let value = serde_json::to_value(Compared::new(current, next, &diff)).ok()?;
    Some((text, value))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn scope(config: &Config, wanted: &Wanted) -> Scope {
    let mut scope = Scope::new();
    for role in config.roles.iter().filter(|role| wanted.roles.contains(&role.name)) {
        for host in role.hosts.iter().filter(|host| wanted.hosts.contains(&host.name)) {
            scope.entry(host.name.clone()).or_default().insert(role.name.clone());
        }
    }
    scope
}

fn record(release: &Release) -> Result<&ReleaseRecord, Failure> {
    release.record.as_deref().ok_or_else(|| {
        Failure::refused(format!(
            "no host that answered has a record of {}: what it was made from is not known",
            title(release)
        ))
    })
}

/// `v41 (v2)`.
pub(crate) fn title(release: &Release) -> String {
    match render::releases::number(release) {
        Some(number) => format!("{number} ({})", release.version.short()),
        None => release.version.to_string(),
    }
}
