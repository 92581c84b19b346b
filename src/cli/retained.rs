//! The secret values that containers on the hosts were made with, for masking what these containers print.

use crate::effect::{EngineError, Node};
use crate::fleet::Container;
use crate::secret::Secret;
use std::collections::{BTreeMap, BTreeSet};

/// The values of a container's secret variables, asked of its engine.
///
/// # Errors
/// The engine does not say: nothing that the container prints may be shown then.
pub(crate) async fn of_container(
    node: &Node,
    container: &Container,
    configured: &BTreeSet<String>,
) -> Result<Vec<Secret<String>>, EngineError> {
    if secret(container, configured).is_empty() {
        return Ok(Vec::new());
    }
    Ok(among(container, node.engine.environment(&container.id).await?, configured))
}

/// Those among a container's variables that are secret.
pub(crate) fn among(
    container: &Container,
    environment: BTreeMap<String, Secret<String>>,
    configured: &BTreeSet<String>,
) -> Vec<Secret<String>> {
    let secret = secret(container, configured);
    environment.into_iter().filter(|(name, _)| secret.contains(name)).map(|(_, value)| value).collect()
}

/// The variables that a container's label calls secret; one that windlass did not make has no such label, and then
/// those that the configuration calls so.
fn secret(container: &Container, configured: &BTreeSet<String>) -> BTreeSet<String> {
    let labelled = container.fingerprint().map(|f| f.secrets.into_keys().collect());
    labelled.unwrap_or_else(|| configured.clone())
}
