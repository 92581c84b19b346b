//! Images as archives: out of one engine and into another.

use super::api::Api;
use super::error::failed;
use crate::effect::{Archive, EngineError};
use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use futures::StreamExt;
use serde_json::Value;
use std::io;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// The engine begins its answer to a load when it has taken everything in: as long as the slowest line needs.
const LOAD_DEADLINE: Duration = Duration::from_secs(6 * 3600);

/// The archive of one image.
pub(super) async fn save(docker: &Docker, api: &Api, image: &str) -> Result<Archive, EngineError> {
    let what = format!("read the image {image}");
    // bollard's stream cannot say "no such image" before its first item.
    api.get::<Value>(&what, &format!("/images/{image}/json")).await?;
    let pieces = docker.export_image(image);
    Ok(pieces.map(move |piece| piece.map_err(|e| io::Error::other(failed(&what, e).message))).boxed())
}

/// Loads an archive. The call runs in a task of its own, which ends with its caller.
pub(super) async fn load(docker: &Docker, archive: Archive) -> Result<(), EngineError> {
    let what = "load an image";
    let patient = docker.clone().with_timeout(LOAD_DEADLINE);
    let task = tokio::spawn(async move {
        let options = ImportImageOptions { quiet: true, ..Default::default() };
        let mut answers = std::pin::pin!(patient.import_image_stream(options, archive, None));
        while let Some(answer) = answers.next().await {
            answer.map_err(|e| failed(what, e))?;
        }
        Ok(())
    });
    let ended = AbortOnDropHandle::new(task).await;
    ended.unwrap_or_else(|e| Err(super::error::new(crate::effect::EngineErrorKind::Other, what, &e.to_string())))
}
