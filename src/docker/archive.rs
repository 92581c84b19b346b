//! Files in and out of containers, as tar archives.

use super::error::failed;
use crate::effect::{Archive, EngineError};
use crate::name::ContainerId;
use bollard::query_parameters::{DownloadFromContainerOptions, UploadToContainerOptions};
use bollard::{Docker, body_try_stream};
use futures::StreamExt;
use std::io;
use std::time::Duration;

/// The engine answers an upload when it has unpacked all of it.
const DEADLINE: Duration = Duration::from_secs(1800);

/// The first piece is waited for: with it comes whether there is such a path.
pub(super) async fn copy_out(docker: &Docker, id: &ContainerId, path: &str) -> Result<Archive, EngineError> {
    let what = format!("read {path} of container {}", id.short());
    let options = DownloadFromContainerOptions { path: path.to_string() };
    let mut stream = Box::pin(docker.download_from_container(id.as_str(), Some(options)));
    let first = stream.next().await.transpose().map_err(|e| failed(&what, e))?;
    let rest = stream.map(move |piece| piece.map_err(|e| io::Error::other(failed(&what, e).message)));
    Ok(futures::stream::iter(first.map(Ok)).chain(rest).boxed())
}

pub(super) async fn copy_in(
    docker: &Docker,
    id: &ContainerId,
    directory: &str,
    archive: Archive,
) -> Result<(), EngineError> {
    let what = format!("write to {directory} of container {}", id.short());
    let options = UploadToContainerOptions { path: directory.to_string(), ..Default::default() };
    let patient = docker.clone().with_timeout(DEADLINE);
    let call = patient.upload_to_container(id.as_str(), Some(options), body_try_stream(archive));
    call.await.map_err(|e| failed(&what, e))
}
