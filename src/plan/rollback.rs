//! `windlass rollback`: a release that was there before serves again, from what the hosts kept. Nothing is pulled.

use crate::config::{Config, Role, VerbKind};
use crate::fleet::{Fleet, Health, HostFacts, State};
use crate::history::{Availability, Release, Scope};
use crate::name::{HostName, RoleName};
use crate::plan::change::Incoming;
use crate::plan::remake::Remake;
use crate::plan::rollback_record::{as_retained, record, recorded, spec};
use crate::plan::rollback_refusal::{no_target, not_configured, pulls_nothing};
use crate::plan::situation::{Now, Situation};
use crate::plan::work::HostWork;
use crate::plan::{
    DeployRequest, MadeOf, Plan, Refusal, RollbackRequest, assemble, deploy, end_role, groups, inherit, leftovers,
    names, preflight, prepare, remake,
};
use crate::release::RunVerb;
use crate::spec::Route;
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
    let mut situation = Situation::of(config, fleet, &request.request, request.strategy);
    situation.supply(request.help);
    let planner = Rollback { situation: &situation, request };
    let scope = planner.scope();
    // Around today's configuration only the image counts, which the plan itself asks every host for.
    let needed = if request.current_config && request.target.is_some() { Scope::new() } else { scope.clone() };
    let target = situation
        .history
        .resolve(request.target.as_deref(), &needed)
        .map_err(|error| no_target(&situation, request, &needed, &error))?;
    notes.extend(target.notes);
    let target = target.release;
    let mut plan = if request.current_config {
        deploy::recreate(&situation, &planner.as_deploy(target)?, target.content.clone())?
    } else {
        planner.plan(target, &scope)?
    };
    if !request.help.pull {
        pulls_nothing(&plan)?;
    }
    plan.pulls = request.help.pull;
    if !plan.is_empty() {
        plan.inherited = Some(inherit::inherited(config, &request.request, request.strategy, request.current_config));
        notes.extend(not_configured(config, target));
    }
    notes.append(&mut plan.notes);
    plan.notes = notes;
    Ok(plan)
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
            copy: false,
            setup: false,
        })
    }

    fn plan(&self, target: &Release, scope: &Scope) -> Result<Plan, Refusal> {
        let mut work = Vec::new();
        for host in groups::in_boot_order(self.situation.config) {
            let Some((in_scope, facts)) = scope.get(&host).zip(self.situation.fleet.facts(&host)) else { continue };
            work.push(self.host(&host, facts, in_scope, target)?);
        }
        let record = record(self.situation, target, scope);
        Ok(assemble::release(self.situation, RunVerb::Rollback, work, Some(record)))
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
        if self.request.help.copy && !self.request.help.pull {
            work.prepare = remake::copy_instead_of_pull(self.situation, (host, facts), work.prepare)?;
        }
        for role in config.roles.iter().filter(|r| in_scope.contains(&r.name)) {
            let now = self.situation.now(host, facts, &role.name, role.spec.route.is_some());
            work.before.push(now.serving.clone());
            match target.available.get(host).and_then(|roles| roles.get(&role.name)) {
                Some(availability) => self.role(&mut work, facts, role, target, availability, &now)?,
                None if self.situation.history.was_sent_without(target, &role.name) => {
                    let stays = "the target was sent without this role; what serves it stays";
                    work.notes.push(format!("{host}: {}: {stays}", role.name));
                    work.after.push(now.serving.clone());
                }
                None => {
                    if now.container.is_some() {
                        work.notes.push(format!("{host}: {}: the target does not have this role; it stops", role.name));
                    }
                    end_role::end(self.situation, &mut work, facts, &role.name, &now);
                }
            }
        }
        leftovers::name(self.situation, &mut work, facts);
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
        let spec = spec(role, target);
        let id = self.situation.identity(&role.name, &target.version);
        let name = names::free_name(id, facts, self.situation.number);
        let (situation, run, mut identity) = (self.situation, &self.request.request.run, None);
        if matches!(availability, Availability::Serving(_))
            && let Some(why) = doubt(facts, now)
        {
            return Err(serves_badly(&host, target, &why));
        }
        let incoming = match availability {
            Availability::Serving(_) if now.leftovers.is_empty() => {
                work.after.push(now.serving.clone());
                return Ok(());
            }
            Availability::Serving(_) => {
                // It serves already; only what a run that was cut off left beside it has to go.
                work.after.push(now.serving.clone());
                let stop = |left: &&_| end_role::stop(left, &role.name, now.serving.backend.clone(), left.stop_timeout);
                work.retire.extend(now.leftovers.iter().map(stop));
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
                let remake = Remake { situation, target, host: &host, facts, role, spec: &spec, run, name };
                let supply = remake.image_here(self.request.help.pull)?;
                identity = Some(supply.identity.clone());
                let container = remake.container(&supply, None, &mut work.notes)?;
                work.prepare_with(supply.step);
                Incoming::Create(Box::new(container))
            }
            Availability::Elsewhere(source) => {
                work.notes.push(format!("{host}: {}: made anew after the container of {}", role.name, source.host));
                let remake = Remake { situation, target, host: &host, facts, role, spec: &spec, run, name };
                let supply = remake.image_from(source, self.request.help.pull)?;
                identity = Some(supply.identity.clone());
                let container = remake.container(&supply, Some(source), &mut work.notes)?;
                work.prepare_with(supply.step);
                Incoming::Create(Box::new(container))
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
        if recorded(&role.name, target).is_none() && spec.route.is_some() {
            work.notes.push(format!(
                "{}: no release recorded its port and health check; today's configuration says them",
                role.name
            ));
        }
        let made_of = match (&incoming, retained) {
            (Incoming::Create(container), _) => {
                identity.map(|image| MadeOf { image, fingerprint: Some(container.fingerprint.clone()) })
            }
            (_, Some(retained)) => Some(self.situation.made_of(facts, retained, target.digest.as_ref())),
            (_, None) => None,
        };
        let release = Some(self.request.request.run.clone());
        let change = self.situation.change(facts, (&role.name, &spec), (incoming, release), now);
        let has_tls = |route: Option<&Route>| route.is_some_and(|route| route.tls.is_some());
        if has_tls(spec.route.as_ref()) && !has_tls(change.backend.as_ref().map(|b| &b.route)) {
            work.notes.push(format!(
                "{host}: {}: no certificate is there yet: HTTPS begins with the next `windlass deploy`, not with this run",
                role.name
            ));
        }
        work.go_over(&change, now, Some(target.version.clone()), made_of);
        Ok(())
    }
}

/// Why what serves may not be taken for well: a run that was cut off may have switched to it before its gate, and it may
/// have died since. What runs beside it is stopped only where it is well.
fn doubt(facts: &HostFacts, now: &Now<'_>) -> Option<String> {
    let container = now.container?;
    match &container.state {
        State::Running(Health::Unhealthy) => return Some(format!("{} is unhealthy", container.name)),
        State::Running(_) => {}
        _ => return Some(format!("{} does not run", container.name)),
    }
    let backend = now.serving.backend.as_ref().and_then(|name| facts.proxy.backends.get(name))?;
    let server = backend.servers.iter().find(|s| s.container.as_ref() == Some(&container.id));
    let verdict = server.and_then(|s| s.healthy);
    let fails = verdict == Some(false) || (verdict.is_none() && !now.leftovers.is_empty());
    fails.then(|| format!("the proxy does not find {} healthy", container.name))
}

fn serves_badly(host: &HostName, target: &Release, why: &str) -> Refusal {
    let message = format!("{host}: requests go to {} already, and it is not well: {why}", target.version);
    Refusal::new(message).hint(
        "roll back to another release (`windlass releases`), or bring this one up again with `windlass restart` or \
         `windlass deploy`",
    )
}
