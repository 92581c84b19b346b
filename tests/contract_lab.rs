//! Real hosts under the contract that the simulator is held to: sshd, dockerd, HAProxy and a registry of the lab.

mod contract;
#[path = "support/lab.rs"]
mod lab;

use async_trait::async_trait;
use contract::World;
use jiff::Timestamp;
use lab::Lab;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};
use windlass::docker::{Dial, DockerEngine, Stream};
use windlass::effect::{Clock, Engine, Host, Node, ProxySettings, RegistryLogin};
use windlass::fleet::Holder;
use windlass::haproxy::HaProxy;
use windlass::name::ImageRef;
use windlass::secret::Secret;
use windlass::ssh::{Connection, Endpoint, EngineDoor, Settings, SshHost};

const HOST: &str = "host-1";
const HOME: &str = "/root/.windlass";
/// Makes the host as it was: everything of the engine and of the login goes.
const CLEAN: &str = "docker ps -aq | xargs -r docker rm -fv; docker images -aq | sort -u | xargs -r docker rmi -f; \
                     docker volume ls -q | xargs -r docker volume rm -f; docker network prune -f; \
                     rm -rf /root/.windlass /root/contract /root/.kamal";

/// The one host of the lab, for one case at a time.
struct LabWorld {
    lab: &'static Lab,
    images: &'static Images,
    _alone: MutexGuard<'static, ()>,
}

struct Images {
    healthy: ImageRef,
    unhealthy: ImageRef,
    crashing: ImageRef,
    login: (String, String, String),
}

/// Built once, pushed to the registry that asks for a login.
fn images(lab: &Lab) -> Images {
    let login = lab.auth_registry();
    let build = |tag: &str, health: &str| {
        let (reference, _) = lab.image(&format!("contract:{tag}"), &["--env", &format!("APP_HEALTH={health}")]);
        let reference = reference.replace(&lab.registry(), &login.0);
        reference.parse().unwrap_or_else(|e| panic!("{reference}: {e}"))
    };
    let (healthy, unhealthy, crashing) =
        (build("healthy", "ok"), build("unhealthy", "503"), build("crashing", "crash"));
    Images { healthy, unhealthy, crashing, login }
}

async fn world() -> LabWorld {
    static ALONE: Mutex<()> = Mutex::const_new(());
    static IMAGES: OnceLock<Images> = OnceLock::new();
    let _alone = ALONE.lock().await;
    let lab = Lab::up(2);
    let images = IMAGES.get_or_init(|| images(lab));
    lab.exec(HOST, &["sh", "-c", CLEAN]);
    // The proxy's image is on the host, as it is for the simulator's.
    lab.docker(HOST, &["pull", &lab.haproxy_image()]);
    LabWorld { lab, images, _alone }
}

struct SystemClock(Instant);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

struct OverSsh(EngineDoor);

#[async_trait]
impl Dial for OverSsh {
    async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        let stream = self.0.open().await.map_err(|e| io::Error::other(e.to_string()))?;
        Ok(Box::new(stream))
    }
}

#[async_trait]
impl World for LabWorld {
    async fn node(&self) -> Node {
        let host = self.lab.host(HOST);
        let endpoint = Endpoint { host: host.address, port: host.port, user: host.user };
        let keys = vec![self.lab.key_ed25519()];
        let known_hosts = vec![self.lab.known_hosts()];
        let settings = Settings { keys, keys_only: true, known_hosts, ..Settings::default() };
        let connection = Connection::open(&endpoint, &settings).await.expect("the host can be connected to");
        let door = EngineDoor::find(&connection, None).await.expect("the engine's socket is found");
        let (engine, _) = DockerEngine::connect(Arc::new(OverSsh(door))).await.expect("the engine answers");
        let host: Arc<dyn Host> = Arc::new(SshHost::new(connection));
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let holder = Holder {
            actor: "contract@test".to_string(),
            run: "01JGZ3V8Q4N5X6Y7Z8A9B0C1D2".parse().expect("a run id"),
            what: "contract".to_string(),
            since: Timestamp::now(),
        };
        let clock = Arc::new(SystemClock(Instant::now()));
        let proxy = HaProxy::new(host.clone(), engine.clone(), clock, HOME, holder);
        Node { name: HOST.parse().expect("a host name"), host, engine, proxy: Arc::new(proxy) }
    }
    fn healthy_image(&self) -> ImageRef {
        self.images.healthy.clone()
    }
    fn unhealthy_image(&self) -> ImageRef {
        self.images.unhealthy.clone()
    }
    fn crashing_image(&self) -> ImageRef {
        self.images.crashing.clone()
    }
    fn crash(&self) -> (i64, &'static str) {
        (1, "fatal: APP_HEALTH=crash, giving up")
    }
    fn missing_image(&self) -> ImageRef {
        ImageRef { tag: Some("missing".parse().expect("a tag")), ..self.healthy_image() }
    }
    fn login(&self) -> Option<RegistryLogin> {
        let (server, username, password) = self.images.login.clone();
        Some(RegistryLogin { server: Some(server), username: Secret::new(username), password: Secret::new(password) })
    }
    fn proxy_settings(&self) -> ProxySettings {
        let image = self.lab.haproxy_image();
        ProxySettings {
            image,
            http_port: 80,
            https_port: 443,
            options: Default::default(),
            home: HOME.to_string(),
            uid: 0,
        }
    }
    fn scratch(&self) -> String {
        "/root/contract".to_string()
    }
    async fn seen_from_outside(&self, name: &str) -> Option<String> {
        let filter = format!("name=^/?{name}$");
        let out = self.lab.docker(HOST, &["ps", "-a", "--filter", &filter, "--format", "{{.State}}"]);
        out.lines().next().map(str::to_string)
    }
    async fn mode_from_outside(&self, path: &str) -> Option<u32> {
        u32::from_str_radix(self.lab.exec(HOST, &["stat", "-c", "%a", path]).trim(), 8).ok()
    }
    fn name(&self) -> String {
        "contract".to_string()
    }
}

suite!(tokio::test, super::world().await);
