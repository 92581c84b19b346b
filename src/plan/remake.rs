//! A container of an earlier release, made anew from the release's record: where its image and its secrets come from.

use crate::config::Role;
use crate::fleet::{HostFacts, Image};
use crate::history::{Release, Source};
use crate::name::{Digest, HostName, ImageRef, RunId};
use crate::plan::deploy::expanded;
use crate::plan::situation::Situation;
use crate::plan::{Action, PlannedContainer, Refusal, SecretsFrom, Step, names};
use crate::release::Fingerprint;
use crate::spec::{RoleHost, RoleSpec};

/// Room that has to stay free on a host beside what is copied to it.
const SPARE: u64 = 256 << 20;

/// A role of a release on a host that has no container of it.
pub(super) struct Remake<'a> {
    pub(super) situation: &'a Situation<'a>,
    pub(super) target: &'a Release,
    pub(super) host: &'a HostName,
    pub(super) facts: &'a HostFacts,
    pub(super) role: &'a Role,
    pub(super) spec: &'a RoleSpec,
    /// What made the containers of this release: their label.
    pub(super) run: &'a RunId,
    pub(super) name: String,
}

/// Where an image comes from.
pub(super) struct Supply {
    /// How it gets onto the host, if it is not there.
    pub(super) step: Option<Action>,
    /// What to create a container from.
    image: String,
    /// What identifies it on the host, for the proof.
    pub(super) identity: Digest,
}

impl Remake<'_> {
    /// The release's image, which the host must have, or pulls (`--pull`).
    pub(super) fn image_here(&self, pull: bool) -> Result<Supply, Refusal> {
        let tag = self.target.image.as_ref().map(ToString::to_string).unwrap_or_default();
        let digest = self.target.digest.as_ref();
        let knows = |image: &Image, digest: &Digest| image.digests.iter().any(|d| d.ends_with(digest.as_str()));
        let is_it = |image: &&Image| image.tags.contains(&tag) || digest.is_some_and(|digest| knows(image, digest));
        match self.facts.images.iter().find(is_it) {
            Some(image) => {
                let identity = digest.filter(|digest| knows(image, digest)).unwrap_or(&image.id).clone();
                Ok(Supply { step: None, image: image.id.to_string(), identity })
            }
            None if pull => self.pulled(),
            None => Err(Refusal::new(format!("{} no longer has the image {tag}", self.host))),
        }
    }

    fn pulled(&self) -> Result<Supply, Refusal> {
        let (Some(tag), Some(digest)) = (self.target.image.clone(), self.target.digest.clone()) else {
            let version = &self.target.version;
            return Err(Refusal::new(format!(
                "no registry's digest of {version} is known, so {} cannot pull it",
                self.host
            )));
        };
        let image = ImageRef { repository: tag.repository.clone(), tag: None, digest: Some(digest.clone()) };
        Ok(Supply { image: tag.to_string(), step: Some(Action::Pull { image, tag }), identity: digest })
    }

    /// The image of another host's container.
    pub(super) fn image_from(&self, source: &Source, pull: bool) -> Result<Supply, Refusal> {
        if self.facts.images.iter().any(|i| i.id == source.image) {
            return Ok(Supply { step: None, image: source.image.to_string(), identity: source.image.clone() });
        }
        if pull && self.target.digest.is_some() {
            return self.pulled();
        }
        let tag = self.target.image.clone().unwrap_or_else(|| ImageRef {
            repository: self.situation.config.repository.clone(),
            tag: Some(self.target.version.clone()),
            digest: None,
        });
        let facts = self.situation.fleet.facts(&source.host);
        let image = facts.and_then(|facts| facts.images.iter().find(|i| i.id == source.image));
        let image = image.ok_or_else(|| Refusal::new(format!("{} no longer has the image {tag}", source.host)))?;
        let step = copy((self.host, self.facts), (&source.host, image), ImageRef { digest: None, ..tag })?;
        Ok(Supply { step: Some(step), image: source.image.to_string(), identity: source.image.clone() })
    }

    /// The container, with its secrets from `source`; without one it has none.
    pub(super) fn container(
        self,
        supply: &Supply,
        source: Option<&Source>,
        notes: &mut Vec<String>,
    ) -> Result<PlannedContainer, Refusal> {
        let request = self.situation.request;
        let of_host = |h: &&RoleHost| h.name == *self.host;
        let tags = self.role.hosts.iter().find(of_host).map(|h| h.tags.clone()).unwrap_or_default();
        let env = self.spec.env_for(&tags);
        // That of the release, so that its containers have the same fingerprint wherever their image came from.
        let identity = self.target.digest.as_ref().unwrap_or(&supply.identity);
        let mut fingerprint = Fingerprint::of(self.spec, identity, &env, &Default::default(), &request.key);
        if let Some(source) = source {
            let facts = self.situation.fleet.facts(&source.host);
            let container = facts.and_then(|f| f.containers.iter().find(|c| c.id == source.container));
            let prints = container.and_then(|c| c.fingerprint()).map(|print| print.secrets).unwrap_or_default();
            let named = prints.into_iter().filter(|(variable, _)| env.secret.contains_key(variable));
            fingerprint.secrets = named.collect();
        }
        let id = self.situation.identity(&self.role.name, &self.target.version);
        let has_secrets = !env.secret.is_empty();
        // The fingerprint is of the words, as in a deploy; the container gets what this host's shell makes of them.
        let spec = expanded(self.host, self.facts, (&self.role.name, self.spec), notes)?;
        Ok(PlannedContainer {
            role: self.role.name.clone(),
            version: self.target.version.clone(),
            image: supply.image.clone(),
            labels: names::labels(id, self.spec, self.run, &fingerprint, self.facts.home.dir(), self.spec.restart),
            extra_env: names::kamal_env(id, &self.name, self.host),
            hostname: names::hostname(self.host, &request.run),
            secrets_from: source
                .filter(|_| has_secrets)
                .map(|s| SecretsFrom { host: s.host.clone(), container: s.container.clone() }),
            env: spec.env_for(&tags),
            spec,
            fingerprint,
            name: self.name,
        })
    }
}

/// The step that copies an image, if there is room for it: the archive and what is unpacked from it.
pub(super) fn copy(
    (host, facts): (&HostName, &HostFacts),
    (from, image): (&HostName, &Image),
    tag: ImageRef,
) -> Result<Action, Refusal> {
    let needed = image.size.saturating_mul(2).saturating_add(SPARE);
    if let Some(disk) = facts.disk.filter(|disk| disk.free < needed) {
        let (free, needed) = (disk.free >> 20, needed >> 20);
        let message = format!("{host} has no room for the image {tag}: {free} MiB are free, {needed} MiB are needed");
        return Err(Refusal::new(message).hint("make room there: `docker system df` says what takes it"));
    }
    Ok(Action::CopyImage { from: from.clone(), image: image.id.clone(), tag, size: image.size })
}

/// The steps of preparing a host, with the proxy's image copied from another host that has it by its tag, instead of
/// pulled.
pub(super) fn copy_instead_of_pull(
    situation: &Situation<'_>,
    (host, facts): (&HostName, &HostFacts),
    steps: Vec<Step>,
) -> Result<Vec<Step>, Refusal> {
    let source = |wanted: &ImageRef| {
        let same = |other: &HostFacts| other.engine.arch == facts.engine.arch;
        let mut others = situation.fleet.reachable().filter(|(name, other)| *name != host && same(other));
        let wanted = wanted.to_string();
        others.find_map(|(name, other)| Some((name, other.images.iter().find(|i| i.tags.contains(&wanted))?)))
    };
    let replaced = steps.into_iter().map(|step| match &step.action {
        Action::Pull { image, tag } => match source(image) {
            Some(source) => Ok(Step { action: copy((host, facts), source, tag.clone())?, undo: Vec::new() }),
            None => Ok(step),
        },
        _ => Ok(step),
    });
    replaced.collect()
}
