//! Calls in which the engine talks to a registry.

use super::error::{new, registry_failed};
use crate::effect::{EngineError, EngineErrorKind, PullProgress, RegistryLogin, ResolvedImage};
use crate::name::ImageRef;
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptions;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// The server name under which Docker keeps its own registry's credentials.
const DEFAULT_REGISTRY: &str = "https://index.docker.io/v1/";

fn credentials(login: Option<&RegistryLogin>) -> Option<DockerCredentials> {
    login.map(|login| DockerCredentials {
        username: Some(login.username.expose().clone()),
        password: Some(login.password.expose().clone()),
        serveraddress: Some(login.server.clone().unwrap_or_else(|| DEFAULT_REGISTRY.to_string())),
        ..Default::default()
    })
}

/// The digest that a reference has in its registry right now.
pub(super) async fn resolve(
    docker: &Docker,
    image: &ImageRef,
    login: Option<&RegistryLogin>,
) -> Result<ResolvedImage, EngineError> {
    let what = format!("look up {image}");
    let answer = docker.inspect_registry_image(&image.to_string(), credentials(login)).await;
    let answer = answer.map_err(|e| registry_failed(&what, e))?;
    let digest = answer.descriptor.digest.unwrap_or_default();
    let digest =
        digest.parse().map_err(|e| new(EngineErrorKind::Registry, &what, &format!("unexpected answer: {e}")))?;
    let platform = |p: &bollard::models::OciPlatform| {
        let parts = [&p.os, &p.architecture, &p.variant];
        parts.into_iter().flatten().filter(|s| !s.is_empty()).cloned().collect::<Vec<_>>().join("/")
    };
    let mut platforms: Vec<String> = answer.platforms.iter().map(platform).filter(|p| !p.is_empty()).collect();
    platforms.sort();
    platforms.dedup();
    Ok(ResolvedImage { digest, platforms })
}

/// Pulls. The stream is read in a task of its own, see [`super::lines::drain`]; it ends with its caller.
pub(super) async fn pull(
    docker: &Docker,
    image: &ImageRef,
    login: Option<&RegistryLogin>,
    progress: mpsc::UnboundedSender<PullProgress>,
) -> Result<(), EngineError> {
    let what = format!("pull {image}");
    // Without a tag or a digest the engine would pull every tag of the repository.
    if image.tag.is_none() && image.digest.is_none() {
        return Err(new(EngineErrorKind::Other, &what, "neither a tag nor a digest"));
    }
    let (docker, credentials, reference) = (docker.clone(), credentials(login), image.to_string());
    let task = tokio::spawn(async move {
        let options = CreateImageOptions { from_image: Some(reference), ..Default::default() };
        let mut stream = docker.create_image(Some(options), None, credentials);
        while let Some(item) = stream.next().await {
            let item = item.map_err(|e| registry_failed(&what, e))?;
            // Nobody may be watching.
            let _ = progress.send(event(item));
        }
        Ok(())
    });
    AbortOnDropHandle::new(task).await.unwrap_or_else(|e| Err(new(EngineErrorKind::Other, "pull", &e.to_string())))
}

fn event(info: CreateImageInfo) -> PullProgress {
    let detail = info.progress_detail.unwrap_or_default();
    let bytes = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    PullProgress {
        layer: info.id.unwrap_or_default(),
        status: info.status.unwrap_or_default(),
        current: bytes(detail.current),
        total: bytes(detail.total),
    }
}
