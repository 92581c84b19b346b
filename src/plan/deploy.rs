//! `windlass deploy` and `windlass setup`.

use crate::config::{Config, Role, RoleHost, VerbKind};
use crate::fleet::{BackendName, Fleet, Health, HostFacts, State};
use crate::name::{Digest, HostName, ImageRef, RoleName, RunId};
use crate::plan::change::Incoming;
use crate::plan::situation::{Now, Situation};
use crate::plan::work::HostWork;
use crate::plan::{
    Action, DeployRequest, MadeOf, Plan, PlannedContainer, Refusal, Step, Strategy, assemble, edge, groups, leftovers,
    mark, names, preflight, prepare, prune, retain,
};
use crate::release::{Fingerprint, ReleaseKind, ReleaseRecord, ReleasedRole, RunVerb, SCHEMA};

use crate::spec::RoleSpec;

/// Plans a deploy: the fleet in scope shall serve `request.image` as the configuration says.
///
/// # Errors
/// A [`Refusal`] when a host cannot be reached, lacks something, is locked, or the image is nowhere to be had.
pub fn deploy(config: &Config, fleet: &Fleet, request: &DeployRequest) -> Result<Plan, Refusal> {
    let verbs: &[VerbKind] = if request.setup { &[VerbKind::Setup, VerbKind::Deploy] } else { &[VerbKind::Deploy] };
    let mut notes = preflight::check(config, fleet, &request.request, verbs)?;
    secrets_are_known(config, request)?;
    let verb = if request.setup { RunVerb::Setup } else { RunVerb::Deploy };
    let situation = Situation::of(config, fleet, &request.request, Strategy::Rolling);
    let label = request.request.label.as_ref();
    label.map_or(Ok(()), |label| mark::label_is_free(&situation.history, label))?;
    let mut plan = Planner { situation: &situation, request, verb, kind: ReleaseKind::Deploy }.plan()?;
    if let Some(label) = label.filter(|_| plan.release.is_none()) {
        notes.push(format!("no release is made, so none is called {label}: `windlass releases label` does that"));
    }
    notes.extend(leftovers::hosts(&situation).filter(|_| !plan.is_empty()));
    notes.append(&mut plan.notes);
    plan.notes = notes;
    if request.copy {
        retain::append(&mut plan, &situation)?;
    }
    prune::append(&mut plan, config, fleet, &situation.history, request.request.at);
    Ok(plan)
}

/// Plans new containers from today's configuration around an image that every host must hold already
/// (`rollback --config current`): nothing is pulled.
pub(super) fn recreate(situation: &Situation<'_>, request: &DeployRequest, of: Option<RunId>) -> Result<Plan, Refusal> {
    secrets_are_known(situation.config, request)?;
    let kind = ReleaseKind::Rollback { of, current_config: true };
    Planner { situation, request, verb: RunVerb::Rollback, kind }.plan()
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

struct Planner<'a> {
    situation: &'a Situation<'a>,
    request: &'a DeployRequest,
    verb: RunVerb,
    kind: ReleaseKind,
}

impl Planner<'_> {
    fn plan(&self) -> Result<Plan, Refusal> {
        let work = self.hosts().iter().map(|host| self.host(host)).collect::<Result<Vec<_>, _>>()?;
        // What only stops roles that are configured no more makes no release: nothing would ever serve it.
        let changes = self.verb == RunVerb::Rollback || work.iter().any(|w| !w.change.is_empty());
        Ok(assemble::release(self.situation, self.verb, work, changes.then(|| self.record())))
    }

    /// The reachable hosts in scope, in boot order.
    fn hosts(&self) -> Vec<HostName> {
        let in_scope = |host: &HostName| {
            self.request.request.scope.hosts.contains(host) && self.situation.fleet.facts(host).is_some()
        };
        groups::in_boot_order(self.situation.config).into_iter().filter(in_scope).collect()
    }

    fn roles_on<'a>(&'a self, host: &HostName) -> impl Iterator<Item = (&'a Role, &'a RoleHost)> {
        let scope = &self.request.request.scope.roles;
        let roles = self.situation.config.roles.iter().filter(move |role| scope.contains(&role.name));
        roles.filter_map(move |role| Some((role, role.hosts.iter().find(|h| h.name == *host)?)))
    }

    fn host(&self, host: &HostName) -> Result<HostWork, Refusal> {
        let mut work = HostWork::new(host);
        let Some(facts) = self.situation.fleet.facts(host) else { return Ok(work) };
        if self.roles_on(host).next().is_none() {
            return Ok(work);
        }
        let config = self.situation.config;
        work.prepare = prepare::steps(config, host, facts, &self.request.request)?;
        work.notes.extend(prepare::other_settings(config, host, facts));
        let (image, identity) = self.image_on(host, facts)?;
        for (role, role_host) in self.roles_on(host) {
            let target = self.target(role, role_host, &identity);
            let now = self.situation.now(host, facts, &role.name, role.spec.route.is_some());
            work.before.push(now.serving.clone());
            work.notes.extend(self.edge_notes(facts, role)?);
            let change = self.situation.edge(facts, &role.name);
            work.prepare.extend(change.upload());
            work.retire.extend(change.forget());
            if is_as_wanted(facts, config, role, &target, &now) {
                // A new certificate or other pages around what serves already: the route alone, and no release.
                work.prepare.extend(change.set_route());
                work.after.push(now.serving);
                continue;
            }
            let spec = expanded(host, facts, (&role.name, &role.spec), &mut work.notes)?;
            let made_of = MadeOf { image: identity.clone(), fingerprint: Some(target.clone()) };
            let container = self.container(host, facts, role, &spec, role_host, target);
            let incoming = (Incoming::Create(Box::new(container)), Some(self.request.request.run.clone()));
            let change = self.situation.change(facts, (&role.name, &role.spec), incoming, &now);
            work.go_over(&change, &now, Some(self.request.version.clone()), Some(made_of));
        }
        match self.verb {
            RunVerb::Rollback => leftovers::name(self.situation, &mut work, facts),
            _ => leftovers::end(self.situation, &mut work, facts),
        }
        if !work.change.is_empty() {
            work.prepare.extend(image.map(|action| Step { action, undo: Vec::new() }));
        }
        Ok(work)
    }

    /// What is to be said of a role's certificate, and of its maintenance.
    fn edge_notes(&self, facts: &HostFacts, role: &Role) -> Result<Vec<String>, Refusal> {
        let name = self.situation.backend(&role.name);
        let now = facts.proxy.backends.get(&name).map(|state| state.edge.clone()).unwrap_or_default();
        let request = &self.request.request;
        let mut notes = match (request.edge.get(&role.name), &role.spec.route) {
            (Some(asked), Some(route)) => {
                let serves = now.certificate.is_some() && now.certificate == asked.certificate;
                edge::judge(role.name.as_str(), asked, &route.hosts, serves, request.at)?
            }
            _ => Vec::new(),
        };
        if let Some(maintenance) = &now.maintenance {
            let why = maintenance.message.as_ref().map(|m| format!(" ({m})")).unwrap_or_default();
            notes.push(format!("{name} is in maintenance{why} and stays so: `windlass app live` ends it"));
        }
        Ok(notes)
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

    fn container(
        &self,
        host: &HostName,
        facts: &HostFacts,
        role: &Role,
        spec: &RoleSpec,
        role_host: &RoleHost,
        fingerprint: Fingerprint,
    ) -> PlannedContainer {
        let run = &self.request.request.run;
        let id = self.situation.identity(&role.name, &self.request.version);
        let name = names::free_name(id, facts, self.situation.number);
        PlannedContainer {
            role: role.name.clone(),
            version: self.request.version.clone(),
            image: self.request.image.to_string(),
            env: spec.env_for(&role_host.tags),
            labels: names::labels(id, spec, run, &fingerprint, facts.home.dir(), role.spec.restart),
            extra_env: names::kamal_env(id, &name, host),
            hostname: names::hostname(host, run),
            spec: spec.clone(),
            secrets_from: None,
            fingerprint,
            name,
        }
    }

    fn record(&self) -> ReleaseRecord {
        let request = &self.request.request;
        let config = self.situation.config;
        let roles = config.roles.iter().filter(|r| request.scope.roles.contains(&r.name));
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
            number: self.situation.number,
            kind: self.kind.clone(),
            service: config.service.clone(),
            destination: config.destination.clone(),
            version: self.request.version.clone(),
            image: self.request.image.clone(),
            digest: self.request.digest.clone(),
            roles: roles.map(released).collect(),
            actor: request.actor.clone(),
            at: request.at,
            message: request.message.clone(),
            label: request.label.clone(),
        }
    }
}

/// A role's specification with what this host's shell makes of its words.
pub(super) fn expanded(
    host: &HostName,
    facts: &HostFacts,
    (role, spec): (&RoleName, &RoleSpec),
    notes: &mut Vec<String>,
) -> Result<RoleSpec, Refusal> {
    let sources = spec.shell_sources();
    if sources.is_empty() {
        return Ok(spec.clone());
    }
    let expanded = spec.expanded(&facts.expansions).map_err(|why| {
        Refusal::new(format!("role {role} on {host}: {why}"))
            .hint("write the value itself, or set what it needs in the login's environment there")
    })?;
    let sources: Vec<_> = sources.iter().map(String::as_str).collect();
    notes.push(format!("role {role}: the shell of each host expanded {}", sources.join(", ")));
    Ok(expanded)
}

fn image_is_nowhere(host: &HostName, image: &ImageRef) -> Refusal {
    Refusal::new(format!("{host} does not have the image {image}, and no registry has it"))
        .hint("build and push it first, or load it on every host (`docker load`)")
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
