//! Creating a network that must exist exactly once.

use super::api::Api;
use crate::effect::{EngineError, EngineErrorKind};
use crate::name::ContainerId;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    name: String,
    /// All by one clock and in one form, so that texts compare like times.
    #[serde(default)]
    created: String,
}

/// Creates a bridge network unless there is one of that name.
pub(super) async fn create(api: &Api, name: &str) -> Result<(), EngineError> {
    let what = format!("create network {name}");
    // Engines before API 1.44 make a second one of the same name unless told to look, and two at once may both find none.
    let body = json!({ "Name": name, "Driver": "bridge", "CheckDuplicate": true });
    match api.post(&what, "/networks/create", &body).await {
        Err(e) if e.kind == EngineErrorKind::Conflict => Ok(()),
        Err(e) => Err(e),
        Ok(_) => remove_younger_twins(api, &what, name).await,
    }
}

/// Lets a container join further networks. Engines before API 1.44 take only one at its creation.
pub(super) async fn join(api: &Api, what: &str, id: &ContainerId, networks: &[String]) -> Result<(), EngineError> {
    // Engines such as 20.10 let a container that does not run join a network that does not exist.
    for name in networks {
        api.get::<serde_json::Value>(what, &format!("/networks/{name}")).await?;
    }
    for name in networks {
        let body = json!({ "Container": id.as_str() });
        api.post(&format!("{what}: join network {name}"), &format!("/networks/{name}/connect"), &body).await?;
    }
    Ok(())
}

/// Whoever looks last sees all twins. The oldest stays for everybody, so no two can remove each other's.
async fn remove_younger_twins(api: &Api, what: &str, name: &str) -> Result<(), EngineError> {
    let mut twins: Vec<Listed> = api.get(what, "/networks").await?;
    twins.retain(|n| n.name == name);
    twins.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    for twin in twins.iter().skip(1) {
        match api.delete(what, &format!("/networks/{}", twin.id)).await {
            // Its maker was faster.
            Err(e) if e.kind == EngineErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}
