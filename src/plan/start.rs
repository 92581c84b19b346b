//! `windlass app start`: what served last on each host serves again, once it has passed its gate. Nothing is pulled and
//! nothing is made anew from today's configuration: that is a deploy.

use crate::config::{Config, Role};
use crate::effect::Backend;
use crate::fleet::{BackendName, Container, Fleet, HostFacts};
use crate::name::{HostName, RunId};
use crate::plan::edge;
use crate::plan::names;
use crate::plan::situation::{Now, Situation};
use crate::plan::stop::{roles_on, to_start};
use crate::plan::work::HostWork;
use crate::plan::{Action, Gate, Plan, Ref, Refusal, Request, Serving, Step, assemble, groups, preflight, prepare};
use crate::release::RunVerb;
use crate::spec::Edge;

/// Plans a start of what is in scope.
///
/// # Errors
/// A [`Refusal`] when a host cannot be reached, is locked, or has nothing that could be started.
pub fn start(config: &Config, fleet: &Fleet, request: &Request) -> Result<Plan, Refusal> {
    let notes = preflight::check(config, fleet, request, &[])?;
    let situation = Situation::of(config, fleet, request, crate::plan::Strategy::default());
    let mut work = Vec::new();
    for host in groups::in_boot_order(config).into_iter().filter(|h| request.scope.hosts.contains(h)) {
        let Some(facts) = fleet.facts(&host) else { continue };
        let mut own = HostWork::new(&host);
        for role in roles_on(config, request, &host) {
            let now = situation.now(&host, facts, &role.name, role.spec.route.is_some());
            let Some((container, release)) = to_start(config, facts, role, &now) else {
                return Err(nothing_to_start(&host, role));
            };
            Start { situation: &situation, facts, role, now: &now, container, release }.add_to(&mut own);
        }
        if !own.change.is_empty() {
            own.prepare = prepare::steps(config, &host, facts, request)?;
        }
        work.push(own);
    }
    Ok(assemble::all_at_once(&situation, RunVerb::Start, work, notes))
}

fn nothing_to_start(host: &HostName, role: &Role) -> Refusal {
    Refusal::new(format!("{host}: nothing of role {} was stopped there that could be started", role.name))
        .hint("`windlass deploy` or `windlass rollback` puts a release there; `windlass app containers` shows what is")
}

struct Start<'a> {
    situation: &'a Situation<'a>,
    facts: &'a HostFacts,
    role: &'a Role,
    now: &'a Now<'a>,
    container: &'a Container,
    /// The release that it served.
    release: Option<RunId>,
}

impl Start<'_> {
    fn add_to(self, work: &mut HostWork) {
        work.before.push(self.now.serving.clone());
        work.after.push(Serving {
            container: Some(Ref::Id(self.container.id.clone())),
            version: self.container.version(),
            release: self.release.clone(),
            ..self.now.serving.clone()
        });
        if !self.serves() {
            work.change.extend(self.steps());
        }
    }

    /// Whether it runs and, where there is a proxy, is routed to.
    fn serves(&self) -> bool {
        let routed = self.role.spec.route.is_none() || self.routed();
        self.now.container.is_some() && self.container.state.is_running() && routed
    }

    fn routed(&self) -> bool {
        let backend = self.facts.proxy.backends.get(&self.name());
        backend.is_some_and(|b| b.active() == Some(&self.container.id))
    }

    fn name(&self) -> BackendName {
        self.situation.backend(&self.role.name)
    }

    /// The route as it is: it was kept. Where the proxy lost it, as today's configuration has it.
    fn port(&self) -> Option<(u16, Option<Backend>)> {
        let today = self.role.spec.route.as_ref()?;
        match self.facts.proxy.backends.get(&self.name()) {
            Some(kept) => Some((kept.route.app_port, None)),
            None => Some((
                today.app_port,
                Some(self.situation.as_backend(
                    &self.role.name,
                    &edge::possible(today, &Edge::default()),
                    &Edge::default(),
                )),
            )),
        }
    }

    /// Start → load → gate → restart policy → switch, as in a deploy.
    fn steps(&self) -> Vec<Step> {
        let container = Ref::Id(self.container.id.clone());
        let role = self.role.name.clone();
        let (port, lost) = self.port().map_or((None, None), |(port, lost)| (Some(port), lost));
        let backend = port.map(|_| self.name());
        let mut steps: Vec<Step> = lost.map(|backend| plain(Action::SetRoute { backend })).into_iter().collect();
        let undo_start = match self.container.state.is_running() || self.routed() {
            true => Vec::new(),
            false => vec![Action::Retire {
                container: container.clone(),
                role: role.clone(),
                backend: backend.clone(),
                timeout: self.role.spec.stop_timeout.or(self.container.stop_timeout),
                stop_first: false,
                // Behind a proxy the way back of the switch writes it down.
                ends_role: backend.is_none(),
            }],
        };
        let start = Action::Start { container: container.clone(), else_like: Some(self.else_name()) };
        steps.push(Step { action: start, undo: undo_start });
        if let (Some(backend), Some(port)) = (&backend, port) {
            let undo = match self.routed() {
                true => Vec::new(),
                false => vec![Action::Unload { backend: backend.clone(), container: container.clone() }],
            };
            let action = Action::Load { backend: backend.clone(), container: container.clone(), port };
            steps.push(Step { action, undo });
        }
        let gate = match (&backend, port) {
            (Some(backend), Some(port)) => Gate::Proxy { backend: backend.clone(), port },
            _ => Gate::Engine { readiness_delay: self.role.spec.readiness_delay },
        };
        let deadline = self.situation.config.deploy_timeout.as_secs();
        steps.push(plain(Action::Gate { container: container.clone(), role: role.clone(), gate, deadline }));
        let policy = self.container.serving_restart();
        steps.push(plain(Action::SetRestart { container: container.clone(), policy }));
        let from = self.now.container.map(|c| Ref::Id(c.id.clone()));
        let undo = match (&backend, &from) {
            (Some(backend), None) => {
                vec![Action::Suspend { role: role.clone(), backend: backend.clone(), from: container.clone() }]
            }
            _ => Vec::new(),
        };
        let release = self.release.clone();
        let action = Action::Switch { role, backend, port: port.unwrap_or(0), from, to: container, release };
        steps.push(Step { action, undo });
        steps
    }

    /// The name of one like it, should it not start any more.
    fn else_name(&self) -> String {
        let version = self.container.version().or_else(|| "unknown".parse().ok());
        let Some(version) = version else { return format!("{}-again", self.container.name) };
        let id = self.situation.identity(&self.role.name, &version);
        names::free_name(id, self.facts, 0)
    }
}

fn plain(action: Action) -> Step {
    Step { action, undo: Vec::new() }
}
