//! What a user asks for, with everything that a plan may not look up itself: who, when, which run, which digest.

use crate::history::Help;
use crate::name::{Digest, HostName, ImageRef, Label, RoleName, RunId, Version};
use crate::release::FingerprintKey;
use crate::secret::Secret;
use crate::spec::{Certificate, Maintenance};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
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
    /// What the proxy is to answer by itself, by role; a role that is not here stays as it is.
    pub edge: BTreeMap<RoleName, WantedEdge>,
}

/// Certificate and pages that a run brings along; their contents are given to the executor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedEdge {
    /// `None` leaves the one there is.
    pub certificate: Option<Certificate>,
    /// Status → digest; `None` leaves those there are.
    pub pages: Option<BTreeMap<u16, String>>,
    /// What was noticed when the certificate was read.
    pub notes: Vec<String>,
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
    /// `--copy`: hosts that lack what retention keeps elsewhere get it from there.
    pub copy: bool,
    /// `windlass setup`: prepares hosts even where nothing is to be deployed.
    pub setup: bool,
}

/// How a release goes over the fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// All hosts at once, and each starts what comes, waits until it is healthy, and switches.
    #[default]
    Together,
    /// The same in the groups of a deploy: `boot.limit`, else one host first and then all the others.
    Rolling,
    /// All hosts at once, and each switches as soon as the container runs. Health is waited for after the switch.
    Immediate,
    /// All hosts at once, and on each what serves stops before anything else starts.
    Recreate,
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
    /// `--strategy`.
    pub strategy: Strategy,
    /// `--copy`, `--pull`: where what a host lacks may come from.
    pub help: Help,
}

/// `windlass restart`.
#[derive(Debug, Clone)]
pub struct RestartRequest {
    /// Common part.
    pub request: Request,
    /// What serves stops first, everywhere, without a drain.
    pub force: bool,
    /// Today's secret values, which makes it a release.
    pub secrets: bool,
}

/// `windlass proxy …`, `windlass app maintenance` and `windlass app live`.
#[derive(Debug, Clone)]
pub struct ProxyRequest {
    /// Common part.
    pub request: Request,
    /// What.
    pub work: ProxyWork,
}

/// What is to be done to the proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyWork {
    /// Start those that do not run.
    Boot,
    /// Replace the container, host by host.
    Reboot {
        /// Seconds that requests in flight have.
        grace: u64,
    },
    /// Replace the container where its image or its settings are not today's, host by host.
    Upgrade {
        /// What the image's tag means now, `repository@digest`; `None` where no registry says so.
        image: Option<ImageRef>,
        /// Seconds that requests in flight have.
        grace: u64,
    },
    /// Take the container away.
    Remove {
        /// Although it routes.
        force: bool,
    },
    /// Put the certificates of [`Request::edge`] in force.
    Certificates,
    /// Answer every request with a page.
    Maintenance {
        /// By role.
        roles: BTreeMap<RoleName, Maintenance>,
        /// Seconds that requests in flight have.
        drain_timeout: u64,
    },
    /// End maintenance.
    Live,
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
