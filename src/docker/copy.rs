//! Creating a container exactly like an existing one, from the engine's own description of it.

use super::api::Api;
use super::error::new;
use crate::effect::{EngineError, EngineErrorKind};
use crate::name::ContainerId;
use serde_json::{Map, Value, json};

/// What to send: the body of the create call, and the networks to join after it (engines before API 1.44 take only one
/// at creation).
#[derive(Debug, PartialEq)]
pub(super) struct Copy {
    pub(super) body: Value,
    pub(super) join_after: Vec<(String, Value)>,
}

/// Creates the copy. Environment, mounts, command, labels and limits never leave this function in another form.
pub(super) async fn create_like(api: &Api, original: &ContainerId, name: &str) -> Result<ContainerId, EngineError> {
    let what = format!("create {name} like {}", original.short());
    let inspected: Value = api.get(&what, &format!("/containers/{original}/json")).await?;
    let reference = inspected["Config"]["Image"].as_str().unwrap_or_default();
    // The tag may mean another image by now; the container is bound to the image's id.
    let found: Option<Value> = match reference.is_empty() {
        true => None,
        false => api.find(&what, &format!("/images/{reference}/json")).await?,
    };
    let same = found.is_some_and(|image| image["Id"] == inspected["Image"]);
    let copy = describe(inspected, same).ok_or_else(|| new(EngineErrorKind::Other, &what, "incomplete inspect"))?;
    let answer = api.post(&what, &format!("/containers/create?name={name}"), &copy.body).await?;
    let id: ContainerId = answer["Id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| new(EngineErrorKind::Other, &what, "the answer has no container id"))?;
    for (network, endpoint) in copy.join_after {
        let body = json!({ "Container": id.as_str(), "EndpointConfig": endpoint });
        api.post(&what, &format!("/networks/{network}/connect"), &body).await?;
    }
    Ok(id)
}

/// Takes a container's description apart. `same_image`: its reference still means the image it was made from.
fn describe(mut inspected: Value, same_image: bool) -> Option<Copy> {
    let short = inspected["Id"].as_str()?.get(..12)?.to_string();
    let image = inspected["Image"].take();
    let mut config = inspected["Config"].as_object_mut().map(std::mem::take)?;
    if !same_image {
        config.insert("Image".to_string(), image);
    }
    // A host name that the engine made up belongs to the original.
    if config.get("Hostname").and_then(Value::as_str) == Some(&short) {
        config.remove("Hostname");
    }
    let host = inspected["HostConfig"].take();
    let mode = host["NetworkMode"].as_str().unwrap_or("default").to_string();
    let networks = inspected["NetworkSettings"]["Networks"].as_object_mut().map(std::mem::take).unwrap_or_default();
    let (first, rest): (Vec<_>, Vec<_>) = networks
        .into_iter()
        .map(|(name, endpoint)| (name, wanted(&endpoint, &short)))
        .partition(|(name, _)| *name == mode);
    config.insert("HostConfig".to_string(), host);
    let first: Map<String, Value> = first.into_iter().collect();
    config.insert("NetworkingConfig".to_string(), json!({ "EndpointsConfig": first }));
    Some(Copy { body: Value::Object(config), join_after: rest })
}

/// What was asked for of a network, without what the engine assigned.
fn wanted(endpoint: &Value, short: &str) -> Value {
    let mut wanted = Map::new();
    for key in ["IPAMConfig", "Links", "DriverOpts"] {
        if !endpoint[key].is_null() {
            wanted.insert(key.to_string(), endpoint[key].clone());
        }
    }
    let aliases: Vec<Value> =
        endpoint["Aliases"].as_array().into_iter().flatten().filter(|a| a.as_str() != Some(short)).cloned().collect();
    if !aliases.is_empty() {
        wanted.insert("Aliases".to_string(), Value::Array(aliases));
    }
    Value::Object(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_kept_but_what_was_the_originals_own() {
        let inspected = json!({
            "Id": "0123456789abcdef", "Image": "sha256:1",
            "Config": {"Image": "app:1", "Hostname": "0123456789ab", "Env": ["A=1"], "Odd": {"New": true}},
            "HostConfig": {"NetworkMode": "kamal", "Binds": ["/a:/b"]},
            "NetworkSettings": {"Networks": {
                "kamal": {"Aliases": ["0123456789ab", "web"], "IPAddress": "10.0.0.9", "IPAMConfig": null},
                "other": {"Aliases": null, "IPAMConfig": {"IPv4Address": "10.1.0.2"}}}},
        });
        let copy = describe(inspected.clone(), true).unwrap();
        assert_eq!(
            copy.body,
            json!({"Image": "app:1", "Env": ["A=1"], "Odd": {"New": true},
                   "HostConfig": {"NetworkMode": "kamal", "Binds": ["/a:/b"]},
                   "NetworkingConfig": {"EndpointsConfig": {"kamal": {"Aliases": ["web"]}}}})
        );
        assert_eq!(copy.join_after, [("other".to_string(), json!({"IPAMConfig": {"IPv4Address": "10.1.0.2"}}))]);
        assert_eq!(describe(inspected, false).unwrap().body["Image"], "sha256:1");
    }
}
