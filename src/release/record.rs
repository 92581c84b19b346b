//! The record of one release: `<home>/<service>/<destination or _>/releases/<run id>.json` on every host.

use crate::name::{Destination, Digest, ImageRef, Label, RoleName, RunId, ServiceName, Version};
use crate::release::Fingerprint;
use crate::spec::{RoleHost, RoleSpec};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One deployment of a version: enough to know what ran, and to make it again. Append-only; holds no secret value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// [`crate::release::SCHEMA`] of the writer.
    pub schema: u32,
    /// The run that made it.
    pub run: RunId,
    /// `v42`. Two runs that could not see each other may have used the same; the run id decides then.
    pub number: u32,
    /// How it came about.
    #[serde(flatten)]
    pub kind: ReleaseKind,
    /// Service.
    pub service: ServiceName,
    /// Destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// What the user calls the build.
    pub version: Version,
    /// Repository and tag (`repo:version`) under which hosts hold the image.
    pub image: ImageRef,
    /// The index digest that the tag was resolved to. `None` for an image that no registry vouches for (loaded, adopted).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What each role ran as.
    pub roles: BTreeMap<RoleName, ReleasedRole>,
    /// Who.
    pub actor: String,
    /// When the run began, by the coordinator's clock.
    pub at: Timestamp,
    /// `-m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `--label`: what it is called once its run has succeeded, unless a later [`crate::release::Mark`] says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

/// How a release came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReleaseKind {
    /// `windlass deploy`.
    Deploy,
    /// `windlass rollback`: the content is an older release's, or that of a container that no release recorded.
    Rollback {
        /// The run whose content serves again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<RunId>,
        /// `--config current`: only the image is that run's. With the configuration of its day around it, the content
        /// is this release's own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        current_config: bool,
    },
    /// `windlass restart --secrets`: the same image and specification with new secret values.
    Restart {
        /// The release that served.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<RunId>,
    },
    /// Found serving at first contact.
    Adopted,
}

/// One role of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedRole {
    /// The hosts it was sent to.
    pub hosts: Vec<RoleHost>,
    /// What its containers were made from. `None` for an adopted release: only its containers know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<RoleSpec>,
    /// Value of its containers' label `windlass.spec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
}
