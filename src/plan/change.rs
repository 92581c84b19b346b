//! How one role goes over from one container to another on one host: the order of steps that everything rests on.
//!
//! Start-first: create → start → load → gate → switch, and in a later stage drain → stop of what served. Stop-first
//! (the containers would want the same host port, or it was asked for): what serves stops before the new one starts; the
//! plan says so. Switch-first (only when it was asked for): the gate comes after the switch, and going back is a switch.

use crate::effect::Backend;
use crate::fleet::{BackendState, Container, ServerRole};
use crate::name::{ContainerId, RoleName, RunId};
use crate::plan::{Action, Gate, PlannedContainer, Ref, Step};
use crate::spec::RestartPolicy;

/// What takes over.
#[derive(Debug, Clone)]
pub(super) enum Incoming {
    /// A new container.
    Create(Box<PlannedContainer>),
    /// A retained one. Should it not start, one like it is made under `else_name`.
    Restart { container: ContainerId, else_name: String },
    /// A new one like a retained one that cannot start as it is.
    Remake { from: ContainerId, name: String },
}

impl Incoming {
    fn reference(&self) -> Ref {
        match self {
            Self::Create(container) => Ref::Name(container.name.clone()),
            Self::Restart { container, .. } => Ref::Id(container.clone()),
            Self::Remake { name, .. } => Ref::Name(name.clone()),
        }
    }
}

/// What serves until then.
#[derive(Debug, Clone)]
pub(super) struct Outgoing<'a> {
    pub(super) container: &'a Container,
    /// The release it serves.
    pub(super) release: Option<RunId>,
}

/// One role going over on one host.
#[derive(Debug, Clone)]
pub(super) struct Change<'a> {
    pub(super) role: RoleName,
    /// The backend as it shall be, for a proxied role.
    pub(super) backend: Option<Backend>,
    /// The backend as it is.
    pub(super) backend_now: Option<(Backend, &'a BackendState)>,
    pub(super) outgoing: Option<Outgoing<'a>>,
    /// Running containers of the role that do not serve: left by a run that was cut off.
    pub(super) leftovers: Vec<&'a Container>,
    pub(super) incoming: Incoming,
    /// The directory of assets that both share.
    pub(super) asset_path: Option<String>,
    /// The release that the incoming one will serve.
    pub(super) release: Option<RunId>,
    pub(super) restart: RestartPolicy,
    pub(super) readiness_delay: u32,
    pub(super) stop_timeout: Option<u32>,
    /// Seconds.
    pub(super) deploy_timeout: u64,
    /// Seconds.
    pub(super) drain_timeout: u64,
    pub(super) stop_first: bool,
    /// Whether it must be healthy before it is switched to.
    pub(super) gate_first: bool,
    /// The host ports that the incoming one publishes.
    pub(super) host_ports: Vec<u16>,
}

impl Change<'_> {
    /// The container that takes over.
    pub(super) fn incoming_ref(&self) -> Ref {
        self.incoming.reference()
    }

    /// The steps of the change itself.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = self.route_steps().into_iter().collect();
        steps.extend(self.unload_strangers());
        if self.stop_first {
            steps.extend(self.stop_outgoing());
        }
        steps.extend(self.leftovers_to_stop(true));
        steps.extend(self.bring_up());
        let gate = plain(self.gate(self.incoming_ref(), self.port()));
        // Only now may the engine bring it back by itself: before the gate a crash must stay visible, and a host that is
        // rebooted must not start what never served. After the switch would be too late.
        let restart = plain(Action::SetRestart { container: self.incoming_ref(), policy: self.restart });
        match self.gate_first {
            true => steps.extend([gate, restart, self.switch()]),
            false => steps.extend([restart, self.switch(), gate]),
        }
        steps
    }

    /// What follows once the whole fleet has gone over.
    pub(super) fn retire_steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(outgoing) = &self.outgoing {
            let container = Ref::Id(outgoing.container.id.clone());
            if let Some(backend) = self.backend_name() {
                if !self.stop_first {
                    steps.push(plain(Action::Drain {
                        backend: backend.clone(),
                        container: container.clone(),
                        timeout: self.drain_timeout,
                    }));
                }
                steps.push(plain(Action::Unload { backend, container: container.clone() }));
            }
            if !self.stop_first {
                steps.push(plain(self.retire(container, self.retire_timeout(), false)));
            }
        }
        steps.extend(self.leftovers_to_stop(false));
        steps
    }

    /// Leftovers stop once the fleet has gone over, but for those that hold a host port which the incoming one needs:
    /// it could not start beside them.
    fn leftovers_to_stop(&self, in_the_way: bool) -> Vec<Step> {
        let incoming = self.incoming_ref();
        let holds =
            |left: &Container| left.ports.iter().filter_map(|p| p.host_port).any(|p| self.host_ports.contains(&p));
        let leftovers = self.leftovers.iter().filter(|left| Ref::Id(left.id.clone()) != incoming);
        let chosen = leftovers.filter(|left| holds(left) == in_the_way);
        chosen.map(|left| plain(self.retire(Ref::Id(left.id.clone()), left.stop_timeout, false))).collect()
    }

    fn backend_name(&self) -> Option<crate::fleet::BackendName> {
        self.backend.as_ref().map(|b| b.name.clone())
    }

    fn port(&self) -> u16 {
        self.backend.as_ref().map_or(0, |b| b.route.app_port)
    }

    /// The port of what serves until then.
    fn port_before(&self) -> u16 {
        self.backend_now.as_ref().map_or_else(|| self.port(), |(before, _)| before.route.app_port)
    }

    /// Without a proxy a worker gets the time that Kamal's `drain_timeout` gives it to finish its work.
    fn retire_timeout(&self) -> Option<u32> {
        match (self.stop_timeout, &self.backend) {
            (Some(seconds), _) => Some(seconds),
            (None, Some(_)) => None,
            (None, None) => u32::try_from(self.drain_timeout).ok(),
        }
    }

    fn retire(&self, container: Ref, timeout: Option<u32>, stop_first: bool) -> Action {
        Action::Retire {
            container,
            role: self.role.clone(),
            backend: self.backend_name(),
            timeout,
            stop_first,
            ends_role: false,
        }
    }

    fn route_steps(&self) -> Option<Step> {
        let backend = self.backend.as_ref()?;
        let now = self.backend_now.as_ref().map(|(backend, _)| backend);
        if now == Some(backend) {
            return None;
        }
        let undo = match now {
            Some(before) => Action::SetRoute { backend: before.clone() },
            None => Action::RemoveRoute { backend: backend.name.clone() },
        };
        Some(Step { action: Action::SetRoute { backend: backend.clone() }, undo: vec![undo] })
    }

    /// A run that was cut off may have left a container in the slot that is needed now.
    fn unload_strangers(&self) -> Vec<Step> {
        let Some((backend, state)) = &self.backend_now else { return Vec::new() };
        let outgoing = self.outgoing.as_ref().map(|o| &o.container.id);
        let drained = state.servers.iter().filter(|s| s.role == ServerRole::Drain).filter_map(|s| s.container.as_ref());
        let strangers = drained.filter(|id| Some(*id) != outgoing).cloned();
        strangers.map(|id| plain(Action::Unload { backend: backend.name.clone(), container: Ref::Id(id) })).collect()
    }

    /// Stop-first: what serves stops; on the way back it starts again and takes its place in the proxy.
    fn stop_outgoing(&self) -> Option<Step> {
        let outgoing = self.outgoing.as_ref()?;
        let old = Ref::Id(outgoing.container.id.clone());
        // The route first: what served before may answer on another port and to another check.
        let before =
            self.backend_now.as_ref().map(|(before, _)| before).filter(|before| Some(*before) != self.backend.as_ref());
        let mut undo: Vec<_> = before.map(|before| Action::SetRoute { backend: before.clone() }).into_iter().collect();
        undo.extend([
            Action::Start { container: old.clone(), else_like: None },
            Action::SetRestart { container: old.clone(), policy: outgoing.container.serving_restart() },
        ]);
        if let Some(backend) = &self.backend {
            let port = self.port_before();
            undo.push(Action::Load { backend: backend.name.clone(), container: old.clone(), port });
        }
        undo.push(self.gate(old.clone(), self.port_before()));
        undo.push(self.switch_back(old.clone(), outgoing));
        if let Some(backend) = self.backend_name() {
            undo.push(Action::Unload { backend, container: self.incoming_ref() });
        }
        Some(Step { action: self.retire(old, self.retire_timeout(), true), undo })
    }

    /// Create (or not) → start → load.
    fn bring_up(&self) -> Vec<Step> {
        let incoming = self.incoming_ref();
        let mut steps = Vec::new();
        match &self.incoming {
            Incoming::Create(container) => {
                steps.push(Step { action: Action::Create { container: container.clone() }, undo: self.undo_create() });
            }
            Incoming::Remake { from, name } => {
                let action = Action::CreateLike { original: from.clone(), name: name.clone() };
                steps.push(Step { action, undo: self.undo_create() });
            }
            Incoming::Restart { .. } => {}
        }
        steps.extend(self.share_assets());
        let else_like = match &self.incoming {
            Incoming::Restart { else_name, .. } => Some(else_name.clone()),
            _ => None,
        };
        let stop_again = self.retire(incoming.clone(), self.stop_timeout, self.stop_first);
        steps.push(Step { action: Action::Start { container: incoming.clone(), else_like }, undo: vec![stop_again] });
        if let Some(backend) = &self.backend {
            let unload = Action::Unload { backend: backend.name.clone(), container: incoming.clone() };
            let undo = if self.outgoing.is_some() && !self.stop_first { vec![unload] } else { Vec::new() };
            let action = Action::Load { backend: backend.name.clone(), container: incoming.clone(), port: self.port() };
            steps.push(Step { action, undo });
        }
        steps
    }

    /// Before the start: some applications look once at what there is.
    fn share_assets(&self) -> Option<Step> {
        let (path, outgoing) = (self.asset_path.clone()?, self.outgoing.as_ref()?);
        let outgoing = Ref::Id(outgoing.container.id.clone());
        Some(plain(Action::ShareAssets { incoming: self.incoming_ref(), outgoing, path }))
    }

    /// A failed container stays for inspection (prune takes it) unless nothing served before: then nothing is left.
    fn undo_create(&self) -> Vec<Action> {
        match (&self.outgoing, self.incoming_ref()) {
            (None, Ref::Name(name)) => vec![Action::Remove {
                container: Ref::Name(name.clone()),
                name,
                reason: "nothing served before this run".to_string(),
            }],
            _ => Vec::new(),
        }
    }

    fn gate(&self, container: Ref, port: u16) -> Action {
        let gate = match &self.backend {
            Some(backend) => Gate::Proxy { backend: backend.name.clone(), port },
            None => Gate::Engine { readiness_delay: self.readiness_delay },
        };
        Action::Gate { container, role: self.role.clone(), gate, deadline: self.deploy_timeout }
    }

    fn switch(&self) -> Step {
        let from = self.outgoing.as_ref().map(|o| Ref::Id(o.container.id.clone()));
        let action = Action::Switch {
            role: self.role.clone(),
            backend: self.backend_name(),
            port: self.port(),
            from,
            to: self.incoming_ref(),
            release: self.release.clone(),
        };
        Step { action, undo: if self.stop_first { Vec::new() } else { self.undo_switch() } }
    }

    fn undo_switch(&self) -> Vec<Action> {
        let drain = self.backend_name().map(|backend| Action::Drain {
            backend,
            container: self.incoming_ref(),
            timeout: self.drain_timeout,
        });
        match (&self.outgoing, &self.backend, &self.backend_now) {
            (Some(outgoing), ..) => {
                let back = self.switch_back(Ref::Id(outgoing.container.id.clone()), outgoing);
                std::iter::once(back).chain(drain).collect()
            }
            (None, Some(backend), now) => {
                let remove = Action::RemoveRoute { backend: backend.name.clone() };
                let restore = now.as_ref().map(|(before, _)| Action::SetRoute { backend: before.clone() });
                std::iter::once(remove).chain(restore).collect()
            }
            (None, None, _) => Vec::new(),
        }
    }

    fn switch_back(&self, old: Ref, outgoing: &Outgoing<'_>) -> Action {
        Action::Switch {
            role: self.role.clone(),
            backend: self.backend_name(),
            port: self.port_before(),
            from: Some(self.incoming_ref()),
            to: old,
            release: outgoing.release.clone(),
        }
    }
}

fn plain(action: Action) -> Step {
    Step { action, undo: Vec::new() }
}
