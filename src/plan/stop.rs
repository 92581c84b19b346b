//! `windlass app stop`: takes the service out of the proxy, lets requests finish, stops it. The route stays, and so do
//! the containers: `app start` brings back exactly them.

use crate::config::{Config, Role};
use crate::fleet::{BackendName, Container, Fleet, HostFacts};
use crate::history;
use crate::name::HostName;
use crate::plan::situation::{Now, Situation};
use crate::plan::work::HostWork;
use crate::plan::{Action, Plan, Ref, Refusal, Request, Serving, Step, assemble, groups, preflight};
use crate::release::RunVerb;

/// Plans a stop of what is in scope.
///
/// # Errors
/// A [`Refusal`] when a host cannot be reached or is locked.
pub fn stop(config: &Config, fleet: &Fleet, request: &Request) -> Result<Plan, Refusal> {
    plan(config, fleet, request, Stop::Everything)
}

/// Plans a stop of running containers that do not serve: left by a run that was cut off, or started by hand.
///
/// # Errors
/// Those of [`stop`].
pub fn stop_stale(config: &Config, fleet: &Fleet, request: &Request) -> Result<Plan, Refusal> {
    plan(config, fleet, request, Stop::Stale)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Everything,
    Stale,
}

fn plan(config: &Config, fleet: &Fleet, request: &Request, what: Stop) -> Result<Plan, Refusal> {
    let notes = preflight::check(config, fleet, request, &[])?;
    let mut situation = Situation::of(config, fleet, request, crate::plan::Strategy::default());
    if what == Stop::Stale {
        // What serves is not touched, so nothing has to be known of it afterwards.
        situation.adopted.clear();
    }
    let mut work = Vec::new();
    for host in groups::in_boot_order(config).into_iter().filter(|h| request.scope.hosts.contains(h)) {
        let Some(facts) = fleet.facts(&host) else { continue };
        let mut own = HostWork::new(&host);
        for role in roles_on(config, request, &host) {
            let now = situation.now(&host, facts, &role.name, role.spec.route.is_some());
            match what {
                Stop::Everything => stop_role(config, facts, role, &now, &mut own),
                Stop::Stale => {
                    own.before.push(now.serving.clone());
                    own.after.push(now.serving.clone());
                }
            }
            own.retire.extend(now.leftovers.iter().map(|left| retire(config, role, left, false)));
        }
        work.push(own);
    }
    Ok(assemble::all_at_once(&situation, RunVerb::Stop, work, notes))
}

pub(super) fn roles_on<'a>(config: &'a Config, request: &'a Request, host: &HostName) -> Vec<&'a Role> {
    let here = |role: &&Role| role.hosts.iter().any(|h| h.name == *host);
    config.roles.iter().filter(|r| request.scope.roles.contains(&r.name)).filter(here).collect()
}

/// First everywhere out of the proxies, which can be taken back; then, everywhere, drain and stop.
fn stop_role(config: &Config, facts: &HostFacts, role: &Role, now: &Now<'_>, work: &mut HostWork) {
    let Some(container) = now.container else {
        work.before.push(now.serving.clone());
        work.after.push(now.serving.clone());
        return;
    };
    work.before.push(now.serving.clone());
    work.after.push(Serving { container: None, version: None, release: None, ..now.serving.clone() });
    let reference = Ref::Id(container.id.clone());
    let name = BackendName::new(&config.service, &role.name, config.destination.as_ref());
    let Some(backend) = facts.proxy.backends.get(&name).filter(|_| role.spec.route.is_some()) else {
        work.retire.push(retire(config, role, container, true));
        return;
    };
    if backend.active() == Some(&container.id) {
        let back = Action::Switch {
            role: role.name.clone(),
            backend: Some(name.clone()),
            port: backend.route.app_port,
            from: None,
            to: reference.clone(),
            release: now.serving.release.clone(),
        };
        let action = Action::Suspend { role: role.name.clone(), backend: name.clone(), from: reference.clone() };
        // A container that did not run could not be switched back to.
        let undo = if container.state.is_running() { vec![back] } else { Vec::new() };
        work.change.push(Step { action, undo });
    }
    let timeout = config.drain_timeout.as_secs();
    let (drained, unloaded) = (name.clone(), name);
    work.retire.push(plain(Action::Drain { backend: drained, container: reference.clone(), timeout }));
    work.retire.push(plain(Action::Unload { backend: unloaded, container: reference }));
    let routed = backend.active() == Some(&container.id);
    work.retire.push(retire(config, role, container, !routed));
}

/// `ends_role`: nothing has written down yet that it serves no more.
fn retire(config: &Config, role: &Role, container: &Container, ends_role: bool) -> Step {
    let name = BackendName::new(&config.service, &role.name, config.destination.as_ref());
    let proxied = role.spec.route.is_some();
    let own = role.spec.stop_timeout.or(container.stop_timeout);
    let timeout = if proxied { own } else { own.or(u32::try_from(config.drain_timeout.as_secs()).ok()) };
    plain(Action::Retire {
        container: Ref::Id(container.id.clone()),
        role: role.name.clone(),
        backend: proxied.then_some(name),
        timeout,
        stop_first: false,
        ends_role,
    })
}

fn plain(action: Action) -> Step {
    Step { action, undo: Vec::new() }
}

/// What `app start` starts on a host: the suspended container, or the one that should serve and does not run.
pub(super) fn to_start<'a>(
    config: &Config,
    facts: &'a HostFacts,
    role: &Role,
    now: &Now<'a>,
) -> Option<(&'a Container, Option<crate::name::RunId>)> {
    if let Some(container) = now.container {
        return Some((container, now.serving.release.clone()));
    }
    let suspended = history::suspended(facts, &config.service, config.destination.as_ref(), &role.name)?;
    Some((suspended.container?, suspended.release))
}
