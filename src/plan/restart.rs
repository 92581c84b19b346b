//! `windlass restart`: new containers of what serves, of the same image and the same specification.

use crate::config::{Config, Role, VerbKind};
use crate::fleet::{Container, Fleet, HostFacts};
use crate::history::Release;
use crate::name::HostName;
use crate::plan::change::Incoming;
use crate::plan::deploy::expanded;
use crate::plan::situation::{Now, Situation};
use crate::plan::work::HostWork;
use crate::plan::{
    MadeOf, Plan, PlannedContainer, Refusal, RestartRequest, Strategy, adopt, assemble, groups, names, preflight,
};
use crate::release::{Fingerprint, ReleaseKind, ReleaseRecord, ReleasedRole, RunVerb, SCHEMA};
use crate::spec::RoleHost;
use std::collections::BTreeMap;

/// Plans a restart. Without `secrets` every container is made exactly like the one that serves, and the release stays
/// the same; with them each is made from its release's record with today's values, which is a release of its own.
///
/// # Errors
/// A [`Refusal`] when nothing serves, or (with new secrets) when what serves is not one release with a record.
pub fn restart(config: &Config, fleet: &Fleet, request: &RestartRequest) -> Result<Plan, Refusal> {
    let mut notes = preflight::check(config, fleet, &request.request, &[VerbKind::Rollback])?;
    let strategy = if request.force { Strategy::Recreate } else { Strategy::Rolling };
    let situation = Situation::of(config, fleet, &request.request, strategy);
    let restart = Restart { situation: &situation, request };
    let served = if request.secrets { Some(restart.served()?) } else { None };
    let mut work = Vec::new();
    for host in groups::in_boot_order(config) {
        let Some(facts) = fleet.facts(&host).filter(|_| request.request.scope.hosts.contains(&host)) else { continue };
        work.push(restart.host(&host, facts, served)?);
    }
    if work.iter().all(|w| w.change.is_empty()) {
        let message = format!("nothing of {} serves in scope, so there is nothing to restart", config.service);
        return Err(Refusal::new(message).hint("`windlass deploy` brings a release up"));
    }
    let record = served.map(|release| restart.record(release)).transpose()?;
    let mut plan = assemble::release(&situation, RunVerb::Restart, work, record);
    notes.append(&mut plan.notes);
    plan.notes = notes;
    Ok(plan)
}

struct Restart<'a> {
    situation: &'a Situation<'a>,
    request: &'a RestartRequest,
}

impl<'a> Restart<'a> {
    fn roles_on<'r>(&'r self, host: &'r HostName) -> impl Iterator<Item = (&'a Role, &'a RoleHost)> + use<'a, 'r> {
        let scope = &self.request.request.scope.roles;
        let roles = self.situation.config.roles.iter().filter(|role| scope.contains(&role.name));
        roles.filter_map(|role| Some((role, role.hosts.iter().find(|h| h.name == *host)?)))
    }

    fn host(&self, host: &HostName, facts: &HostFacts, served: Option<&Release>) -> Result<HostWork, Refusal> {
        let mut work = HostWork::new(host);
        for (role, role_host) in self.roles_on(host) {
            let now = self.situation.now(host, facts, &role.name, role.spec.route.is_some());
            work.before.push(now.serving.clone());
            let Some(container) = now.container else {
                work.notes.push(format!("{host}: nothing serves {}; `windlass deploy` brings it up", role.name));
                work.after.push(now.serving.clone());
                continue;
            };
            match served {
                None => self.recycle(&mut work, facts, role, container, &now),
                Some(release) => self.remake(&mut work, facts, (role, role_host), release, &now)?,
            }
        }
        Ok(work)
    }

    /// A container exactly like the one that serves.
    fn recycle(&self, work: &mut HostWork, facts: &HostFacts, role: &Role, container: &Container, now: &Now<'_>) {
        let host = &work.host;
        let release = adopt::release_serving(&self.situation.history, host, &role.name);
        let number = release.and_then(|r| r.number).unwrap_or(self.situation.number);
        let version = container.version();
        let name = match &version {
            Some(version) => names::free_name(self.situation.identity(&role.name, version), facts, number),
            None => format!("{}_{}", container.name, self.request.request.run),
        };
        let mut spec = release.and_then(|r| r.record.as_ref()?.roles.get(&role.name)?.spec.clone());
        let route = facts.proxy.backends.get(&self.situation.backend(&role.name)).map(|backend| backend.route.clone());
        let spec = spec.get_or_insert_with(|| role.spec.clone());
        // A restart changes no route: what is routed to, and to which port, stays as it is.
        spec.route = role.spec.route.as_ref().and(route).or_else(|| role.spec.route.clone());
        spec.restart = container.serving_restart();
        spec.stop_timeout = container.stop_timeout.or(spec.stop_timeout);
        spec.options.publish = container.ports.clone();
        let incoming = (Incoming::Remake { from: container.id.clone(), name }, now.serving.release.clone());
        let change = self.situation.change(facts, (&role.name, spec), incoming, now);
        let made_of = MadeOf { image: container.image_id.clone(), fingerprint: container.fingerprint() };
        work.go_over(&change, now, version, Some(made_of));
    }

    /// The one release that serves everything in scope.
    fn served(&self) -> Result<&'a Release, Refusal> {
        let history = &self.situation.history;
        let scope = &self.request.request.scope;
        let serves = |r: &&Release| {
            r.running.iter().any(|(host, roles)| scope.hosts.contains(host) && !roles.is_disjoint(&scope.roles))
        };
        let mut serving = history.releases.iter().rev().filter(serves);
        let newest = serving.next().ok_or_else(|| {
            Refusal::new(format!("nothing of {} serves in scope", self.situation.config.service))
                .hint("`windlass deploy` brings a release up")
        })?;
        if let Some(other) = serving.find(|other| !history.same_content(newest, other)) {
            let message = format!(
                "{} and {} both serve in scope: new secrets make one release, and it could be either of them",
                newest.label(),
                other.label()
            );
            return Err(Refusal::new(message).hint("finish the rollback or the deploy first, or narrow the scope"));
        }
        Ok(newest)
    }

    fn remake(
        &self,
        work: &mut HostWork,
        facts: &HostFacts,
        (role, role_host): (&Role, &RoleHost),
        release: &Release,
        now: &Now<'_>,
    ) -> Result<(), Refusal> {
        let request = &self.request.request;
        let record = recorded(release)?;
        let unknown = || no_record(release);
        let Some(released) = record.roles.get(&role.name) else {
            work.after.push(now.serving.clone());
            return Ok(());
        };
        let mut spec = released.spec.clone().ok_or_else(unknown)?;
        spec.route = role.spec.route.clone().map(|today| match &spec.route {
            Some(then) => crate::spec::Route { app_port: then.app_port, check: then.check.clone(), ..today },
            None => today,
        });
        let env = spec.env_for(&role_host.tags);
        if let Some(name) = env.secret.values().find(|name| !request.secrets.contains_key(*name)) {
            let message = format!("secret `{name}`, which {} needs, has no value", release.label());
            return Err(Refusal::new(message).hint("add it to `.windlass/secrets`"));
        }
        let Some(image) = now.container.map(|c| c.image_id.clone()) else { return Ok(()) };
        let identity = record.digest.clone().unwrap_or_else(|| image.clone());
        let fingerprint = Fingerprint::of(&spec, &identity, &env, &request.secrets, &request.key);
        let here = expanded(&work.host, facts, (&role.name, &spec), &mut work.notes)?;
        let id = self.situation.identity(&role.name, &release.version);
        let name = names::free_name(id, facts, self.situation.number);
        let container = PlannedContainer {
            role: role.name.clone(),
            version: release.version.clone(),
            image: image.to_string(),
            labels: names::labels(id, &spec, &request.run, &fingerprint, facts.home.dir(), spec.restart),
            extra_env: names::kamal_env(id, &name, &work.host),
            hostname: names::hostname(&work.host, &request.run),
            secrets_from: None,
            env: here.env_for(&role_host.tags),
            spec: here,
            fingerprint: fingerprint.clone(),
            name,
        };
        let incoming = (Incoming::Create(Box::new(container)), Some(request.run.clone()));
        let change = self.situation.change(facts, (&role.name, &spec), incoming, now);
        let made_of = MadeOf { image, fingerprint: Some(fingerprint) };
        work.go_over(&change, now, Some(release.version.clone()), Some(made_of));
        Ok(())
    }

    fn record(&self, release: &'a Release) -> Result<ReleaseRecord, Refusal> {
        let (request, config) = (&self.request.request, self.situation.config);
        let old = recorded(release)?;
        let released = |role: &Role| {
            let was = old.roles.get(&role.name)?;
            let hosts = role.hosts.iter().filter(|h| request.scope.hosts.contains(&h.name)).cloned().collect();
            let spec = was.spec.clone();
            let print = spec
                .as_ref()
                .zip(old.digest.as_ref())
                .map(|(spec, digest)| Fingerprint::of(spec, digest, &spec.env, &request.secrets, &request.key));
            Some((role.name.clone(), ReleasedRole { hosts, spec, fingerprint: print }))
        };
        let in_scope = config.roles.iter().filter(|r| request.scope.roles.contains(&r.name));
        let roles: BTreeMap<_, _> = in_scope.filter_map(released).collect();
        Ok(ReleaseRecord {
            schema: SCHEMA,
            run: request.run.clone(),
            number: self.situation.number,
            kind: ReleaseKind::Restart { of: release.run.clone() },
            roles,
            actor: request.actor.clone(),
            at: request.at,
            message: request.message.clone(),
            label: None,
            ..old.clone()
        })
    }
}

fn recorded(release: &Release) -> Result<&ReleaseRecord, Refusal> {
    release.record.as_deref().ok_or_else(|| no_record(release))
}

fn no_record(release: &Release) -> Refusal {
    let message = format!("no record says what the containers of {} are made from", release.version);
    Refusal::new(message).hint("`windlass deploy` makes new ones from today's configuration and secrets")
}
