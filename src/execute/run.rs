//! A run: intent → stages → (revert) → proof → outcome.

use crate::effect::{Clock, Node, RegistryLogin};
use crate::event::{Event, Failure, Sink};
use crate::execute::action::Means;
use crate::execute::host::RunHost;
use crate::execute::lane::{LaneContext, LaneResult};
use crate::execute::record::{self, Hosts};
use crate::execute::verify::{self, Proof};
use crate::execute::{Leases, Removed, RunReport, StageHooks};
use crate::mask::Masker;
use crate::name::HostName;
use crate::plan::{self, Plan, Serving, StageKind, Step};
use crate::release::{FingerprintKey, Outcome, RunVerb, StepReport};
use crate::secret::Secret;
use crate::spec::EdgeFile;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Everything that a run needs.
pub struct Run {
    /// What it does.
    pub plan: Plan,
    /// The hosts of [`Plan::hosts`], connected.
    pub nodes: BTreeMap<HostName, Node>,
    /// Further connections for copying images between hosts; needed for those that [`plan::Action::CopyImage`] names.
    pub bulk: BTreeMap<HostName, Node>,
    /// Their leases.
    pub leases: Arc<Leases>,
    /// Values of the secrets that the plan names.
    pub secrets: BTreeMap<String, Secret<String>>,
    /// Credentials for pulls.
    pub login: Option<RegistryLogin>,
    /// The key of secret prints.
    pub key: FingerprintKey,
    /// Contents of the certificates and pages that the plan names.
    pub files: BTreeMap<EdgeFile, Secret<String>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Knows every secret value of the releases involved.
    pub masker: Masker,
    /// Where events go.
    pub sink: Arc<dyn Sink>,
    /// Called around every group of hosts that change.
    pub hooks: Arc<dyn StageHooks>,
    /// Cancelled by the first Ctrl-C.
    pub cancel: CancellationToken,
}

/// What the stages came to.
#[derive(Default)]
struct Progress {
    /// Steps begun in prepare and change stages, by host, in their order.
    begun: BTreeMap<HostName, Vec<(usize, usize, usize)>>,
    failures: Vec<(HostName, Failure)>,
    /// Failures after the point of no return.
    late: Vec<(HostName, Failure)>,
    warnings: Vec<String>,
    removed: BTreeMap<HostName, Removed>,
    /// What was done, by host.
    steps: BTreeMap<HostName, Vec<StepReport>>,
    /// Whether a removal failed: the whole outcome of a prune, a warning elsewhere.
    unpruned: bool,
    interrupted: bool,
}

impl Progress {
    fn must_go_back(&self) -> bool {
        !self.failures.is_empty() || self.interrupted
    }

    fn reason(&self) -> Option<String> {
        let all = self.failures.iter().chain(&self.late);
        let first = all.map(|(host, failure)| format!("{host}: {}", failure.message)).next();
        let interrupted = || self.interrupted.then(|| "interrupted".to_string());
        first.or_else(interrupted).or_else(|| self.warnings.first().cloned().filter(|_| self.unpruned))
    }
}

impl Run {
    /// Carries the plan out. Never panics and never returns early: whatever happens, the outcome is what was proven.
    pub async fn go(self) -> RunReport {
        let started = self.clock.elapsed();
        self.sink.emit(Event::Started { plan: Box::new(self.plan.clone()) });
        let hosts = self.hosts();
        let means = self.means(&hosts);
        let report = match self.refuse() {
            Some(reason) => unchanged(reason),
            None => self.recorded(&hosts, &means).await,
        };
        let millis = (self.clock.elapsed() - started).as_millis() as u64;
        let unrecorded = report.unrecorded.clone();
        self.sink.emit(Event::Finished { outcome: report.outcome, unrecorded, millis });
        report
    }

    fn hosts(&self) -> Hosts {
        let node = |host: &HostName| Some((self.nodes.get(host)?.clone(), self.plan.state_dirs.get(host)?.clone()));
        let hosts = self.plan.hosts.iter().filter_map(|host| Some((host, node(host)?)));
        hosts.map(|(host, (node, dir))| (host.clone(), RunHost::new(node, dir))).collect()
    }

    fn means<'a>(&'a self, hosts: &'a Hosts) -> Means<'a> {
        Means {
            run: &self.plan.run,
            clock: &*self.clock,
            sink: &*self.sink,
            secrets: &self.secrets,
            login: self.login.as_ref(),
            key: &self.key,
            files: &self.files,
            hosts,
            bulk: &self.bulk,
        }
    }

    /// A plan that breaks a rule, or a lease that is gone already, begins nothing.
    fn refuse(&self) -> Option<String> {
        if let Some(violation) = plan::check(&self.plan).first() {
            return Some(format!("this plan must not run, which is a defect of windlass: {violation}"));
        }
        let lost = self.plan.hosts.iter().find_map(|host| Some((host, self.leases.check(host).err()?)));
        lost.map(|(host, error)| format!("{host}: {error}"))
    }

    async fn recorded(&self, hosts: &Hosts, means: &Means<'_>) -> RunReport {
        let unwritten = record::intent(means, hosts, &self.plan).await;
        if let Some((host, why)) = unwritten.first() {
            let reason = format!("{host}: the intent could not be written down: {why}");
            let mut report = unchanged(reason);
            report.unrecorded =
                record::outcome(means, hosts, &self.plan, Outcome::Reverted, report.reason.as_deref()).await;
            return report;
        }
        let progress = self.stages(hosts, means).await;
        let (outcome, mismatches) = self.prove(hosts, means, &progress).await;
        let reason =
            progress.reason().or_else(|| mismatches.first().cloned()).filter(|_| outcome != Outcome::Succeeded);
        let unrecorded = record::outcome(means, hosts, &self.plan, outcome, reason.as_deref()).await;
        if self.plan.release.is_some() {
            self.report(hosts, &progress).await;
        }
        let failures = progress.failures.into_iter().chain(progress.late).collect();
        let (warnings, removed) = (progress.warnings, progress.removed);
        RunReport { begun: true, outcome, reason, failures, mismatches, warnings, removed, unrecorded }
    }

    /// For `releases show`; nothing depends on it, so a host that cannot take it is only warned about.
    async fn report(&self, hosts: &Hosts, progress: &Progress) {
        for (host, message) in record::reports(hosts, &self.plan.run, &progress.steps).await {
            let message = format!("the report of the run could not be written down: {message}");
            self.sink.emit(Event::Warning { host: Some(host), message });
        }
    }

    async fn stages(&self, hosts: &Hosts, means: &Means<'_>) -> Progress {
        let mut progress = Progress::default();
        let stop = self.cancel.child_token();
        let context = LaneContext { means, leases: &self.leases, masker: &self.masker, stop: &stop };
        for (index, stage) in self.plan.stages.iter().enumerate() {
            if stop.is_cancelled() && stage.kind != StageKind::Retire {
                // Before the point of no return everything goes back; after it only the pruning is left out.
                let goes_back = matches!(stage.kind, StageKind::Prepare | StageKind::Change);
                progress.interrupted |= goes_back && progress.failures.is_empty();
                break;
            }
            let began = self.clock.elapsed();
            self.sink.emit(Event::StageStarted { stage: index });
            self.stage(&context, hosts, index, &mut progress).await;
            let millis = (self.clock.elapsed() - began).as_millis() as u64;
            self.sink.emit(Event::StageFinished { stage: index, millis });
            let before_the_point = matches!(stage.kind, StageKind::Prepare | StageKind::Change);
            if before_the_point && stop.is_cancelled() {
                progress.interrupted = progress.failures.is_empty();
                break;
            }
            if stage.pause_after > 0 && !stop.is_cancelled() {
                tokio::select! {
                    () = self.clock.sleep(Duration::from_secs(stage.pause_after)) => {}
                    () = stop.cancelled() => { progress.interrupted = true; break; }
                }
            }
            if stage.kind == StageKind::Change && !self.still_serves(hosts, &mut progress).await {
                break;
            }
        }
        progress
    }

    async fn stage(&self, context: &LaneContext<'_>, hosts: &Hosts, index: usize, progress: &mut Progress) {
        let stage = &self.plan.stages[index];
        let changing: Vec<_> = stage.lanes.iter().map(|lane| lane.host.clone()).collect();
        if stage.kind == StageKind::Change {
            let allowed = self.hooks.before_change(&changing).await;
            if !context.hook(allowed, &changing, progress) {
                return;
            }
        }
        let lanes = stage.lanes.iter().enumerate().filter_map(|(lane, it)| Some((lane, it, hosts.get(&it.host)?)));
        let runs = lanes.map(|(lane, it, host)| async move {
            (lane, &it.host, context.run(host, stage.kind, (index, lane), it).await)
        });
        for (lane, host, result) in join_all(runs).await {
            if let Some(error) = self.prune_recorded(context, hosts, stage.kind, host, &result).await {
                progress.warnings.push(error);
            }
            progress.add(stage.kind, index, lane, host, result, self.sink.as_ref());
        }
        if stage.kind == StageKind::Change && !context.stop.is_cancelled() {
            let content = self.hooks.after_change(&changing).await;
            context.hook(content, &changing, progress);
        }
    }

    /// Looks again at all that has gone over, before more does or what served before stops: a container that was
    /// healthy once may not be any more.
    async fn still_serves(&self, hosts: &Hosts, progress: &mut Progress) -> bool {
        let changed =
            |s: &&Serving| progress.begun.get(&s.host).is_some_and(|places| places.iter().any(|p| self.in_change(*p)));
        let expected: Vec<Serving> =
            self.plan.after.iter().filter(changed).filter(|s| s.container.is_some()).cloned().collect();
        let failures = verify::failures(hosts, &expected).await;
        let well = failures.is_empty();
        progress.failures.extend(failures);
        well
    }

    fn in_change(&self, (stage, _, _): (usize, usize, usize)) -> bool {
        self.plan.stages.get(stage).is_some_and(|stage| stage.kind == StageKind::Change)
    }

    async fn prune_recorded(
        &self,
        context: &LaneContext<'_>,
        hosts: &Hosts,
        kind: StageKind,
        host: &HostName,
        result: &LaneResult,
    ) -> Option<String> {
        let Removed { containers, images, .. } = result.removed;
        if kind != StageKind::Prune || (containers, images) == (0, 0) {
            return None;
        }
        let written = record::pruned(context.means, hosts.get(host)?, &self.plan.run, containers, images).await;
        written.err().map(|error| format!("{host}: {error}"))
    }

    /// Goes back if it must, and asks the fleet what serves.
    async fn prove(&self, hosts: &Hosts, means: &Means<'_>, progress: &Progress) -> (Outcome, Vec<String>) {
        let back = progress.must_go_back();
        let expected = if back { &self.plan.before } else { &self.plan.after };
        let mut mismatches = if back { self.revert(hosts, means, progress).await } else { Vec::new() };
        let proof = if back { Proof::Before } else { Proof::Brought };
        let unproven = verify::unproven(hosts, expected, proof).await;
        let is_proven = |s: &&Serving| !unproven.iter().any(|(u, _)| (&u.host, &u.role) == (&s.host, &s.role));
        let proven: Vec<_> = expected.iter().filter(is_proven).collect();
        mismatches.extend(unproven.iter().map(|(s, what)| format!("{}: {}: {what}", s.host, s.role)));
        self.sink.emit(Event::Verified { serving: resolved(hosts, &proven), mismatches: mismatches.clone() });
        let clean = mismatches.is_empty() && progress.late.is_empty();
        let outcome = match (clean, back, progress.interrupted) {
            (false, ..) => Outcome::Unverified,
            // A prune that removed only a part did not do what was asked; what serves was never in question.
            (true, false, _) if self.removes() && self.cancel.is_cancelled() => Outcome::Interrupted,
            (true, false, _) if self.removes() && progress.unpruned => Outcome::Reverted,
            (true, false, _) => Outcome::Succeeded,
            (true, true, true) => Outcome::Interrupted,
            (true, true, false) => Outcome::Reverted,
        };
        (outcome, mismatches)
    }

    /// Whether removing things is all that was asked for.
    fn removes(&self) -> bool {
        matches!(self.plan.verb, RunVerb::Prune | RunVerb::Remove)
    }

    fn step(&self, (stage, lane, step): (usize, usize, usize)) -> &Step {
        &self.plan.stages[stage].lanes[lane].steps[step]
    }

    /// All hosts side by side; what one cannot take back does not stop the others.
    async fn revert(&self, hosts: &Hosts, means: &Means<'_>, progress: &Progress) -> Vec<String> {
        let has_undo = |places: &[(usize, usize, usize)]| places.iter().any(|p| !self.step(*p).undo.is_empty());
        let touched: Vec<_> = progress.begun.iter().filter(|(_, places)| has_undo(places)).collect();
        let reason = progress.reason().unwrap_or_default();
        let names = touched.iter().map(|(host, _)| (*host).clone()).collect();
        self.sink.emit(Event::RevertStarted { reason, hosts: names });
        let never = CancellationToken::new();
        let context = LaneContext { means, leases: &self.leases, masker: &self.masker, stop: &never };
        let undos = touched.into_iter().filter_map(|(name, places)| {
            let steps: Vec<&Step> = places.iter().map(|place| self.step(*place)).collect();
            let (context, host) = (&context, hosts.get(name)?);
            Some(async move { (name, context.undo(host, &steps).await) })
        });
        let mut problems = Vec::new();
        for (host, error) in join_all(undos).await {
            problems.extend(error.iter().map(|e| format!("{host}: going back: {e}")));
            self.sink.emit(Event::Reverted { host: host.clone(), error });
        }
        problems
    }
}

impl LaneContext<'_> {
    /// Whether a hook lets the run go on. If not, what the run changed goes back.
    fn hook(&self, result: Result<(), String>, hosts: &[HostName], progress: &mut Progress) -> bool {
        let Err(reason) = result else { return true };
        let failure = Failure { message: self.masker.mask(&reason), role: None, log: Vec::new() };
        progress.failures.extend(hosts.first().map(|host| (host.clone(), failure)));
        self.stop.cancel();
        false
    }
}

impl Progress {
    fn add(
        &mut self,
        kind: StageKind,
        stage: usize,
        lane: usize,
        host: &HostName,
        result: LaneResult,
        sink: &dyn Sink,
    ) {
        self.steps.entry(host.clone()).or_default().extend(result.steps);
        if kind == StageKind::Prune {
            self.removed.insert(host.clone(), result.removed);
        }
        let failures = result.failures.into_iter().map(|failure| (host.clone(), failure));
        match kind {
            StageKind::Prepare | StageKind::Change => {
                let steps = (0..result.begun).map(|step| (stage, lane, step));
                self.begun.entry(host.clone()).or_default().extend(steps);
                self.failures.extend(failures);
            }
            StageKind::Retire => self.late.extend(failures),
            StageKind::Retain | StageKind::Prune => {
                for (host, failure) in failures {
                    self.unpruned |= kind == StageKind::Prune;
                    let what = if kind == StageKind::Prune { "pruning" } else { "bringing what is retained elsewhere" };
                    let message = format!("{what}: {}", failure.message);
                    sink.emit(Event::Warning { host: Some(host.clone()), message: message.clone() });
                    self.warnings.push(format!("{host}: {message}"));
                }
            }
        }
    }
}

/// What was proven to serve, with the ids of the containers that the run made.
fn resolved(hosts: &Hosts, proven: &[&Serving]) -> Vec<Serving> {
    let id = |s: &Serving| Some(plan::Ref::Id(hosts.get(&s.host)?.id(s.container.as_ref()?).ok()?));
    let resolve = |s: &&Serving| Serving { container: id(s).or_else(|| s.container.clone()), ..(*s).clone() };
    proven.iter().map(resolve).collect()
}

fn unchanged(reason: String) -> RunReport {
    RunReport {
        begun: false,
        outcome: Outcome::Reverted,
        reason: Some(reason),
        failures: Vec::new(),
        mismatches: Vec::new(),
        warnings: Vec::new(),
        removed: BTreeMap::new(),
        unrecorded: Vec::new(),
    }
}
