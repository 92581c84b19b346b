//! One run of a command against the fleet: project, board, clock, connections.

use crate::cli::args::Global;
use crate::cli::project::{Project, Values};
use crate::cli::{Failure, failure, signals, wire};
use crate::config::VerbKind;
use crate::effect::Clock;
use crate::fleet::Fleet;
use crate::mask::Masker;
use crate::name::{HostName, RunId};
use crate::observe::{self, Connections};
use crate::plan::{self, Scope};
use crate::render::{Board, Screen, Verbosity};
use jiff::Timestamp;
use std::future::Future;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What every command that talks to hosts has.
pub(crate) struct Session {
    pub(crate) global: Global,
    pub(crate) project: Project,
    pub(crate) scope: Scope,
    pub(crate) secrets: Values,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) board: Arc<Board>,
    pub(crate) cancel: CancellationToken,
    pub(crate) run: RunId,
    pub(crate) at: Timestamp,
    /// Whether containers may be made, so that the hosts' shells have to be asked for words of the configuration.
    expands: bool,
}

impl Session {
    /// A session of a command that needs no secret but those that hold SSH keys.
    pub(crate) fn open(global: Global, verb: VerbKind) -> Result<Self, Failure> {
        Self::with_secrets(global, verb, false, |_| Vec::new())
    }

    /// A session with the secrets that `needed` names of the configuration. `changes`: a run's events are the data that
    /// `--json` prints; elsewhere they are talk.
    pub(crate) fn with_secrets(
        global: Global,
        verb: VerbKind,
        changes: bool,
        needed: impl FnOnce(&Project) -> Vec<String>,
    ) -> Result<Self, Failure> {
        let project = Project::load(&global)?;
        // Before a secret is read or a connection is opened.
        let verbs: &[VerbKind] = if verb == VerbKind::Setup { &[verb, VerbKind::Deploy] } else { &[verb] };
        plan::not_acted_on(&project.config, verbs)?;
        let scope = project.scope(&global)?;
        let mut names = needed(&project);
        names.extend(project.config.key_secrets().into_iter().map(str::to_string));
        let secrets = project.secrets(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let masker = Arc::new(Masker::new(secrets.values.values()));
        let board = Arc::new(Board::new(screen(&global, changes), verbosity(&global), masker));
        secrets.warnings.iter().for_each(|warning| board.warn(&format!("warning: {warning}")));
        let clock = wire::clock();
        let at = clock.now();
        Ok(Self {
            cancel: signals::watch(board.clone()),
            run: new_run()?,
            global,
            project,
            scope,
            secrets,
            clock,
            board,
            at,
            expands: matches!(verb, VerbKind::Setup | VerbKind::Deploy | VerbKind::Rollback),
        })
    }

    /// Runs something that changes nothing, until it ends or Ctrl-C.
    pub(crate) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Failure::interrupted()),
            result = work => Ok(result),
        }
    }

    /// Connects to these hosts, all at once.
    pub(crate) async fn connect(&self, hosts: &[HostName]) -> Result<Connections, Failure> {
        let connector = wire::connector(self)?;
        self.unless_cancelled(observe::connect(&*connector, hosts, &*self.clock, &*self.board)).await
    }

    /// Asks the connected hosts for everything.
    pub(crate) async fn observe(&self, connections: &Connections) -> Result<Fleet, Failure> {
        let config = &self.project.config;
        let destination = config.destination.as_ref();
        let sources = if self.expands { config.shell_sources() } else { Default::default() };
        self.unless_cancelled(async {
            let mut fleet = observe::observe(connections, &config.service, destination, &*self.clock).await;
            observe::expand(connections, &sources, &mut fleet).await;
            fleet
        })
        .await
    }

    /// Connects to the hosts in scope and asks them: what reading commands begin with.
    pub(crate) async fn read(&self) -> Result<(Connections, Fleet), Failure> {
        let hosts: Vec<_> = self.scope.hosts.iter().cloned().collect();
        let connections = self.connect(&hosts).await?;
        let fleet = self.observe(&connections).await?;
        Ok((connections, fleet))
    }

    /// Names the hosts that did not answer on standard error, and gives the command its exit code.
    pub(crate) fn answered(&self, fleet: &Fleet) -> Result<(), Failure> {
        for (host, why) in fleet.unreachable() {
            self.board.warn(&format!("{host}: {}", why.message));
            why.hint.iter().for_each(|hint| self.board.warn(&format!("{host}: hint: {hint}")));
        }
        failure::answered(fleet.hosts.len(), fleet.unreachable().count())
    }
}

fn new_run() -> Result<RunId, Failure> {
    ulid::Ulid::generate().to_string().parse().map_err(|error| Failure::refused(format!("run id: {error}")))
}

fn verbosity(global: &Global) -> Verbosity {
    match (global.quiet, global.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, _) => Verbosity::Verbose,
    }
}

/// With `-v` tracing shares standard error, which bars would be drawn over.
fn screen(global: &Global, changes: bool) -> Screen {
    match (global.json && changes, global.verbose) {
        (true, _) => Screen::Json { data: Box::new(std::io::stdout()), talk: Box::new(std::io::stderr()) },
        (false, 0) => Screen::stderr(),
        (false, _) => Screen::Plain(Box::new(std::io::stderr())),
    }
}
