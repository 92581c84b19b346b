//! An image from one host to another, through this machine's memory a piece at a time.

use crate::effect::Node;
use crate::event::Event;
use crate::execute::action::Means;
use crate::execute::host::{RunHost, StepError};
use crate::name::{Digest, HostName, ImageRef};
use futures::StreamExt;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long nothing may arrive from the source, or be taken in by the other side.
const SILENCE: Duration = Duration::from_secs(120);
/// Bytes between two words about the progress.
const REPORT_EVERY: u64 = 4 << 20;

/// An image on its way.
pub(super) struct Copying<'a> {
    pub(super) from: &'a HostName,
    pub(super) image: &'a Digest,
    pub(super) tag: &'a ImageRef,
    pub(super) size: u64,
}

/// Copies, proves that the image has arrived with the same id, and tags it.
///
/// It goes over connections of its own: on those that hold the leases it would stand in the way of their beats.
pub(super) async fn copy(means: &Means<'_>, host: &RunHost, copying: &Copying<'_>) -> Result<(), StepError> {
    let (source, target) = (bulk(means, copying.from)?, bulk(means, &host.node.name)?);
    let named = |error| StepError::Copy { from: copying.from.clone(), error };
    let archive = source.engine.save(copying.image.as_str()).await.map_err(named)?;
    let (told, updates) = mpsc::unbounded_channel();
    let counted = archive.inspect(move |piece| {
        if let Ok(piece) = piece {
            // Nobody listens any more only when the run has gone on.
            let _ = told.send(piece.len() as u64);
        }
    });
    let loading = async { Ok(target.engine.load(counted.boxed()).await?) };
    tokio::try_join!(loading, report(means, host, copying, updates))?;
    let engine = &host.node.engine;
    if engine.image(copying.image.as_str()).await?.is_none_or(|image| image.id != *copying.image) {
        let (tag, image) = (copying.tag, copying.image);
        return Err(StepError::Moved(format!("{tag} was copied, and the engine has no image {image} afterwards")));
    }
    Ok(engine.tag(copying.image.as_str(), copying.tag).await?)
}

fn bulk<'m>(means: &'m Means<'_>, host: &HostName) -> Result<&'m Node, StepError> {
    means.bulk.get(host).ok_or_else(|| StepError::Moved(format!("{host} has no connection for copying")))
}

/// Passes the progress on until the archive has been read to its end; the engine may then take its time to unpack it.
async fn report(
    means: &Means<'_>,
    host: &RunHost,
    copying: &Copying<'_>,
    mut updates: mpsc::UnboundedReceiver<u64>,
) -> Result<(), StepError> {
    let (mut current, mut said) = (0, 0);
    loop {
        tokio::select! {
            update = updates.recv() => match update {
                Some(bytes) => current += bytes,
                None => return Ok(()),
            },
            () = means.clock.sleep(SILENCE) => {
                return Err(StepError::CopyStalled { tag: copying.tag.clone(), from: copying.from.clone() });
            }
        }
        if current - said >= REPORT_EVERY {
            said = current;
            means.sink.emit(Event::Pulling {
                host: host.node.name.clone(),
                layer: format!("from {}", copying.from),
                status: "Copying".to_string(),
                current,
                total: copying.size.max(current),
            });
        }
    }
}
