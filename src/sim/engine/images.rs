//! Images of a machine, with moby's rules for references and removal.

use crate::effect::{EngineError, EngineErrorKind};
use crate::fleet::Image;
use crate::name::{Digest, ImageRef};
use crate::sim::clock::SimClock;
use crate::sim::life::error;
use crate::sim::machine::{LocalImage, Machine};
use crate::sim::registry::Content;
use std::collections::BTreeSet;

/// The repository of `repo:tag` or `repo@digest`.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or_default();
    let path = name.rfind('/').map_or(0, |at| at + 1);
    name[path..].rfind(':').map_or(name, |at| &name[..path + at])
}

impl LocalImage {
    fn references(&self) -> impl Iterator<Item = &String> {
        self.tags.iter().chain(&self.digests)
    }

    /// moby's `isSingleReference`: at most one tag, and digests of its repository only.
    fn is_single_reference(&self) -> bool {
        let repositories: BTreeSet<_> = self.references().map(|r| repository(r)).collect();
        self.tags.len() + self.digests.len() <= 1 || (self.tags.len() <= 1 && repositories.len() == 1)
    }

    /// Takes one reference away; digests go with the last tag of their repository.
    fn untag(&mut self, reference: &str) {
        self.digests.remove(reference);
        if self.tags.remove(reference) {
            let of = repository(reference);
            if !self.tags.iter().any(|tag| repository(tag) == of) {
                self.digests.retain(|digest| repository(digest) != of);
            }
        }
    }

    fn shown(&self) -> Image {
        Image {
            id: self.content.id.clone(),
            tags: self.tags.iter().cloned().collect(),
            digests: self.digests.iter().cloned().collect(),
            size: self.content.behaviour.size,
            labels: self.content.behaviour.labels.clone(),
            created_at: Some(SimClock::timestamp(self.content.built_at)),
        }
    }
}

/// `repo:tag` or `repo@digest`: what a reference is called in the engine's store; the digest decides.
fn canonical(image: &ImageRef) -> String {
    match (&image.digest, &image.tag) {
        (Some(digest), _) => format!("{}@{digest}", image.repository),
        (None, Some(tag)) => format!("{}:{tag}", image.repository),
        (None, None) => format!("{}:latest", image.repository),
    }
}

fn is_id(reference: &str) -> bool {
    let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
    digits.len() >= 12 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(super) fn no_such_image(reference: &str) -> EngineError {
    error(EngineErrorKind::NotFound, format!("no such image: {reference}"))
}

impl Machine {
    /// An image by reference, or by id of at least 12 digits.
    pub(in crate::sim) fn find_image(&self, reference: &str) -> Option<Digest> {
        let name = reference.parse::<ImageRef>().ok().map(|image| canonical(&image));
        let named =
            |image: &&LocalImage| name.as_ref().is_some_and(|n| image.tags.contains(n) || image.digests.contains(n));
        let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
        let by_id =
            |image: &&LocalImage| is_id(reference) && image.content.id.as_str()["sha256:".len()..].starts_with(digits);
        let mut images = self.images.values();
        images.clone().find(named).or_else(|| images.find(by_id)).map(|image| image.content.id.clone())
    }

    pub(super) fn image(&self, reference: &str) -> Option<Image> {
        self.images.get(&self.find_image(reference)?).map(LocalImage::shown)
    }

    pub(in crate::sim) fn all_images(&self) -> Vec<Image> {
        self.images.values().map(LocalImage::shown).collect()
    }

    /// Makes pulled content present: by its digest, and by its tag if it was pulled by tag alone.
    pub(in crate::sim) fn add_image(&mut self, image: &ImageRef, content: Content) {
        let digest = format!("{}@{}", image.repository, content.index);
        let id = content.id.clone();
        let fresh = LocalImage { content, tags: BTreeSet::new(), digests: BTreeSet::new() };
        self.images.entry(id.clone()).or_insert(fresh).digests.insert(digest);
        if image.digest.is_none() {
            self.move_tag(&canonical(image), &id);
        }
    }

    /// Content that came from no registry.
    pub(in crate::sim) fn load_image(&mut self, reference: &ImageRef, content: Content) {
        let id = content.id.clone();
        self.images.insert(id.clone(), LocalImage { content, tags: BTreeSet::new(), digests: BTreeSet::new() });
        self.move_tag(&canonical(reference), &id);
    }

    /// Content out of an archive: without a tag, and no registry's digest is known of it.
    pub(super) fn take_image(&mut self, content: Content) {
        let fresh = LocalImage { content: content.clone(), tags: BTreeSet::new(), digests: BTreeSet::new() };
        self.images.entry(content.id).or_insert(fresh);
    }

    pub(super) fn tag_image(&mut self, image: &str, reference: &ImageRef) -> Result<(), EngineError> {
        let id = self.find_image(image).ok_or_else(|| no_such_image(image))?;
        self.move_tag(&canonical(&ImageRef { digest: None, ..reference.clone() }), &id);
        Ok(())
    }

    /// A tag names one image: the one that had it loses it.
    fn move_tag(&mut self, tag: &str, to: &Digest) {
        for (id, image) in &mut self.images {
            if id == to {
                image.tags.insert(tag.to_string());
            } else {
                image.tags.remove(tag);
            }
        }
    }

    pub(super) fn remove_image(&mut self, reference: &str) -> Result<(), EngineError> {
        // One that is gone is fine, as for the real adapter: a prune may run twice.
        let Some(id) = self.find_image(reference) else { return Ok(()) };
        let user = self.containers.values().find(|c| c.image_id == id).map(|c| c.id.short().to_string());
        let Some(image) = self.images.get_mut(&id) else { return Err(no_such_image(reference)) };
        let single = image.is_single_reference();
        if let Some(user) = user.filter(|_| single) {
            let message = format!("conflict: unable to remove {reference}: container {user} is using it");
            return Err(error(EngineErrorKind::Conflict, message));
        }
        if is_id(reference) {
            if !single {
                let message = format!("conflict: unable to delete {reference}: image is referenced several times");
                return Err(error(EngineErrorKind::Conflict, message));
            }
            self.images.remove(&id);
            return Ok(());
        }
        let name =
            reference.parse::<ImageRef>().map(|image| canonical(&image)).map_err(|_| no_such_image(reference))?;
        image.untag(&name);
        if image.references().next().is_none() {
            self.images.remove(&id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::repository;

    #[test]
    fn a_repository_is_found_beside_a_port_a_tag_and_a_digest() {
        assert_eq!(repository("localhost:5000/app:v1"), "localhost:5000/app");
        assert_eq!(repository("localhost:5000/app@sha256:00"), "localhost:5000/app");
        assert_eq!(repository("app:v1"), "app");
    }
}
