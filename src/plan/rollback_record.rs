//! What a rollback puts together from a release and today's configuration: specification and record.

use crate::config::Role;
use crate::fleet::Container;
use crate::history::{Release, Scope};
use crate::name::{ImageRef, RoleName};
use crate::plan::situation::Situation;
use crate::release::{ReleaseKind, ReleaseRecord, ReleasedRole, SCHEMA};
use crate::spec::{RoleHost, RoleSpec, Route};
use std::collections::BTreeSet;

/// What the release's record says of a role's containers.
pub(super) fn recorded<'t>(role: &RoleName, target: &'t Release) -> Option<&'t RoleSpec> {
    target.record.as_ref()?.roles.get(role)?.spec.as_ref()
}

/// The target's specification with today's side of the route.
pub(super) fn spec(role: &Role, target: &Release) -> RoleSpec {
    let Some(mut spec) = recorded(&role.name, target).cloned() else { return role.spec.clone() };
    spec.route = match (&spec.route, &role.spec.route) {
        (Some(then), Some(today)) => {
            Some(Route { app_port: then.app_port, check: then.check.clone(), ..today.clone() })
        }
        (_, today) => today.clone(),
    };
    spec
}

/// A retained container's own policy, timeout and ports decide, whatever the configuration says today.
pub(super) fn as_retained(mut spec: RoleSpec, retained: Option<&Container>) -> RoleSpec {
    if let Some(container) = retained {
        spec.restart = container.serving_restart();
        spec.stop_timeout = container.stop_timeout.or(spec.stop_timeout);
        spec.options.publish = container.ports.clone();
    }
    spec
}

/// The roles that a release has: those of its record, or (unrecorded) those it has containers of.
pub(super) fn roles_of(release: &Release) -> BTreeSet<RoleName> {
    match &release.record {
        Some(record) => record.roles.keys().cloned().collect(),
        None => release.available.values().flat_map(|roles| roles.keys().cloned()).collect(),
    }
}

/// The release that a rollback to `target` makes.
pub(super) fn record(situation: &Situation<'_>, target: &Release, scope: &Scope) -> ReleaseRecord {
    let (request, config) = (situation.request, situation.config);
    let roles = roles_of(target);
    let released = |role: &Role| {
        let recorded = target.record.as_ref().and_then(|r| r.roles.get(&role.name));
        let in_scope = |h: &&RoleHost| scope.get(&h.name).is_some_and(|r| r.contains(&role.name));
        ReleasedRole {
            hosts: role.hosts.iter().filter(in_scope).cloned().collect(),
            spec: recorded.and_then(|r| r.spec.as_ref()).map(|_| spec(role, target)),
            fingerprint: recorded.and_then(|r| r.fingerprint.clone()),
        }
    };
    let in_target = config.roles.iter().filter(|r| roles.contains(&r.name));
    let fallback =
        || ImageRef { repository: config.repository.clone(), tag: Some(target.version.clone()), digest: None };
    ReleaseRecord {
        schema: SCHEMA,
        run: request.run.clone(),
        number: situation.number,
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
