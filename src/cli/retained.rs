//! The secret values that containers on the hosts were made with, for masking what these containers print.

use crate::cli::Failure;
use crate::cli::session::Session;
use crate::effect::Node;
use crate::fleet::{Container, Fleet};
use crate::observe::Connections;
use crate::secret::Secret;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// Values under keys that no secret can have. They stay in memory: a rollback reads no secrets file, and yet the last
/// words of an old container may hold a password.
pub(crate) async fn secrets(
    session: &Session,
    connections: &Connections,
    fleet: &Fleet,
) -> Result<BTreeMap<String, Secret<String>>, Failure> {
    let configured = session.project.secret_variables();
    let asked = fleet.reachable().filter_map(|(host, facts)| Some((connections.nodes.get(host)?, facts)));
    let each = asked.flat_map(|(node, facts)| facts.containers.iter().map(move |c| (node, c)));
    let work = join_all(each.map(|(node, container)| of_container(node, container, &configured)));
    Ok(session.unless_cancelled(work).await?.into_iter().flatten().collect())
}

/// The variables that a container's label calls secret; one that windlass did not make has no such label, and then
/// those that the configuration calls so.
pub(crate) async fn of_container(
    node: &Node,
    container: &Container,
    configured: &BTreeSet<String>,
) -> Vec<(String, Secret<String>)> {
    let labelled = container.fingerprint().map(|f| f.secrets.into_keys().collect());
    let secret: BTreeSet<String> = labelled.unwrap_or_else(|| configured.clone());
    if secret.is_empty() {
        return Vec::new();
    }
    let environment = node.engine.environment(&container.id).await.unwrap_or_default();
    let key = |name: &str| format!("{}/{}/{name}", node.name, container.id);
    environment.into_iter().filter(|(name, _)| secret.contains(name)).map(|(name, v)| (key(&name), v)).collect()
}
