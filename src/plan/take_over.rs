//! `windlass setup --take-over`: on hosts that Kamal set up, HAProxy takes kamal-proxy's place in front of what serves.
//! Nothing is deployed.
//!
//! A port belongs to one container, so there is a gap on each host: kamal-proxy stops, HAProxy starts. All that can be
//! done before is done before, and HAProxy has found what serves healthy by then.

use crate::config::{Config, VerbKind};
use crate::fleet::{BackendName, Container, Fleet, HostFacts, KAMAL_PROXY, KamalProxy, KamalRoute, PROXY};
use crate::name::HostName;
use crate::plan::situation::Situation;
use crate::plan::work::{HostWork, stage};
use crate::plan::{
    Action, Plan, PortProbe, ProxySwap, Ref, Refusal, Request, Stage, StageKind, StandbyRoute, Step, assemble, edge,
    groups, preflight, prepare,
};
use crate::release::RunVerb;
use crate::spec::{RestartPolicy, Route};

/// Seconds that requests in flight have when a proxy stops. Nothing new is answered meanwhile, so that a client which
/// waits long keeps all others waiting: less than the ten seconds that kamal-proxy would take by itself.
pub(super) const GRACE: u64 = 5;
/// Seconds in which the proxy that was started must answer.
pub(super) const ANSWERS_WITHIN: u64 = 30;

/// Plans the take-over of all hosts in scope.
///
/// # Errors
/// A [`Refusal`] when kamal-proxy routes what this configuration does not have, or routes it in a way that windlass
/// would not.
pub fn take_over(config: &Config, fleet: &Fleet, request: &Request) -> Result<Plan, Refusal> {
    let mut notes = preflight::check(config, fleet, request, &[VerbKind::Setup, VerbKind::Deploy])?;
    let situation = Situation::of(config, fleet, request, crate::plan::Strategy::Together);
    let hosts: Vec<_> = groups::in_boot_order(config).into_iter().filter(|h| request.scope.hosts.contains(h)).collect();
    if !hosts.iter().any(|h| fleet.facts(h).is_some_and(|f| f.kamal_proxy.is_some())) {
        return Err(Refusal::new("there is no kamal-proxy on any host in scope: nothing is to be taken over")
            .hint("`windlass setup` prepares hosts and deploys"));
    }
    let work = hosts.iter().map(|host| TakeOver { situation: &situation, host }.work());
    let work: Vec<HostWork> = work.collect::<Result<_, _>>()?;
    notes.extend(work.iter().flat_map(|w| w.notes.iter().cloned()));
    Ok(Plan { adopted: situation.adopted.clone(), notes, ..assembled(&situation, work) })
}

/// Prepare everywhere → swap wave by wave → clean up everywhere.
pub(super) fn assembled(situation: &Situation<'_>, work: Vec<HostWork>) -> Plan {
    let config = situation.config;
    let lanes = |of: fn(&HostWork) -> &Vec<Step>| work.iter().map(move |w| (w.host.clone(), of(w).clone()));
    let mut stages: Vec<Stage> = stage(StageKind::Prepare, lanes(|w| &w.prepare)).into_iter().collect();
    let changed: Vec<_> = work.iter().filter(|w| !w.change.is_empty()).map(|w| w.host.clone()).collect();
    for wave in groups::of(&changed, &config.boot, groups::all_hosts(config)) {
        stages.extend(stage(StageKind::Change, lanes(|w| &w.change).filter(|(host, _)| wave.contains(host))));
    }
    stages.extend(stage(StageKind::Retire, lanes(|w| &w.retire)));
    Plan {
        before: work.iter().flat_map(|w| w.before.clone()).collect(),
        after: work.iter().flat_map(|w| w.after.clone()).collect(),
        stages,
        ..assemble::frame(config, situation.fleet, situation.request, RunVerb::Setup)
    }
}

/// What is asked of a route on the host itself.
pub(super) fn probe(config: &Config, route: &Route) -> PortProbe {
    let exact = route.hosts.iter().find(|h| !h.contains('*')).cloned();
    let host = exact.unwrap_or_else(|| "localhost".to_string());
    let address = "127.0.0.1".to_string();
    PortProbe { address, port: config.proxy.http_port, host, path: route.check.path.clone() }
}

struct TakeOver<'a> {
    situation: &'a Situation<'a>,
    host: &'a HostName,
}

impl<'a> TakeOver<'a> {
    fn work(&self) -> Result<HostWork, Refusal> {
        let mut work = HostWork::new(self.host);
        let Some(facts) = self.situation.fleet.facts(self.host) else { return Ok(work) };
        let mut prepare = prepare::base(facts, self.situation.request);
        for (role, proxied) in self.roles() {
            let now = self.situation.now(self.host, facts, &role.name, proxied);
            work.before.push(now.serving.clone());
            work.after.push(now.serving);
        }
        let runs = facts.proxy.container.as_ref().is_some_and(|c| c.running);
        match &facts.kamal_proxy {
            _ if runs => work.notes.push(format!("{}: windlass's proxy runs already", self.host)),
            None => work.notes.push(format!("{}: there is no kamal-proxy", self.host)),
            Some(kamal) => {
                let routes = self.routes(facts, kamal, &mut work.notes)?;
                prepare.extend(prepare::proxy_image(self.situation.config, facts)?);
                // Certificates and pages first: the routes name them.
                let edges = routes.iter().filter_map(|r| self.situation.edge(facts, &r.backend.role).upload());
                work.prepare.extend(edges);
                self.swap(facts, kamal, routes, &mut work);
            }
        }
        let plain = prepare.into_iter().map(|action| Step { action, undo: Vec::new() });
        work.prepare.splice(0..0, plain);
        Ok(work)
    }

    /// The configuration's roles on this host, whatever `--roles` says: a proxy is taken over as a whole.
    fn roles(&self) -> impl Iterator<Item = (&'a crate::config::Role, bool)> {
        let on_host = |role: &&crate::config::Role| role.hosts.iter().any(|h| h.name == *self.host);
        self.situation.config.roles.iter().filter(on_host).map(|role| (role, role.spec.route.is_some()))
    }

    fn swap(&self, facts: &HostFacts, kamal: &KamalProxy, routes: Vec<StandbyRoute>, work: &mut HostWork) {
        let config = self.situation.config;
        let backends = routes.iter().map(|r| r.backend.name.clone()).collect();
        let probes: Vec<_> = routes.iter().map(|r| probe(config, &r.backend.route)).collect();
        let swap = ProxySwap {
            stop: Ref::Id(kamal.id.clone()),
            stop_name: KAMAL_PROXY.to_string(),
            start: Ref::Name(PROXY.to_string()),
            start_name: PROXY.to_string(),
            grace: GRACE,
            restart: RestartPolicy::UnlessStopped,
            probes,
            deadline: ANSWERS_WITHIN,
        };
        let back = back(&swap, kamal.restart);
        work.prepare.push(Step {
            action: Action::StandBy {
                settings: prepare::settings(config, facts),
                routes,
                deadline: config.deploy_timeout.as_secs(),
            },
            undo: vec![Action::StandDown { backends }],
        });
        work.change.push(Step { action: Action::SwapProxy(swap), undo: vec![Action::SwapProxy(back)] });
    }

    /// What kamal-proxy routes, as windlass's proxy will.
    fn routes(
        &self,
        facts: &HostFacts,
        kamal: &KamalProxy,
        notes: &mut Vec<String>,
    ) -> Result<Vec<StandbyRoute>, Refusal> {
        if let Some(why) = &kamal.unreadable {
            return Err(Refusal::new(format!("{}: what kamal-proxy routes cannot be read: {why}", self.host)));
        }
        self.ports(facts, kamal)?;
        let proxied: Vec<_> = self.roles().filter_map(|(role, _)| Some((role, role.spec.route.as_ref()?))).collect();
        let name = |role: &crate::config::Role| self.situation.backend(&role.name);
        self.nobody_else(kamal, proxied.iter().map(|(role, _)| name(role)).collect())?;
        let mut routes = Vec::new();
        for (role, route) in proxied {
            let name = name(role);
            let Some(found) = kamal.routes.iter().find(|r| r.name == name.as_str()) else {
                notes.push(format!("{}: kamal-proxy does not route {name} yet; `windlass deploy` will", self.host));
                continue;
            };
            let (container, port) = self.target(facts, found)?;
            notes.extend(self.difference(found, route));
            let edge = self.situation.edge(facts, &role.name);
            let backend = self.situation.as_backend(&role.name, &edge::possible(route, &edge.wanted), &edge.wanted);
            routes.push(StandbyRoute { backend, container: container.id.clone(), port });
        }
        Ok(routes)
    }

    /// Clients come to the ports that kamal-proxy publishes.
    fn ports(&self, facts: &HostFacts, kamal: &KamalProxy) -> Result<(), Refusal> {
        let config = self.situation.config;
        let own = [config.proxy.http_port, config.proxy.https_port];
        let published: Vec<u16> = kamal.ports.iter().filter_map(|p| p.host_port).collect();
        let ours = |port: &&u16| !own.contains(port);
        if published.is_empty() {
            return Err(Refusal::new(format!(
                "{}: kamal-proxy publishes no port: something else leads to it",
                self.host
            ))
            .hint("let that lead to windlass's proxy instead, after `windlass setup` with ports of its own"));
        }
        if let Some(port) = published.iter().find(ours) {
            let message = format!(
                "{}: kamal-proxy publishes port {port}, and the configuration has {} and {}",
                self.host, own[0], own[1]
            );
            return Err(Refusal::new(message).hint("set `proxy.run.http_port` and `proxy.run.https_port` to its ports"));
        }
        prepare::ports_are_free(config, self.host, facts, Some(kamal))
    }

    fn nobody_else(&self, kamal: &KamalProxy, own: Vec<BackendName>) -> Result<(), Refusal> {
        let others: Vec<&str> =
            kamal.routes.iter().map(|r| r.name.as_str()).filter(|n| !own.iter().any(|o| o.as_str() == *n)).collect();
        if others.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{}: kamal-proxy also routes what this configuration does not have, and it would be lost: {}",
            self.host,
            others.join(", ")
        );
        Err(Refusal::new(message).hint(
            "move those services to another host with Kamal first, or take routes that nobody needs out: \
             `docker exec kamal-proxy kamal-proxy remove NAME`",
        ))
    }

    fn target<'f>(&self, facts: &'f HostFacts, route: &KamalRoute) -> Result<(&'f Container, u16), Refusal> {
        let name = &route.name;
        let refuse = |why: String| Refusal::new(format!("{}: kamal-proxy's {name} {why}", self.host));
        if let Some(special) = &route.special {
            return Err(refuse(special.clone()).hint(format!(
                "end that first (`kamal app live`, `kamal-proxy resume {name}`, `kamal-proxy rollout stop {name}`)"
            )));
        }
        let configured = self.roles().find(|(role, _)| self.situation.backend(&role.name).as_str() == name);
        let tls = configured.and_then(|(role, _)| role.spec.route.as_ref()).is_some_and(|r| r.tls.is_some());
        if route.tls && !tls {
            return Err(refuse("serves HTTPS, and this configuration's route does not".to_string()).hint(
                "give the route a certificate of its own (`proxy.ssl.certificate_pem`), or end TLS before the host",
            ));
        }
        let Some((_, port)) = route.target() else {
            let targets = if route.targets.is_empty() { "nothing".to_string() } else { route.targets.join(", ") };
            return Err(refuse(format!("leads to {targets}, and windlass routes to one container")));
        };
        match facts.containers.iter().find(|c| route.leads_to(&c.id)) {
            Some(container) if container.state.is_running() => Ok((container, port)),
            Some(container) => Err(refuse(format!("leads to {}, which does not run", container.name))
                .hint("start it, or deploy with Kamal once more")),
            None => {
                Err(refuse(format!("leads to {}, which is no container of this service", route.targets.join(", "))))
            }
        }
    }

    fn difference(&self, kamal: &KamalRoute, own: &Route) -> Option<String> {
        let sorted = |list: &[String]| {
            let mut list: Vec<_> = list.iter().map(|text| text.to_ascii_lowercase()).collect();
            list.sort();
            list
        };
        let shown = |list: &[String]| if list.is_empty() { "every host".to_string() } else { list.join(", ") };
        let same = sorted(&kamal.hosts) == sorted(&own.hosts);
        (!same).then(|| {
            let (was, will) = (shown(&kamal.hosts), shown(&own.hosts));
            format!("{}: {} was routed for {was}, and will be for {will}", self.host, kamal.name)
        })
    }
}

/// The same in the other direction. What had no restart policy any more was left so by a run that was cut off.
pub(super) fn back(swap: &ProxySwap, restart: RestartPolicy) -> ProxySwap {
    let restart = if restart == RestartPolicy::No { RestartPolicy::UnlessStopped } else { restart };
    ProxySwap {
        stop: swap.start.clone(),
        stop_name: swap.start_name.clone(),
        start: swap.stop.clone(),
        start_name: swap.stop_name.clone(),
        restart,
        ..swap.clone()
    }
}
