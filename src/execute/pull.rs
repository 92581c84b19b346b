//! Bringing an image onto a host.

use crate::effect::PullProgress;
use crate::execute::action::Means;
use crate::execute::host::{RunHost, StepError};
use crate::name::ImageRef;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long an engine may say nothing of a pull. It reports every layer as it arrives and is unpacked, and its own
/// retries too; a registry that takes a request and never answers is not waited for longer than this.
const SILENCE: Duration = Duration::from_secs(120);

/// Pulls by digest, proves that the image is there, and tags it. An image named by its digest alone gets no tag.
pub(super) async fn pull(means: &Means<'_>, host: &RunHost, image: &ImageRef, tag: &ImageRef) -> Result<(), StepError> {
    let (progress, updates) = mpsc::unbounded_channel::<PullProgress>();
    let login = means.login.filter(|login| login.server.as_deref() == image.repository.registry());
    let pulling = async { Ok(host.node.engine.pull(image, login, progress).await?) };
    tokio::try_join!(pulling, report(means, host, image, updates))?;
    let Some(present) = host.node.engine.image(&image.to_string()).await? else {
        return Err(StepError::Moved(format!("the engine pulled {image} without an error, and does not have it")));
    };
    match tag.tag {
        Some(_) => Ok(host.node.engine.tag(present.id.as_str(), tag).await?),
        None => Ok(()),
    }
}

/// Passes the progress on until the pull has ended.
async fn report(
    means: &Means<'_>,
    host: &RunHost,
    image: &ImageRef,
    mut updates: mpsc::UnboundedReceiver<PullProgress>,
) -> Result<(), StepError> {
    loop {
        tokio::select! {
            update = updates.recv() => match update {
                Some(update) => means.sink.emit((&host.node.name, update).into()),
                None => return Ok(()),
            },
            () = means.clock.sleep(SILENCE) => return Err(StepError::Stalled(image.clone())),
        }
    }
}
