//! Images as archives: a line that says which, and as many bytes as the image has.

use super::images::no_such_image;
use crate::effect::{Archive, EngineError, EngineErrorKind};
use crate::name::Digest;
use crate::sim::call::{At, SimConnection};
use crate::sim::life::error;
use crate::sim::registry::Content;
use bytes::Bytes;
use futures::stream::{self, StreamExt};

/// Bytes of a piece.
const PIECE: u64 = 1 << 20;

/// The archive of an image, for as long as the connection it is read on lives.
pub(super) fn save(connection: SimConnection, at: &mut At<'_>, image: &str) -> Result<Archive, EngineError> {
    let id = at.machine.find_image(image).ok_or_else(|| no_such_image(image))?;
    let size = at.registry.built(&id).map_or(0, |content| content.behaviour.size);
    let pieces = (0..size.div_ceil(PIECE)).map(move |i| zeros(PIECE.min(size - i * PIECE)));
    let all = std::iter::once(Bytes::from(format!("{id}\n"))).chain(pieces);
    let read = move |piece| {
        let broken =
            connection.look(|machine, _| machine.generation != connection.generation || !machine.engine_runs());
        let lost = || std::io::Error::other("the connection was lost while the image was read");
        if broken { Err(lost()) } else { Ok(piece) }
    };
    Ok(stream::iter(all).map(read).boxed())
}

fn zeros(length: u64) -> Bytes {
    Bytes::from(vec![0; usize::try_from(length).unwrap_or_default()])
}

/// What was sent to a load.
pub(super) struct Sent {
    id: String,
    length: u64,
}

impl Sent {
    /// Reads an archive to its end. An error of its source is an error of the load.
    pub(super) async fn read(mut archive: Archive) -> Result<Self, EngineError> {
        let (mut head, mut length) = (Vec::new(), 0);
        while let Some(piece) = archive.next().await {
            let piece = piece.map_err(|e| error(EngineErrorKind::Other, format!("load an image: {e}")))?;
            let rest = match head.ends_with(b"\n") {
                true => &piece[..],
                false => {
                    let end = piece.iter().position(|b| *b == b'\n').map_or(piece.len(), |at| at + 1);
                    head.extend_from_slice(&piece[..end]);
                    &piece[end..]
                }
            };
            length += rest.len() as u64;
        }
        Ok(Self { id: String::from_utf8_lossy(&head).trim_end().to_string(), length })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The content that it holds, if it is whole.
    pub(super) fn content(&self, at: &mut At<'_>) -> Result<Content, EngineError> {
        let id: Option<Digest> = self.id.parse().ok();
        let content = id.and_then(|id| at.registry.built(&id).cloned());
        let whole = content.filter(|content| content.behaviour.size == self.length);
        whole.ok_or_else(|| error(EngineErrorKind::Other, "load an image: unexpected EOF"))
    }
}
