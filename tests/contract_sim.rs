//! The simulator under the contract that real hosts are held to as well.

mod contract;

use async_trait::async_trait;
use contract::World;
use std::time::Duration;
use windlass::effect::{Connector, Node, ProxySettings, RegistryLogin};
use windlass::fleet::State;
use windlass::name::ImageRef;
use windlass::secret::Secret;
use windlass::sim::{ImageBehaviour, Script, SimFleet};

const HOST: &str = "host-1";
const REPOSITORY: &str = "registry.example.com/app";

struct SimWorld(SimFleet);

fn world() -> SimWorld {
    let crashing = ImageBehaviour::crashing(Duration::from_millis(400), 3).printing(["boom"]);
    SimWorld(
        SimFleet::new()
            .hosts([HOST])
            .registry_login("alice", "open sesame")
            .registry_image(REPOSITORY, "healthy", app())
            .registry_image(REPOSITORY, "unhealthy", ImageBehaviour::never_healthy())
            .registry_image(REPOSITORY, "crashing", crashing)
            .command(HOST, "echo out; echo err >&2; exit 3", Script::printing(["out"]).complaining("err").exiting(3))
            .command(HOST, "cat", Script { echoes: true, ..Script::default() })
            .loaded_image(HOST, "haproxy:lts", ImageBehaviour::healthy()),
    )
}

/// As the lab's demo application.
fn app() -> ImageBehaviour {
    ImageBehaviour::healthy()
        .command("app env", Script { environment: true, ..Script::default() })
        .command("app cat", Script { echoes: true, ..Script::default() })
        .command("app nonsense", Script::default().complaining("unknown mode nonsense").exiting(2))
}

fn image(tag: &str) -> ImageRef {
    format!("{REPOSITORY}:{tag}").parse().expect("an image reference")
}

#[async_trait]
impl World for SimWorld {
    async fn node(&self) -> Node {
        self.0.connector().connect(&HOST.parse().expect("a host name")).await.expect("the host can be connected to")
    }
    fn healthy_image(&self) -> ImageRef {
        image("healthy")
    }
    fn unhealthy_image(&self) -> ImageRef {
        image("unhealthy")
    }
    fn crashing_image(&self) -> ImageRef {
        image("crashing")
    }
    fn crash(&self) -> (i64, &'static str) {
        (3, "boom")
    }
    fn missing_image(&self) -> ImageRef {
        image("missing")
    }
    fn login(&self) -> Option<RegistryLogin> {
        let secret = |text: &str| Secret::new(text.to_string());
        let server = Some("registry.example.com".to_string());
        Some(RegistryLogin { server, username: secret("alice"), password: secret("open sesame") })
    }
    fn proxy_settings(&self) -> ProxySettings {
        let home = "/root/.windlass".to_string();
        ProxySettings {
            image: "haproxy:lts".to_string(),
            http_port: 80,
            https_port: 443,
            options: Default::default(),
            home,
            uid: 0,
        }
    }
    fn scratch(&self) -> String {
        "/root/contract".to_string()
    }
    async fn seen_from_outside(&self, name: &str) -> Option<String> {
        let state = match self.0.containers(HOST).remove(name)?.state {
            State::Created => "created",
            State::Running(_) => "running",
            State::Restarting => "restarting",
            State::Exited { .. } => "exited",
            State::Paused | State::Other(_) => "other",
        };
        Some(state.to_string())
    }
    async fn mode_from_outside(&self, path: &str) -> Option<u32> {
        self.0.files(HOST).get(path).map(|(_, mode)| *mode)
    }
    fn name(&self) -> String {
        "contract".to_string()
    }
}

suite!(tokio::test(start_paused = true), super::world());
