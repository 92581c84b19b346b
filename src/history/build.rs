//! From a fleet to its history.

use crate::fleet::{Container, Fleet, State};
use crate::history::availability::availability;
use crate::history::content::{Content, Contents};
use crate::history::merge::{Merged, RunFacts};
use crate::history::view::View;
use crate::history::{Availability, History, Release, Status};
use crate::history::{marks, timeline};
use crate::name::{Destination, HostName, RoleName, RunId, ServiceName, Version};
use crate::release::{Entry, Fact, Outcome, ReleaseKind, ReleaseRecord};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

impl History {
    /// What the reachable hosts of a fleet know together of a service and destination.
    ///
    /// `roles` is the configuration's: where each role should be. With it, [`Release::available`] says `Missing` of a
    /// host that should have a release and has nothing of it.
    pub fn of(
        fleet: &Fleet,
        service: &ServiceName,
        destination: Option<&Destination>,
        roles: &BTreeMap<RoleName, Vec<HostName>>,
    ) -> Self {
        let merged = Merged::of(fleet.reachable().map(|(_, facts)| facts));
        let mut views: Vec<View<'_>> = fleet
            .reachable()
            .map(|(host, facts)| View::new(host, facts, (service, destination), &roles_of(host, roles)))
            .collect();
        let mut releases = recorded(&merged);
        let contents = Contents::of(&releases);
        views.iter_mut().for_each(|view| view.attribute(&releases, &contents));
        let mut all = unrecorded(&views, &contents);
        all.append(&mut releases);
        fill(&mut all, &views, &contents, roles);
        let suspended = suspended(&views, service, destination, roles);
        let left = timeline::left(&views, &all, &contents);
        marks::apply(&mut all, &merged);
        timeline::served(&views, &mut all);
        for release in &mut all {
            release.left = left.contains(&contents.of_release(release));
            let is_live = release.run.as_ref().is_some_and(|run| merged.live.contains(run));
            let is_suspended = release.run.as_ref().is_some_and(|run| suspended.contains(run));
            release.status = status(release, is_live, is_suspended);
        }
        Self { releases: all }
    }

    /// The number that the next release gets: one more than the highest that any reachable host knows of.
    pub fn next_number(&self) -> u32 {
        self.releases.iter().filter_map(|r| r.number).max().unwrap_or(0).saturating_add(1)
    }
}

/// The releases that were stopped somewhere and serve nowhere there since.
fn suspended(
    views: &[View<'_>],
    service: &ServiceName,
    destination: Option<&Destination>,
    roles: &BTreeMap<RoleName, Vec<HostName>>,
) -> BTreeSet<RunId> {
    let of =
        |view: &View<'_>, role: &RoleName| crate::history::suspended(view.facts, service, destination, role)?.release;
    views.iter().flat_map(|view| roles.keys().filter_map(move |role| of(view, role))).collect()
}

fn roles_of(host: &HostName, roles: &BTreeMap<RoleName, Vec<HostName>>) -> BTreeSet<RoleName> {
    roles.iter().filter(|(_, hosts)| hosts.contains(host)).map(|(role, _)| role.clone()).collect()
}

/// The runs that made a release, by run id.
fn recorded(merged: &Merged<'_>) -> Vec<Release> {
    let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
    let mut releases: Vec<Release> = merged.runs.iter().filter_map(|(run, facts)| from_run(run, facts)).collect();
    for release in &mut releases {
        let twins = numbers.entry(release.number.unwrap_or_default()).or_default();
        *twins += 1;
        release.twin = *twins;
    }
    let contents = Contents::of(&releases);
    for release in &mut releases {
        release.content = release.run.as_ref().and_then(|run| match contents.root(run) {
            Content::Run(root) => Some(root),
            Content::Version(_) => None,
        });
    }
    releases
}

fn from_run(run: &RunId, facts: &RunFacts<'_>) -> Option<Release> {
    let intent = facts.intent.and_then(|entry| match &entry.fact {
        Fact::Intent { release, actor, .. } => Some((entry.at, release.as_ref()?, actor)),
        _ => None,
    });
    let (number, kind, version, actor, at) = match (facts.record, intent) {
        (Some(r), _) => (r.number, &r.kind, &r.version, &r.actor, r.at),
        (None, Some((at, intended, actor))) => (intended.number, &intended.kind, &intended.version, actor, at),
        (None, None) => return None,
    };
    Some(Release {
        run: Some(run.clone()),
        number: Some(number),
        image: facts.record.map(|r| r.image.clone()),
        digest: facts.record.and_then(|r| r.digest.clone()),
        record: facts.record.cloned(),
        outcome: facts.outcome(),
        ended: facts.end.map(|entry| entry.at),
        reason: facts.end.and_then(reason),
        actor: actor.clone(),
        at: Some(at),
        message: facts.record.and_then(|r| r.message.clone()),
        stable: *kind == ReleaseKind::Adopted || facts.outcome() == Some(Outcome::Succeeded),
        ..blank(kind.clone(), version.clone())
    })
}

fn reason(entry: &Entry) -> Option<String> {
    match &entry.fact {
        Fact::Outcome { reason, .. } => reason.clone(),
        _ => None,
    }
}

fn blank(kind: ReleaseKind, version: Version) -> Release {
    Release {
        run: None,
        number: None,
        twin: 1,
        kind,
        version,
        image: None,
        digest: None,
        record: None,
        content: None,
        outcome: None,
        actor: String::new(),
        at: None,
        message: None,
        ended: None,
        reason: None,
        served: None,
        name: None,
        pin: None,
        status: Status::Unrecorded,
        stable: false,
        left: false,
        running: BTreeMap::new(),
        available: BTreeMap::new(),
    }
}

/// One release for each version that only containers know of, by the creation of its first container. A container
/// that never started is no release: nothing says that it ever could.
fn unrecorded(views: &[View<'_>], contents: &Contents) -> Vec<Release> {
    let mut first: BTreeMap<Version, &Container> = BTreeMap::new();
    let containers = views.iter().flat_map(|view| &view.containers).filter(|a| a.container.state != State::Created);
    for attributed in containers.filter(|a| a.container.created_by().is_none_or(|run| !contents.knows(&run))) {
        let own = attributed.contents.iter().filter_map(|content| match content {
            Content::Version(version) => Some(version),
            Content::Run(_) => None,
        });
        for version in own {
            let known = first.entry(version.clone()).or_insert(attributed.container);
            if order(attributed.container) < order(known) {
                *known = attributed.container;
            }
        }
    }
    let mut first: Vec<_> = first.into_iter().collect();
    first.sort_by_key(|(version, container)| (container.created_at, version.clone()));
    first.into_iter().map(|(version, container)| from_container(version, container)).collect()
}

fn order(container: &Container) -> (Option<Timestamp>, &crate::name::ContainerId) {
    (container.created_at, &container.id)
}

fn from_container(version: Version, container: &Container) -> Release {
    Release { image: container.image.parse().ok(), at: container.created_at, ..blank(ReleaseKind::Adopted, version) }
}

/// Where each release serves, and where it could.
fn fill(releases: &mut [Release], views: &[View<'_>], contents: &Contents, roles: &BTreeMap<RoleName, Vec<HostName>>) {
    for view in views {
        for role in view.serving.keys() {
            let Some(index) = view.serving_release(role, releases, contents) else { continue };
            let Some(release) = releases.get_mut(index) else { continue };
            release.running.entry(view.name.clone()).or_default().insert(role.clone());
            release.stable |= release.run.is_none();
        }
    }
    let records: BTreeMap<&RunId, &ReleaseRecord> =
        releases.iter().filter_map(|r| Some((r.run.as_ref()?, r.record.as_deref()?))).collect();
    let configured: Vec<_> = views.iter().map(|view| roles_of(view.name, roles)).collect();
    let available = releases.iter().map(|release| {
        let content = contents.of_release(release);
        let root = release.content.as_ref().and_then(|run| records.get(run).copied());
        let found = views
            .iter()
            .zip(&configured)
            .map(|(view, configured)| (view.name.clone(), on_host(view, release, &content, root, configured)));
        found.filter(|(_, found)| !found.is_empty()).collect()
    });
    let available: Vec<BTreeMap<_, _>> = available.collect();
    for (release, available) in releases.iter_mut().zip(available) {
        release.available = available;
    }
}

/// Every role that the release has and that the host should have, had, or has something of.
fn on_host(
    view: &View<'_>,
    release: &Release,
    content: &Content,
    root: Option<&ReleaseRecord>,
    configured: &BTreeSet<RoleName>,
) -> BTreeMap<RoleName, Availability> {
    let record = release.record.as_deref();
    let sent = record.into_iter().flat_map(|r| &r.roles);
    let sent = sent.filter(|(_, r)| r.hosts.iter().any(|h| &h.name == view.name)).map(|(role, _)| role);
    let held = view.containers.iter().filter(|a| a.contents.contains(content)).map(|a| &a.role);
    let roles: BTreeSet<&RoleName> = sent.chain(held).chain(configured).filter(|role| release.has_role(role)).collect();
    let describes = |record: &&ReleaseRecord, role: &RoleName| record.roles.get(role).is_some_and(|r| r.spec.is_some());
    let judge = |role: &RoleName| {
        let record = record.filter(|r| describes(r, role)).or(root).or(record);
        availability(view, release, content, role, record)
    };
    roles.into_iter().map(|role| (role.clone(), judge(role))).collect()
}

/// A run that still goes on is shown as such even where it serves already.
fn status(release: &Release, is_live: bool, is_suspended: bool) -> Status {
    let is_served = !release.running.is_empty();
    match release.outcome {
        None if is_live => Status::Running,
        _ if is_served => Status::Current,
        _ if is_suspended => Status::Suspended,
        _ if release.stable && release.left => Status::RolledBack,
        _ if release.stable && !release.is_retained() => Status::Pruned,
        _ if release.stable => Status::Stable,
        _ if release.run.is_none() => Status::Unrecorded,
        None | Some(Outcome::Interrupted | Outcome::Abandoned) => Status::Interrupted,
        Some(Outcome::Reverted | Outcome::Unverified | Outcome::Succeeded) => Status::Failed,
    }
}
