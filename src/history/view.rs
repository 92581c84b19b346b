//! One host seen through the history: which content each container has, and which release serves each role.

use crate::fleet::{Container, HostFacts};
use crate::history::content::{Content, Contents};
use crate::history::{Release, serving};
use crate::name::{ContainerId, Destination, HostName, RoleName, RunId, ServiceName};
use crate::release::{Entry, Fact, ReleaseKind};
use std::collections::{BTreeMap, BTreeSet};

/// A container and every content it stands for.
pub(super) struct Attributed<'a> {
    pub(super) container: &'a Container,
    pub(super) role: RoleName,
    pub(super) contents: BTreeSet<Content>,
}

/// One host.
pub(super) struct View<'a> {
    pub(super) name: &'a HostName,
    pub(super) facts: &'a HostFacts,
    pub(super) containers: Vec<Attributed<'a>>,
    pub(super) serving: BTreeMap<RoleName, &'a Container>,
    pub(super) digests: BTreeSet<&'a str>,
    pub(super) tags: BTreeSet<&'a str>,
    switched: BTreeMap<&'a ContainerId, Vec<&'a RunId>>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        name: &'a HostName,
        facts: &'a HostFacts,
        (service, destination): (&ServiceName, Option<&Destination>),
        configured: &BTreeSet<RoleName>,
    ) -> Self {
        let own = facts.containers.iter().filter(|c| c.belongs_to(service, destination));
        let with_role: Vec<_> = own.filter_map(|c| Some((c, c.role()?))).collect();
        let roles: BTreeSet<_> = with_role.iter().map(|(_, role)| role).chain(configured).collect();
        let serving = roles
            .into_iter()
            .filter_map(|role| Some((role.clone(), serving::serving(facts, service, destination, role)?)))
            .collect();
        let containers = with_role
            .into_iter()
            .map(|(container, role)| Attributed { container, role, contents: BTreeSet::new() })
            .collect();
        let names = facts.images.iter().flat_map(|i| &i.digests).filter_map(|d| Some(d.split_once('@')?.1));
        Self {
            name,
            facts,
            containers,
            serving,
            digests: names.collect(),
            tags: facts.images.iter().flat_map(|i| &i.tags).map(String::as_str).collect(),
            switched: switched(facts),
        }
    }

    /// Fills in what every container stands for: the run that made it and every release it was switched to for; for
    /// one that windlass did not make, the adopted release of its version here, else its version alone.
    pub(super) fn attribute(&mut self, releases: &[Release], contents: &Contents) {
        let all = std::mem::take(&mut self.containers);
        let filled = all.into_iter().map(|mut one| {
            let runs = self.runs(one.container);
            one.contents = runs.iter().filter(|run| contents.knows(run)).map(|run| contents.of_run(run)).collect();
            if one.contents.is_empty() {
                let adopted = self.adopted(one.container, &one.role, releases);
                one.contents = adopted.map(|release| contents.of_release(release)).collect();
            }
            if one.contents.is_empty() {
                one.contents = one.container.version().map(Content::Version).into_iter().collect();
            }
            one
        });
        self.containers = filled.collect();
    }

    /// The content of one container; none for one that is gone or has no version.
    pub(super) fn content_of(&self, id: &ContainerId) -> Option<&Content> {
        self.containers.iter().find(|c| &c.container.id == id)?.contents.first()
    }

    /// The release that a role serves here, as an index.
    pub(super) fn serving_release(&self, role: &RoleName, releases: &[Release], contents: &Contents) -> Option<usize> {
        let container = *self.serving.get(role)?;
        let by_run = |run: &RunId| releases.iter().position(|r| r.run.as_ref() == Some(run));
        if let Some(run) = self.switches(container).rev().find(|run| contents.knows(run)) {
            return by_run(run);
        }
        if let Some(index) = container.created_by().and_then(|run| by_run(&run)) {
            return Some(index);
        }
        let adopted = self.adopted(container, role, releases).last().and_then(|r| by_run(r.run.as_ref()?));
        let version = container.version();
        adopted.or_else(|| releases.iter().position(|r| r.run.is_none() && Some(&r.version) == version.as_ref()))
    }

    fn switches(&self, container: &Container) -> impl DoubleEndedIterator<Item = &'a RunId> + use<'a> {
        self.switched.get(&container.id).cloned().unwrap_or_default().into_iter()
    }

    fn runs(&self, container: &Container) -> BTreeSet<RunId> {
        self.switches(container).cloned().chain(container.created_by()).collect()
    }

    fn adopted<'r>(
        &self,
        container: &Container,
        role: &RoleName,
        releases: &'r [Release],
    ) -> impl Iterator<Item = &'r Release> + use<'r> {
        let (version, role, host) = (container.version(), role.clone(), self.name.clone());
        releases.iter().filter(move |release| {
            let role = release.record.as_ref().and_then(|record| record.roles.get(&role));
            release.kind == ReleaseKind::Adopted
                && Some(&release.version) == version.as_ref()
                && role.is_some_and(|r| r.hosts.iter().any(|h| h.name == host))
        })
    }
}

/// This host's journal without repeated lines: a line that was appended again says nothing new.
pub(super) fn facts_in_order(facts: &HostFacts) -> Vec<&Entry> {
    let mut seen: BTreeMap<&RunId, Vec<&Fact>> = BTreeMap::new();
    let mut entries = Vec::with_capacity(facts.journal.entries.len());
    for entry in &facts.journal.entries {
        let said = seen.entry(&entry.run).or_default();
        if !said.contains(&&entry.fact) {
            said.push(&entry.fact);
            entries.push(entry);
        }
    }
    entries
}

fn switched(facts: &HostFacts) -> BTreeMap<&ContainerId, Vec<&RunId>> {
    let mut switched: BTreeMap<&ContainerId, Vec<&RunId>> = BTreeMap::new();
    for entry in &facts.journal.entries {
        if let Fact::Switched { to, release: Some(run), .. } = &entry.fact {
            switched.entry(to).or_default().push(run);
        }
    }
    switched
}
