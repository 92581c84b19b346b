//! A host with a running proxy.

use crate::app::App;
use crate::certificate::Made;
use crate::client::{Answer, Client};
use crate::dns::Dns;
use crate::engine::LocalEngine;
use crate::host::{LocalClock, LocalHost};
use std::sync::Arc;
use std::time::{Duration, Instant};
use windlass::effect::{Backend, Probe, Proxy, ProxyError, ProxySettings};
use windlass::fleet::{BackendName, BackendState, Holder};
use windlass::haproxy::{HaProxy, Inside};
use windlass::secret::Secret;
use windlass::spec::{EdgeFile, HttpCheck, Route, Tls};

pub(crate) struct World {
    pub(crate) proxy: Arc<HaProxy>,
    pub(crate) engine: Arc<LocalEngine>,
    pub(crate) dns: Dns,
    /// Where the proxy listens.
    pub(crate) address: String,
    /// Where it listens for HTTPS.
    pub(crate) tls_address: String,
    pub(crate) home: String,
    pub(crate) conf: String,
    pub(crate) settings: ProxySettings,
    _dir: tempfile::TempDir,
}

fn holder() -> Holder {
    Holder {
        actor: "test@here".to_string(),
        run: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("a ulid"),
        what: "test".to_string(),
        since: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

pub(crate) fn backend(service: &str, hosts: &[&str], prefixes: &[&str]) -> Backend {
    let (service, role) = (service.parse().expect("a service"), "web".parse().expect("a role"));
    Backend {
        name: BackendName::new(&service, &role, None),
        service,
        role,
        destination: None,
        route: Route {
            hosts: hosts.iter().map(|h| h.to_string()).collect(),
            path_prefixes: prefixes.iter().map(|p| p.to_string()).collect(),
            strip_path_prefix: true,
            app_port: 80,
            check: HttpCheck::default(),
            response_timeout: 30,
            forward_headers: false,
            tls: None,
            limits: Default::default(),
        },
        edge: Default::default(),
    }
}

impl World {
    /// With a proxy that runs and routes nothing.
    pub(crate) async fn start() -> Self {
        let world = Self::new().await;
        world.proxy.boot(&world.settings).await.expect("the proxy boots");
        world
    }

    pub(crate) async fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("wl").tempdir().expect("a directory");
        let home = dir.path().display().to_string();
        let (dns, nameserver) = Dns::start().await;
        // The proxy's own name, which empty slots have.
        dns.set("windlass-proxy", std::net::Ipv4Addr::LOCALHOST);
        let address = format!("127.0.0.1:{}", free_port());
        let tls_address = format!("127.0.0.1:{}", free_port());
        let inside =
            Inside { dir: format!("{home}/proxy"), bind: address.clone(), bind_tls: tls_address.clone(), nameserver };
        let engine = Arc::new(LocalEngine::new(&home));
        let host = Arc::new(LocalHost::default());
        let clock = Arc::new(LocalClock(Instant::now()));
        let proxy = HaProxy::new(host, engine.clone(), clock, &home, holder()).with_inside(inside);
        let settings = ProxySettings {
            image: "haproxy:2.6".into(),
            http_port: 80,
            https_port: 443,
            options: Default::default(),
            home: home.clone(),
            uid: 0,
        };
        let conf = format!("{home}/proxy/conf");
        Self { proxy: Arc::new(proxy), engine, dns, address, tls_address, home, conf, settings, _dir: dir }
    }

    pub(crate) async fn app(&self, name: &'static str) -> App {
        let app = App::start(name).await;
        self.dns.set(app.id.short(), app.address);
        self.engine.apps.lock().expect("not poisoned").push(app.id.clone());
        app
    }

    /// Loads, waits for the gate, switches.
    pub(crate) async fn release(&self, backend: &Backend, from: Option<&App>, to: &App) {
        self.proxy.load(&backend.name, &to.target()).await.expect("loads");
        self.gate(backend, to).await;
        let from = from.map(|a| &a.id);
        self.proxy.switch(&backend.name, from, &to.target()).await.expect("switches");
    }

    /// A running proxy that routes `route` to an application.
    pub(crate) async fn serving(route: &Backend, name: &'static str) -> (Self, App) {
        let world = Self::start().await;
        world.proxy.set_route(route).await.expect("a route");
        let app = world.app(name).await;
        world.release(route, None, &app).await;
        (world, app)
    }

    pub(crate) async fn put_page(&self, backend: &Backend, page: &str) -> String {
        use sha2::Digest;
        let digest = hex::encode(sha2::Sha256::digest(page));
        let content = Secret::new(page.to_string());
        self.proxy.put_file(&backend.name, &EdgeFile::page(&digest), &content).await.expect("a page");
        digest
    }

    /// Puts a certificate in force.
    pub(crate) async fn certify(&self, backend: &mut Backend, made: &Made) -> Result<(), ProxyError> {
        let file = EdgeFile::certificate(&made.certificate.sha256);
        self.proxy.put_file(&backend.name, &file, &made.pem).await?;
        backend.route.tls =
            Some(Tls { certificate_pem: "CERT".to_string(), private_key_pem: "KEY".to_string(), redirect: true });
        backend.edge.certificate = Some(made.certificate.clone());
        self.proxy.set_route(backend).await
    }

    /// Files beside the configuration, and their modes.
    pub(crate) fn edge_files(&self) -> Vec<(String, u32)> {
        use std::os::unix::fs::PermissionsExt;
        let entries = std::fs::read_dir(format!("{}/proxy/edge", self.home)).expect("the directory");
        let file = |e: std::fs::DirEntry| {
            (e.file_name().into_string().expect("text"), e.metadata().expect("a file").permissions().mode() & 0o777)
        };
        let mut files: Vec<_> = entries.map(|e| file(e.expect("an entry"))).collect();
        files.sort();
        files
    }

    pub(crate) async fn gate(&self, backend: &Backend, app: &App) {
        let healthy = async || self.probe(backend, app).await.healthy;
        self.wait("the gate", healthy).await;
    }

    pub(crate) async fn probe(&self, backend: &Backend, app: &App) -> Probe {
        self.proxy.check(&backend.name, &app.target()).await.expect("an answer")
    }

    pub(crate) async fn wait(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while !condition().await {
            assert!(Instant::now() < deadline, "15 s of waiting for {what}; the proxy says:\n{}", self.engine.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn get(&self, host: &str, path: &str) -> Answer {
        Client::new(&self.address).get(host, path, "").await.expect("an answer")
    }

    /// Which application answers.
    pub(crate) async fn who(&self, host: &str, path: &str) -> String {
        let answer = self.get(host, path).await;
        if answer.status != 200 {
            return answer.status.to_string();
        }
        answer.body.lines().next().unwrap_or_default().to_string()
    }

    pub(crate) async fn state(&self, backend: &Backend) -> BackendState {
        let state = self.proxy.observe().await.expect("observed");
        assert_eq!(state.unreadable, None);
        state.backends.get(&backend.name).cloned().expect("the backend is known")
    }

    /// The slot that holds an application.
    pub(crate) async fn slot(&self, backend: &Backend, app: &App) -> String {
        let state = self.state(backend).await;
        let server = state.servers.iter().find(|s| s.container.as_ref() == Some(&app.id));
        server.map(|s| s.slot.clone()).expect("it is in a slot")
    }

    pub(crate) fn file(&self, backend: &Backend) -> String {
        format!("{}/20-{}.cfg", self.conf, backend.name)
    }

    pub(crate) fn read(&self, backend: &Backend) -> String {
        std::fs::read_to_string(self.file(backend)).expect("the file is there")
    }
}
