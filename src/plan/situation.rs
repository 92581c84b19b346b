//! What every plan of a release is made from, and what planners ask of it: what serves now, and how a role goes over.

use crate::config::Config;
use crate::effect::Backend;
use crate::fleet::{BackendName, Container, Fleet, HostFacts};
use crate::history::{self, Help, History};
use crate::name::{Digest, HostName, RoleName, RunId, Version};
use crate::plan::change::{Change, Incoming, Outgoing};
use crate::plan::edge::{self, EdgeChange};
use crate::plan::names::Identity;
use crate::plan::{Adoption, MadeOf, Ref, Request, Serving, Strategy, adopt, groups};
use crate::spec::{Edge, RoleSpec, Route};

/// The fleet as it was found, the configuration, and what is asked for.
pub(super) struct Situation<'a> {
    pub(super) config: &'a Config,
    pub(super) fleet: &'a Fleet,
    pub(super) request: &'a Request,
    pub(super) history: History,
    /// What was found serving and no journal knows.
    pub(super) adopted: Vec<Adoption>,
    /// The number of the release that the plan makes.
    pub(super) number: u32,
    pub(super) strategy: Strategy,
}

/// What serves a role on a host before the run.
pub(super) struct Now<'f> {
    pub(super) serving: Serving,
    pub(super) container: Option<&'f Container>,
    /// Running containers of the role that do not serve: left by a run that was cut off.
    pub(super) leftovers: Vec<&'f Container>,
}

impl<'a> Situation<'a> {
    pub(super) fn of(config: &'a Config, fleet: &'a Fleet, request: &'a Request, strategy: Strategy) -> Self {
        let history = history_of(config, fleet);
        let adopted = adopt::adoptions(config, fleet, &history, request);
        let number = history.next_number().saturating_add(u32::try_from(adopted.len()).unwrap_or(u32::MAX));
        Self { config, fleet, request, history, adopted, number, strategy }
    }

    /// Takes into account what hosts that lack something could get.
    pub(super) fn supply(&mut self, help: Help) {
        if help != Help::default() {
            let roles = self.config.roles.iter().map(|role| (role.name.clone(), role.hosts.clone())).collect();
            let service = (&self.config.service, self.config.destination.as_ref());
            self.history.supply(self.fleet, service, &roles, help);
        }
    }

    /// The hosts that change together, group after group.
    pub(super) fn waves(&self, changing: Vec<HostName>) -> Vec<Vec<HostName>> {
        match self.strategy {
            Strategy::Rolling => groups::of(&changing, &self.config.boot, groups::all_hosts(self.config)),
            Strategy::Together | Strategy::Immediate | Strategy::Recreate => vec![changing],
        }
    }

    /// What a container that is there is made of, by the digest of a release if its image is known by that one.
    pub(super) fn made_of(&self, facts: &HostFacts, container: &Container, digest: Option<&Digest>) -> MadeOf {
        let image = facts.images.iter().find(|i| i.id == container.image_id);
        let known = |digest: &&Digest| image.is_some_and(|i| i.digests.iter().any(|d| d.ends_with(digest.as_str())));
        let image = digest.filter(known).unwrap_or(&container.image_id).clone();
        MadeOf { image, fingerprint: container.fingerprint() }
    }

    /// The backend that routes to a role.
    pub(super) fn backend(&self, role: &RoleName) -> BackendName {
        BackendName::new(&self.config.service, role, self.config.destination.as_ref())
    }

    /// Whose containers a role's are.
    pub(super) fn identity<'n>(&'n self, role: &'n RoleName, version: &'n Version) -> Identity<'n> {
        let (service, destination) = (&self.config.service, self.config.destination.as_ref());
        Identity { service, destination, role, version }
    }

    pub(super) fn now<'f>(&self, host: &HostName, facts: &'f HostFacts, role: &RoleName, proxied: bool) -> Now<'f> {
        let (service, destination) = (&self.config.service, self.config.destination.as_ref());
        let container = history::serving(facts, service, destination, role);
        let adopted = self.adopted.iter().flat_map(|a| &a.serving);
        let just_adopted =
            adopted.filter(|s| s.host == *host && s.role == *role).find_map(|serving| serving.release.clone());
        let recorded = || container.and_then(|_| adopt::release_serving(&self.history, host, role)?.run.clone());
        let serving = Serving {
            host: host.clone(),
            role: role.clone(),
            container: container.map(|c| Ref::Id(c.id.clone())),
            version: container.and_then(Container::version),
            release: just_adopted.or_else(recorded),
            backend: proxied.then(|| self.backend(role)),
            made_of: None,
        };
        Now { serving, container, leftovers: history::leftovers(facts, service, destination, role) }
    }

    /// A role's backend with this route and edge.
    pub(super) fn as_backend(&self, role: &RoleName, route: &Route, edge: &Edge) -> Backend {
        Backend {
            name: self.backend(role),
            service: self.config.service.clone(),
            role: role.clone(),
            destination: self.config.destination.clone(),
            route: route.clone(),
            edge: edge.clone(),
        }
    }

    /// What the edge of a role's backend is on a host, and what the request makes of it.
    pub(super) fn edge<'f>(&self, facts: &'f HostFacts, role: &RoleName) -> EdgeChange<'_, 'f> {
        let state = facts.proxy.backends.get(&self.backend(role));
        let now = state.map(|state| state.edge.clone()).unwrap_or_default();
        let wanted = edge::wanted(&now, self.request.edge.get(role));
        EdgeChange { situation: self, role: role.clone(), state, now, wanted }
    }

    /// A change of a role on a host to `incoming`, made from `spec`, which serves `release` from then on.
    pub(super) fn change<'f>(
        &self,
        facts: &'f HostFacts,
        (role, spec): (&RoleName, &RoleSpec),
        (incoming, release): (Incoming, Option<RunId>),
        now: &Now<'f>,
    ) -> Change<'f> {
        let edge = self.edge(facts, role);
        let wanted = |route: &Route| self.as_backend(role, &edge::possible(route, &edge.wanted), &edge.wanted);
        let wants: Vec<_> = spec.options.publish.iter().filter_map(|p| p.host_port).collect();
        let holds = |c: &Container| c.ports.iter().filter_map(|p| p.host_port).any(|port| wants.contains(&port));
        Change {
            role: role.clone(),
            backend: spec.route.as_ref().map(wanted),
            backend_now: edge.state.map(|state| (self.as_backend(role, &state.route, &state.edge), state)),
            stop_first: now.container.is_some_and(|c| self.strategy == Strategy::Recreate || holds(c)),
            gate_first: self.strategy != Strategy::Immediate,
            host_ports: wants,
            outgoing: now.container.map(|container| Outgoing { container, release: now.serving.release.clone() }),
            leftovers: now.leftovers.clone(),
            asset_path: spec.asset_path.clone(),
            incoming,
            release,
            restart: spec.restart,
            readiness_delay: spec.readiness_delay,
            stop_timeout: spec.stop_timeout,
            deploy_timeout: self.config.deploy_timeout.as_secs(),
            drain_timeout: self.config.drain_timeout.as_secs(),
        }
    }
}

/// The history as the configuration's roles see it.
pub(super) fn history_of(config: &Config, fleet: &Fleet) -> History {
    let hosts = |role: &crate::config::Role| role.hosts.iter().map(|h| h.name.clone()).collect();
    let roles = config.roles.iter().map(|role| (role.name.clone(), hosts(role))).collect();
    History::of(fleet, &config.service, config.destination.as_ref(), &roles)
}
