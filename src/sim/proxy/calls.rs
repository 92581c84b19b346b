//! The calls of [`Proxy`].

use super::slots::{BackendFile, Slot};
use crate::effect::{Backend, EngineError, NewContainer, Probe, Proxy, ProxyError, ProxySettings, Target};
use crate::fleet::{BackendName, ProxyState, ServerRole, label};
use crate::name::{ContainerId, ImageRef};
use crate::secret::Secret;
use crate::sim::call::{At, SimConnection, mutates, reads};
use crate::sim::container::Answer;
use crate::sim::machine::Machine;
use crate::spec::{ContainerOptions, EdgeFile, Logging, PublishedPort, RestartPolicy};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;

/// The network that the proxy and what it routes to are on.
const NETWORK: &str = "kamal";
const CONTAINER_NAME: &str = "windlass-proxy";
/// Label: the digest of the settings that the container was made with.
pub(super) const SETTINGS_LABEL: &str = "windlass.proxy.settings";

/// The proxy side of a connection.
#[derive(Debug, Clone)]
pub struct SimProxy {
    pub(in crate::sim) connection: SimConnection,
}

fn failed(message: impl Into<String>) -> ProxyError {
    ProxyError::Failed(message.into())
}

fn not_running() -> ProxyError {
    ProxyError::NotRunning("its container is not up".to_string())
}

fn by_engine(error: EngineError) -> ProxyError {
    ProxyError::Failed(error.message)
}

/// What the proxy's container is made from.
fn container(settings: &ProxySettings) -> NewContainer {
    let port = |host_port, container_port| PublishedPort {
        host_ip: None,
        host_port: Some(host_port),
        container_port,
        protocol: "tcp".to_string(),
    };
    let web = [port(settings.http_port, 80), port(settings.https_port, 443)];
    let metrics = settings.options.metrics_port.map(|metrics| port(metrics, metrics));
    let published = web.into_iter().chain(metrics).filter(|_| settings.options.publish);
    let mut options = ContainerOptions { user: Some(settings.uid.to_string()), ..settings.options.container.clone() };
    options.publish.extend(published);
    NewContainer {
        name: CONTAINER_NAME.to_string(),
        image: settings.image.clone(),
        hostname: None,
        command: None,
        env: BTreeMap::new(),
        labels: [(label::HOME.to_string(), settings.home.clone()), (SETTINGS_LABEL.to_string(), settings.digest())]
            .into(),
        network: NETWORK.to_string(),
        volumes: vec![format!("{0}/proxy:{0}/proxy", settings.home)],
        options,
        logging: Logging::default(),
        restart: RestartPolicy::UnlessStopped,
        stop_timeout: None,
        one_off: false,
    }
}

/// Creates and starts the proxy's container; its image is pulled if the host lacks it.
fn boot(at: &mut At<'_>, settings: &ProxySettings) -> Result<(), ProxyError> {
    let existing = at.machine.proxy.container.clone().filter(|id| at.machine.containers.contains_key(id));
    let id = match existing {
        Some(id) => id,
        None => {
            have_image(at, &settings.image)?;
            at.machine.create(container(settings), at.now).map_err(by_engine)?
        }
    };
    at.machine.proxy.container = Some(id.clone());
    at.machine.start(&id, at.now).map_err(by_engine)
}

fn have_image(at: &mut At<'_>, image: &str) -> Result<(), ProxyError> {
    if at.machine.find_image(image).is_some() {
        return Ok(());
    }
    let image: ImageRef = image.parse().map_err(|e| failed(format!("{e}")))?;
    let content = at.registry.find(&image, None).map_err(by_engine)?.clone();
    at.machine.add_image(&image, content);
    Ok(())
}

/// How long nothing answers while one container takes another's place. Virtual time does not pass meanwhile.
const GAP: Duration = Duration::from_millis(400);

fn replace(at: &mut At<'_>, settings: &ProxySettings) -> Result<Duration, ProxyError> {
    have_image(at, &settings.image)?;
    let running = take_away(at);
    boot(at, settings)?;
    Ok(if running { GAP } else { Duration::ZERO })
}

/// Whether it ran.
fn take_away(at: &mut At<'_>) -> bool {
    let Some(id) = at.machine.proxy.container.take() else { return false };
    let runs = at.machine.proxy.runtime.take().is_some();
    at.machine.end(&id, 0, at.now);
    at.machine.containers.remove(&id);
    runs
}

fn remove(at: &mut At<'_>, keep_files: bool) -> Result<(), ProxyError> {
    take_away(at);
    if !keep_files {
        at.machine.proxy.files.clear();
        at.machine.proxy.edge_files.clear();
    }
    Ok(())
}

/// What a route needs has to be there before it is in force.
fn has_what_it_needs(at: &At<'_>, backend: &Backend) -> Result<(), ProxyError> {
    if backend.route.tls.is_some() && backend.edge.certificate.is_none() {
        return Err(ProxyError::Refused(format!("{} wants HTTPS and has no certificate", backend.name)));
    }
    let there = |file: &EdgeFile| at.machine.proxy.edge_files.contains(&(backend.name.clone(), file.clone()));
    match backend.edge.files().into_iter().find(|file| !there(file)) {
        Some(file) => Err(ProxyError::Refused(format!("the file {} of {} is not there", file.sha256, backend.name))),
        None => Ok(()),
    }
}

fn forget_files(at: &mut At<'_>, backend: &BackendName, files: &[EdgeFile]) -> Result<(), ProxyError> {
    let in_use = at.machine.proxy.files.get(backend).map(|f| f.backend.edge.files()).unwrap_or_default();
    for file in files.iter().filter(|file| !in_use.contains(file)) {
        at.machine.proxy.edge_files.remove(&(backend.clone(), file.clone()));
    }
    Ok(())
}

/// Files, a trial whose verdict is at hand, and a container that is not started.
fn stand_by(
    at: &mut At<'_>,
    settings: &ProxySettings,
    routes: &[(Backend, Target)],
) -> Result<ContainerId, ProxyError> {
    let existing = at.machine.proxy.container.clone();
    if existing.as_ref().and_then(|id| at.machine.containers.get(id)).is_some_and(|c| c.is_running()) {
        return Err(failed("the proxy runs already"));
    }
    existing.iter().for_each(|id| drop(at.machine.containers.remove(id)));
    for (backend, target) in routes {
        let file = BackendFile { backend: backend.clone(), active: Some(target.clone()) };
        at.machine.proxy.files.insert(backend.name.clone(), file);
    }
    for (backend, target) in routes {
        let answer = at.machine.answer_at(&target.address, target.port, at.now);
        if answer != Answer::Status(200) {
            let message = format!("what serves {} does not pass this proxy's health check: {answer:?}", backend.name);
            return Err(failed(message));
        }
    }
    let id = created(at, settings)?;
    at.machine.container_mut(&id).map_err(by_engine)?.restart = RestartPolicy::No;
    at.machine.proxy.container = Some(id.clone());
    Ok(id)
}

fn stand_down(at: &mut At<'_>, backends: &[BackendName]) -> Result<(), ProxyError> {
    if at.machine.proxy.runtime.is_some() {
        return Err(failed("the proxy runs and is not removed"));
    }
    if let Some(id) = at.machine.proxy.container.take() {
        at.machine.containers.remove(&id);
    }
    backends.iter().for_each(|name| drop(at.machine.proxy.files.remove(name)));
    Ok(())
}

/// Creates the proxy's container; its image is pulled if the host lacks it.
fn created(at: &mut At<'_>, settings: &ProxySettings) -> Result<ContainerId, ProxyError> {
    have_image(at, &settings.image)?;
    at.machine.create(container(settings), at.now).map_err(by_engine)
}

/// Writes a backend's file and reloads, unless it says so already.
fn set_route(at: &mut At<'_>, backend: &Backend) -> Result<(), ProxyError> {
    if at.machine.proxy.runtime.is_none() {
        return Err(not_running());
    }
    let old = at.machine.proxy.files.get(&backend.name);
    if old.is_some_and(|file| file.backend == *backend) {
        return Ok(());
    }
    let active = old.and_then(|file| file.active.clone());
    has_what_it_needs(at, backend)?;
    at.machine.proxy.files.insert(backend.name.clone(), BackendFile { backend: backend.clone(), active });
    reload(at);
    Ok(())
}

fn remove_route(at: &mut At<'_>, backend: &BackendName) -> Result<(), ProxyError> {
    if at.machine.proxy.files.remove(backend).is_some() && at.machine.proxy.runtime.is_some() {
        reload(at);
    }
    Ok(())
}

fn reload(at: &mut At<'_>) {
    at.machine.proxy.reloads += 1;
    at.machine.load_proxy_files(at.now);
}

fn slots<'m>(machine: &'m mut Machine, backend: &BackendName) -> Result<&'m mut Vec<Slot>, ProxyError> {
    let runtime = machine.proxy.runtime.as_mut().ok_or_else(not_running)?;
    runtime.get_mut(backend).ok_or_else(|| failed(format!("there is no backend {backend}")))
}

fn load(at: &mut At<'_>, backend: &BackendName, target: &Target) -> Result<(), ProxyError> {
    let now = at.now;
    let slots = slots(at.machine, backend)?;
    let free = || slots.iter().position(|slot| slot.occupant.is_none());
    let Some(n) = slots.iter().position(|slot| slot.holds(&target.container)).or_else(free) else {
        return Err(failed(format!("backend {backend} has no free slot")));
    };
    if slots[n].role != ServerRole::Ready {
        slots[n] = Slot::occupied(target.clone(), ServerRole::Drain, now);
    }
    Ok(())
}

fn check(at: &mut At<'_>, backend: &BackendName, target: &Target) -> Result<Probe, ProxyError> {
    let slots = slots(at.machine, backend)?;
    let not_loaded = || failed(format!("backend {backend} has no slot with {}", target.container.short()));
    let slot = slots.iter().find(|slot| slot.holds(&target.container)).ok_or_else(not_loaded)?;
    let same_address = slot.occupant.as_ref().is_some_and(|o| o.address == target.address && o.port == target.port);
    Ok(Probe { role: slot.role, healthy: same_address && slot.checks.passed(), answer: slot.checks.text() })
}

fn name_of(container: Option<&ContainerId>) -> String {
    container.map_or_else(|| "nothing".to_string(), |id| id.short().to_string())
}

/// File first, then the running proxy; both say the same when it returns.
fn switch(at: &mut At<'_>, backend: &BackendName, from: Option<&ContainerId>, to: &Target) -> Result<(), ProxyError> {
    slots(at.machine, backend)?;
    let found = at.machine.proxy.routed(backend);
    if found != from && found != Some(&to.container) {
        let (expected, found) = (name_of(from), name_of(found));
        return Err(ProxyError::Moved { backend: backend.clone(), expected, found });
    }
    if !slots(at.machine, backend)?.iter().any(|slot| slot.holds(&to.container)) {
        return Err(failed(format!("{} is not loaded in backend {backend}", to.container.short())));
    }
    if let Some(file) = at.machine.proxy.files.get_mut(backend) {
        file.active = Some(to.clone());
    }
    for slot in slots(at.machine, backend)? {
        if slot.holds(&to.container) {
            slot.role = ServerRole::Ready;
        } else if slot.role == ServerRole::Ready {
            slot.role = ServerRole::Drain;
        }
    }
    Ok(())
}

fn suspend(at: &mut At<'_>, backend: &BackendName, from: &ContainerId) -> Result<(), ProxyError> {
    slots(at.machine, backend)?;
    let found = at.machine.proxy.routed(backend);
    if found.is_some_and(|found| found != from) {
        let (expected, found) = (from.short().to_string(), name_of(found));
        return Err(ProxyError::Moved { backend: backend.clone(), expected, found });
    }
    if let Some(file) = at.machine.proxy.files.get_mut(backend) {
        file.active = None;
    }
    slots(at.machine, backend)?
        .iter_mut()
        .filter(|s| s.role == ServerRole::Ready)
        .for_each(|s| s.role = ServerRole::Drain);
    Ok(())
}

fn unload(at: &mut At<'_>, backend: &BackendName, container: &ContainerId) -> Result<(), ProxyError> {
    for slot in slots(at.machine, backend)?.iter_mut().filter(|slot| slot.holds(container)) {
        if slot.role == ServerRole::Ready {
            return Err(failed(format!("backend {backend} routes to {}", container.short())));
        }
        *slot = Slot::empty();
    }
    Ok(())
}

#[async_trait]
impl Proxy for SimProxy {
    async fn observe(&self) -> Result<ProxyState, ProxyError> {
        self.connection.call(reads("proxy.observe"), String::new(), |at| Ok(at.machine.proxy_state(at.now))).await
    }

    async fn boot(&self, settings: &ProxySettings) -> Result<(), ProxyError> {
        self.connection.call(mutates("proxy.boot"), settings.image.clone(), |at| boot(at, settings)).await
    }

    async fn replace(&self, settings: &ProxySettings, _grace: Duration) -> Result<Duration, ProxyError> {
        self.connection.call(mutates("proxy.replace"), settings.image.clone(), |at| replace(at, settings)).await
    }

    async fn remove(&self, keep_files: bool) -> Result<(), ProxyError> {
        self.connection.call(mutates("proxy.remove"), keep_files.to_string(), |at| remove(at, keep_files)).await
    }

    async fn put_file(
        &self,
        backend: &BackendName,
        file: &EdgeFile,
        _content: &Secret<String>,
    ) -> Result<(), ProxyError> {
        let put = |at: &mut At<'_>| {
            at.machine.proxy.edge_files.insert((backend.clone(), file.clone()));
            Ok(())
        };
        self.connection.call(mutates("proxy.put_file"), format!("{backend} {}", file.sha256), put).await
    }

    async fn forget_files(&self, backend: &BackendName, files: &[EdgeFile]) -> Result<(), ProxyError> {
        let forget = |at: &mut At<'_>| forget_files(at, backend, files);
        self.connection.call(mutates("proxy.forget_files"), backend.to_string(), forget).await
    }

    async fn stand_by(
        &self,
        settings: &ProxySettings,
        routes: &[(Backend, Target)],
        _deadline: Duration,
    ) -> Result<ContainerId, ProxyError> {
        let make = |at: &mut At<'_>| stand_by(at, settings, routes);
        self.connection.call(mutates("proxy.stand_by"), settings.image.clone(), make).await
    }

    async fn stand_down(&self, backends: &[BackendName]) -> Result<(), ProxyError> {
        let args = backends.iter().map(BackendName::as_str).collect::<Vec<_>>().join(" ");
        self.connection.call(mutates("proxy.stand_down"), args, |at| stand_down(at, backends)).await
    }

    async fn set_route(&self, backend: &Backend) -> Result<(), ProxyError> {
        self.connection.call(mutates("proxy.set_route"), backend.name.to_string(), |at| set_route(at, backend)).await
    }

    async fn remove_route(&self, backend: &BackendName) -> Result<(), ProxyError> {
        self.connection.call(mutates("proxy.remove_route"), backend.to_string(), |at| remove_route(at, backend)).await
    }

    async fn load(&self, backend: &BackendName, target: &Target) -> Result<(), ProxyError> {
        let args = format!("{backend} {}", target.container.short());
        self.connection.call(mutates("proxy.load"), args, |at| load(at, backend, target)).await
    }

    async fn check(&self, backend: &BackendName, target: &Target) -> Result<Probe, ProxyError> {
        let args = format!("{backend} {}", target.container.short());
        self.connection.call(reads("proxy.check"), args, |at| check(at, backend, target)).await
    }

    async fn switch(&self, backend: &BackendName, from: Option<&ContainerId>, to: &Target) -> Result<(), ProxyError> {
        let args = format!("{backend} {} {}", name_of(from), to.container.short());
        self.connection.call(mutates("proxy.switch"), args, |at| switch(at, backend, from, to)).await
    }

    async fn suspend(&self, backend: &BackendName, from: &ContainerId) -> Result<(), ProxyError> {
        let args = format!("{backend} {}", from.short());
        self.connection.call(mutates("proxy.suspend"), args, |at| suspend(at, backend, from)).await
    }

    async fn in_flight(&self, backend: &BackendName, container: &ContainerId) -> Result<u64, ProxyError> {
        let args = format!("{backend} {}", container.short());
        let count = |at: &mut At<'_>| {
            // Also of a backend that was removed: those that were on their way are still answered.
            Ok(at.machine.containers.get(container).map_or(0, |c| c.requests_in_flight(at.now)))
        };
        self.connection.call(reads("proxy.in_flight"), args, count).await
    }

    async fn unload(&self, backend: &BackendName, container: &ContainerId) -> Result<(), ProxyError> {
        let args = format!("{backend} {}", container.short());
        self.connection.call(mutates("proxy.unload"), args, |at| unload(at, backend, container)).await
    }
}
