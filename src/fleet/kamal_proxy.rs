//! kamal-proxy on a host that Kamal set up: its container, and what its state file says that it routes.

use crate::name::ContainerId;
use crate::spec::{PublishedPort, RestartPolicy};

/// The name of its container, which Kamal fixes.
pub const KAMAL_PROXY: &str = "kamal-proxy";

/// The directory of its state file inside the container, where Kamal mounts the volume `kamal-proxy-config`.
pub const KAMAL_PROXY_STATE_DIR: &str = "/home/kamal-proxy/.config/kamal-proxy";

/// The name of its state file.
pub const KAMAL_PROXY_STATE: &str = "kamal-proxy.state";

/// kamal-proxy as it was found, running or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KamalProxy {
    /// Its container.
    pub id: ContainerId,
    /// Whether it runs.
    pub running: bool,
    /// Its restart policy now.
    pub restart: RestartPolicy,
    /// The ports that it publishes, also while it does not run.
    pub ports: Vec<PublishedPort>,
    /// What it routes, or would if it ran.
    pub routes: Vec<KamalRoute>,
    /// Why its state could not be read.
    pub unreadable: Option<String>,
}

/// One service of kamal-proxy: what Kamal calls `<service>-<role>[-<destination>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KamalRoute {
    /// Its name.
    pub name: String,
    /// Host names; empty means every one.
    pub hosts: Vec<String>,
    /// Path prefixes.
    pub path_prefixes: Vec<String>,
    /// Where requests go: `<12-digit container id>:<port>`.
    pub targets: Vec<String>,
    /// Whether it serves HTTPS for these hosts.
    pub tls: bool,
    /// Why requests do not simply go to the target: `paused`, `stopped`, `a rollout`.
    pub special: Option<String>,
}

impl KamalRoute {
    /// The one target, as the first digits of a container's id and a port; `None` if there is not exactly one, or it is
    /// none of a container.
    pub fn target(&self) -> Option<(&str, u16)> {
        let [target] = self.targets.as_slice() else { return None };
        let (id, port) = match target.rsplit_once(':') {
            Some((id, port)) => (id, port.parse().ok()?),
            None => (target.as_str(), 80),
        };
        let is_id = id.len() >= 12 && id.bytes().all(|b| b.is_ascii_hexdigit());
        is_id.then_some((id, port))
    }

    /// Whether its one target is this container.
    pub fn leads_to(&self, container: &ContainerId) -> bool {
        self.target().is_some_and(|(id, _)| container.as_str().starts_with(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_one_container_and_a_port() {
        let target = |targets: &[&str]| {
            let targets = targets.iter().map(|t| t.to_string()).collect();
            let route = KamalRoute {
                name: "shop-web".to_string(),
                hosts: Vec::new(),
                path_prefixes: Vec::new(),
                targets,
                tls: false,
                special: None,
            };
            route.target().map(|(id, port)| (id.to_string(), port))
        };
        assert_eq!(target(&["3f2a9c1d0b7e:3000"]), Some(("3f2a9c1d0b7e".to_string(), 3000)));
        assert_eq!(target(&["3f2a9c1d0b7e"]), Some(("3f2a9c1d0b7e".to_string(), 80)));
        assert_eq!(target(&["3f2a9c1d0b7e:3000", "0123456789ab:3000"]), None, "two targets");
        assert_eq!(target(&["10.0.0.1:3000"]), None, "no container");
        assert_eq!(target(&["3f2a9c1d0b7e:http"]), None, "no port");
        assert_eq!(target(&[]), None);
    }
}
