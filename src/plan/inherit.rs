//! What a rollback takes from the release it goes back to, and what from today's configuration.

use crate::config::Config;
use crate::plan::{Request, Strategy};
use serde::{Deserialize, Serialize};

/// The two lists that a rollback's plan shows, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    /// From the release.
    pub release: Vec<String>,
    /// From today's configuration.
    pub config: Vec<String>,
}

/// What every container has, whoever says it.
const OF_A_CONTAINER: [&str; 8] = [
    "environment",
    "secrets",
    "command",
    "volumes and mounts",
    "labels",
    "options and logging",
    "restart policy",
    "stop timeout",
];
/// What a proxied role has on top and what belongs to its containers.
const OF_A_PROXIED_CONTAINER: [&str; 2] = ["app_port", "health check"];
/// What the proxy is told, which must fit the fleet of today.
const OF_A_ROUTE: [&str; 3] = ["proxy hosts and paths", "response timeout", "forwarded headers"];

/// The lists for a rollback around the target's configuration, or (`current_config`) around today's.
pub(super) fn inherited(config: &Config, request: &Request, strategy: Strategy, current_config: bool) -> Inherited {
    let in_scope = |role: &&crate::config::Role| request.scope.roles.contains(&role.name);
    let proxied = config.roles.iter().filter(in_scope).any(|role| role.spec.route.is_some());
    let container = OF_A_CONTAINER.iter().chain(OF_A_PROXIED_CONTAINER.iter().filter(|_| proxied)).chain(&["roles"]);
    let route = OF_A_ROUTE.iter().filter(|_| proxied);
    let around = ["hosts", "deploy_timeout", "drain_timeout"];
    let grouped = ["boot.limit", "boot.wait"].iter().filter(|_| strategy == Strategy::Rolling);
    let today = around.iter().chain(grouped).chain(route);
    let (release, config): (Vec<&str>, Vec<&str>) = match current_config {
        true => (vec!["image"], container.chain(today).copied().collect()),
        false => (std::iter::once(&"image").chain(container).copied().collect(), today.copied().collect()),
    };
    let owned = |words: Vec<&str>| words.into_iter().map(str::to_string).collect();
    Inherited { release: owned(release), config: owned(config) }
}
