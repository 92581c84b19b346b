//! An engine whose containers are processes: as much of it as the proxy needs.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use windlass::effect::{
    Archive, Engine, EngineError, EngineErrorKind, ExecCommand, LogLine, LogStream, LogsRequest, NewContainer,
    PullProgress, RegistryLogin, ResolvedImage, Volume, WindowSize,
};
use windlass::fleet::{Container, ContainerBrief, EngineInfo, Health, Image, State};
use windlass::name::{ContainerId, Digest, ImageRef};
use windlass::secret::Secret;
use windlass::spec::RestartPolicy;

pub(crate) struct LocalEngine {
    dir: String,
    containers: Mutex<BTreeMap<ContainerId, Process>>,
    /// Containers of services: only their ids matter.
    pub(crate) apps: Mutex<Vec<ContainerId>>,
    /// Every container that was ever created, by name.
    pub(crate) created: Mutex<Vec<String>>,
    /// The next start of a proxy fails.
    pub(crate) fail_next_proxy: AtomicBool,
}

struct Process {
    container: NewContainer,
    child: Option<Child>,
    exited: Option<i32>,
}

fn error(kind: EngineErrorKind, message: &str) -> EngineError {
    EngineError { kind, message: message.to_string() }
}

fn unused<T>(call: &str) -> Result<T, EngineError> {
    Err(error(EngineErrorKind::Other, &format!("the proxy is not expected to call `{call}`")))
}

fn image_id() -> Digest {
    format!("sha256:{}", "a".repeat(64)).parse().expect("a digest")
}

impl Process {
    fn poll(&mut self) -> State {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            self.exited = Some(status.code().unwrap_or(137));
            self.child = None;
        }
        match (&self.child, self.exited) {
            (Some(_), _) => State::Running(Health::None),
            (None, Some(code)) => State::Exited { code: code.into(), oom: false },
            (None, None) => State::Created,
        }
    }

    /// The master gets a signal that ends its workers as well.
    fn end(&mut self) {
        if let Some(child) = &mut self.child {
            drop(Command::new("kill").args(["-TERM", &child.id().to_string()]).status());
            drop(child.wait());
            self.exited = Some(0);
            self.child = None;
        }
    }
}

impl LocalEngine {
    pub(crate) fn new(dir: &str) -> Self {
        let containers = Mutex::default();
        Self {
            dir: dir.to_string(),
            containers,
            apps: Mutex::default(),
            created: Mutex::default(),
            fail_next_proxy: AtomicBool::default(),
        }
    }

    fn with<T>(&self, id: &ContainerId, act: impl FnOnce(&mut Process) -> T) -> Result<T, EngineError> {
        let mut containers = self.containers.lock().expect("not poisoned");
        containers.get_mut(id).map(act).ok_or_else(|| error(EngineErrorKind::NotFound, "no such container"))
    }

    fn log(&self, id: &ContainerId) -> String {
        format!("{}/{}.log", self.dir, id.short())
    }

    /// Everything that a container was made from but its secrets.
    pub(crate) fn made_from(&self) -> String {
        let containers = self.containers.lock().expect("not poisoned");
        containers.values().map(|p| format!("{:?}\n", p.container)).collect()
    }

    pub(crate) fn output(&self) -> String {
        let ids: Vec<_> = self.containers.lock().expect("not poisoned").keys().cloned().collect();
        ids.iter().map(|id| std::fs::read_to_string(self.log(id)).unwrap_or_default()).collect()
    }
}

impl Drop for LocalEngine {
    fn drop(&mut self) {
        self.containers.lock().expect("not poisoned").values_mut().for_each(Process::end);
    }
}

#[async_trait]
impl Engine for LocalEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        unused("info")
    }

    async fn list(&self) -> Result<Vec<ContainerBrief>, EngineError> {
        let app = |id: &ContainerId| ContainerBrief {
            id: id.clone(),
            name: id.short().to_string(),
            image: "app".into(),
            image_id: None,
            labels: BTreeMap::new(),
            running: true,
            host_ports: vec![],
        };
        let mut list: Vec<_> = self.apps.lock().expect("not poisoned").iter().map(app).collect();
        for (id, process) in self.containers.lock().expect("not poisoned").iter_mut() {
            let running = process.poll().is_running();
            let c = &process.container;
            list.push(ContainerBrief {
                id: id.clone(),
                name: c.name.clone(),
                image: c.image.clone(),
                image_id: Some(image_id()),
                labels: c.labels.clone(),
                running,
                host_ports: c.options.publish.iter().filter_map(|p| p.host_port).collect(),
            });
        }
        Ok(list)
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Container, EngineError> {
        self.with(id, |process| Container {
            id: id.clone(),
            name: process.container.name.clone(),
            image: process.container.image.clone(),
            image_id: image_id(),
            labels: process.container.labels.clone(),
            state: process.poll(),
            created_at: None,
            started_at: None,
            finished_at: None,
            restart: process.container.restart,
            restart_count: 0,
            addresses: BTreeMap::new(),
            networks: vec![],
            ports: vec![],
            has_healthcheck: false,
            stop_timeout: None,
        })
    }

    async fn create(&self, container: &NewContainer) -> Result<ContainerId, EngineError> {
        let mut containers = self.containers.lock().expect("not poisoned");
        if containers.values().any(|p| p.container.name == container.name) {
            return Err(error(EngineErrorKind::Conflict, "the name is taken"));
        }
        let mut created = self.created.lock().expect("not poisoned");
        created.push(container.name.clone());
        let id: ContainerId = format!("{:064x}", 0xfeed_0000_0000_u64 + created.len() as u64).parse().expect("an id");
        containers.insert(id.clone(), Process { container: container.clone(), child: None, exited: None });
        Ok(id)
    }

    async fn create_like(&self, original: &ContainerId, name: &str) -> Result<ContainerId, EngineError> {
        let container = self.with(original, |p| p.container.clone())?;
        self.create(&NewContainer { name: name.to_string(), ..container }).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        if self.with(id, |p| p.container.command.iter().flatten().any(|w| w == "-W"))?
            && self.fail_next_proxy.swap(false, Ordering::Relaxed)
        {
            return Err(error(EngineErrorKind::Other, "no such device"));
        }
        let log = std::fs::File::create(self.log(id)).map_err(|e| error(EngineErrorKind::Other, &e.to_string()))?;
        let both = log.try_clone().map_err(|e| error(EngineErrorKind::Other, &e.to_string()))?;
        self.with(id, |process| {
            let program = process.container.options.entrypoint.clone().unwrap_or_default();
            let words = process.container.command.clone().unwrap_or_default();
            let mut command = Command::new(program);
            let child = command.args(words).stdin(Stdio::null()).stdout(log).stderr(both).spawn();
            process.child = Some(child.map_err(|e| error(EngineErrorKind::Other, &format!("haproxy: {e}")))?);
            Ok(())
        })?
    }

    async fn stop(&self, id: &ContainerId, _: Option<u32>) -> Result<(), EngineError> {
        self.with(id, Process::end)
    }

    async fn set_restart(&self, _: &ContainerId, _: RestartPolicy) -> Result<(), EngineError> {
        unused("set_restart")
    }

    async fn kill(&self, _: &ContainerId, _: &str) -> Result<(), EngineError> {
        unused("kill")
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        if self.with(id, |p| p.poll().is_running())? {
            return Err(error(EngineErrorKind::Conflict, "it is running"));
        }
        self.containers.lock().expect("not poisoned").remove(id);
        Ok(())
    }

    async fn copy_out(&self, _: &ContainerId, _: &str) -> Result<Archive, EngineError> {
        unused("copy_out")
    }

    async fn copy_in(&self, _: &ContainerId, _: &str, _: Archive) -> Result<(), EngineError> {
        unused("copy_in")
    }

    async fn environment(&self, _: &ContainerId) -> Result<BTreeMap<String, Secret<String>>, EngineError> {
        unused("environment")
    }

    async fn logs(
        &self,
        id: &ContainerId,
        _: LogsRequest,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError> {
        let text = std::fs::read_to_string(self.log(id)).unwrap_or_default();
        let line = |l: &str| Ok(LogLine { stream: LogStream::Err, at: None, text: l.to_string() });
        let lines: Vec<_> = text.lines().map(line).collect();
        Ok(futures::stream::iter(lines).boxed())
    }

    async fn exec(&self, _: &ContainerId, _: &ExecCommand) -> Result<windlass::effect::Process, EngineError> {
        unused("exec")
    }

    async fn exec_detached(&self, _: &ContainerId, _: &ExecCommand) -> Result<(), EngineError> {
        unused("exec_detached")
    }

    async fn start_attached(
        &self,
        _: &ContainerId,
        _: Option<WindowSize>,
    ) -> Result<windlass::effect::Process, EngineError> {
        unused("start_attached")
    }

    async fn resolve(&self, _: &ImageRef, _: Option<&RegistryLogin>) -> Result<ResolvedImage, EngineError> {
        unused("resolve")
    }

    async fn pull(
        &self,
        _: &ImageRef,
        _: Option<&RegistryLogin>,
        _: mpsc::UnboundedSender<PullProgress>,
    ) -> Result<(), EngineError> {
        unused("pull")
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let tags = vec![reference.to_string()];
        let image = Image { id: image_id(), tags, digests: vec![], size: 0, labels: BTreeMap::new(), created_at: None };
        Ok(Some(image))
    }

    async fn images(&self) -> Result<Vec<Image>, EngineError> {
        unused("images")
    }

    async fn tag(&self, _: &str, _: &ImageRef) -> Result<(), EngineError> {
        unused("tag")
    }

    async fn remove_image(&self, _: &str) -> Result<(), EngineError> {
        unused("remove_image")
    }

    async fn save(&self, _: &str) -> Result<Archive, EngineError> {
        unused("save")
    }

    async fn load(&self, _: Archive) -> Result<(), EngineError> {
        unused("load")
    }

    async fn networks(&self) -> Result<BTreeSet<String>, EngineError> {
        unused("networks")
    }

    async fn create_network(&self, _: &str) -> Result<(), EngineError> {
        Ok(())
    }

    async fn volume(&self, _: &str) -> Result<Option<Volume>, EngineError> {
        unused("volume")
    }

    async fn create_volume(&self, _: &str, _: &BTreeMap<String, String>) -> Result<(), EngineError> {
        unused("create_volume")
    }
}
