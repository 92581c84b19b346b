//! What a user asks for, with everything that a plan may not look up itself: who, when, which run, which digest.

use crate::name::{Digest, HostName, ImageRef, Label, RoleName, RunId, Version};
use crate::release::FingerprintKey;
use crate::secret::Secret;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Which part of the fleet: what `--hosts` and `--roles` leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Hosts that may change.
    pub hosts: BTreeSet<HostName>,
    /// Roles that may change.
    pub roles: BTreeSet<RoleName>,
}

/// What every run has.
#[derive(Debug, Clone)]
pub struct Request {
    /// Identity of the run, made by the caller.
    pub run: RunId,
    /// Who, `name@machine`.
    pub actor: String,
    /// When it began.
    pub at: Timestamp,
    /// `-m`.
    pub message: Option<String>,
    /// `--label`: what the release is called.
    pub label: Option<Label>,
    /// Where.
    pub scope: Scope,
    /// Leave unreachable hosts out, with a note, instead of refusing.
    pub skip_unreachable: bool,
    /// The secret values by name; only what the verb needs.
    pub secrets: BTreeMap<String, Secret<String>>,
    /// The service's key of secret prints: a host's, or a new one made by the caller when no host has one.
    pub key: FingerprintKey,
}

/// `windlass deploy`.
#[derive(Debug, Clone)]
pub struct DeployRequest {
    /// Common part.
    pub request: Request,
    /// What the user calls the build.
    pub version: Version,
    /// `repository:version` to deploy.
    pub image: ImageRef,
    /// What the registry says the tag is. `None`: no registry has it, and every host must hold the image already.
    pub digest: Option<Digest>,
    /// `windlass setup`: prepares hosts even where nothing is to be deployed.
    pub setup: bool,
}

/// `windlass rollback`.
#[derive(Debug, Clone)]
pub struct RollbackRequest {
    /// Common part.
    pub request: Request,
    /// Version, prefix, `v41`; `None` = the default target.
    pub target: Option<String>,
    /// `--config current`: today's configuration around the old image.
    pub current_config: bool,
}

/// `windlass prune`.
#[derive(Debug, Clone)]
pub struct PruneRequest {
    /// Common part.
    pub request: Request,
    /// Each host's own clock now.
    pub now: BTreeMap<HostName, Timestamp>,
}

/// `windlass releases label`, `pin` or `unpin`.
#[derive(Debug, Clone)]
pub struct MarkRequest {
    /// Common part; its message says why.
    pub request: Request,
    /// Version, prefix, label, `v41`.
    pub target: String,
    /// What to say of it.
    pub marking: Marking,
}

/// What is said of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marking {
    /// It is called so; `None` takes its label away.
    Label(Option<Label>),
    /// Retention may not touch it.
    Pin,
    /// Retention may touch it again.
    Unpin,
}

/// `windlass releases rm`.
#[derive(Debug, Clone)]
pub struct RemoveRequest {
    /// Common part.
    pub request: Request,
    /// Version, prefix, label, `v41`.
    pub target: String,
}
