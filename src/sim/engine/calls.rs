//! The calls of [`Engine`].

use super::{archive, image_archive, logs, processes};
use crate::effect::{
    Archive, Engine, EngineError, EngineErrorKind, ExecCommand, LogLine, LogsRequest, NewContainer, Process,
    PullProgress, RegistryLogin, ResolvedImage, Volume, WindowSize,
};
use crate::fleet::{Container, ContainerBrief, EngineInfo, Image};
use crate::name::{ContainerId, ImageRef};
use crate::secret::Secret;
use crate::sim::call::{At, Method, SimConnection, mutates, reads};
use crate::sim::life::error;
use crate::spec::RestartPolicy;
use async_trait::async_trait;
use futures::stream::BoxStream;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;

/// The first third part of an address that networks made by hand get.
const FIRST_NETWORK: u8 = 10;

/// The engine side of a connection.
#[derive(Debug, Clone)]
pub struct SimEngine {
    pub(in crate::sim) connection: SimConnection,
}

impl SimEngine {
    async fn call<T>(
        &self,
        method: Method,
        args: impl Into<String>,
        effect: impl FnOnce(&mut At<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.connection.call(method, args.into(), |at| if_up(at, effect)).await
    }
}

fn if_up<T>(at: &mut At<'_>, effect: impl FnOnce(&mut At<'_>) -> Result<T, EngineError>) -> Result<T, EngineError> {
    if !at.machine.engine_runs() {
        return Err(error(EngineErrorKind::Disconnected, "the engine does not answer on its socket"));
    }
    effect(at)
}

fn info(at: &mut At<'_>) -> EngineInfo {
    EngineInfo {
        version: at.machine.facts.engine_version.clone(),
        api_version: "1.41".to_string(),
        arch: at.machine.facts.arch.clone(),
        rootless: false,
        root_dir: "/var/lib/docker".to_string(),
    }
}

fn create_like(at: &mut At<'_>, original: &ContainerId, name: &str) -> Result<ContainerId, EngineError> {
    let original = at.machine.container(original)?;
    let image = original.image_id.clone();
    let wanted = NewContainer { name: name.to_string(), restart: original.restart, ..original.made_from.clone() };
    let text = wanted.image.clone();
    let id = at.machine.create(NewContainer { image: image.to_string(), ..wanted }, at.now)?;
    at.machine.container_mut(&id)?.made_from.image = text;
    Ok(id)
}

fn remove(at: &mut At<'_>, id: &ContainerId) -> Result<(), EngineError> {
    let running = at.machine.containers.get(id).is_some_and(|container| container.is_running());
    if running {
        let message = format!("cannot remove container {}: it is running", id.short());
        return Err(error(EngineErrorKind::Conflict, message));
    }
    at.machine.containers.remove(id);
    Ok(())
}

fn environment(at: &mut At<'_>, id: &ContainerId) -> Result<BTreeMap<String, Secret<String>>, EngineError> {
    let container = at.machine.container(id)?;
    let image = container.behaviour.env.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone())));
    Ok(image.chain(container.made_from.env.clone()).collect())
}

fn resolve(at: &mut At<'_>, image: &ImageRef, login: Option<&RegistryLogin>) -> Result<ResolvedImage, EngineError> {
    let content = at.registry.find(image, login)?;
    Ok(ResolvedImage { digest: content.index.clone(), platforms: vec![format!("linux/{}", at.machine.facts.arch)] })
}

fn create_network(at: &mut At<'_>, name: &str) -> Result<(), EngineError> {
    let next =
        at.machine.networks.values().max().map_or(FIRST_NETWORK, |last| FIRST_NETWORK.max(last.saturating_add(1)));
    at.machine.networks.entry(name.to_string()).or_insert(next);
    Ok(())
}

fn to_whom(image: &ImageRef, login: Option<&RegistryLogin>) -> String {
    let server = login.map(|login| login.server.as_deref().unwrap_or("docker.io"));
    server.map_or_else(|| image.to_string(), |server| format!("{image} login={server}"))
}

#[async_trait]
impl Engine for SimEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        self.call(reads("engine.info"), "", |at| Ok(info(at))).await
    }

    async fn list(&self) -> Result<Vec<ContainerBrief>, EngineError> {
        self.call(reads("engine.list"), "", |at| Ok(at.machine.containers.values().map(|c| c.brief()).collect())).await
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Container, EngineError> {
        self.call(reads("engine.inspect"), id.short(), |at| Ok(at.machine.container(id)?.inspected(at.now))).await
    }

    async fn create(&self, container: &NewContainer) -> Result<ContainerId, EngineError> {
        let args = format!("{} {}", container.name, container.image);
        self.call(mutates("engine.create"), args, |at| at.machine.create(container.clone(), at.now)).await
    }

    async fn create_like(&self, original: &ContainerId, name: &str) -> Result<ContainerId, EngineError> {
        let args = format!("{} {name}", original.short());
        self.call(mutates("engine.create_like"), args, |at| create_like(at, original, name)).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.call(mutates("engine.start"), id.short(), |at| at.machine.start(id, at.now)).await
    }

    async fn stop(&self, id: &ContainerId, timeout: Option<u32>) -> Result<(), EngineError> {
        let begin = |at: &mut At<'_>| at.machine.begin_stop(id, timeout, at.now);
        let ended = self.call(mutates("engine.stop"), id.short(), begin).await?;
        self.connection.finish(ended, |_| Ok(())).await
    }

    async fn set_restart(&self, id: &ContainerId, policy: RestartPolicy) -> Result<(), EngineError> {
        let set = |at: &mut At<'_>| at.machine.container_mut(id).map(|container| container.restart = policy);
        self.call(mutates("engine.set_restart"), format!("{} {policy}", id.short()), set).await
    }

    async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError> {
        let send = |at: &mut At<'_>| at.machine.signal(id, signal, at.now);
        self.call(mutates("engine.kill"), format!("{} {signal}", id.short()), send).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.call(mutates("engine.remove"), id.short(), |at| remove(at, id)).await
    }

    async fn copy_out(&self, id: &ContainerId, path: &str) -> Result<Archive, EngineError> {
        let read = |at: &mut At<'_>| archive::pack(at.machine.container(id)?, path);
        self.call(reads("engine.copy_out"), format!("{} {path}", id.short()), read).await
    }

    async fn copy_in(&self, id: &ContainerId, directory: &str, archive: Archive) -> Result<(), EngineError> {
        let content = archive::read(archive).await?;
        let write = |at: &mut At<'_>| archive::unpack(at.machine.container_mut(id)?, directory, &content);
        self.call(mutates("engine.copy_in"), format!("{} {directory}", id.short()), write).await
    }

    async fn environment(&self, id: &ContainerId) -> Result<BTreeMap<String, Secret<String>>, EngineError> {
        self.call(reads("engine.environment"), id.short(), |at| environment(at, id)).await
    }

    async fn logs(
        &self,
        id: &ContainerId,
        request: LogsRequest,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError> {
        let connection = self.connection.clone();
        let open = |at: &mut At<'_>| Ok(logs::stream(connection, at.machine.container(id)?, request));
        self.call(reads("engine.logs"), id.short(), open).await
    }

    async fn exec(&self, id: &ContainerId, command: &ExecCommand) -> Result<Process, EngineError> {
        let connection = self.connection.clone();
        let args = format!("{} {}", id.short(), command.words.join(" "));
        self.call(mutates("engine.exec"), args, |at| processes::exec(at, connection, id, command)).await
    }

    async fn exec_detached(&self, id: &ContainerId, command: &ExecCommand) -> Result<(), EngineError> {
        let args = format!("{} {}", id.short(), command.words.join(" "));
        self.call(mutates("engine.exec_detached"), args, |at| processes::exec_detached(at, id)).await
    }

    async fn start_attached(&self, id: &ContainerId, terminal: Option<WindowSize>) -> Result<Process, EngineError> {
        let connection = self.connection.clone();
        let start = |at: &mut At<'_>| processes::start_attached(at, connection, id, terminal);
        self.call(mutates("engine.start_attached"), id.short(), start).await
    }

    async fn resolve(&self, image: &ImageRef, login: Option<&RegistryLogin>) -> Result<ResolvedImage, EngineError> {
        self.call(reads("engine.resolve"), to_whom(image, login), |at| resolve(at, image, login)).await
    }

    async fn pull(
        &self,
        image: &ImageRef,
        login: Option<&RegistryLogin>,
        progress: mpsc::UnboundedSender<PullProgress>,
    ) -> Result<(), EngineError> {
        let begin = |at: &mut At<'_>| {
            let content = at.registry.find(image, login)?.clone();
            Ok((content, at.now + at.registry.pull_time))
        };
        let (content, done_at) = self.call(mutates("engine.pull"), to_whom(image, login), begin).await?;
        let total = content.behaviour.size;
        let report = |status: &str, current| {
            // Nobody has to listen.
            let _ = progress.send(PullProgress { layer: String::new(), status: status.to_string(), current, total });
        };
        report("Downloading", 0);
        let arrive = |at: &mut At<'_>| {
            if_up(at, |at| {
                at.machine.add_image(image, content);
                Ok(())
            })
        };
        self.connection.finish(done_at, arrive).await?;
        report("Pull complete", total);
        Ok(())
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        self.call(reads("engine.image"), reference, |at| Ok(at.machine.image(reference))).await
    }

    async fn images(&self) -> Result<Vec<Image>, EngineError> {
        self.call(reads("engine.images"), "", |at| Ok(at.machine.all_images())).await
    }

    async fn tag(&self, image: &str, as_reference: &ImageRef) -> Result<(), EngineError> {
        let args = format!("{image} {as_reference}");
        self.call(mutates("engine.tag"), args, |at| at.machine.tag_image(image, as_reference)).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), EngineError> {
        self.call(mutates("engine.remove_image"), reference, |at| at.machine.remove_image(reference)).await
    }

    async fn save(&self, image: &str) -> Result<Archive, EngineError> {
        let connection = self.connection.clone();
        self.call(reads("engine.save"), image, |at| image_archive::save(connection, at, image)).await
    }

    async fn load(&self, archive: Archive) -> Result<(), EngineError> {
        let sent = image_archive::Sent::read(archive).await?;
        let begin = |at: &mut At<'_>| Ok((sent.content(at)?, at.now + at.registry.pull_time));
        let (content, done_at) = self.call(mutates("engine.load"), sent.id(), begin).await?;
        let arrive = |at: &mut At<'_>| {
            if_up(at, |at| {
                at.machine.take_image(content);
                Ok(())
            })
        };
        self.connection.finish(done_at, arrive).await
    }

    async fn networks(&self) -> Result<BTreeSet<String>, EngineError> {
        self.call(reads("engine.networks"), "", |at| Ok(at.machine.networks.keys().cloned().collect())).await
    }

    async fn create_network(&self, name: &str) -> Result<(), EngineError> {
        self.call(mutates("engine.create_network"), name, |at| create_network(at, name)).await
    }

    async fn volume(&self, name: &str) -> Result<Option<Volume>, EngineError> {
        let found = |at: &mut At<'_>| {
            let labels = at.machine.volumes.get(name).cloned();
            Ok(labels.map(|labels| Volume { name: name.to_string(), labels }))
        };
        self.call(reads("engine.volume"), name, found).await
    }

    async fn create_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), EngineError> {
        let create = |at: &mut At<'_>| {
            at.machine.volumes.entry(name.to_string()).or_insert_with(|| labels.clone());
            Ok(())
        };
        self.call(mutates("engine.create_volume"), name, create).await
    }
}
