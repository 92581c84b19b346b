//! The way of every command that changes the fleet: connect, observe, plan, ask, lease, observe and plan again, run,
//! prove, give back.

use crate::cli::args::RunArgs;
use crate::cli::front::Front;
use crate::cli::hooks::Hooks;
use crate::cli::session::Session;
use crate::cli::{Failure, confirm, output, releases_diff};
use crate::config::Config;
use crate::effect::{LeaseError, Node, RegistryLogin};
use crate::execute::{LeasePlan, Leases, NoHooks, Run, RunReport, StageHooks};
use crate::fleet::{Fleet, Holder, LeaseState};
use crate::journal;
use crate::mask::Masker;
use crate::name::{HostName, Label};
use crate::observe::Connections;
use crate::plan::{Action, Plan, Refusal, Request, StageKind};
use crate::release::{FingerprintKey, Outcome, RunVerb};
use crate::render::{self, words};
use crate::secret::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A pure function from what is known to a plan: a verb of [`crate::plan`] with its own part of the request filled in.
pub(crate) type Planner<'a> = &'a (dyn Fn(&Config, &Fleet, Request) -> Result<Plan, Refusal> + Sync);

/// One change, ready to be planned and carried out.
pub(crate) struct Change<'a> {
    pub(crate) verb: RunVerb,
    /// For others to read in the lease: `deploy v2`.
    pub(crate) what: String,
    pub(crate) args: &'a RunArgs,
    pub(crate) config: &'a Config,
    pub(crate) secrets: BTreeMap<String, Secret<String>>,
    pub(crate) login: Option<RegistryLogin>,
    pub(crate) key: FingerprintKey,
    /// Certificates and pages.
    pub(crate) edge: Front,
    pub(crate) hooks: Option<Arc<Hooks>>,
    pub(crate) planner: Planner<'a>,
    /// What the release will be called.
    pub(crate) label: Option<Label>,
    /// Said with the plan: what was noticed before it was made.
    pub(crate) notes: Vec<String>,
    /// The hosts whose leases could be had, where not all of them are needed.
    pub(crate) only: Option<BTreeSet<HostName>>,
    /// Why other hosts were left out: said at the end, with its exit code.
    pub(crate) left_out: Option<Failure>,
    /// How the run went, once it has.
    pub(crate) done: Option<RunReport>,
}

impl<'a> Change<'a> {
    /// A change without secrets, credentials, hooks and notes: what most commands need.
    pub(crate) fn of(
        (verb, what): (RunVerb, String),
        args: &'a RunArgs,
        session: &'a Session,
        fleet: &Fleet,
        planner: Planner<'a>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            verb,
            what,
            args,
            config: &session.project.config,
            secrets: BTreeMap::new(),
            login: None,
            key: key(fleet)?,
            edge: Front::default(),
            hooks: None,
            planner,
            label: None,
            notes: Vec::new(),
            only: None,
            left_out: None,
            done: None,
        })
    }

    /// The plan for a fleet. The run's id and time stay the same, so that two plans can be compared.
    pub(crate) fn plan(&self, session: &Session, fleet: &Fleet) -> Result<Plan, Failure> {
        let mut scope = session.scope.clone();
        if let Some(only) = &self.only {
            scope.hosts.retain(|host| only.contains(host));
        }
        let request = Request {
            run: session.run.clone(),
            actor: session.project.actor.clone(),
            at: session.at,
            message: self.args.message.clone(),
            label: self.label.clone(),
            scope,
            skip_unreachable: self.args.skip_unreachable,
            secrets: self.secrets.clone(),
            // Another first deployment may have written one since.
            key: common_key(fleet).unwrap_or_else(|| self.key.clone()),
            edge: self.edge.roles.clone(),
        };
        let mut plan = (self.planner)(self.config, fleet, request)?;
        plan.notes.extend(self.notes.iter().cloned());
        Ok(plan)
    }

    /// Plans, asks, and carries the plan out. `fleet` is what was observed before any lease.
    pub(crate) async fn go(
        mut self,
        session: &Session,
        connections: &Connections,
        fleet: &Fleet,
    ) -> Result<(), Failure> {
        self.carry_out(session, connections, fleet).await
    }

    /// The same for a caller that wants to look at [`Change::done`] afterwards.
    pub(crate) async fn carry_out(
        &mut self,
        session: &Session,
        connections: &Connections,
        fleet: &Fleet,
    ) -> Result<(), Failure> {
        let plan = self.plan(session, fleet)?;
        if self.args.dry_run {
            return self.show(session, fleet, &plan);
        }
        if self.verb == RunVerb::Prune {
            self.left_out = busy(session, fleet, &plan);
        }
        if plan.is_empty() {
            if self.verb != RunVerb::Prune {
                session.board.say(&render::plan::plan(&plan));
            }
            return self.left_out.take().map_or(Ok(()), Err);
        }
        session.board.say(&render::plan::plan(&plan));
        let confirmed = self.confirm(session).await?;
        let leases = match self.verb {
            RunVerb::Prune => self.lease_each(session, connections, &plan, fleet).await?,
            _ => self.lease(session, connections, &plan, fleet).await?,
        };
        let result = self.leased(session, connections, leases, confirmed.then_some(&plan)).await;
        session.board.close();
        result?;
        self.left_out.take().map_or(Ok(()), Err)
    }

    fn show(&self, session: &Session, fleet: &Fleet, plan: &Plan) -> Result<(), Failure> {
        let changes = releases_diff::of_plan(self.config, fleet, &session.scope, plan);
        if session.global.json {
            let mut value = serde_json::to_value(plan).map_err(|e| Failure::refused(format!("JSON: {e}")))?;
            if let Some(fields) = value.as_object_mut() {
                fields.insert("schema".to_string(), crate::event::SCHEMA.into());
                fields.extend(changes.map(|(_, diff)| ("diff".to_string(), diff)));
            }
            return output::json(&value);
        }
        if !(self.verb == RunVerb::Prune && plan.is_empty()) {
            changes.iter().for_each(|(lines, _)| output::print(lines));
            output::print(&render::plan::plan(plan));
        }
        Ok(())
    }

    /// Asks, where there is somebody to ask. Whether somebody said yes to the plan.
    async fn confirm(&self, session: &Session) -> Result<bool, Failure> {
        if self.args.yes || session.global.json || self.verb == RunVerb::Prune || !confirm::can_ask() {
            return Ok(false);
        }
        confirm::ask(&self.question(), &session.cancel).await?;
        Ok(true)
    }

    fn question(&self) -> String {
        let (verb, service) = (words::verb(self.verb), &self.config.service);
        if words::is_noun(self.verb) { format!("Begin the {verb} of {service}?") } else { format!("{verb} {service}?") }
    }

    async fn lease(
        &self,
        session: &Session,
        connections: &Connections,
        plan: &Plan,
        fleet: &Fleet,
    ) -> Result<Leases, Failure> {
        let (nodes, wanted) = self.wanted(session, connections, plan, fleet);
        let leases = Leases::acquire(&nodes, &wanted, &*session.clock, &*session.board);
        session.unless_cancelled(leases).await?.map_err(|failure| Failure::lease(&failure.host, &failure.error))
    }

    /// A prune needs each host's own lease only: where another run is busy it leaves the host alone.
    async fn lease_each(
        &mut self,
        session: &Session,
        connections: &Connections,
        plan: &Plan,
        fleet: &Fleet,
    ) -> Result<Leases, Failure> {
        let (nodes, wanted) = self.wanted(session, connections, plan, fleet);
        let attempt = Leases::acquire_each(&nodes, &wanted, &*session.board);
        let (leases, failures) = session.unless_cancelled(attempt).await?;
        let failure = failures.first().map(|failure| Failure::lease(&failure.host, &failure.error));
        if leases.hosts().next().is_none() {
            return failure.map_or(Ok(leases), Err);
        }
        self.only = Some(leases.hosts().cloned().collect());
        self.left_out = failure.or(self.left_out.take());
        Ok(leases)
    }

    fn wanted(
        &self,
        session: &Session,
        connections: &Connections,
        plan: &Plan,
        fleet: &Fleet,
    ) -> (BTreeMap<HostName, Node>, LeasePlan) {
        let (service, destination) = (&self.config.service, self.config.destination.as_ref());
        let dir = |(host, facts): (&HostName, &crate::fleet::HostFacts)| {
            (host.clone(), facts.home.of_service(service, destination))
        };
        let holder = Holder {
            actor: session.project.actor.clone(),
            run: session.run.clone(),
            what: self.what.clone(),
            since: session.clock.now(),
        };
        let lease_plan = LeasePlan {
            dirs: fleet.reachable().map(dir).collect(),
            holder,
            kamal_lock: journal::kamal_lock(service, destination),
            wait: self.args.lock_wait,
        };
        let needed = |(host, _): &(&HostName, &_)| plan.hosts.contains(host);
        let nodes = connections.nodes.iter().filter(needed).map(|(h, n)| (h.clone(), n.clone())).collect();
        (nodes, lease_plan)
    }

    /// Everything that happens while the leases are held; they are given back whatever comes of it.
    async fn leased(
        &mut self,
        session: &Session,
        connections: &Connections,
        leases: Leases,
        confirmed: Option<&Plan>,
    ) -> Result<(), Failure> {
        let leases = Arc::new(leases);
        let result = self.run(session, connections, leases.clone(), confirmed).await;
        match Arc::try_unwrap(leases) {
            Ok(leases) => {
                for failure in leases.release().await {
                    let why =
                        format!("warning: {}: the lease ends by itself within 15 s: {}", failure.host, failure.error);
                    session.board.warn(&why);
                }
            }
            // Somebody still looks at them; dropping the last one gives them back.
            Err(leases) => drop(leases),
        }
        match result? {
            Some((plan, report)) => {
                let concluded = self.conclude(session, &plan, &report).await;
                self.done = Some(report);
                concluded
            }
            None => Ok(()),
        }
    }

    async fn run(
        &mut self,
        session: &Session,
        connections: &Connections,
        leases: Arc<Leases>,
        confirmed: Option<&Plan>,
    ) -> Result<Option<(Plan, RunReport)>, Failure> {
        // What the engines had accepted from others before the leases were ours still completes: look again.
        let fleet = session.observe(connections).await?;
        let plan = self.plan(session, &fleet)?;
        let leased = |host: &HostName| leases.hosts().any(|leased| leased == host);
        if let Some(host) = plan.hosts.iter().find(|host| !leased(host)) {
            return Err(Failure::refused(format!("{host} answers only now and is not leased; nothing was changed"))
                .hint("run the command again"));
        }
        if confirmed.is_some_and(|seen| essence(seen) != essence(&plan)) {
            return Err(Failure::refused(
                "the fleet changed while you were reading, and with it the plan; nothing was changed",
            )
            .hint("run the command again to see the new plan"));
        }
        if plan.is_empty() {
            // Whoever held the lease before has done it.
            if self.verb != RunVerb::Prune {
                session.board.say(&render::plan::plan(&plan));
            }
            return Ok(None);
        }
        if let (Some(hooks), Some(release)) = (&self.hooks, &plan.release) {
            // A rollback knows its version only now.
            self.hooks = Some(Arc::new(hooks.of_version(&self.config.service, &release.version)));
        }
        if let Some(hooks) = &self.hooks {
            hooks.with("LOCK", "true").run("pre-deploy", &session.cancel).await?;
        }
        if session.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let bulk = bulk(session, &plan).await?;
        self.key = common_key(&fleet).unwrap_or_else(|| self.key.clone());
        let stage_hooks: Arc<dyn StageHooks> = match &self.hooks {
            Some(hooks) => hooks.clone(),
            None => Arc::new(NoHooks),
        };
        let masker = Masker::new(session.secrets.values.values().chain(self.secrets.values()));
        let run = Run {
            plan: plan.clone(),
            masker,
            nodes: connections.nodes.clone(),
            bulk,
            leases,
            secrets: std::mem::take(&mut self.secrets),
            login: self.login.take(),
            key: self.key.clone(),
            files: std::mem::take(&mut self.edge.files),
            clock: session.clock.clone(),
            sink: session.board.clone(),
            hooks: stage_hooks,
            cancel: session.cancel.clone(),
        };
        Ok(Some((plan, run.go().await)))
    }

    async fn conclude(&self, session: &Session, plan: &Plan, report: &RunReport) -> Result<(), Failure> {
        session.board.close();
        if !report.begun {
            let reason = report.reason.as_deref().unwrap_or("the run could not begin");
            return Err(Failure::refused(format!("{reason}; nothing was changed")));
        }
        let flags = session.global.flags();
        if let Some(hooks) = self.hooks.as_ref().filter(|_| report.outcome == Outcome::Succeeded) {
            let runtime = session.board.seen().total.as_secs().to_string();
            let hooks = hooks.with("RUNTIME", &runtime);
            if let Err(error) = hooks.run("post-deploy", &session.cancel).await {
                session.board.warn(&format!("warning: the release serves, but {error}"));
            }
        }
        session.board.say(&render::summary(plan, report.outcome, &session.board.seen(), &flags));
        let interrupted = session.cancel.is_cancelled();
        if !report.unrecorded.is_empty() && report.outcome != Outcome::Unverified {
            return Err(unrecorded(report));
        }
        Failure::of_run(report.outcome, interrupted, report.reason.as_deref()).map_or(Ok(()), Err)
    }
}

/// Connections of their own for the hosts that images are copied from and to: a large stream on the connection that
/// holds a lease would stand in the way of its beats.
async fn bulk(session: &Session, plan: &Plan) -> Result<BTreeMap<HostName, Node>, Failure> {
    let copies = plan.steps().filter_map(|(_, host, step)| match &step.action {
        Action::CopyImage { from, .. } => Some([host.clone(), from.clone()]),
        _ => None,
    });
    let hosts: BTreeSet<HostName> = copies.flatten().collect();
    let connections = session.connect(&hosts.into_iter().collect::<Vec<_>>()).await?;
    match connections.failed.into_iter().next() {
        None => Ok(connections.nodes),
        Some((host, error)) => {
            Err(Failure::refused(format!("{host}: a second connection, for copying: {error}; nothing was changed")))
        }
    }
}

/// A host that a prune leaves alone because another run holds it: that is exit 5, also where nothing else is to be done.
fn busy(session: &Session, fleet: &Fleet, plan: &Plan) -> Option<Failure> {
    let untouched = |host: &HostName| session.scope.hosts.contains(host) && !plan.hosts.contains(host);
    let mut others = fleet.reachable().filter(|(host, _)| untouched(host));
    others.find_map(|(host, facts)| match &facts.lease {
        LeaseState::Held(holder) => Some(Failure::lease(host, &LeaseError::Held(holder.clone()))),
        LeaseState::Free => None,
    })
}

/// Facts may not be lost (design, rule 11).
fn unrecorded(report: &RunReport) -> Failure {
    let hosts = words::hosts(report.unrecorded.iter().map(|(host, _)| host), usize::MAX);
    let text = match report.outcome {
        Outcome::Succeeded => format!("the release serves, but its outcome could not be written down on {hosts}"),
        _ => format!("what served before serves, but the outcome could not be written down on {hosts}"),
    };
    Failure::new(crate::cli::Kind::Mixed, text)
        .hint("make room or repair the state directory there; the next run writes what is missing")
}

/// What somebody who was asked has said yes to: not the ages in a prune's reasons, which go on.
fn essence(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.stages.retain(|stage| stage.kind != StageKind::Prune);
    plan.notes.clear();
    plan
}

fn common_key(fleet: &Fleet) -> Option<FingerprintKey> {
    fleet.reachable().find_map(|(_, facts)| facts.key.clone())
}

/// The key of secret prints: the first host's that has one, else a new one.
pub(crate) fn key(fleet: &Fleet) -> Result<FingerprintKey, Failure> {
    if let Some(key) = common_key(fleet) {
        return Ok(key);
    }
    let bytes: [u8; FingerprintKey::LEN] = rand::random();
    FingerprintKey::new(bytes.to_vec()).ok_or_else(|| Failure::refused("a key of secret prints could not be made"))
}
