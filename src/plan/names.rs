//! Names, labels and variables of a new container: Kamal's, so that both tools understand each other's containers.

use crate::fleet::{HostFacts, label};
use crate::name::{Destination, HostName, RoleName, RunId, ServiceName, Version};
use crate::release::Fingerprint;
use crate::spec::{RestartPolicy, RoleSpec};
use std::collections::{BTreeMap, BTreeSet};

/// Whose container it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) destination: Option<&'a Destination>,
    pub(super) role: &'a RoleName,
    pub(super) version: &'a Version,
}

/// Kamal's name where it is free, else with `_r<release>`, else with `_r<release>_<n>`. Nothing is ever renamed.
pub(super) fn free_name(id: Identity<'_>, facts: &HostFacts, release: u32) -> String {
    free_name_beside(id, facts, release, &[])
}

/// The same beside containers that the plan makes.
pub(super) fn free_name_beside(id: Identity<'_>, facts: &HostFacts, release: u32, planned: &[&str]) -> String {
    let destination = id.destination.map(|d| format!("-{d}")).unwrap_or_default();
    let base = format!("{}-{}{destination}-{}", id.service, id.role, id.version);
    let taken: BTreeSet<&str> =
        facts.all_containers.iter().map(|c| c.name.as_str()).chain(planned.iter().copied()).collect();
    let with_release = std::iter::once(base.clone()).chain(std::iter::once(format!("{base}_r{release}")));
    let numbered = (2..).map(|n| format!("{base}_r{release}_{n}"));
    with_release.chain(numbered).find(|name| !taken.contains(name.as_str())).unwrap_or(base)
}

/// All labels: the user's, with the identity over them.
pub(super) fn labels(
    id: Identity<'_>,
    spec: &RoleSpec,
    run: &RunId,
    fingerprint: &Fingerprint,
    home: &str,
    restart: RestartPolicy,
) -> BTreeMap<String, String> {
    let own = [
        (label::SERVICE, id.service.to_string()),
        (label::ROLE, id.role.to_string()),
        (label::DESTINATION, id.destination.map(ToString::to_string).unwrap_or_default()),
        (label::VERSION, id.version.to_string()),
        (label::CREATED_BY, run.to_string()),
        (label::SPEC, fingerprint.to_string()),
        (label::REPLICA, "1".to_string()),
        (label::HOME, home.to_string()),
        (label::RESTART, restart.to_string()),
    ];
    let mut labels = spec.labels.clone();
    labels.extend(own.map(|(name, value)| (name.to_string(), value)));
    labels
}

/// The variables that Kamal adds.
pub(super) fn kamal_env(id: Identity<'_>, container: &str, host: &HostName) -> BTreeMap<String, String> {
    let mut env: BTreeMap<_, _> = [
        ("KAMAL_CONTAINER_NAME", container.to_string()),
        ("KAMAL_VERSION", id.version.to_string()),
        ("KAMAL_HOST", host.to_string()),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into();
    if let Some(destination) = id.destination {
        env.insert("KAMAL_DESTINATION".to_string(), destination.to_string());
    }
    env
}

/// The host name inside: Kamal's first 51 characters of the host, and 12 hex digits. Ours come from the run instead of
/// chance, so that a plan is a function.
pub(super) fn hostname(host: &HostName, run: &RunId) -> String {
    let host: String = host.as_str().chars().take(51).collect();
    let tail: String = run.as_str().chars().rev().take(12).collect::<String>().to_ascii_lowercase();
    format!("{}-{tail}", host.trim_end_matches('.'))
}
