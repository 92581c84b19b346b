//! Distrusts the planner: walks a plan as the world would, and names every step that must not be.

use crate::fleet::BackendName;
use crate::name::{HostName, RoleName};
use crate::plan::{Action, Plan, Ref, StageKind, StepId, Strategy};
use crate::release::RunVerb;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A step that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which; `None` for the plan as a whole.
    pub step: Option<StepId>,
    /// The rule, in words.
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(id) => write!(f, "stage {}, lane {}, step {}: {}", id.stage, id.lane, id.step, self.rule),
            None => f.write_str(&self.rule),
        }
    }
}

/// All violations of a plan; an empty list means that it may run.
///
/// The rules: nothing is pulled in a rollback; nothing that serves is stopped, removed or unloaded (unless a stop-first
/// was declared); a deploy never replaces a proxy, and no two are replaced at once; one proxy stops for another only when
/// that is ready, and with a way back; a switch goes to a container that passed its gate, and leaves the one that serves;
/// stages come in order; the plan ends with what it promises.
pub fn check(plan: &Plan) -> Vec<Violation> {
    let mut checker = Checker::new(plan);
    checker.stages_in_order();
    for (id, host, step) in plan.steps() {
        checker.step(id, host, &step.action);
    }
    checker.promises();
    checker.violations
}

struct Checker<'a> {
    plan: &'a Plan,
    serving: BTreeMap<(HostName, RoleName), Option<Ref>>,
    gated: BTreeSet<(HostName, Ref)>,
    started: BTreeSet<(HostName, Ref)>,
    loaded: BTreeSet<(HostName, BackendName, Ref)>,
    created: BTreeSet<(HostName, Ref)>,
    /// Switched to before its gate, as was asked for; the gate has to follow.
    ungated: BTreeMap<(HostName, Ref), StepId>,
    /// Where the other proxy is ready to start.
    ready: BTreeSet<HostName>,
    violations: Vec<Violation>,
}

impl<'a> Checker<'a> {
    fn new(plan: &'a Plan) -> Self {
        let serving = plan.before.iter().map(|s| ((s.host.clone(), s.role.clone()), s.container.clone())).collect();
        Self {
            plan,
            serving,
            gated: BTreeSet::new(),
            started: BTreeSet::new(),
            loaded: BTreeSet::new(),
            created: BTreeSet::new(),
            ungated: BTreeMap::new(),
            ready: BTreeSet::new(),
            violations: Vec::new(),
        }
    }

    fn broken(&mut self, id: StepId, rule: impl Into<String>) {
        self.violations.push(Violation { step: Some(id), rule: rule.into() });
    }

    fn stages_in_order(&mut self) {
        let rank = |kind: StageKind| match kind {
            StageKind::Prepare => 0,
            StageKind::Change => 1,
            StageKind::Retire => 2,
            StageKind::Retain => 3,
            StageKind::Prune => 4,
        };
        let sorted = self.plan.stages.windows(2).all(|pair| rank(pair[0].kind) <= rank(pair[1].kind));
        if !sorted {
            self.violations.push(Violation { step: None, rule: "stages are out of order".to_string() });
        }
        for stage in &self.plan.stages {
            let hosts: BTreeSet<_> = stage.lanes.iter().map(|lane| &lane.host).collect();
            if hosts.len() != stage.lanes.len() {
                self.violations.push(Violation { step: None, rule: "a host has two lanes in one stage".to_string() });
            }
            if let Some(lane) = stage.lanes.iter().find(|lane| !self.plan.hosts.contains(&lane.host)) {
                let rule = format!("{} is changed without its lease", lane.host);
                self.violations.push(Violation { step: None, rule });
            }
        }
    }

    fn serves(&self, host: &HostName, container: &Ref) -> bool {
        self.serving.iter().any(|((h, _), serving)| h == host && serving.as_ref() == Some(container))
    }

    fn exists(&self, host: &HostName, container: &Ref) -> bool {
        matches!(container, Ref::Id(_)) || self.created.contains(&(host.clone(), container.clone()))
    }

    fn step(&mut self, id: StepId, host: &HostName, action: &Action) {
        match action {
            Action::Pull { .. } if self.plan.verb == RunVerb::Rollback && !self.plan.pulls => {
                self.broken(id, "a rollback pulls an image");
            }
            Action::CopyImage { from, .. } if from == host => self.broken(id, "an image is copied to where it is"),
            Action::Pull { .. } if self.plan.verb == RunVerb::Stop => self.broken(id, "a stop pulls an image"),
            Action::Create { container } => self.create(id, host, &container.name),
            Action::CreateLike { name, .. } => self.create(id, host, name),
            Action::ShareAssets { incoming, .. } if self.started.contains(&(host.clone(), incoming.clone())) => {
                self.broken(id, "a container gets assets only after it was started");
            }
            Action::Start { container, .. } => {
                if !self.exists(host, container) {
                    self.broken(id, "a container is started before it is created");
                }
                self.started.insert((host.clone(), container.clone()));
            }
            Action::Load { backend, container, .. } => {
                if !self.started.contains(&(host.clone(), container.clone())) {
                    self.broken(id, "a container is given to the proxy before it is started");
                }
                self.loaded.insert((host.clone(), backend.clone(), container.clone()));
            }
            Action::Gate { container, .. } => {
                if !self.started.contains(&(host.clone(), container.clone())) {
                    self.broken(id, "a container is gated before it is started");
                }
                self.gated.insert((host.clone(), container.clone()));
                self.ungated.remove(&(host.clone(), container.clone()));
            }
            Action::Switch { role, backend, from, to, .. } => {
                self.switch(id, host, (role, backend.as_ref()), from.as_ref(), to);
            }
            Action::Suspend { role, from, .. } => self.suspend(id, host, role, from),
            Action::Unload { container, .. } if self.serves(host, container) => {
                self.broken(id, "a container that serves is taken out of the proxy");
            }
            Action::Retire { container, role, stop_first, ends_role, .. } => {
                self.retire(id, host, role, container, *stop_first || *ends_role);
            }
            Action::Remove { container, .. } if self.serves(host, container) => {
                self.broken(id, "a container that serves is removed");
            }
            Action::RemoveRoute { backend } => self.remove_route(id, host, backend),
            Action::ReplaceProxy { .. } | Action::RemoveProxy { .. } => self.proxy(id, action),
            Action::StandBy { .. } => drop(self.ready.insert(host.clone())),
            Action::PointKamalProxy { .. } => drop(self.ready.insert(host.clone())),
            Action::SwapProxy(_) => self.swap(id, host),
            Action::StandDown { backends } => backends.iter().for_each(|b| self.remove_route(id, host, b)),
            _ => {}
        }
    }

    fn create(&mut self, id: StepId, host: &HostName, name: &str) {
        if !self.created.insert((host.clone(), Ref::Name(name.to_string()))) {
            self.broken(id, "a container is created twice");
        }
    }

    fn switch(
        &mut self,
        id: StepId,
        host: &HostName,
        (role, backend): (&RoleName, Option<&BackendName>),
        from: Option<&Ref>,
        to: &Ref,
    ) {
        let key = (host.clone(), role.clone());
        if self.plan.stages[id.stage].kind != StageKind::Change {
            self.broken(id, "a switch outside of a change stage");
        }
        let place = (host.clone(), to.clone());
        match (self.gated.contains(&place), self.plan.strategy) {
            (true, _) => {}
            (false, Strategy::Immediate) => _ = self.ungated.insert(place, id),
            (false, _) => self.broken(id, "a switch to a container that passed no gate"),
        }
        let checked = |backend: &BackendName| self.loaded.contains(&(host.clone(), backend.clone(), to.clone()));
        if !backend.is_none_or(checked) {
            self.broken(id, "a switch to a container that the proxy does not check");
        }
        if self.serving.get(&key).cloned().flatten().as_ref() != from {
            self.broken(id, "a switch away from something that does not serve");
        }
        self.serving.insert(key, Some(to.clone()));
    }

    fn suspend(&mut self, id: StepId, host: &HostName, role: &RoleName, from: &Ref) {
        if self.plan.stages[id.stage].kind != StageKind::Change {
            self.broken(id, "a role is taken out of service outside of a change stage");
        }
        if self.plan.verb != RunVerb::Stop {
            self.broken(id, "a role is taken out of service by a command that is not for that");
        }
        let key = (host.clone(), role.clone());
        if self.serving.get(&key).cloned().flatten().as_ref() != Some(from) {
            self.broken(id, "something is taken out of service that does not serve");
        }
        self.serving.insert(key, None);
    }

    fn retire(&mut self, id: StepId, host: &HostName, role: &RoleName, container: &Ref, declared: bool) {
        if self.serves(host, container) && !declared {
            self.broken(id, "a container that serves is stopped");
        }
        let stage = self.plan.stages[id.stage].kind;
        if !matches!(stage, StageKind::Change | StageKind::Retire) {
            self.broken(id, "a container is stopped outside of the stages for it");
        }
        let ends = matches!(
            self.plan.stages[id.stage].lanes[id.lane].steps[id.step].action,
            Action::Retire { ends_role: true, .. }
        );
        if ends {
            self.serving.insert((host.clone(), role.clone()), None);
        }
    }

    /// Only the verbs that are about the proxy take it away, and never from two hosts at once where it comes back.
    fn proxy(&mut self, id: StepId, action: &Action) {
        if self.plan.verb != RunVerb::Proxy {
            self.broken(id, "a proxy is replaced or removed by a verb that is not about it");
        }
        let replaces = matches!(action, Action::ReplaceProxy { .. });
        if replaces && self.plan.stages[id.stage].lanes.len() > 1 {
            self.broken(id, "the proxies of two hosts are replaced at once");
        }
    }

    fn swap(&mut self, id: StepId, host: &HostName) {
        if self.plan.stages[id.stage].kind != StageKind::Change {
            self.broken(id, "a proxy is swapped outside of a change stage");
        }
        if !self.ready.contains(host) {
            self.broken(id, "a proxy stops before the other one is ready");
        }
        if self.plan.stages[id.stage].lanes[id.lane].steps[id.step].undo.is_empty() {
            self.broken(id, "a proxy is swapped without a way back");
        }
    }

    fn remove_route(&mut self, id: StepId, host: &HostName, backend: &BackendName) {
        let promised = self
            .plan
            .after
            .iter()
            .any(|s| s.host == *host && s.container.is_some() && s.backend.as_ref() == Some(backend));
        if promised {
            self.broken(id, "a route is removed that must serve after the run");
        }
    }

    fn promises(&mut self) {
        for id in std::mem::take(&mut self.ungated).into_values() {
            self.broken(id, "a switch to a container that passes no gate afterwards");
        }
        let broken: Vec<_> = self
            .plan
            .after
            .iter()
            .filter(|s| self.serving.get(&(s.host.clone(), s.role.clone())) != Some(&s.container))
            .map(|s| format!("{}: {} does not end as promised", s.host, s.role))
            .collect();
        self.violations.extend(broken.into_iter().map(|rule| Violation { step: None, rule }));
    }
}
