//! The secret values that containers on the hosts were made with, for masking what these containers print.

use crate::effect::Node;
use crate::fleet::Container;
use crate::secret::Secret;
use std::collections::BTreeSet;

/// The variables that a container's label calls secret; one that windlass did not make has no such label, and then
/// those that the configuration calls so.
pub(crate) async fn of_container(
    node: &Node,
    container: &Container,
    configured: &BTreeSet<String>,
) -> Vec<Secret<String>> {
    let labelled = container.fingerprint().map(|f| f.secrets.into_keys().collect());
    let secret: BTreeSet<String> = labelled.unwrap_or_else(|| configured.clone());
    if secret.is_empty() {
        return Vec::new();
    }
    let environment = node.engine.environment(&container.id).await.unwrap_or_default();
    environment.into_iter().filter(|(name, _)| secret.contains(name)).map(|(_, value)| value).collect()
}
