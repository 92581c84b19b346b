//! `windlass proxy boot|reboot|upgrade|remove|certs` and `windlass app maintenance|live`: the hosts' proxies change, and
//! every container that serves goes on serving.

use crate::config::{Config, Role, VerbKind};
use crate::effect::Backend;
use crate::fleet::{Fleet, HostFacts};
use crate::name::{HostName, ImageRef};
use crate::plan::situation::Situation;
use crate::plan::work::HostWork;
use crate::plan::{
    Action, Plan, ProxyRequest, ProxyWork, Ref, Refusal, Serving, Step, Strategy, assemble, edge, groups, preflight,
    prepare,
};
use crate::release::RunVerb;
use crate::spec::Edge;

/// Plans a change of the hosts' proxies.
///
/// # Errors
/// A [`Refusal`] when a host cannot be used, or when the change would take something away that is in use.
pub fn proxy(config: &Config, fleet: &Fleet, request: &ProxyRequest) -> Result<Plan, Refusal> {
    let mut notes = preflight::check(config, fleet, &request.request, &[VerbKind::Connect])?;
    let situation = Situation::of(config, fleet, &request.request, Strategy::default());
    let planner = Planner { config, fleet, request, situation: &situation };
    planner.refuse_to_remove()?;
    let mut work = Vec::new();
    for host in planner.hosts() {
        let Some(facts) = fleet.facts(&host) else { continue };
        work.push(planner.host(&host, facts)?);
    }
    if work.is_empty() {
        return Err(Refusal::new("no host in scope has a role with a proxy")
            .hint("look at `windlass config`, and at --hosts and --roles"));
    }
    let changed: Vec<HostName> = work.iter().filter(|w| !w.change.is_empty()).map(|w| w.host.clone()).collect();
    let waves = match request.work {
        // Each of them has a gap of its own: never two at once.
        ProxyWork::Reboot { .. } | ProxyWork::Upgrade { .. } => changed.into_iter().map(|host| vec![host]).collect(),
        _ => groups::of(&changed, &config.boot, groups::all_hosts(config)),
    };
    let mut plan = assemble::staged(&situation, request.work.verb(), work, &waves);
    plan.abandoned.clear(); // what a deploy left behind is for the next deploy or rollback to judge
    notes.append(&mut plan.notes);
    plan.notes = notes;
    Ok(plan)
}

impl ProxyWork {
    /// What the journal calls it.
    pub fn verb(&self) -> RunVerb {
        match self {
            Self::Boot | Self::Reboot { .. } | Self::Upgrade { .. } | Self::Remove { .. } => RunVerb::Proxy,
            Self::Certificates => RunVerb::Certificates,
            Self::Maintenance { .. } => RunVerb::Maintenance,
            Self::Live => RunVerb::Live,
        }
    }
}

/// What a role's backend should be, or nothing where it is so.
type Wanted<'a> = &'a dyn Fn(&Role, &Backend) -> Result<Option<Backend>, Refusal>;

struct Planner<'a> {
    config: &'a Config,
    fleet: &'a Fleet,
    request: &'a ProxyRequest,
    situation: &'a Situation<'a>,
}

impl Planner<'_> {
    /// The reachable hosts in scope that have a proxied role, in boot order.
    fn hosts(&self) -> Vec<HostName> {
        let scope = &self.request.request.scope.hosts;
        let wanted = |host: &HostName| {
            scope.contains(host) && self.fleet.facts(host).is_some() && self.roles(host).next().is_some()
        };
        groups::in_boot_order(self.config).into_iter().filter(wanted).collect()
    }

    fn roles<'a>(&'a self, host: &HostName) -> impl Iterator<Item = &'a Role> {
        let host = host.clone();
        let scope = &self.request.request.scope.roles;
        let on = move |role: &&Role| role.hosts.iter().any(|h| h.name == host);
        self.config.roles.iter().filter(|r| r.spec.route.is_some() && scope.contains(&r.name)).filter(on)
    }

    fn host(&self, host: &HostName, facts: &HostFacts) -> Result<HostWork, Refusal> {
        let mut work = HostWork::new(host);
        for role in self.roles(host) {
            let now = self.situation.now(host, facts, &role.name, true);
            work.before.push(now.serving.clone());
            work.after.push(now.serving);
        }
        match &self.request.work {
            ProxyWork::Boot => self.boot(&mut work, facts)?,
            ProxyWork::Reboot { grace } => self.replace(&mut work, facts, None, *grace, true)?,
            ProxyWork::Upgrade { image, grace } => self.replace(&mut work, facts, image.as_ref(), *grace, false)?,
            ProxyWork::Remove { .. } => self.remove(&mut work, facts),
            ProxyWork::Certificates => {
                self.judge(&mut work, facts)?;
                self.each_backend(&mut work, facts, &|role, backend| self.certified(role, backend))?
            }
            ProxyWork::Maintenance { .. } | ProxyWork::Live => {
                self.each_backend(&mut work, facts, &|role, backend| Ok(self.maintained(role, backend)))?;
                self.drain(&mut work, facts);
            }
        }
        Ok(work)
    }

    fn boot(&self, work: &mut HostWork, facts: &HostFacts) -> Result<(), Refusal> {
        work.prepare = prepare::steps(self.config, &work.host, facts, &self.request.request)?;
        work.notes.extend(prepare::other_settings(self.config, &work.host, facts));
        Ok(())
    }

    fn replace(
        &self,
        work: &mut HostWork,
        facts: &HostFacts,
        image: Option<&ImageRef>,
        grace: u64,
        always: bool,
    ) -> Result<(), Refusal> {
        work.prepare = prepare::steps(self.config, &work.host, facts, &self.request.request)?;
        if !facts.proxy.container.as_ref().is_some_and(|c| c.running) {
            return Ok(()); // the steps above start it
        }
        let has = image.and_then(|image| {
            let wanted = image.to_string();
            facts.images.iter().find(|i| i.digests.contains(&wanted) || i.tags.contains(&wanted))
        });
        let same_image =
            |id: &crate::name::Digest| facts.proxy.container.as_ref().and_then(|c| c.image_id.as_ref()) == Some(id);
        let up_to_date = image.is_none() || has.is_some_and(|i| same_image(&i.id));
        if !always && up_to_date && prepare::other_settings(self.config, &work.host, facts).is_none() {
            return Ok(());
        }
        let tag = self.tag()?;
        work.prepare.extend(match (image, has) {
            (Some(image), None) => Some(plain(Action::Pull { image: image.clone(), tag })),
            // It is there under another name, such as that of an upgrade that was cut off.
            (Some(_), Some(here)) if !here.tags.contains(&tag.to_string()) => {
                Some(plain(Action::Tag { image: here.id.to_string(), tag }))
            }
            _ => prepare::proxy_image(self.config, facts)?.map(plain),
        });
        work.change.push(plain(Action::ReplaceProxy { settings: prepare::settings(self.config, facts), grace }));
        work.notes.push(
            "while one container takes another's place a host's proxy answers nothing; hosts go one by one".into(),
        );
        Ok(())
    }

    fn tag(&self) -> Result<ImageRef, Refusal> {
        self.config.proxy.image.parse().map_err(|e| Refusal::new(format!("proxy.run.image: {e}")))
    }

    /// A proxy that routes is what people's requests go through, of other services too.
    fn refuse_to_remove(&self) -> Result<(), Refusal> {
        let ProxyWork::Remove { force: false } = self.request.work else { return Ok(()) };
        let names = |facts: &HostFacts| facts.proxy.backends.keys().map(ToString::to_string).collect::<Vec<_>>();
        let hosts = self.hosts().into_iter().filter_map(|host| Some((names(self.fleet.facts(&host)?), host)));
        let lines: Vec<_> = hosts
            .filter(|(backends, _)| !backends.is_empty())
            .map(|(backends, host)| format!("{host} routes {}", backends.join(", ")))
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(format!("these proxies are in use:\n  {}", lines.join("\n  "))).hint(
            "--force removes them all the same; their files stay, and `windlass proxy boot` brings every route back",
        ))
    }

    fn remove(&self, work: &mut HostWork, facts: &HostFacts) {
        let keep_files = !facts.proxy.backends.is_empty();
        if facts.proxy.container.is_none() {
            return;
        }
        let undo = vec![Action::BootProxy { settings: prepare::settings(self.config, facts) }];
        work.change.push(Step { action: Action::RemoveProxy { keep_files }, undo });
        if keep_files {
            let names: Vec<_> = facts.proxy.backends.keys().map(ToString::to_string).collect();
            work.notes.push(format!("{}: nothing will answer for {} any more", work.host, names.join(", ")));
        }
        // The containers run on; nothing routes to them.
        work.after.iter_mut().for_each(|serving| serving.backend = None);
    }

    /// Changes every backend of the service on a host that is not yet as it should be.
    fn each_backend(&self, work: &mut HostWork, facts: &HostFacts, wanted: Wanted<'_>) -> Result<(), Refusal> {
        for role in self.roles(&work.host) {
            let name = self.situation.backend(&role.name);
            let Some(state) = facts.proxy.backends.get(&name) else {
                work.notes.push(format!("{}: {name} has no route yet: `windlass deploy` makes it", work.host));
                continue;
            };
            prepare::proxy_is_readable(&work.host, facts)?;
            if !facts.proxy.container.as_ref().is_some_and(|c| c.running) {
                return Err(Refusal::new(format!("the proxy on {} does not run; nothing was changed", work.host))
                    .hint("`windlass proxy boot` starts it"));
            }
            let now = self.situation.as_backend(&role.name, &state.route, &state.edge);
            let Some(backend) = wanted(role, &now)? else { continue };
            work.prepare.extend(edge::upload(&name, &now.edge, &backend.edge));
            work.retire.extend(edge::forget(&name, &now.edge, &backend.edge));
            work.change.extend(edge::set_route(now, backend));
        }
        Ok(())
    }

    /// What is wrong with a certificate ends the run before it begins.
    fn judge(&self, work: &mut HostWork, facts: &HostFacts) -> Result<(), Refusal> {
        for role in self.roles(&work.host) {
            let (asked, route) = (self.request.request.edge.get(&role.name), role.spec.route.as_ref());
            let Some((asked, route)) = asked.zip(route) else { continue };
            let now = self.situation.edge(facts, &role.name).now;
            let serves = now.certificate.is_some() && now.certificate == asked.certificate;
            work.notes.extend(edge::judge(role.name.as_str(), asked, &route.hosts, serves, self.request.request.at)?);
        }
        Ok(())
    }

    /// The backend with the certificate of the secrets. Whether HTTPS is on is the configuration's word.
    fn certified(&self, role: &Role, now: &Backend) -> Result<Option<Backend>, Refusal> {
        let asked = self.request.request.edge.get(&role.name);
        let today = role.spec.route.as_ref();
        if asked.is_none_or(|asked| asked.certificate.is_none()) || today.is_none_or(|route| route.tls.is_none()) {
            return Ok(None);
        }
        let edge = edge::wanted(&now.edge, asked);
        let mut route = now.route.clone();
        route.tls = today.and_then(|route| route.tls.clone());
        // Whom to believe about where a request came from changes with who ends TLS.
        route.forward_headers = today.map_or(route.forward_headers, |route| route.forward_headers);
        Ok(Some(Backend { route, edge, ..now.clone() }))
    }

    fn maintained(&self, role: &Role, now: &Backend) -> Option<Backend> {
        let maintenance = match &self.request.work {
            ProxyWork::Maintenance { roles, .. } => Some(roles.get(&role.name)?.clone()),
            _ => None,
        };
        // Said again with the same words it is as it was, and keeps its beginning.
        let said = |m: &crate::spec::Maintenance| (m.page.clone(), m.message.clone());
        if now.edge.maintenance.as_ref().map(said) == maintenance.as_ref().map(said) {
            return None;
        }
        Some(Backend { edge: Edge { maintenance, ..now.edge.clone() }, ..now.clone() })
    }

    /// Requests that were on their way when maintenance began are answered; what is left then is said.
    fn drain(&self, work: &mut HostWork, facts: &HostFacts) {
        let ProxyWork::Maintenance { drain_timeout, .. } = &self.request.work else { return };
        if work.change.is_empty() {
            return;
        }
        let drain = |serving: &Serving| {
            let backend = serving.backend.clone()?;
            let container = facts.proxy.backends.get(&backend)?.active()?.clone();
            Some(plain(Action::Drain { backend, container: Ref::Id(container), timeout: *drain_timeout }))
        };
        let steps: Vec<_> = work.before.iter().filter_map(drain).collect();
        work.retire.splice(0..0, steps);
    }
}

fn plain(action: Action) -> Step {
    Step { action, undo: Vec::new() }
}
