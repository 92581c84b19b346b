//! `windlass deploy` and `windlass setup`.

use crate::config::{Config, Role, RoleHost, VerbKind};
use crate::effect::Backend;
use crate::fleet::{BackendName, Container, Fleet, Health, HostFacts, State};
use crate::history::{self, History};
use crate::name::{Digest, HostName, ImageRef, RunId};
use crate::plan::change::{Change, Incoming, Outgoing};
use crate::plan::names::{self, Identity};
use crate::plan::{
    Action, Adoption, DeployRequest, Lane, Plan, PlannedContainer, Ref, Refusal, Serving, Stage, StageKind, Step,
    adopt, assemble, groups, preflight, prepare, prune,
};
use crate::release::{Fingerprint, ReleaseKind, ReleaseRecord, ReleasedRole, RunVerb, SCHEMA};
use crate::spec::RoleSpec;
use std::collections::BTreeMap;

/// Plans a deploy: the fleet in scope shall serve `request.image` as the configuration says.
///
/// # Errors
/// A [`Refusal`] when a host cannot be reached, lacks something, is locked, or the image is nowhere to be had.
pub fn deploy(config: &Config, fleet: &Fleet, request: &DeployRequest) -> Result<Plan, Refusal> {
    let verbs: &[VerbKind] = if request.setup { &[VerbKind::Setup, VerbKind::Deploy] } else { &[VerbKind::Deploy] };
    let mut notes = preflight::check(config, fleet, &request.request, verbs)?;
    secrets_are_known(config, request)?;
    let history = history_of(config, fleet);
    let verb = if request.setup { RunVerb::Setup } else { RunVerb::Deploy };
    let kind = ReleaseKind::Deploy;
    let mut plan = Planner { config, fleet, request, history: &history, verb, kind }.plan()?;
    notes.append(&mut plan.notes);
    plan.notes = notes;
    prune::append(&mut plan, config, fleet, &history, request.request.at);
    Ok(plan)
}

/// Plans new containers from today's configuration around an image that every host must hold already
/// (`rollback --config current`): nothing is pulled.
pub(super) fn recreate(
    config: &Config,
    fleet: &Fleet,
    request: &DeployRequest,
    history: &History,
    of: Option<RunId>,
) -> Result<Plan, Refusal> {
    secrets_are_known(config, request)?;
    let kind = ReleaseKind::Rollback { of, current_config: true };
    Planner { config, fleet, request, history, verb: RunVerb::Rollback, kind }.plan()
}

/// The history as the configuration's roles see it.
pub(super) fn history_of(config: &Config, fleet: &Fleet) -> History {
    let roles =
        config.roles.iter().map(|r| (r.name.clone(), r.hosts.iter().map(|h| h.name.clone()).collect())).collect();
    History::of(fleet, &config.service, config.destination.as_ref(), &roles)
}

fn secrets_are_known(config: &Config, request: &DeployRequest) -> Result<(), Refusal> {
    let envs = config.roles.iter().flat_map(|r| std::iter::once(&r.spec.env).chain(r.spec.env_tags.values()));
    let missing: Vec<_> =
        envs.flat_map(|env| env.secret.values()).filter(|name| !request.request.secrets.contains_key(*name)).collect();
    match missing.first() {
        None => Ok(()),
        Some(name) => Err(Refusal::new(format!("secret `{name}` has no value")).hint("add it to `.windlass/secrets`")),
    }
}

/// What is to be done on one host.
pub(super) struct HostWork {
    pub(super) host: HostName,
    pub(super) prepare: Vec<Step>,
    pub(super) change: Vec<Step>,
    pub(super) retire: Vec<Step>,
    pub(super) before: Vec<Serving>,
    pub(super) after: Vec<Serving>,
    pub(super) notes: Vec<String>,
}

impl HostWork {
    pub(super) fn new(host: &HostName) -> Self {
        Self {
            host: host.clone(),
            prepare: Vec::new(),
            change: Vec::new(),
            retire: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            notes: Vec::new(),
        }
    }
}

struct Planner<'a> {
    config: &'a Config,
    fleet: &'a Fleet,
    request: &'a DeployRequest,
    history: &'a History,
    verb: RunVerb,
    kind: ReleaseKind,
}

impl Planner<'_> {
    fn plan(&self) -> Result<Plan, Refusal> {
        let request = &self.request.request;
        let adopted = adopt::adoptions(self.config, self.fleet, self.history, request);
        let number = assemble::number(self.history, &adopted);
        let mut work = Vec::new();
        for host in self.hosts() {
            work.push(self.host(&host, number, &adopted)?);
        }
        let changed: Vec<_> = work.iter().filter(|w| !w.change.is_empty()).map(|w| w.host.clone()).collect();
        let waves = match self.verb {
            RunVerb::Rollback => vec![changed],
            _ => groups::of(&changed, &self.config.boot, groups::all_hosts(self.config)),
        };
        let (config, fleet, verb) = (self.config, self.fleet, self.verb);
        let frame = assemble::Frame { config, fleet, request, verb };
        Ok(frame.plan(work, &waves, adopted, Some(self.record(number))))
    }

    /// The reachable hosts in scope, in boot order.
    fn hosts(&self) -> Vec<HostName> {
        let in_scope =
            |host: &HostName| self.request.request.scope.hosts.contains(host) && self.fleet.facts(host).is_some();
        groups::in_boot_order(self.config).into_iter().filter(in_scope).collect()
    }

    fn roles_on<'a>(&'a self, host: &HostName) -> impl Iterator<Item = (&'a Role, &'a RoleHost)> {
        let scope = &self.request.request.scope.roles;
        let host = host.clone();
        self.config
            .roles
            .iter()
            .filter(move |role| scope.contains(&role.name))
            .filter_map(move |role| Some((role, role.hosts.iter().find(|h| h.name == host)?)))
    }

    fn host(&self, host: &HostName, number: u32, adopted: &[Adoption]) -> Result<HostWork, Refusal> {
        let mut work = HostWork::new(host);
        let Some(facts) = self.fleet.facts(host) else { return Ok(work) };
        if self.roles_on(host).next().is_none() {
            return Ok(work);
        }
        work.prepare = prepare::steps(self.config, host, facts, &self.request.request)?;
        let (image, identity) = self.image_on(host, facts)?;
        for (role, role_host) in self.roles_on(host) {
            let target = self.target(role, role_host, &identity);
            let now = self.now(host, facts, role, adopted);
            work.before.push(now.serving.clone());
            if is_as_wanted(facts, self.config, role, &target, &now) {
                work.after.push(now.serving);
                continue;
            }
            let change = self.change(host, facts, role, role_host, target, &now, number);
            if change.stop_first && change.outgoing.is_some() {
                work.notes.push(format!(
                    "role {} publishes host ports: what serves stops before the new one starts, with a gap in between",
                    role.name
                ));
            }
            work.change.extend(change.steps());
            work.retire.extend(change.retire_steps());
            work.after.push(Serving {
                container: Some(change.incoming_ref()),
                version: Some(self.request.version.clone()),
                release: Some(self.request.request.run.clone()),
                ..now.serving
            });
        }
        if !work.change.is_empty() {
            work.prepare.extend(image.map(|action| Step { action, undo: Vec::new() }));
        }
        Ok(work)
    }

    /// How the image gets to a host (if it is not there), and the digest that identifies it there.
    fn image_on(&self, host: &HostName, facts: &HostFacts) -> Result<(Option<Action>, Digest), Refusal> {
        let tag = self.request.image.clone();
        let tagged = facts.images.iter().find(|i| i.tags.contains(&tag.to_string()));
        let Some(digest) = &self.request.digest else {
            let found = tagged.ok_or_else(|| image_is_nowhere(host, &tag))?;
            return Ok((None, found.id.clone()));
        };
        let by_digest = ImageRef { repository: tag.repository.clone(), tag: None, digest: Some(digest.clone()) };
        let wanted = by_digest.to_string();
        let action = match facts.images.iter().find(|i| i.digests.contains(&wanted)) {
            Some(image) if image.tags.contains(&tag.to_string()) => None,
            Some(image) => Some(Action::Tag { image: image.id.to_string(), tag }),
            None if self.verb == RunVerb::Rollback => return Err(image_is_nowhere(host, &tag)),
            None => Some(Action::Pull { image: by_digest, tag }),
        };
        Ok((action, digest.clone()))
    }

    fn target(&self, role: &Role, host: &RoleHost, image: &Digest) -> Fingerprint {
        let request = &self.request.request;
        Fingerprint::of(&role.spec, image, &role.spec.env_for(&host.tags), &request.secrets, &request.key)
    }

    fn now<'f>(&self, host: &HostName, facts: &'f HostFacts, role: &Role, adopted: &[Adoption]) -> Now<'f> {
        now(self.config, self.history, host, facts, &role.name, role.spec.route.is_some(), adopted)
    }

    #[allow(clippy::too_many_arguments)] // what a change is made of; a struct would only be taken apart again
    fn change<'f>(
        &self,
        host: &HostName,
        facts: &'f HostFacts,
        role: &Role,
        role_host: &RoleHost,
        fingerprint: Fingerprint,
        now: &Now<'f>,
        number: u32,
    ) -> Change<'f> {
        let request = &self.request.request;
        let id = self.identity(role);
        let name = names::free_name(id, facts, number);
        let container = PlannedContainer {
            role: role.name.clone(),
            version: self.request.version.clone(),
            image: self.request.image.to_string(),
            env: role.spec.env_for(&role_host.tags),
            labels: names::labels(id, &role.spec, &request.run, &fingerprint, facts.home.dir(), role.spec.restart),
            extra_env: names::kamal_env(id, &name, host),
            hostname: names::hostname(host, &request.run),
            spec: role.spec.clone(),
            fingerprint,
            name,
        };
        let incoming = Incoming::Create(Box::new(container));
        change(self.config, facts, &role.name, &role.spec, incoming, now, &request.run)
    }

    fn identity<'a>(&'a self, role: &'a Role) -> Identity<'a> {
        Identity {
            service: &self.config.service,
            destination: self.config.destination.as_ref(),
            role: &role.name,
            version: &self.request.version,
        }
    }

    fn record(&self, number: u32) -> ReleaseRecord {
        let request = &self.request.request;
        let roles = self.config.roles.iter().filter(|r| request.scope.roles.contains(&r.name));
        let released = |role: &Role| {
            let hosts = role.hosts.iter().filter(|h| request.scope.hosts.contains(&h.name)).cloned().collect();
            let plain = self
                .request
                .digest
                .as_ref()
                .map(|digest| Fingerprint::of(&role.spec, digest, &role.spec.env, &request.secrets, &request.key));
            (role.name.clone(), ReleasedRole { hosts, spec: Some(role.spec.clone()), fingerprint: plain })
        };
        ReleaseRecord {
            schema: SCHEMA,
            run: request.run.clone(),
            number,
            kind: self.kind.clone(),
            service: self.config.service.clone(),
            destination: self.config.destination.clone(),
            version: self.request.version.clone(),
            image: self.request.image.clone(),
            digest: self.request.digest.clone(),
            roles: roles.map(released).collect(),
            actor: request.actor.clone(),
            at: request.at,
            message: request.message.clone(),
        }
    }
}

fn image_is_nowhere(host: &HostName, image: &ImageRef) -> Refusal {
    Refusal::new(format!("{host} does not have the image {image}, and no registry has it"))
        .hint("build and push it first, or load it on every host (`docker load`)")
}

/// What serves a role on a host before the run.
pub(super) struct Now<'f> {
    pub(super) serving: Serving,
    pub(super) container: Option<&'f Container>,
    pub(super) leftovers: Vec<&'f Container>,
}

pub(super) fn now<'f>(
    config: &Config,
    history: &History,
    host: &HostName,
    facts: &'f HostFacts,
    role: &crate::name::RoleName,
    proxied: bool,
    adopted: &[Adoption],
) -> Now<'f> {
    let destination = config.destination.as_ref();
    let container = history::serving(facts, &config.service, destination, role);
    let just_adopted = adopted
        .iter()
        .flat_map(|a| &a.serving)
        .find(|s| s.host == *host && s.role == *role)
        .and_then(|s| s.release.clone());
    let release = just_adopted
        .or_else(|| container.and_then(|_| adopt::release_serving(history, host, role)).and_then(|r| r.run.clone()));
    let serving = Serving {
        host: host.clone(),
        role: role.clone(),
        container: container.map(|c| Ref::Id(c.id.clone())),
        version: container.and_then(Container::version),
        release,
        backend: proxied.then(|| BackendName::new(&config.service, role, destination)),
    };
    let leftovers = history::leftovers(facts, &config.service, destination, role);
    Now { serving, container, leftovers }
}

/// Whether a role already is what the deploy would make it: same specification, secrets and image, routed, healthy, and
/// nothing beside it.
fn is_as_wanted(facts: &HostFacts, config: &Config, role: &Role, target: &Fingerprint, now: &Now<'_>) -> bool {
    let Some(container) = now.container else { return false };
    let runs = matches!(container.state, State::Running(Health::None | Health::Healthy | Health::Starting));
    // Until its gate has passed a container has no restart policy: one that a cut-off run left is not what was wanted.
    let same = container.fingerprint().as_ref() == Some(target) && container.restart == role.spec.restart;
    let routed = match &role.spec.route {
        None => true,
        Some(route) => {
            let name = BackendName::new(&config.service, &role.name, config.destination.as_ref());
            facts.proxy.backends.get(&name).is_some_and(|backend| {
                let healthy = backend
                    .servers
                    .iter()
                    .any(|s| s.container.as_ref() == Some(&container.id) && s.healthy == Some(true));
                backend.route == *route && backend.active() == Some(&container.id) && healthy
            })
        }
    };
    runs && same && routed && now.leftovers.is_empty()
}

/// A change of a role on a host to `incoming`, made from `spec`.
pub(super) fn change<'f>(
    config: &Config,
    facts: &'f HostFacts,
    role: &crate::name::RoleName,
    spec: &RoleSpec,
    incoming: Incoming,
    now: &Now<'f>,
    run: &RunId,
) -> Change<'f> {
    let destination = config.destination.as_ref();
    let name = BackendName::new(&config.service, role, destination);
    let backend = |route: &crate::spec::Route| Backend {
        name: name.clone(),
        service: config.service.clone(),
        role: role.clone(),
        destination: destination.cloned(),
        route: route.clone(),
    };
    let outgoing = now.container.map(|container| Outgoing { container, release: now.serving.release.clone() });
    let wants: Vec<_> = spec.options.publish.iter().filter_map(|p| p.host_port).collect();
    let holds = |c: &Container| c.ports.iter().filter_map(|p| p.host_port).any(|port| wants.contains(&port));
    Change {
        role: role.clone(),
        backend: spec.route.as_ref().map(backend),
        backend_now: facts.proxy.backends.get(&name).map(|state| (backend(&state.route), state)),
        stop_first: now.container.is_some_and(holds),
        host_ports: wants,
        outgoing,
        leftovers: now.leftovers.clone(),
        incoming,
        release: run.clone(),
        restart: spec.restart,
        readiness_delay: spec.readiness_delay,
        stop_timeout: spec.stop_timeout,
        deploy_timeout: config.deploy_timeout.as_secs(),
        drain_timeout: config.drain_timeout.as_secs(),
    }
}

/// Lanes of one kind, leaving out hosts without steps.
pub(super) fn stage(kind: StageKind, lanes: impl IntoIterator<Item = (HostName, Vec<Step>)>) -> Option<Stage> {
    let lanes: Vec<_> =
        lanes.into_iter().filter(|(_, steps)| !steps.is_empty()).map(|(host, steps)| Lane { host, steps }).collect();
    (!lanes.is_empty()).then_some(Stage { kind, lanes, pause_after: 0 })
}

/// The map of lanes by host that a wave takes its part of.
pub(super) fn by_host(work: &[HostWork]) -> BTreeMap<&HostName, &HostWork> {
    work.iter().map(|w| (&w.host, w)).collect()
}
