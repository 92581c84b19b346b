//! `windlass rollback`: a release that was there before serves again, from what the hosts kept. Nothing is pulled.

use crate::config::{Config, Role, VerbKind};
use crate::fleet::{Container, Fleet, HostFacts};
use crate::history::{Availability, Release, Scope};
use crate::name::{HostName, RoleName};
use crate::plan::change::Incoming;
use crate::plan::situation::{Now, Situation};
use crate::plan::work::HostWork;
use crate::plan::{
    Action, DeployRequest, Plan, PlannedContainer, Ref, Refusal, RollbackRequest, Serving, Step, assemble, deploy,
    groups, names, preflight, prepare,
};
use crate::release::{Fingerprint, ReleaseKind, ReleaseRecord, ReleasedRole, RunVerb, SCHEMA};
use crate::spec::{RoleSpec, Route};
use std::collections::BTreeSet;

/// Plans a rollback.
///
/// Image, environment, secrets, command, mounts, labels, port and health check are the target's; hosts, timeouts and
/// the proxy's host names and paths are today's.
///
/// # Errors
/// A [`Refusal`] when there is no such target, or one host of the scope cannot bring it back: then nothing is changed
/// anywhere.
pub fn rollback(config: &Config, fleet: &Fleet, request: &RollbackRequest) -> Result<Plan, Refusal> {
    let mut notes = preflight::check(config, fleet, &request.request, &[VerbKind::Rollback])?;
    let situation = Situation::of(config, fleet, &request.request);
    let planner = Rollback { situation: &situation, request };
    let scope = planner.scope();
    // Around today's configuration only the image counts, which the plan itself asks every host for.
    let needed = if request.current_config && request.target.is_some() { Scope::new() } else { scope.clone() };
    let target = situation
        .history
        .resolve(request.target.as_deref(), &needed)
        .map_err(|error| Refusal::new(error.to_string()).hint("`windlass releases` lists what there is, and where"))?;
    notes.extend(target.notes);
    let target = target.release;
    let mut plan = if request.current_config {
        deploy::recreate(&situation, &planner.as_deploy(target)?, target.content.clone())?
    } else {
        planner.plan(target, &scope)?
    };
    pulls_nothing(&plan)?;
    notes.append(&mut plan.notes);
    plan.notes = notes;
    Ok(plan)
}

/// The proxy's image may be what a host lacks.
fn pulls_nothing(plan: &Plan) -> Result<(), Refusal> {
    let pull = plan.steps().find_map(|(_, host, step)| match &step.action {
        Action::Pull { image, .. } => Some((host, image)),
        _ => None,
    });
    let Some((host, image)) = pull else { return Ok(()) };
    let message =
        format!("the proxy of {host} does not run and its image {image} is not there; a rollback pulls nothing");
    Err(Refusal::new(message).hint(format!("pull it (`docker pull {image}` on {host}), then roll back")))
}

struct Rollback<'a> {
    situation: &'a Situation<'a>,
    request: &'a RollbackRequest,
}

impl Rollback<'_> {
    /// The reachable hosts in scope, each with its roles in scope.
    fn scope(&self) -> Scope {
        let scope = &self.request.request.scope;
        let mut hosts = Scope::new();
        for role in self.situation.config.roles.iter().filter(|r| scope.roles.contains(&r.name)) {
            for host in role.hosts.iter().filter(|h| scope.hosts.contains(&h.name)) {
                if self.situation.fleet.facts(&host.name).is_some() {
                    hosts.entry(host.name.clone()).or_default().insert(role.name.clone());
                }
            }
        }
        hosts
    }

    fn as_deploy(&self, target: &Release) -> Result<DeployRequest, Refusal> {
        let image = target.image.clone().ok_or_else(|| {
            Refusal::new(format!(
                "no image is known of version {}, so today's configuration cannot be put around it",
                target.version
            ))
            .hint("roll back without `--config current`: its containers are still there")
        })?;
        Ok(DeployRequest {
            request: self.request.request.clone(),
            version: target.version.clone(),
            image,
            digest: target.digest.clone(),
            setup: false,
        })
    }

    fn plan(&self, target: &Release, scope: &Scope) -> Result<Plan, Refusal> {
        let mut work = Vec::new();
        for host in groups::in_boot_order(self.situation.config) {
            let Some((in_scope, facts)) = scope.get(&host).zip(self.situation.fleet.facts(&host)) else { continue };
            work.push(self.host(&host, facts, in_scope, target)?);
        }
        let all_at_once: Vec<_> = work.iter().filter(|w| !w.change.is_empty()).map(|w| w.host.clone()).collect();
        let record = self.record(target, scope);
        Ok(assemble::release(self.situation, RunVerb::Rollback, work, &[all_at_once], record))
    }

    fn host(
        &self,
        host: &HostName,
        facts: &HostFacts,
        in_scope: &BTreeSet<RoleName>,
        target: &Release,
    ) -> Result<HostWork, Refusal> {
        let config = self.situation.config;
        let mut work = HostWork::new(host);
        work.prepare = prepare::steps(config, host, facts, &self.request.request)?;
        for role in config.roles.iter().filter(|r| in_scope.contains(&r.name)) {
            let now = self.situation.now(host, facts, &role.name, role.spec.route.is_some());
            work.before.push(now.serving.clone());
            match target.available.get(host).and_then(|roles| roles.get(&role.name)) {
                Some(availability) => self.role(&mut work, facts, role, target, availability, &now)?,
                None => self.end_role(&mut work, facts, role, &now),
            }
        }
        Ok(work)
    }

    fn role(
        &self,
        work: &mut HostWork,
        facts: &HostFacts,
        role: &Role,
        target: &Release,
        availability: &Availability,
        now: &Now<'_>,
    ) -> Result<(), Refusal> {
        let host = work.host.clone();
        let spec = self.spec(role, target);
        let id = self.situation.identity(&role.name, &target.version);
        let name = names::free_name(id, facts, self.situation.number);
        let incoming = match availability {
            Availability::Serving(_) if now.leftovers.is_empty() => {
                work.after.push(now.serving.clone());
                return Ok(());
            }
            Availability::Serving(_) => {
                // It serves already; only what a run that was cut off left beside it has to go.
                work.after.push(now.serving.clone());
                work.retire.extend(now.leftovers.iter().map(|left| self.retire(role, left)));
                return Ok(());
            }
            Availability::Restart(container) => {
                work.notes
                    .push(format!("{}: the retained containers start again; nothing is pulled or created", role.name));
                Incoming::Restart { container: container.clone(), else_name: name }
            }
            Availability::Remake { from, why } => {
                work.notes.push(format!("{host}: {}: makes a new container like the retained one ({why})", role.name));
                Incoming::Remake { from: from.clone(), name }
            }
            Availability::FromRecord => {
                work.notes.push(format!("{host}: {}: makes the container anew from the release's record", role.name));
                Incoming::Create(Box::new(self.remade_from_record(&host, facts, role, target, &spec, name)?))
            }
            Availability::Missing { .. } => return Ok(()), // refused before
        };
        let retained = match availability {
            Availability::Restart(id) | Availability::Remake { from: id, .. } => {
                facts.containers.iter().find(|c| c.id == *id)
            }
            _ => None,
        };
        let spec = as_retained(spec, retained);
        if self.recorded(role, target).is_none() && spec.route.is_some() {
            work.notes.push(format!(
                "{}: no release recorded its port and health check; today's configuration says them",
                role.name
            ));
        }
        let change = self.situation.change(facts, &role.name, &spec, incoming, now);
        let has_tls = |route: Option<&Route>| route.is_some_and(|route| route.tls.is_some());
        if has_tls(spec.route.as_ref()) && !has_tls(change.backend.as_ref().map(|b| &b.route)) {
            work.notes.push(format!(
                "{host}: {}: no certificate is there yet: HTTPS begins with the next `windlass deploy`, not with this run",
                role.name
            ));
        }
        work.go_over(&change, now, &target.version, &self.request.request.run);
        Ok(())
    }

    /// The target does not have this role: what serves it stops, after everything else has gone over.
    fn end_role(&self, work: &mut HostWork, facts: &HostFacts, role: &Role, now: &Now<'_>) {
        let Some(container) = now.container else {
            work.after.push(now.serving.clone());
            return;
        };
        work.notes.push(format!("{}: {}: the target does not have this role; it stops", work.host, role.name));
        if role.spec.route.is_some() {
            let backend = self.situation.backend(&role.name);
            let timeout = self.situation.config.drain_timeout.as_secs();
            let drain = Action::Drain { backend: backend.clone(), container: Ref::Id(container.id.clone()), timeout };
            // No new request finds its way any more; those that are on theirs are answered before it stops.
            work.retire
                .extend([Action::RemoveRoute { backend }, drain].map(|action| Step { action, undo: Vec::new() }));
            work.retire.extend(self.situation.edge(facts, &role.name).forget_all());
        }
        let mut step = self.retire(role, container);
        if let Action::Retire { ends_role, .. } = &mut step.action {
            *ends_role = true;
        }
        work.retire.push(step);
        work.after.push(Serving { container: None, version: None, release: None, ..now.serving.clone() });
    }

    fn retire(&self, role: &Role, container: &Container) -> Step {
        let proxied = role.spec.route.is_some();
        let action = Action::Retire {
            container: Ref::Id(container.id.clone()),
            role: role.name.clone(),
            backend: proxied.then(|| self.situation.backend(&role.name)),
            timeout: role.spec.stop_timeout.or(container.stop_timeout),
            stop_first: false,
            ends_role: false,
        };
        Step { action, undo: Vec::new() }
    }

    fn recorded<'t>(&self, role: &Role, target: &'t Release) -> Option<&'t RoleSpec> {
        target.record.as_ref()?.roles.get(&role.name)?.spec.as_ref()
    }

    /// The target's specification with today's side of the route.
    fn spec(&self, role: &Role, target: &Release) -> RoleSpec {
        let Some(mut spec) = self.recorded(role, target).cloned() else { return role.spec.clone() };
        spec.route = match (&spec.route, &role.spec.route) {
            (Some(then), Some(today)) => {
                Some(Route { app_port: then.app_port, check: then.check.clone(), ..today.clone() })
            }
            (_, today) => today.clone(),
        };
        spec
    }

    fn remade_from_record(
        &self,
        host: &HostName,
        facts: &HostFacts,
        role: &Role,
        target: &Release,
        spec: &RoleSpec,
        name: String,
    ) -> Result<PlannedContainer, Refusal> {
        let request = &self.request.request;
        let tags = role.hosts.iter().find(|h| h.name == *host).map(|h| h.tags.clone()).unwrap_or_default();
        let env = spec.env_for(&tags);
        let image = target.image.as_ref().map(ToString::to_string).unwrap_or_default();
        let on_host = facts.images.iter().find(|i| {
            let digest = target.digest.as_ref().map(ToString::to_string);
            i.tags.contains(&image) || digest.is_some_and(|d| i.digests.iter().any(|known| known.ends_with(&d)))
        });
        let on_host = on_host.ok_or_else(|| Refusal::new(format!("{host} no longer has the image {image}")))?;
        let identity = target.digest.as_ref().unwrap_or(&on_host.id);
        let fingerprint = Fingerprint::of(spec, identity, &env, &request.secrets, &request.key);
        let id = self.situation.identity(&role.name, &target.version);
        Ok(PlannedContainer {
            role: role.name.clone(),
            version: target.version.clone(),
            image: on_host.id.to_string(),
            labels: names::labels(id, spec, &request.run, &fingerprint, facts.home.dir(), spec.restart),
            extra_env: names::kamal_env(id, &name, host),
            hostname: names::hostname(host, &request.run),
            spec: spec.clone(),
            env,
            fingerprint,
            name,
        })
    }

    fn record(&self, target: &Release, scope: &Scope) -> ReleaseRecord {
        let request = &self.request.request;
        let config = self.situation.config;
        let roles = roles_of(target);
        let released = |role: &Role| {
            let recorded = target.record.as_ref().and_then(|r| r.roles.get(&role.name));
            let in_scope = |h: &&crate::config::RoleHost| scope.get(&h.name).is_some_and(|r| r.contains(&role.name));
            ReleasedRole {
                hosts: role.hosts.iter().filter(in_scope).cloned().collect(),
                spec: recorded.and_then(|r| r.spec.as_ref()).map(|_| self.spec(role, target)),
                fingerprint: recorded.and_then(|r| r.fingerprint.clone()),
            }
        };
        let in_target = config.roles.iter().filter(|r| roles.contains(&r.name));
        let fallback = || crate::name::ImageRef {
            repository: config.repository.clone(),
            tag: Some(target.version.clone()),
            digest: None,
        };
        ReleaseRecord {
            schema: SCHEMA,
            run: request.run.clone(),
            number: self.situation.number,
            kind: ReleaseKind::Rollback { of: target.content.clone(), current_config: false },
            service: config.service.clone(),
            destination: config.destination.clone(),
            version: target.version.clone(),
            image: target.image.clone().unwrap_or_else(fallback),
            digest: target.digest.clone(),
            roles: in_target.map(|role| (role.name.clone(), released(role))).collect(),
            actor: request.actor.clone(),
            at: request.at,
            message: request.message.clone(),
            label: None,
        }
    }
}

/// The roles that a release has: those of its record, or (unrecorded) those it has containers of.
fn roles_of(release: &Release) -> BTreeSet<RoleName> {
    match &release.record {
        Some(record) => record.roles.keys().cloned().collect(),
        None => release.available.values().flat_map(|roles| roles.keys().cloned()).collect(),
    }
}

/// A retained container's own policy, timeout and ports decide, whatever the configuration says today.
fn as_retained(mut spec: RoleSpec, retained: Option<&Container>) -> RoleSpec {
    if let Some(container) = retained {
        spec.restart = container.serving_restart();
        spec.stop_timeout = container.stop_timeout.or(spec.stop_timeout);
        spec.options.publish = container.ports.clone();
    }
    spec
}
