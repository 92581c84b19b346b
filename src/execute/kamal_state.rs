//! kamal-proxy's state file, rewritten while it does not run: it reads the file when it starts.

use crate::effect::ArchivedFile;
use crate::execute::host::{RunHost, StepError};
use crate::fleet::{KAMAL_PROXY_STATE, KAMAL_PROXY_STATE_DIR};
use crate::name::ContainerId;
use crate::plan::KamalTarget;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Bytes.
const LONGEST_STATE: usize = 8 << 20;

/// Points these services of kamal-proxy to these containers. Owner, mode and everything else of the file stay.
pub(super) async fn point(
    host: &RunHost,
    proxy: &ContainerId,
    targets: &BTreeMap<String, KamalTarget>,
) -> Result<(), StepError> {
    let path = format!("{KAMAL_PROXY_STATE_DIR}/{KAMAL_PROXY_STATE}");
    let broken = |e: String| StepError::Moved(format!("kamal-proxy's {path}: {e}"));
    let archive = host.node.engine.copy_out(proxy, &path).await?;
    let mut file = ArchivedFile::read(archive, LONGEST_STATE).await.map_err(|e| broken(e.to_string()))?;
    file.content = pointed(&file.content, targets).map_err(broken)?;
    let archive = file.pack(KAMAL_PROXY_STATE).map_err(|e| broken(e.to_string()))?;
    Ok(host.node.engine.copy_in(proxy, KAMAL_PROXY_STATE_DIR, archive).await?)
}

fn pointed(content: &[u8], targets: &BTreeMap<String, KamalTarget>) -> Result<Vec<u8>, String> {
    let mut state: Value = serde_json::from_slice(content).map_err(|e| e.to_string())?;
    let services = state.as_array_mut().ok_or("it is no list of services")?;
    for (name, target) in targets {
        let service = services.iter_mut().find(|s| s["name"] == name.as_str()).and_then(Value::as_object_mut);
        let service = service.ok_or_else(|| format!("it has no service {name}"))?;
        let target = format!("{}:{}", target.container.short(), target.port);
        // kamal-proxy 0.8 has one target, 0.9 a list, and reads both.
        match service.contains_key("active_targets") {
            true => {
                service.insert("active_targets".to_string(), json!([target]));
                service.shift_remove("active_target");
            }
            false => drop(service.insert("active_target".to_string(), json!(target))),
        }
    }
    serde_json::to_vec(&state)
        .map(|mut text| {
            text.push(b'\n');
            text
        })
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_target_changes() {
        let container: ContainerId = "a".repeat(64).parse().unwrap();
        let targets =
            |name: &str| BTreeMap::from([(name.to_string(), KamalTarget { container: container.clone(), port: 3000 })]);
        let before = br#"[{"name":"a","options":{"hosts":["x"]},"active_targets":["b:80"]},{"name":"c","active_target":"d:80"}]"#;
        let text = |name: &str| String::from_utf8(pointed(before, &targets(name)).unwrap()).unwrap();
        let a = r#"[{"name":"a","options":{"hosts":["x"]},"active_targets":["aaaaaaaaaaaa:3000"]},{"name":"c","active_target":"d:80"}]"#;
        assert_eq!(text("a").trim(), a);
        assert!(text("c").trim().ends_with(r#"{"name":"c","active_target":"aaaaaaaaaaaa:3000"}]"#), "{}", text("c"));
        assert_eq!(pointed(before, &targets("e")).unwrap_err(), "it has no service e");
        assert_eq!(pointed(b"{}", &targets("a")).unwrap_err(), "it is no list of services");
    }
}
