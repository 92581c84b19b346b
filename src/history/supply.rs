//! What a host lacks of a release and another host could give it (`--copy`), or a registry (`--pull`).

use crate::fleet::{Fleet, HostFacts};
use crate::history::availability::held_port;
use crate::history::view::View;
use crate::history::{Availability, History, Release};
use crate::name::{ContainerId, Destination, Digest, HostName, RoleName, ServiceName};
use crate::spec::{RoleHost, RoleSpec};
use std::collections::{BTreeMap, BTreeSet};

/// A container of another host that a new one can be made after: its image, and the values of its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where.
    pub host: HostName,
    /// Which.
    pub container: ContainerId,
    /// Its image's id, which is the same on every host of that architecture.
    pub image: Digest,
    /// Bytes of that image.
    pub size: u64,
}

/// Where help may come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Help {
    /// Images and secrets of other hosts.
    pub copy: bool,
    /// Images of the registry; secrets still come from other hosts.
    pub pull: bool,
}

impl History {
    /// Says [`Availability::Elsewhere`] of everything that a configured host lacks and that help can bring, for planners
    /// that were asked to. What nobody can give stays missing.
    ///
    /// A container is made anew from the release's record, so there must be one that says how; and every secret that
    /// the host's environment names must be one of the source container's.
    pub fn supply(
        &mut self,
        fleet: &Fleet,
        (service, destination): (&ServiceName, Option<&Destination>),
        roles: &BTreeMap<RoleName, Vec<RoleHost>>,
        help: Help,
    ) {
        let specs: BTreeMap<_, _> =
            self.releases.iter().filter_map(|r| Some((r.run.clone()?, r.record.as_ref()?.roles.clone()))).collect();
        let within = Within { fleet, service, destination, help };
        for release in &mut self.releases {
            let root = release.content.as_ref().and_then(|run| specs.get(run));
            let mut found = Vec::new();
            for (role, hosts) in roles.iter().filter(|(role, _)| release.has_role(role)) {
                let own = release.record.as_ref().and_then(|r| r.roles.get(role)?.spec.clone());
                let Some(spec) = own.or_else(|| root?.get(role)?.spec.clone()) else { continue };
                let lacking = hosts.iter().enumerate().filter_map(|(index, host)| {
                    Some(Wanted { host, facts: fleet.facts(&host.name)?, role, spec: &spec, index })
                });
                let help =
                    |wanted: Wanted<'_>| Some((wanted.host.name.clone(), role.clone(), within.help(release, &wanted)?));
                found.extend(lacking.filter_map(help));
            }
            for (host, role, availability) in found {
                release.available.entry(host).or_default().insert(role, availability);
            }
        }
    }
}

/// Who is asked for help, and what is allowed.
struct Within<'a> {
    fleet: &'a Fleet,
    service: &'a ServiceName,
    destination: Option<&'a Destination>,
    help: Help,
}

impl Within<'_> {
    fn help(&self, release: &Release, wanted: &Wanted<'_>) -> Option<Availability> {
        let (host, role) = (&wanted.host.name, wanted.role);
        if release.availability(host, role).is_some_and(Availability::is_there) {
            return None;
        }
        let only = BTreeSet::from([role.clone()]);
        let view = View::new(host, wanted.facts, (self.service, self.destination), &only);
        let is_in_the_way = held_port(&view, &wanted.spec.options.publish, None, role).is_some();
        if is_in_the_way { None } else { wanted.from(self.fleet, release, self.help) }
    }
}

/// A role that a host lacks.
struct Wanted<'a> {
    host: &'a RoleHost,
    facts: &'a HostFacts,
    role: &'a RoleName,
    spec: &'a RoleSpec,
    /// Its place among the hosts of its role: several that lack the same do not all ask the same host.
    index: usize,
}

impl Wanted<'_> {
    fn from(&self, fleet: &Fleet, release: &Release, help: Help) -> Option<Availability> {
        let secrets: BTreeSet<String> = self.spec.env_for(&self.host.tags).secret.into_keys().collect();
        let sources: Vec<_> = release.available.keys().filter_map(|host| self.at(fleet, release, host)).collect();
        let knows = |source: &&(Source, BTreeSet<String>)| source.1.is_superset(&secrets);
        let able: Vec<_> = sources.iter().filter(knows).collect();
        let has_image = |source: &Source| self.facts.images.iter().any(|i| i.id == source.image);
        let pullable = help.pull && release.digest.is_some();
        let chosen = able.iter().cycle().skip(self.index).take(able.len()).map(|(source, _)| source);
        let chosen = chosen.clone().find(|s| has_image(s)).or_else(|| chosen.clone().next());
        match chosen {
            Some(source) if help.copy || pullable || has_image(source) => Some(Availability::Elsewhere(source.clone())),
            None if pullable && secrets.is_empty() => Some(Availability::FromRecord),
            _ => None,
        }
    }

    /// What another host has of it, and which secrets its container holds.
    fn at(&self, fleet: &Fleet, release: &Release, host: &HostName) -> Option<(Source, BTreeSet<String>)> {
        let facts = fleet.facts(host).filter(|facts| *host != self.host.name && self.same_engine(facts))?;
        let id = match release.availability(host, self.role)? {
            Availability::Serving(id) | Availability::Restart(id) | Availability::Remake { from: id, .. } => id,
            Availability::FromRecord | Availability::Elsewhere(_) | Availability::Missing { .. } => return None,
        };
        let container = facts.containers.iter().find(|c| c.id == *id)?;
        let image = facts.images.iter().find(|i| i.id == container.image_id)?;
        let source = Source { host: host.clone(), container: id.clone(), image: image.id.clone(), size: image.size };
        Some((source, container.fingerprint().map(|print| print.secrets.into_keys().collect()).unwrap_or_default()))
    }

    fn same_engine(&self, other: &HostFacts) -> bool {
        self.facts.engine.arch == other.engine.arch
    }
}
