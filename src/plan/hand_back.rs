//! `windlass setup --hand-back`: kamal-proxy takes its place again, in front of what serves. The way back to Kamal.

use crate::config::{Config, Role, VerbKind};
use crate::fleet::{BackendState, Fleet, HostFacts, KAMAL_PROXY, KamalProxy, PROXY, ProxyContainer};
use crate::name::HostName;
use crate::plan::situation::Situation;
use crate::plan::take_over::{ANSWERS_WITHIN, GRACE, assembled, back, probe};
use crate::plan::work::HostWork;
use crate::plan::{Action, KamalTarget, Plan, ProxySwap, Ref, Refusal, Request, Serving, Step, groups, preflight};
use crate::spec::RestartPolicy;
use std::collections::BTreeMap;

/// Plans the way back for all hosts in scope.
///
/// # Errors
/// A [`Refusal`] when a host has no kamal-proxy any more, or kamal-proxy does not know what windlass's proxy routes.
pub fn hand_back(config: &Config, fleet: &Fleet, request: &Request) -> Result<Plan, Refusal> {
    let mut notes = preflight::check(config, fleet, request, &[VerbKind::Setup])?;
    let situation = Situation::of(config, fleet, request, crate::plan::Strategy::Together);
    let hosts: Vec<_> = groups::in_boot_order(config).into_iter().filter(|h| request.scope.hosts.contains(h)).collect();
    let work: Vec<HostWork> =
        hosts.iter().map(|host| HandBack { situation: &situation, host }.work()).collect::<Result<_, _>>()?;
    notes.extend(work.iter().flat_map(|w| w.notes.iter().cloned()));
    Ok(Plan { notes, ..assembled(&situation, work) })
}

struct HandBack<'a> {
    situation: &'a Situation<'a>,
    host: &'a HostName,
}

impl<'a> HandBack<'a> {
    fn work(&self) -> Result<HostWork, Refusal> {
        let mut work = HostWork::new(self.host);
        let Some(facts) = self.situation.fleet.facts(self.host) else { return Ok(work) };
        let serving = self.roles().map(|role| {
            let proxied = role.spec.route.is_some();
            self.situation.now(self.host, facts, &role.name, proxied).serving
        });
        work.before = serving.collect();
        work.after = work.before.clone();
        let Some(own) = facts.proxy.container.as_ref() else {
            work.notes.push(format!("{}: windlass has no proxy here", self.host));
            return Ok(work);
        };
        let kamal = facts.kamal_proxy.as_ref().ok_or_else(|| {
            Refusal::new(format!("{}: there is no kamal-proxy any more", self.host))
                .hint("make way for a new one: `windlass proxy remove`, then `kamal proxy boot` and `kamal deploy`")
        })?;
        self.swap(facts, own, kamal, &mut work)?;
        Ok(work)
    }

    fn roles(&self) -> impl Iterator<Item = &'a Role> {
        let on_host = |role: &&Role| role.hosts.iter().any(|h| h.name == *self.host);
        self.situation.config.roles.iter().filter(on_host)
    }

    fn swap(
        &self,
        facts: &HostFacts,
        own: &ProxyContainer,
        kamal: &KamalProxy,
        work: &mut HostWork,
    ) -> Result<(), Refusal> {
        if let Some(why) = kamal.unreadable.as_ref().or(facts.proxy.unreadable.as_ref()) {
            return Err(Refusal::new(format!("{}: what the proxies route cannot be read: {why}", self.host)));
        }
        let routed: Vec<_> = facts.proxy.backends.iter().filter(|(_, state)| state.active().is_some()).collect();
        let mut targets = BTreeMap::new();
        let mut probes = Vec::new();
        for (name, state) in routed {
            self.is_own(name.as_str())?;
            targets.insert(name.to_string(), self.target(kamal, name.as_str(), state)?);
            probes.push(probe(self.situation.config, &state.route));
        }
        // From here on windlass's proxy routes nothing.
        let unrouted = |serving: &Serving| Serving { backend: None, ..serving.clone() };
        work.after = work.before.iter().map(unrouted).collect();
        let swap = ProxySwap {
            stop: Ref::Id(own.id.clone()),
            stop_name: PROXY.to_string(),
            start: Ref::Id(kamal.id.clone()),
            start_name: KAMAL_PROXY.to_string(),
            grace: GRACE,
            restart: RestartPolicy::UnlessStopped,
            probes,
            deadline: ANSWERS_WITHIN,
        };
        let undo = vec![Action::SwapProxy(back(&swap, RestartPolicy::UnlessStopped))];
        let plain = |action: Action| Step { action, undo: Vec::new() };
        work.prepare.push(plain(Action::PointKamalProxy { container: kamal.id.clone(), targets }));
        work.change.push(Step { action: Action::SwapProxy(swap), undo });
        work.retire.push(plain(Action::StandDown { backends: facts.proxy.backends.keys().cloned().collect() }));
        Ok(())
    }

    fn is_own(&self, name: &str) -> Result<(), Refusal> {
        if self.roles().any(|role| self.situation.backend(&role.name).as_str() == name) {
            return Ok(());
        }
        Err(Refusal::new(format!(
            "{}: windlass's proxy also routes {name}, which this configuration does not have, and it would be lost",
            self.host
        )))
    }

    fn target(&self, kamal: &KamalProxy, name: &str, state: &BackendState) -> Result<KamalTarget, Refusal> {
        if !kamal.routes.iter().any(|route| route.name == name) {
            return Err(Refusal::new(format!("{}: kamal-proxy does not know {name}", self.host))
                .hint("make way for it instead: `windlass proxy remove`, then `kamal proxy boot` and `kamal deploy`"));
        }
        let ready = state.servers.iter().find(|s| s.role == crate::fleet::ServerRole::Ready);
        let port = ready.and_then(|s| s.address.as_ref()?.rsplit_once(':')?.1.parse().ok());
        match state.active() {
            Some(container) => {
                Ok(KamalTarget { container: container.clone(), port: port.unwrap_or(state.route.app_port) })
            }
            None => Err(Refusal::new(format!("{}: nothing serves {name}", self.host))),
        }
    }
}
