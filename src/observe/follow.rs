//! What the containers of a service print on one host, over deploys by others and over broken connections.

use crate::effect::{Clock, Connector, EngineError, LogLine, LogsRequest, Node};
use crate::fleet::{Container, ContainerBrief, State};
use crate::name::{ContainerId, Destination, HostName, RoleName, ServiceName};
use crate::observe::host::is_ours;
use crate::secret::Secret;
use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use jiff::Timestamp;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often a host is asked for new containers.
const POLL: Duration = Duration::from_secs(1);
/// Between two attempts to connect again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Whose output, and how much of what is there already.
#[derive(Debug, Clone)]
pub struct Follow {
    /// Service.
    pub service: ServiceName,
    /// Destination.
    pub destination: Option<Destination>,
    /// Roles.
    pub roles: BTreeSet<RoleName>,
    /// Lines from the end of what is there already; `None` = all.
    pub tail: Option<u64>,
    /// Not older than this, of what is there already.
    pub since: Option<Timestamp>,
}

/// What happens on a host while it is followed.
#[derive(Debug)]
pub enum LogEvent {
    /// A container is followed from now on. `first`: it was there when the following began.
    Appeared {
        /// It.
        container: Box<Container>,
        /// Its variables; those whose values must not be shown are among them.
        environment: BTreeMap<String, Secret<String>>,
        /// Whether it was there from the beginning.
        first: bool,
    },
    /// It printed a line.
    Line(ContainerId, LogLine),
    /// It ended, in this state; `None`: it was removed.
    Ended(ContainerId, Option<State>),
    /// The host cannot be heard any more, and why. It is tried again until it can.
    Lost(String),
    /// It can be heard again.
    Back,
}

/// What is known of a container that was followed.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    /// When the engine got its newest line, by the host's clock, and how many lines it got at that very moment.
    last: Option<Timestamp>,
    at_last: u32,
    /// The same as they were when it was last asked for its lines: those are repeated.
    repeated: Option<(Timestamp, u32)>,
    following: bool,
    /// Its appearance was told, and not its end since.
    announced: bool,
}

impl Heard {
    /// Whether a line was passed on before: the engine's `since` counts whole seconds, so that some come again.
    fn knows(&mut self, line: &LogLine) -> bool {
        let (Some(at), Some((last, left))) = (line.at, &mut self.repeated) else { return false };
        match at.cmp(last) {
            Ordering::Less => true,
            Ordering::Equal if *left > 0 => {
                *left -= 1;
                true
            }
            Ordering::Equal => false,
            Ordering::Greater => {
                self.repeated = None;
                false
            }
        }
    }

    fn take(&mut self, line: &LogLine) {
        let Some(at) = line.at else { return };
        self.at_last = if self.last == Some(at) { self.at_last + 1 } else { 1 };
        self.last = Some(at);
    }
}

type Lines = BoxStream<'static, (ContainerId, Option<Result<LogLine, EngineError>>)>;

/// Follows one host until nobody listens any more. `node` is a connection that exists already.
pub async fn follow(
    connector: Arc<dyn Connector>,
    host: HostName,
    node: Option<Node>,
    what: Follow,
    clock: Arc<dyn Clock>,
    send: mpsc::Sender<LogEvent>,
) {
    let mut follower = Follower { connector, host, what, clock, send, heard: None };
    let mut node = node;
    loop {
        let connected = match node.take() {
            Some(node) => node,
            None => match follower.connect().await {
                Some(node) => node,
                None => return,
            },
        };
        let Err(why) = follower.listen(&connected).await else { return };
        if follower.send.send(LogEvent::Lost(why)).await.is_err() {
            return;
        }
    }
}

struct Follower {
    connector: Arc<dyn Connector>,
    host: HostName,
    what: Follow,
    clock: Arc<dyn Clock>,
    send: mpsc::Sender<LogEvent>,
    /// `None` until the host was asked for the first time.
    heard: Option<BTreeMap<ContainerId, Heard>>,
}

impl Follower {
    /// Tries until it succeeds. `None` when nobody listens any more.
    async fn connect(&self) -> Option<Node> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Ok(node) = self.connector.connect(&self.host).await {
                self.send.send(LogEvent::Back).await.ok()?;
                return Some(node);
            }
            tokio::select! {
                () = self.clock.sleep(pause) => {}
                () = self.send.closed() => return None,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Passes on what one connection brings. `Err` is why it ended, `Ok` that nobody listens any more.
    async fn listen(&mut self, node: &Node) -> Result<(), String> {
        let mut lines: SelectAll<Lines> = SelectAll::new();
        if let Some(heard) = &mut self.heard {
            heard.values_mut().for_each(|h| h.following = false);
        }
        loop {
            if !self.look(node, &mut lines).await? {
                return Ok(());
            }
            let clock = self.clock.clone();
            let tick = clock.sleep(POLL);
            tokio::pin!(tick);
            loop {
                tokio::select! {
                    () = &mut tick => break,
                    () = self.send.closed() => return Ok(()),
                    Some((id, line)) = lines.next() => {
                        if !self.take(node, id, line).await? {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Finds containers that are not followed yet. `false` when nobody listens any more.
    async fn look(&mut self, node: &Node, lines: &mut SelectAll<Lines>) -> Result<bool, String> {
        let all = node.engine.list().await.map_err(|e| e.to_string())?;
        let wanted: Vec<_> = all.into_iter().filter(|brief| self.is_wanted(brief)).collect();
        let is_first = self.heard.is_none();
        let heard = self.heard.get_or_insert_default();
        if is_first {
            let stopped = wanted.iter().filter(|brief| !brief.running);
            heard.extend(stopped.map(|brief| (brief.id.clone(), Heard::default())));
        }
        heard.retain(|id, h| h.following || wanted.iter().any(|brief| brief.id == *id));
        let is_news = |brief: &&ContainerBrief| match heard.get(&brief.id) {
            None => true,
            Some(h) => !h.following && brief.running,
        };
        let news: Vec<ContainerId> = wanted.iter().filter(is_news).map(|brief| brief.id.clone()).collect();
        for id in news {
            if !self.begin(node, id, is_first, lines).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_wanted(&self, brief: &ContainerBrief) -> bool {
        let role = brief.labels.get(crate::fleet::label::ROLE).and_then(|role| role.parse().ok());
        is_ours(brief, &self.what.service, self.what.destination.as_ref())
            && role.is_some_and(|role: RoleName| self.what.roles.contains(&role))
    }

    async fn begin(
        &mut self,
        node: &Node,
        id: ContainerId,
        first: bool,
        lines: &mut SelectAll<Lines>,
    ) -> Result<bool, String> {
        let container = match node.engine.inspect(&id).await {
            // Not started yet: the next look sees it again.
            Ok(container) if container.state == State::Created => return Ok(true),
            Ok(container) => container,
            Err(error) if error.kind == crate::effect::EngineErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error.to_string()),
        };
        let environment = node.engine.environment(&id).await.map_err(|e| e.to_string())?;
        let before = self.heard.as_ref().and_then(|heard| heard.get(&id).copied());
        let request = self.request(&container, before, first);
        let stream = node.engine.logs(&id, request).await.map_err(|e| e.to_string())?;
        let of = id.clone();
        let end = futures::stream::once(std::future::ready((id.clone(), None)));
        lines.push(stream.map(move |line| (of.clone(), Some(line))).chain(end).boxed());
        let repeated = match before {
            Some(Heard { announced: true, last, at_last, .. }) => last.map(|last| (last, at_last)),
            Some(_) => container.started_at.map(|started| (started, 0)),
            None => None,
        };
        let before = before.unwrap_or_default();
        let heard = Heard { repeated, following: true, announced: true, ..before };
        self.heard.get_or_insert_default().insert(id, heard);
        if before.announced {
            // After a broken connection it is no news.
            return Ok(!self.send.is_closed());
        }
        let event = LogEvent::Appeared { container: Box::new(container), environment, first };
        Ok(self.send.send(event).await.is_ok())
    }

    /// What to ask the engine for: of what is there already as much as was wanted, of what came since everything.
    fn request(&self, container: &Container, before: Option<Heard>, first: bool) -> LogsRequest {
        let all = LogsRequest { tail: None, since: None, follow: true, timestamps: true };
        match before {
            None if first => LogsRequest { tail: self.what.tail, since: self.what.since, ..all },
            None => all,
            // After a broken connection.
            Some(Heard { last: Some(last), announced: true, .. }) => LogsRequest { since: Some(last), ..all },
            Some(Heard { announced: true, .. }) => LogsRequest { tail: self.what.tail, since: self.what.since, ..all },
            // It was stopped, and was started again.
            Some(_) => LogsRequest { since: container.started_at, ..all },
        }
    }

    async fn take(
        &mut self,
        node: &Node,
        id: ContainerId,
        line: Option<Result<LogLine, EngineError>>,
    ) -> Result<bool, String> {
        let heard = self.heard.get_or_insert_default().entry(id.clone()).or_default();
        let event = match line {
            Some(Ok(line)) if heard.knows(&line) => return Ok(true),
            Some(Ok(line)) => {
                heard.take(&line);
                LogEvent::Line(id, line)
            }
            Some(Err(error)) => return Err(error.to_string()),
            None => {
                heard.following = false;
                let state = match node.engine.inspect(&id).await {
                    Ok(container) => Some(container.state),
                    Err(error) if error.kind == crate::effect::EngineErrorKind::NotFound => None,
                    // The connection ended, and not the container.
                    Err(error) => return Err(error.to_string()),
                };
                self.heard.get_or_insert_default().entry(id.clone()).or_default().announced = false;
                LogEvent::Ended(id, state)
            }
        };
        Ok(self.send.send(event).await.is_ok())
    }
}
