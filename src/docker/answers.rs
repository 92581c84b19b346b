//! The engine's JSON, as far as it is read, and the facts made of it.

use crate::fleet::{Container, ContainerBrief, Health, Image, State};
use crate::name::{ContainerId, Digest};
use crate::spec::{PublishedPort, RestartPolicy};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

type Labels = Option<BTreeMap<String, String>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VersionAnswer {
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) api_version: String,
    #[serde(default)]
    pub(super) arch: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InfoAnswer {
    #[serde(default)]
    pub(super) docker_root_dir: String,
    pub(super) security_options: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    id: String,
    names: Option<Vec<String>>,
    #[serde(default)]
    image: String,
    #[serde(default, rename = "ImageID")]
    image_id: String,
    labels: Labels,
    #[serde(default)]
    state: String,
    ports: Option<Vec<ListedPort>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedPort {
    public_port: Option<u16>,
}

impl Listed {
    /// None for an id that is none.
    pub(super) fn brief(self) -> Option<ContainerBrief> {
        let mut host_ports: Vec<u16> = self.ports.unwrap_or_default().iter().filter_map(|p| p.public_port).collect();
        host_ports.sort_unstable();
        host_ports.dedup();
        Some(ContainerBrief {
            id: self.id.parse().ok()?,
            name: name(self.names.and_then(|n| n.into_iter().next()).unwrap_or_default()),
            image: self.image,
            image_id: digest(&self.image_id),
            labels: self.labels.unwrap_or_default(),
            running: matches!(self.state.as_str(), "running" | "paused" | "restarting"),
            host_ports,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    image: String,
    created: Option<String>,
    #[serde(default)]
    restart_count: u64,
    state: InspectedState,
    config: InspectedConfig,
    host_config: InspectedHost,
    network_settings: Option<InspectedNetworks>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    #[serde(default)]
    status: String,
    #[serde(default)]
    exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
    started_at: Option<String>,
    finished_at: Option<String>,
    health: Option<InspectedHealth>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedHealth {
    #[serde(default)]
    status: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedConfig {
    #[serde(default)]
    image: String,
    labels: Labels,
    healthcheck: Option<InspectedCheck>,
    stop_timeout: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedCheck {
    test: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedHost {
    restart_policy: Option<InspectedPolicy>,
    port_bindings: Option<BTreeMap<String, Option<Vec<InspectedPort>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedPolicy {
    #[serde(default)]
    name: String,
    #[serde(default)]
    maximum_retry_count: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedPort {
    host_ip: Option<String>,
    host_port: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedNetworks {
    networks: Option<BTreeMap<String, Option<InspectedNetwork>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedNetwork {
    #[serde(default, rename = "IPAddress")]
    ip_address: String,
}

impl Inspected {
    /// # Errors
    /// An id or an image id that is none.
    pub(super) fn container(self) -> Result<Container, String> {
        let id: ContainerId = self.id.parse().map_err(|e| format!("container id: {e}"))?;
        let image_id = digest(&self.image).ok_or_else(|| format!("image id {:?}", self.image))?;
        let networks = self.network_settings.and_then(|n| n.networks).unwrap_or_default();
        let addresses = networks.iter().filter_map(|(name, network)| {
            let address = &network.as_ref()?.ip_address;
            (!address.is_empty()).then(|| (name.clone(), address.clone()))
        });
        let test = self.config.healthcheck.and_then(|c| c.test).unwrap_or_default();
        Ok(Container {
            id,
            name: name(self.name),
            image: self.config.image,
            image_id,
            labels: self.config.labels.unwrap_or_default(),
            state: state(&self.state),
            created_at: moment(self.created.as_deref()),
            started_at: moment(self.state.started_at.as_deref()),
            finished_at: moment(self.state.finished_at.as_deref()),
            restart: self.host_config.restart_policy.map_or(RestartPolicy::No, |p| policy(&p)),
            restart_count: self.restart_count,
            addresses: addresses.collect(),
            networks: networks.keys().cloned().collect(),
            ports: self.host_config.port_bindings.map(ports).unwrap_or_default(),
            has_healthcheck: !test.is_empty() && test[0] != "NONE",
            stop_timeout: self.config.stop_timeout.and_then(|t| t.try_into().ok()),
        })
    }
}

fn state(state: &InspectedState) -> State {
    match state.status.as_str() {
        "created" | "configured" | "initialized" => State::Created,
        "running" => State::Running(match state.health.as_ref().map(|h| h.status.as_str()) {
            Some("starting") => Health::Starting,
            Some("healthy") => Health::Healthy,
            Some("unhealthy") => Health::Unhealthy,
            _ => Health::None,
        }),
        "restarting" => State::Restarting,
        "paused" => State::Paused,
        "exited" | "stopped" => State::Exited { code: state.exit_code, oom: state.oom_killed },
        other => State::Other(other.to_string()),
    }
}

fn policy(policy: &InspectedPolicy) -> RestartPolicy {
    match policy.name.as_str() {
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        "on-failure" => RestartPolicy::OnFailure(Some(policy.maximum_retry_count).filter(|n| *n > 0)),
        _ => RestartPolicy::No,
    }
}

fn ports(bindings: BTreeMap<String, Option<Vec<InspectedPort>>>) -> Vec<PublishedPort> {
    let mut ports = Vec::new();
    for (inside, outside) in bindings {
        let (port, protocol) = inside.split_once('/').unwrap_or((&inside, "tcp"));
        let Ok(container_port) = port.parse() else { continue };
        for binding in outside.unwrap_or_default() {
            ports.push(PublishedPort {
                host_ip: binding.host_ip.filter(|ip| !ip.is_empty() && ip != "0.0.0.0"),
                host_port: binding.host_port.and_then(|p| p.parse().ok()).filter(|p| *p != 0),
                container_port,
                protocol: protocol.to_string(),
            });
        }
    }
    ports
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageAnswer {
    id: String,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    size: u64,
    /// Of the list.
    labels: Labels,
    /// Of inspect.
    config: Option<ImageConfig>,
    /// Seconds in the list, a text in inspect.
    created: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageConfig {
    labels: Labels,
}

impl ImageAnswer {
    /// None for an id that is none.
    pub(super) fn image(self) -> Option<Image> {
        let created_at = match &self.created {
            Some(Value::Number(seconds)) => seconds.as_i64().and_then(|s| Timestamp::from_second(s).ok()),
            Some(Value::String(text)) => moment(Some(text)),
            _ => None,
        };
        // An image without a tag is listed as <none>:<none>.
        let named = |list: Option<Vec<String>>| -> Vec<String> {
            list.unwrap_or_default().into_iter().filter(|r| !r.contains("<none>")).collect()
        };
        Some(Image {
            id: digest(&self.id)?,
            tags: named(self.repo_tags),
            digests: named(self.repo_digests),
            size: self.size,
            labels: self.labels.or_else(|| self.config?.labels).unwrap_or_default(),
            created_at,
        })
    }
}

/// podman leaves the algorithm out.
fn digest(text: &str) -> Option<Digest> {
    if text.contains(':') { text.parse().ok() } else { format!("sha256:{text}").parse().ok() }
}

fn name(text: String) -> String {
    text.strip_prefix('/').map(str::to_string).unwrap_or(text)
}

/// Go's zero time, year 1, means never.
fn moment(text: Option<&str>) -> Option<Timestamp> {
    text.filter(|t| !t.starts_with("0001-")).and_then(|t| t.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn a_state_nobody_heard_of_does_not_break_the_list() {
        let listed: Vec<Listed> = serde_json::from_value(json!([
            {"Id": ID, "Names": ["/a"], "Image": "x", "ImageID": format!("sha256:{ID}"), "State": "hibernating", "Labels": null},
            {"Id": ID, "State": "running", "Ports": [{"PublicPort": 80}, {"PublicPort": 80}, {"PrivatePort": 1}]},
        ]))
        .unwrap();
        let briefs: Vec<_> = listed.into_iter().filter_map(Listed::brief).collect();
        assert_eq!((briefs[0].name.as_str(), briefs[0].running), ("a", false));
        assert_eq!((briefs[1].running, briefs[1].host_ports.as_slice()), (true, &[80][..]));
    }

    #[test]
    fn inspect() {
        let answer: Inspected = serde_json::from_value(json!({
            "Id": ID, "Name": "/app-web-1", "Image": format!("sha256:{ID}"), "Created": "2026-01-02T03:04:05.123456789Z",
            "RestartCount": 3,
            "State": {"Status": "exited", "ExitCode": 137, "OOMKilled": true,
                      "StartedAt": "2026-01-02T03:04:06Z", "FinishedAt": "0001-01-01T00:00:00Z"},
            "Config": {"Image": "app:1", "Labels": {"service": "app"}, "StopTimeout": 30, "Healthcheck": {"Test": ["NONE"]}},
            "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
                           "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "53/udp": null}},
            "NetworkSettings": {"Networks": {"kamal": {"IPAddress": ""}, "other": {"IPAddress": "10.0.0.2"}}},
        }))
        .unwrap();
        let container = answer.container().unwrap();
        assert_eq!(container.name, "app-web-1");
        assert_eq!(container.state, State::Exited { code: 137, oom: true });
        assert_eq!(container.restart, RestartPolicy::OnFailure(Some(5)));
        assert_eq!((container.finished_at, container.started_at.is_some()), (None, true));
        assert_eq!(container.addresses, [("other".to_string(), "10.0.0.2".to_string())].into());
        assert_eq!(container.networks, ["kamal", "other"]);
        assert_eq!((container.ports.len(), container.ports[0].host_port), (1, Some(8080)));
        assert_eq!((container.has_healthcheck, container.stop_timeout), (false, Some(30)));
    }
}
