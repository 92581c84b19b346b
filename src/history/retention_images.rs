//! Which images of a service nothing needs any more. Never by age alone.

use crate::fleet::{ContainerBrief, HostFacts, Image};
use crate::history::protected::Protected;
use crate::history::verdict::{Item, Reason, Verdict};
use crate::history::{History, Release};
use crate::name::{ContainerId, HostName, ImageRef, Repository};
use std::collections::BTreeSet;

/// The verdicts on a host's images, by their first name. Images without a name in one of the service's repositories
/// (its own, and those of its releases) are not mentioned.
pub(super) fn image_verdicts(
    host: &HostName,
    facts: &HostFacts,
    history: &History,
    repository: &Repository,
    protected: &Protected<'_>,
    dropped: &BTreeSet<&ContainerId>,
) -> Vec<Verdict> {
    let older = history.releases.iter().filter_map(|r| r.image.as_ref()).map(|image| &image.repository);
    let repositories: BTreeSet<&Repository> = older.chain([repository]).collect();
    let is_ours = |name: &&String| name.parse::<ImageRef>().is_ok_and(|image| repositories.contains(&image.repository));
    let remaining: Vec<_> = facts.all_containers.iter().filter(|c| !dropped.contains(&c.id)).collect();
    let mut verdicts: Vec<_> = facts
        .images
        .iter()
        .filter_map(|image| {
            let (references, others): (Vec<_>, Vec<_>) = names(image).partition(is_ours);
            if references.is_empty() {
                return None;
            }
            let used = remaining.iter().find(|c| uses(c, image)).map(|c| c.name.clone());
            let needed = || protected.releases.iter().find(|r| refers(r, image)).map(|r| r.label());
            // Another destination or service may share the repository and have pulled what it has not created yet.
            let known = history.releases.iter().any(|r| refers(r, image))
                || facts.all_containers.iter().any(|c| dropped.contains(&c.id) && uses(c, image));
            let reason = match used {
                Some(container) => Reason::UsedBy { container },
                None if !known => Reason::NotReleased,
                None => needed().map_or(Reason::Unused, |release| Reason::ReferredToBy { release }),
            };
            let owned = |names: Vec<&String>| names.into_iter().cloned().collect();
            let (references, others) = (owned(references), owned(others));
            let item = Item::Image { references, others, id: image.id.clone(), size: image.size };
            Some(Verdict { host: host.clone(), item, keep: reason != Reason::Unused, reason })
        })
        .collect();
    verdicts.sort_by(|a, b| key(a).cmp(&key(b)));
    verdicts
}

/// The verdicts that take a release's image away, where no container that stays and no other release needs it.
pub(super) fn of_release(
    host: &HostName,
    facts: &HostFacts,
    history: &History,
    release: &Release,
    same: &dyn Fn(&Release) -> bool,
    dropped: &BTreeSet<&ContainerId>,
) -> Vec<Verdict> {
    let Some(named) = &release.image else { return Vec::new() };
    let is_there = |r: &Release| {
        r.available.get(host).is_some_and(|roles| roles.values().any(crate::history::Availability::is_there))
    };
    let others = || history.releases.iter().filter(|r| !same(r) && is_there(r));
    let is_ours = |name: &&String| name.parse::<ImageRef>().is_ok_and(|image| image.repository == named.repository);
    let free = facts.images.iter().filter(|image| {
        let used = facts.all_containers.iter().any(|c| !dropped.contains(&c.id) && uses(c, image));
        is_of(release, image) && !used && !others().any(|r| refers(r, image))
    });
    free.map(|image| {
        let (references, others): (Vec<_>, Vec<_>) = names(image).partition(is_ours);
        let owned = |names: Vec<&String>| names.into_iter().cloned().collect();
        let (references, others) = (owned(references), owned(others));
        let item = Item::Image { references, others, id: image.id.clone(), size: image.size };
        let reason = Reason::Removed { release: release.label() };
        Verdict { host: host.clone(), item, keep: false, reason }
    })
    .collect()
}

/// Whether it is the image of a release: by digest where there is one, since its tag may lead elsewhere by now.
fn is_of(release: &Release, image: &Image) -> bool {
    match &release.digest {
        Some(digest) if !image.digests.is_empty() => image.digests.iter().any(|name| name.ends_with(digest.as_str())),
        _ => refers(release, image),
    }
}

fn key(verdict: &Verdict) -> Option<(&Vec<String>, &crate::name::Digest)> {
    match &verdict.item {
        Item::Image { references, id, .. } => Some((references, id)),
        _ => None,
    }
}

fn names(image: &Image) -> impl Iterator<Item = &String> {
    image.tags.iter().chain(&image.digests)
}

/// By id; an engine that does not say the id of a container's image leaves its text.
fn uses(container: &ContainerBrief, image: &Image) -> bool {
    match &container.image_id {
        Some(id) => *id == image.id,
        None => container.image == image.id.as_str() || names(image).any(|name| *name == container.image),
    }
}

fn refers(release: &Release, image: &Image) -> bool {
    let by_digest = |digest: &crate::name::Digest| {
        image.digests.iter().any(|name| name.split_once('@').is_some_and(|(_, d)| d == digest.as_str()))
    };
    let by_tag = |reference: &ImageRef| {
        let tag = reference.tag.as_ref().map(|tag| format!("{}:{tag}", reference.repository));
        tag.is_some_and(|tag| image.tags.contains(&tag))
    };
    release.digest.as_ref().is_some_and(by_digest) || release.image.as_ref().is_some_and(by_tag)
}
