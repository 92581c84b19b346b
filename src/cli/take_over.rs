//! `windlass setup --take-over` and `--hand-back`: which proxy stands in front of what serves.

use crate::cli::Failure;
use crate::cli::args::{Global, RunArgs};
use crate::cli::flow::Change;
use crate::cli::front::Front;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::VerbKind;
use crate::plan;
use crate::release::RunVerb;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// kamal-proxy gives way to windlass's proxy.
    TakeOver,
    /// The way back.
    HandBack,
}

pub(crate) async fn run(global: Global, args: &RunArgs, direction: Direction) -> Result<(), Failure> {
    let needed = |project: &Project| project.config.secret_names().into_iter().map(str::to_string).collect();
    let session = Session::with_secrets(global, VerbKind::Setup, !args.dry_run, |project| match direction {
        Direction::TakeOver => needed(project),
        Direction::HandBack => Vec::new(),
    })?;
    // Whatever is wrong with certificate, key and pages is said before a host is asked.
    let mut edge = match direction {
        Direction::TakeOver => Front::of_deploy(&session.project.config, &session.secrets)?,
        Direction::HandBack => Front::default(),
    };
    let connections = session.connect(&session.project.hosts()).await?;
    let fleet = session.observe(&connections).await?;
    let (what, next) = match direction {
        Direction::TakeOver => ("take over from Kamal", "next: windlass deploy"),
        Direction::HandBack => ("hand back to Kamal", "next: kamal deploy; kamal-proxy routes to what serves now"),
    };
    let planner = |config: &_, fleet: &_, request| match direction {
        Direction::TakeOver => plan::take_over(config, fleet, &request),
        Direction::HandBack => plan::hand_back(config, fleet, &request),
    };
    let change = Change {
        notes: std::mem::take(&mut edge.notes),
        edge,
        ..Change::of((RunVerb::Setup, what.to_string()), args, &session, &fleet, &planner)?
    };
    change.go(&session, &connections, &fleet).await?;
    if !args.dry_run {
        session.board.say(next);
    }
    Ok(())
}
