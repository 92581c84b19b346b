//! Two releases that serve one after the other share their assets: a page of the one may ask the other for its files.
//!
//! What an image has is read from a container that is made of it for that and never started; what a container lacks is
//! copied into it, over the engine's own archives. Retained containers keep what they got in the volume that goes with
//! them.

use crate::effect::{Archive, EngineError, EngineErrorKind, NewContainer};
use crate::execute::asset_archive::{Names, names, without};
use crate::execute::host::{NETWORK, RunHost, StepError};
use crate::fleet::Container;
use crate::name::ContainerId;
use crate::plan::Ref;
use crate::spec::{ContainerOptions, Logging, RestartPolicy};
use std::collections::BTreeMap;
use std::io;

/// Gives each of two containers what only the other one's image has below `path`.
pub(super) async fn share(
    host: &RunHost,
    incoming: &Ref,
    outgoing: &Ref,
    path: &str,
) -> Result<Option<String>, StepError> {
    let (new, old) = tokio::try_join!(host.inspect(incoming), host.inspect(outgoing))?;
    if new.image_id == old.image_id {
        return Ok(None);
    }
    let from_new = Source::of(host, &new).await?;
    let result = async {
        let from_old = match Source::of(host, &old).await {
            Ok(source) => source,
            Err(error) if error.kind == EngineErrorKind::NotFound => return Ok(Some(nothing(&old, path))),
            Err(error) => return Err(error.into()),
        };
        let result = between(host, (&from_new, &new), (&from_old, &old), path).await;
        from_old.remove(host).await;
        result
    };
    let result = result.await;
    from_new.remove(host).await;
    result
}

fn nothing(container: &Container, path: &str) -> String {
    format!("{} has nothing in {path} to share", container.name)
}

async fn between(
    host: &RunHost,
    (from_new, new): (&Source, &Container),
    (from_old, old): (&Source, &Container),
    path: &str,
) -> Result<Option<String>, StepError> {
    let fresh = from_new.archive(host, path).await.map_err(|error| missing(error, new, path))?;
    let theirs = match from_old.archive(host, path).await {
        Ok(archive) => names(archive).await.map_err(|e| broken(old, path, &e))?,
        Err(error) if error.kind == EngineErrorKind::NotFound => return Ok(Some(nothing(old, path))),
        Err(error) => return Err(error.into()),
    };
    // What serves may be mounted read-only there by whoever made it. It serves only until the switch.
    let (ours, note) = match copy(host, fresh, theirs, old, path).await {
        Ok(names) => (names, None),
        Err(StepError::Engine(error)) if error.kind != EngineErrorKind::Disconnected => {
            let names = names(from_new.archive(host, path).await?).await.map_err(|e| broken(new, path, &e))?;
            (names, Some(format!("{} did not get the new assets: {error}", old.name)))
        }
        Err(error) => return Err(error),
    };
    copy(host, from_old.archive(host, path).await?, ours, new, path).await?;
    Ok(note)
}

/// Copies what does not have one of these names. The answer is all names that there were.
async fn copy(host: &RunHost, from: Archive, not: Names, to: &Container, path: &str) -> Result<Names, StepError> {
    let (archive, all) = without(from, not);
    host.node.engine.copy_in(&to.id, path, archive).await?;
    all.await.map_err(|e| broken(to, path, &e))
}

fn broken(container: &Container, path: &str, error: &io::Error) -> StepError {
    StepError::Moved(format!("the assets in {path} of {}: {error}", container.name))
}

fn missing(error: EngineError, container: &Container, path: &str) -> StepError {
    match error.kind {
        EngineErrorKind::NotFound => {
            StepError::Moved(format!("asset_path: the image {} has no directory {path}", container.image))
        }
        _ => error.into(),
    }
}

/// A container that is never started: what its image has, and nothing that came later.
struct Source(ContainerId);

impl Source {
    async fn of(host: &RunHost, container: &Container) -> Result<Self, EngineError> {
        let engine = &host.node.engine;
        let name = format!("{}-assets", container.name);
        let wanted = NewContainer {
            name: name.clone(),
            image: container.image_id.to_string(),
            hostname: None,
            command: Some(vec!["never-started".to_string()]),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            network: NETWORK.to_string(),
            volumes: Vec::new(),
            options: ContainerOptions::default(),
            logging: Logging::default(),
            restart: RestartPolicy::No,
            stop_timeout: None,
            one_off: false,
        };
        match engine.create(&wanted).await {
            Err(error) if error.kind == EngineErrorKind::Conflict => {}
            other => return other.map(Self),
        }
        // Left by a run that was cut off: the lease is ours, so nobody uses it.
        let all = engine.list().await?;
        if let Some(left) = all.iter().find(|c| c.name == name && !c.running) {
            engine.remove(&left.id).await?;
        }
        engine.create(&wanted).await.map(Self)
    }

    async fn archive(&self, host: &RunHost, path: &str) -> Result<Archive, EngineError> {
        host.node.engine.copy_out(&self.0, &format!("{path}/.")).await
    }

    async fn remove(self, host: &RunHost) {
        if let Err(error) = host.node.engine.remove(&self.0).await {
            tracing::debug!(%error, "a container that assets were read from stays until the next deploy of its release");
        }
    }
}
