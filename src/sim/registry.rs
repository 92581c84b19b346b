//! The fleet's registry.

use super::behaviour::ImageBehaviour;
use crate::effect::{EngineError, EngineErrorKind, RegistryLogin};
use crate::name::{Digest, ImageRef};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// An image's content, wherever it is.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// The image's id on a host.
    pub(super) id: Digest,
    /// The digest that registries know it by.
    pub(super) index: Digest,
    /// How its containers behave.
    pub(super) behaviour: ImageBehaviour,
    /// When it was built.
    pub(super) built_at: Duration,
}

/// One registry that answers for every repository.
#[derive(Debug, Default)]
pub(super) struct Registry {
    seed: u64,
    pushes: u64,
    /// `repository` → tag → index digest.
    tags: BTreeMap<String, BTreeMap<String, Digest>>,
    /// `repository@digest` → content: what was pushed stays, whatever the tags say later.
    contents: BTreeMap<String, Content>,
    /// Everything that was ever built, by its id: what an archive of it holds.
    built: BTreeMap<Digest, Content>,
    pub(super) stopped: bool,
    pub(super) login: Option<(String, String)>,
    pub(super) pull_time: Duration,
}

/// The SHA-256 of a text, in hex.
pub(super) fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn digest(text: &str) -> Digest {
    format!("sha256:{}", hash(text)).parse().unwrap_or_else(|e| unreachable!("a SHA-256 is a digest: {e}"))
}

impl Registry {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, pull_time: Duration::from_millis(300), ..Self::default() }
    }

    /// New content, in no registry yet.
    pub(super) fn build(&mut self, behaviour: ImageBehaviour, built_at: Duration) -> Content {
        self.pushes += 1;
        let name = format!("{}/{}", self.seed, self.pushes);
        let content =
            Content { id: digest(&format!("id/{name}")), index: digest(&format!("index/{name}")), behaviour, built_at };
        self.built.insert(content.id.clone(), content.clone());
        content
    }

    /// Content by its image's id, wherever it is.
    pub(super) fn built(&self, id: &Digest) -> Option<&Content> {
        self.built.get(id)
    }

    /// Pushes content under a tag; what the tag meant before stays available by its digest.
    pub(super) fn push(&mut self, repository: &str, tag: &str, content: Content) {
        let digest = content.index.clone();
        self.contents.insert(format!("{repository}@{digest}"), content);
        self.tags.entry(repository.to_string()).or_default().insert(tag.to_string(), digest);
    }

    /// Takes a tag away; its content goes with it.
    pub(super) fn delete(&mut self, repository: &str, tag: &str) {
        if let Some(digest) = self.tags.get_mut(repository).and_then(|tags| tags.remove(tag)) {
            self.contents.remove(&format!("{repository}@{digest}"));
        }
    }

    /// What a reference means, to someone who has this login.
    pub(super) fn find(&self, image: &ImageRef, login: Option<&RegistryLogin>) -> Result<&Content, EngineError> {
        let failed = |kind, why: &str| Err(EngineError { kind, message: format!("{image}: {why}") });
        if self.stopped {
            return failed(EngineErrorKind::Registry, "the registry cannot be reached: connection refused");
        }
        if let Some((user, password)) = &self.login {
            let right = |l: &RegistryLogin| l.username.expose() == user && l.password.expose() == password;
            if !login.is_some_and(right) {
                return failed(EngineErrorKind::RegistryAuth, "the registry refuses these credentials");
            }
        }
        let repository = image.repository.as_str();
        let tag = image.tag.as_ref().map_or("latest", |tag| tag.as_str());
        let by_tag = || self.tags.get(repository)?.get(tag);
        image
            .digest
            .as_ref()
            .or_else(by_tag)
            .and_then(|digest| self.contents.get(&format!("{repository}@{digest}")))
            .map_or_else(|| failed(EngineErrorKind::ImageNotFound, "manifest unknown"), Ok)
    }
}
