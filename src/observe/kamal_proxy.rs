//! kamal-proxy: its container, and its state file, which is read without running anything in it.

use crate::effect::{ArchivedFile, EngineErrorKind, Node};
use crate::fleet::{ContainerBrief, KAMAL_PROXY, KAMAL_PROXY_STATE, KAMAL_PROXY_STATE_DIR, KamalProxy, KamalRoute};
use crate::name::ContainerId;
use serde::Deserialize;

/// Bytes; a route is a few hundred.
const LONGEST_STATE: usize = 8 << 20;

/// kamal-proxy on a host, if its container is among these.
pub(super) async fn kamal_proxy(node: &Node, all: &[ContainerBrief]) -> Option<KamalProxy> {
    let brief = all.iter().find(|c| c.name == KAMAL_PROXY)?;
    let (inspected, state) = tokio::join!(node.engine.inspect(&brief.id), state(node, &brief.id));
    // A container that went away between the two rounds is no longer a fact.
    let container = inspected.ok()?;
    let (routes, unreadable) = match state {
        Ok(routes) => (routes, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let (running, restart) = (container.state.is_running(), container.restart);
    Some(KamalProxy { id: container.id, running, restart, ports: container.ports, routes, unreadable })
}

/// A proxy that nothing was deployed to has no state file.
async fn state(node: &Node, id: &ContainerId) -> Result<Vec<KamalRoute>, String> {
    let path = format!("{KAMAL_PROXY_STATE_DIR}/{KAMAL_PROXY_STATE}");
    let archive = match node.engine.copy_out(id, &path).await {
        Ok(archive) => archive,
        Err(error) if error.kind == EngineErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let file = ArchivedFile::read(archive, LONGEST_STATE).await.map_err(|e| format!("{path}: {e}"))?;
    parse(&file.content).map_err(|e| format!("{path}: {e}"))
}

/// As kamal-proxy 0.9 writes it; 0.8 has one target, and the hosts at the top.
#[derive(Deserialize)]
struct Service {
    name: String,
    #[serde(default)]
    hosts: Option<Vec<String>>,
    #[serde(default)]
    path_prefixes: Option<Vec<String>>,
    #[serde(default)]
    active_targets: Option<Vec<String>>,
    #[serde(default)]
    active_target: Option<String>,
    #[serde(default)]
    active_readers: Option<Vec<String>>,
    #[serde(default)]
    rollout_targets: Option<Vec<String>>,
    #[serde(default)]
    rollout_target: Option<String>,
    #[serde(default)]
    options: Options,
    #[serde(default)]
    pause_controller: Option<Pause>,
    #[serde(default)]
    rollout_controller: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
struct Options {
    #[serde(default)]
    hosts: Option<Vec<String>>,
    #[serde(default)]
    path_prefixes: Option<Vec<String>>,
    #[serde(default)]
    tls_enabled: bool,
}

#[derive(Deserialize)]
struct Pause {
    #[serde(default)]
    state: u8,
}

fn parse(content: &[u8]) -> Result<Vec<KamalRoute>, serde_json::Error> {
    // A service without routes is written as `null` by no version, but an empty list is.
    let services: Option<Vec<Service>> = serde_json::from_slice(content)?;
    Ok(services.unwrap_or_default().into_iter().map(route).collect())
}

fn first(lists: [Option<Vec<String>>; 2]) -> Vec<String> {
    let list = lists.into_iter().flatten().find(|list| !list.is_empty()).unwrap_or_default();
    list.into_iter().filter(|text| !text.is_empty()).collect()
}

fn route(service: Service) -> KamalRoute {
    let special = special(&service);
    let one = |target: Option<String>| target.filter(|t| !t.is_empty()).map(|t| vec![t]);
    KamalRoute {
        name: service.name,
        hosts: first([service.options.hosts, service.hosts]),
        path_prefixes: first([service.options.path_prefixes, service.path_prefixes]),
        targets: first([service.active_targets, one(service.active_target)]),
        tls: service.options.tls_enabled,
        special,
    }
}

fn special(service: &Service) -> Option<String> {
    let rollout = first([service.rollout_targets.clone(), service.rollout_target.clone().map(|t| vec![t])]);
    let splits = service.rollout_controller.as_ref().is_some_and(|c| !c.is_null());
    let readers = service.active_readers.as_ref().is_some_and(|r| !r.is_empty());
    match service.pause_controller.as_ref().map_or(0, |p| p.state) {
        0 if splits && !rollout.is_empty() => Some("splits its requests for a rollout".to_string()),
        0 if readers => Some("has targets for reading only".to_string()),
        0 => None,
        1 => Some("is paused".to_string()),
        _ => Some("is stopped (maintenance)".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_two_versions() {
        let new = r#"[{"name":"shop-web","options":{"hosts":["shop.example.com"],"path_prefixes":["/"],"tls_enabled":true,
            "tls_redirect":true},"target_options":{"response_timeout":30000000000},"active_targets":["3f2a9c1d0b7e:80"],
            "active_readers":null,"rollout_targets":null,"rollout_readers":null,
            "pause_controller":{"state":0,"stop_message":"","fail_after":0},"rollout_controller":null}]"#;
        let routes = parse(new.as_bytes()).unwrap();
        let expected = KamalRoute {
            name: "shop-web".to_string(),
            hosts: vec!["shop.example.com".to_string()],
            path_prefixes: vec!["/".to_string()],
            targets: vec!["3f2a9c1d0b7e:80".to_string()],
            tls: true,
            special: None,
        };
        assert_eq!(routes, std::slice::from_ref(&expected));
        let old = r#"[{"name":"shop-web","hosts":["shop.example.com"],"path_prefixes":["/"],"active_target":"3f2a9c1d0b7e:80",
            "rollout_target":"","options":{"tls_enabled":true},"pause_controller":{"state":0}}]"#;
        assert_eq!(parse(old.as_bytes()).unwrap(), [expected]);
    }

    #[test]
    fn what_is_special_is_said() {
        let special = |more: &str| {
            let text = format!(r#"[{{"name":"a","active_targets":["3f2a9c1d0b7e:80"],{more}}}]"#);
            parse(text.as_bytes()).unwrap().remove(0).special
        };
        assert_eq!(special(r#""pause_controller":{"state":1}"#).as_deref(), Some("is paused"));
        assert_eq!(special(r#""pause_controller":{"state":2}"#).as_deref(), Some("is stopped (maintenance)"));
        let rollout = r#""rollout_targets":["0123456789ab:80"],"rollout_controller":{"percentage":10}"#;
        assert_eq!(special(rollout).as_deref(), Some("splits its requests for a rollout"));
        assert_eq!(special(r#""rollout_targets":["0123456789ab:80"],"rollout_controller":null"#), None);
        assert_eq!(parse(b"[]").unwrap(), []);
        assert!(parse(b"{").is_err());
    }
}
