//! `windlass app logs -f`: the whole service side by side, until Ctrl-C.

use super::logs::{Lines, Log};
use crate::cli::session::Session;
use crate::cli::{Failure, retained, wire};
use crate::mask::Masker;
use crate::name::{ContainerId, HostName};
use crate::observe::{self, Follow, LogEvent};
use crate::render::containers::state;
use futures::future::join_all;
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Events of one host that wait to be shown. Lines wait, and are dropped and counted, in the engine's adapter.
const WAITING: usize = 64;

pub(super) async fn run(session: &Session, lines: &Lines) -> Result<(), Failure> {
    let hosts: Vec<HostName> = session.scope.hosts.iter().cloned().collect();
    let mut connections = session.connect(&hosts).await?;
    let connector = wire::connector(session)?;
    let config = &session.project.config;
    let what = Follow {
        service: config.service.clone(),
        destination: config.destination.clone(),
        roles: session.scope.roles.clone(),
        tail: lines.tail,
        since: lines.since,
    };
    let follows = hosts.iter().map(|host| {
        if let Some(error) = connections.failed.get(host) {
            session.board.warn(&format!("{host}: {}; trying again", error.message));
        }
        let node = connections.nodes.remove(host);
        let (send, receive) = mpsc::channel(WAITING);
        let (connector, clock) = (connector.clone(), session.clock.clone());
        let follow = observe::follow(connector, host.clone(), node, what.clone(), clock, send);
        let task = AbortOnDropHandle::new(tokio::spawn(follow));
        show(session, host.clone(), lines, receive, task)
    });
    let all = join_all(follows.collect::<Vec<_>>());
    tokio::select! {
        _ = all => Ok(()),
        () = session.cancel.cancelled() => Ok(()),
    }
}

async fn show(
    session: &Session,
    host: HostName,
    lines: &Lines,
    mut events: mpsc::Receiver<LogEvent>,
    _task: AbortOnDropHandle<()>,
) {
    let configured = session.project.secret_variables();
    let mut logs: BTreeMap<ContainerId, Log> = BTreeMap::new();
    // The first connection, if it failed, was said already.
    let mut lost = false;
    while let Some(event) = events.recv().await {
        match event {
            LogEvent::Appeared { container, environment, first } => {
                let secrets = retained::among(&container, environment, &configured);
                let log = Log::new(&host, &container, Masker::new(&secrets), lines);
                let verb = if first { "followed" } else { "appears and is followed" };
                session.board.say(&format!("{}: {} {verb}", log.tag(), container.name));
                logs.insert(container.id.clone(), log);
            }
            LogEvent::Line(id, line) => {
                if let Some(log) = logs.get_mut(&id) {
                    log.take(line);
                }
            }
            LogEvent::Ended(id, ended) => {
                if let Some(log) = logs.remove(&id) {
                    let how = ended.as_ref().map_or_else(|| "removed".to_string(), state);
                    session.board.say(&format!("{}: ended: {how}", log.tag()));
                }
            }
            LogEvent::Lost(why) => {
                lost = true;
                session.board.warn(&format!("{host}: {why}; trying again"));
            }
            LogEvent::Back if lost => session.board.warn(&format!("{host}: connected again")),
            LogEvent::Back => session.board.warn(&format!("{host}: connected")),
        }
    }
}
