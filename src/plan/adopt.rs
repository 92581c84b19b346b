//! First contact: what serves and no journal knows becomes a release of its own, so that it can be rolled back to.

use crate::config::{Config, RoleHost};
use crate::fleet::{Container, Fleet};
use crate::history::{self, History, Release};
use crate::name::{HostName, ImageRef, RoleName, RunId, Version};
use crate::plan::{Adoption, Ref, Request, Serving};
use crate::release::{ReleaseKind, ReleaseRecord, ReleasedRole, SCHEMA};
use std::collections::BTreeMap;

/// One adopted release per version found serving; numbered from `next`.
pub(super) fn adoptions(config: &Config, fleet: &Fleet, history: &History, request: &Request) -> Vec<Adoption> {
    let mut by_version: BTreeMap<Version, Vec<(HostName, RoleName, &Container)>> = BTreeMap::new();
    for role in &config.roles {
        for host in &role.hosts {
            let Some(facts) = fleet.facts(&host.name) else { continue };
            let found = history::serving(facts, &config.service, config.destination.as_ref(), &role.name);
            let known = release_serving(history, &host.name, &role.name).is_some_and(|r| r.run.is_some());
            let unknown = found.filter(|_| !known);
            let runs = unknown.filter(|c| c.state.is_running());
            let Some((container, version)) = runs.and_then(|c| Some((c, c.version()?))) else { continue };
            by_version.entry(version).or_default().push((host.name.clone(), role.name.clone(), container));
        }
    }
    let count = by_version.len();
    let next = history.next_number();
    by_version
        .into_iter()
        .zip(0u32..)
        .filter_map(|((version, found), i)| {
            let run = earlier(&request.run, count as u128 - u128::from(i))?;
            Some(adoption(config, request, run, next + i, version, &found))
        })
        .collect()
}

/// The release that serves a role on a host, as the history has it.
pub(super) fn release_serving<'h>(history: &'h History, host: &HostName, role: &RoleName) -> Option<&'h Release> {
    history.releases.iter().find(|release| release.running.get(host).is_some_and(|roles| roles.contains(role)))
}

/// A run id just before another one: a plan may not roll dice, and an adopted release comes before what replaces it.
fn earlier(run: &RunId, by: u128) -> Option<RunId> {
    let ulid: ulid::Ulid = run.as_str().parse().ok()?;
    ulid::Ulid::from(u128::from(ulid).checked_sub(by)?).to_string().parse().ok()
}

fn adoption(
    config: &Config,
    request: &Request,
    run: RunId,
    number: u32,
    version: Version,
    found: &[(HostName, RoleName, &Container)],
) -> Adoption {
    let mut roles: BTreeMap<RoleName, ReleasedRole> = BTreeMap::new();
    for (host, role, _) in found {
        let released = ReleasedRole { hosts: Vec::new(), spec: None, fingerprint: None };
        let host = RoleHost { name: host.clone(), tags: Vec::new() };
        roles.entry(role.clone()).or_insert(released).hosts.push(host);
    }
    let image = found.iter().find_map(|(_, _, c)| c.image.parse::<ImageRef>().ok());
    let fallback = ImageRef { repository: config.repository.clone(), tag: Some(version.clone()), digest: None };
    let record = ReleaseRecord {
        schema: SCHEMA,
        run: run.clone(),
        number,
        kind: ReleaseKind::Adopted,
        service: config.service.clone(),
        destination: config.destination.clone(),
        version: version.clone(),
        image: image.unwrap_or(fallback),
        digest: None,
        roles,
        actor: request.actor.clone(),
        at: request.at,
        message: Some("found serving at first contact".to_string()),
        label: None,
    };
    let serving = found.iter().map(|(host, role, container)| Serving {
        host: host.clone(),
        role: role.clone(),
        container: Some(Ref::Id(container.id.clone())),
        version: Some(version.clone()),
        release: Some(run.clone()),
        backend: None,
        made_of: None,
    });
    Adoption { serving: serving.collect(), record }
}
