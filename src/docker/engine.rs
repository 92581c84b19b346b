//! `effect::Engine` over the Docker Engine API.

use super::answers::{ImageAnswer, InfoAnswer, Inspected, Listed, VersionAnswer};
use super::api::Api;
use super::copy;
use super::create::{create_body, restart_policy};
use super::error::{failed, new};
use super::transport::{Dial, connect};
use super::{archive, image_archive, lines, network, process, registry};
use crate::effect::{
    Archive, ConnectError, ConnectErrorKind, Engine, EngineError, EngineErrorKind, ExecCommand, LogLine, LogsRequest,
    NewContainer, Process, PullProgress, RegistryLogin, ResolvedImage, Volume, WindowSize,
};
use crate::fleet::{Container, ContainerBrief, EngineInfo, Image};
use crate::name::{ContainerId, ImageRef};
use crate::secret::Secret;
use crate::spec::RestartPolicy;
use async_trait::async_trait;
use bollard::Docker;
use bollard::models::ContainerUpdateBody;
use bollard::query_parameters as query;
use futures::stream::BoxStream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Docker 20.10: the oldest that windlass is tested with.
const OLDEST_API: (u32, u32) = (1, 41);

/// The engine answers a stop when the container has stopped, which takes as long as its own timeout.
const STOP_DEADLINE: Duration = Duration::from_secs(3600);

/// The engine at the other end of a dialer.
#[derive(Clone)]
pub struct DockerEngine {
    docker: Docker,
    api: Api,
    /// For output without an end, so that it holds up nothing else.
    aside: Option<Docker>,
}

impl DockerEngine {
    /// Asks the engine what it is.
    ///
    /// # Errors
    /// It does not answer, or it is too old.
    pub async fn connect(dial: Arc<dyn Dial>) -> Result<(Self, EngineInfo), ConnectError> {
        let (docker, send) = connect(dial).map_err(no_transport)?;
        let engine = Self { docker, api: Api(send), aside: None };
        let info = engine.info().await.map_err(|e| ConnectError {
            kind: ConnectErrorKind::NoEngine,
            message: e.message,
            hint: Some("does the engine's daemon run? (systemctl status docker)".to_string()),
        })?;
        recent_enough(&info)?;
        Ok((engine, info))
    }

    /// Reads followed and unlimited output over streams of this dialer instead.
    ///
    /// # Errors
    /// None that the first dialer did not have.
    pub fn with_aside(self, dial: Arc<dyn Dial>) -> Result<Self, ConnectError> {
        let (docker, _) = connect(dial).map_err(no_transport)?;
        Ok(Self { aside: Some(docker), ..self })
    }
}

fn no_transport(e: bollard::errors::Error) -> ConnectError {
    ConnectError { kind: ConnectErrorKind::Other, message: failed("connect to the engine", e).message, hint: None }
}

/// An API version that cannot be read is let through: the first call that it lacks says so.
fn recent_enough(info: &EngineInfo) -> Result<(), ConnectError> {
    let version = info.api_version.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    match version {
        Some(version) if version < OLDEST_API => Err(ConnectError {
            kind: ConnectErrorKind::EngineTooOld,
            message: format!("its engine {} is too old (API {}, windlass needs 1.41)", info.version, info.api_version),
            hint: Some("update it to Docker 20.10 or newer".to_string()),
        }),
        _ => Ok(()),
    }
}

#[async_trait]
impl Engine for DockerEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        let what = "ask the engine what it is";
        let (version, info) = tokio::try_join!(
            self.api.get::<VersionAnswer>(what, "/version"),
            self.api.get::<InfoAnswer>(what, "/info")
        )?;
        Ok(EngineInfo {
            version: version.version,
            api_version: version.api_version,
            arch: version.arch,
            rootless: info.security_options.unwrap_or_default().iter().any(|o| o.contains("name=rootless")),
            root_dir: info.docker_root_dir,
        })
    }

    async fn list(&self) -> Result<Vec<ContainerBrief>, EngineError> {
        let listed: Vec<Listed> = self.api.get("list containers", "/containers/json?all=true").await?;
        Ok(listed.into_iter().filter_map(Listed::brief).collect())
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Container, EngineError> {
        let what = format!("inspect container {}", id.short());
        let answer: Inspected = self.api.get(&what, &format!("/containers/{id}/json")).await?;
        answer.container().map_err(|e| new(EngineErrorKind::Other, &what, &format!("unexpected answer: {e}")))
    }

    async fn create(&self, container: &NewContainer) -> Result<ContainerId, EngineError> {
        let what = format!("create container {}", container.name);
        let options = query::CreateContainerOptions { name: Some(container.name.clone()), ..Default::default() };
        let answer = self.docker.create_container(Some(options), create_body(container)).await;
        let id = answer.map_err(|e| failed(&what, e))?.id;
        let id: ContainerId =
            id.parse().map_err(|e| new(EngineErrorKind::Other, &what, &format!("unexpected answer: {e}")))?;
        match network::join(&self.api, &what, &id, &container.options.network).await {
            Ok(()) => Ok(id),
            Err(error) => {
                // Half a container would take its name.
                self.remove(&id).await.ok();
                Err(error)
            }
        }
    }

    async fn create_like(&self, original: &ContainerId, name: &str) -> Result<ContainerId, EngineError> {
        copy::create_like(&self.api, original, name).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        let call = self.docker.start_container(id.as_str(), None::<query::StartContainerOptions>);
        call.await.map_err(|e| failed(&format!("start container {}", id.short()), e))
    }

    async fn stop(&self, id: &ContainerId, timeout: Option<u32>) -> Result<(), EngineError> {
        let t = timeout.map(|t| i32::try_from(t).unwrap_or(i32::MAX));
        let options = query::StopContainerOptions { t, ..Default::default() };
        let patient = self.docker.clone().with_timeout(STOP_DEADLINE);
        let call = patient.stop_container(id.as_str(), Some(options));
        call.await.map_err(|e| failed(&format!("stop container {}", id.short()), e))
    }

    async fn set_restart(&self, id: &ContainerId, policy: RestartPolicy) -> Result<(), EngineError> {
        let body = ContainerUpdateBody { restart_policy: Some(restart_policy(policy)), ..Default::default() };
        let call = self.docker.update_container(id.as_str(), body);
        call.await.map(drop).map_err(|e| failed(&format!("set the restart policy of container {}", id.short()), e))
    }

    async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError> {
        let options = query::KillContainerOptions { signal: signal.to_string() };
        let call = self.docker.kill_container(id.as_str(), Some(options));
        call.await.map_err(|e| failed(&format!("send {signal} to container {}", id.short()), e))
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let options = query::RemoveContainerOptions { v: true, force: false, link: false };
        let call = self.docker.remove_container(id.as_str(), Some(options));
        let result = call.await.map_err(|e| failed(&format!("remove container {}", id.short()), e));
        gone_is_fine(result)
    }

    async fn copy_out(&self, id: &ContainerId, path: &str) -> Result<Archive, EngineError> {
        archive::copy_out(&self.docker, id, path).await
    }

    async fn copy_in(&self, id: &ContainerId, directory: &str, archive: Archive) -> Result<(), EngineError> {
        archive::copy_in(&self.docker, id, directory, archive).await
    }

    async fn environment(&self, id: &ContainerId) -> Result<BTreeMap<String, Secret<String>>, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            config: Config,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            env: Option<Vec<String>>,
        }
        let what = format!("read the environment of container {}", id.short());
        let answer: Answer = self.api.get(&what, &format!("/containers/{id}/json")).await?;
        let split = |line: String| match line.split_once('=') {
            Some((name, value)) => (name.to_string(), Secret::new(value.to_string())),
            None => (line, Secret::new(String::new())),
        };
        Ok(answer.config.env.unwrap_or_default().into_iter().map(split).collect())
    }

    async fn logs(
        &self,
        id: &ContainerId,
        request: LogsRequest,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError> {
        let what = format!("read the output of container {}", id.short());
        // bollard's stream cannot say "no such container" before its first item.
        self.api.get::<Value>(&what, &format!("/containers/{id}/json")).await?;
        let since = request.since.map_or(0, |t| i32::try_from(t.as_second()).unwrap_or(i32::MAX));
        let options = query::LogsOptions {
            follow: request.follow,
            stdout: true,
            stderr: true,
            since,
            until: 0,
            timestamps: request.timestamps,
            tail: request.tail.map_or("all".to_string(), |n| n.to_string()),
        };
        let endless = request.follow || request.tail.is_none();
        let docker = self.aside.as_ref().filter(|_| endless).unwrap_or(&self.docker);
        Ok(lines::drain(docker.logs(id.as_str(), Some(options)), what, request.timestamps))
    }

    async fn exec(&self, id: &ContainerId, command: &ExecCommand) -> Result<Process, EngineError> {
        process::exec(&self.api, id, command).await
    }

    async fn exec_detached(&self, id: &ContainerId, command: &ExecCommand) -> Result<(), EngineError> {
        process::exec_detached(&self.api, id, command).await
    }

    async fn start_attached(&self, id: &ContainerId, terminal: Option<WindowSize>) -> Result<Process, EngineError> {
        process::start_attached(&self.api, id, terminal).await
    }

    async fn resolve(&self, image: &ImageRef, login: Option<&RegistryLogin>) -> Result<ResolvedImage, EngineError> {
        registry::resolve(&self.docker, image, login).await
    }

    async fn pull(
        &self,
        image: &ImageRef,
        login: Option<&RegistryLogin>,
        progress: mpsc::UnboundedSender<PullProgress>,
    ) -> Result<(), EngineError> {
        registry::pull(&self.docker, image, login, progress).await
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let what = format!("inspect image {reference}");
        let answer: Option<ImageAnswer> = self.api.find(&what, &format!("/images/{reference}/json")).await?;
        Ok(answer.and_then(ImageAnswer::image))
    }

    async fn images(&self) -> Result<Vec<Image>, EngineError> {
        let answers: Vec<ImageAnswer> = self.api.get("list images", "/images/json").await?;
        Ok(answers.into_iter().filter_map(ImageAnswer::image).collect())
    }

    async fn tag(&self, image: &str, as_reference: &ImageRef) -> Result<(), EngineError> {
        let options = query::TagImageOptions {
            repo: Some(as_reference.repository.to_string()),
            tag: as_reference.tag.as_ref().map(ToString::to_string),
        };
        let call = self.docker.tag_image(image, Some(options));
        call.await.map_err(|e| failed(&format!("tag image {image} as {as_reference}"), e))
    }

    async fn remove_image(&self, reference: &str) -> Result<(), EngineError> {
        let options = query::RemoveImageOptions { force: false, noprune: false, platforms: None };
        let call = self.docker.remove_image(reference, Some(options), None);
        let result = call.await.map(drop).map_err(|e| failed(&format!("remove image {reference}"), e));
        gone_is_fine(result)
    }

    async fn save(&self, image: &str) -> Result<Archive, EngineError> {
        image_archive::save(&self.docker, &self.api, image).await
    }

    async fn load(&self, archive: Archive) -> Result<(), EngineError> {
        image_archive::load(&self.docker, archive).await
    }

    async fn networks(&self) -> Result<BTreeSet<String>, EngineError> {
        let networks: Vec<Named> = self.api.get("list networks", "/networks").await?;
        Ok(networks.into_iter().map(|n| n.name).collect())
    }

    async fn create_network(&self, name: &str) -> Result<(), EngineError> {
        network::create(&self.api, name).await
    }

    async fn volume(&self, name: &str) -> Result<Option<Volume>, EngineError> {
        let answer: Option<Named> =
            self.api.find(&format!("inspect volume {name}"), &format!("/volumes/{name}")).await?;
        Ok(answer.map(|v| Volume { name: v.name, labels: v.labels.unwrap_or_default() }))
    }

    async fn create_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), EngineError> {
        let body = json!({ "Name": name, "Labels": labels });
        self.api.post(&format!("create volume {name}"), "/volumes/create", &body).await.map(drop)
    }
}

/// A network or a volume.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
    labels: Option<BTreeMap<String, String>>,
}

fn gone_is_fine(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(e) if e.kind == EngineErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_engines_are_refused() {
        let info = |api: &str| EngineInfo {
            version: "19.03.15".into(),
            api_version: api.into(),
            arch: "amd64".into(),
            rootless: false,
            root_dir: "/".into(),
        };
        for (api, fine) in
            [("1.40", false), ("1.41", true), ("1.53", true), ("2.0", true), ("odd", true), ("1.9", false)]
        {
            assert_eq!(recent_enough(&info(api)).is_ok(), fine, "{api}");
        }
        let error = recent_enough(&info("1.40")).unwrap_err();
        assert_eq!(error.kind, ConnectErrorKind::EngineTooOld);
    }
}
