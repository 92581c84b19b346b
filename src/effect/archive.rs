//! Archives of one small file.

use crate::effect::Archive;
use bytes::Bytes;
use futures::StreamExt;
use std::io::{self, Read};

/// A file in an archive: its content, and what it needs to be written back as it was.
#[derive(Debug, Clone)]
pub struct ArchivedFile {
    /// Owner, mode, time.
    header: tar::Header,
    /// Its content.
    pub content: Vec<u8>,
}

impl ArchivedFile {
    /// The first file of an archive, which may be no longer than `limit` bytes.
    ///
    /// # Errors
    /// There is none, it is too long, or it could not be read.
    pub async fn read(mut archive: Archive, limit: usize) -> io::Result<Self> {
        let mut bytes = Vec::new();
        while let Some(piece) = archive.next().await {
            bytes.extend_from_slice(&piece?);
            // Headers and padding of the archive.
            if bytes.len() > limit + 4096 {
                return Err(io::Error::other(format!("it is longer than {limit} bytes")));
            }
        }
        let mut archive = tar::Archive::new(bytes.as_slice());
        for entry in archive.entries()? {
            let mut entry = entry?;
            if entry.header().entry_type().is_file() {
                let header = entry.header().clone();
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                return Ok(Self { header, content });
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "there is no file in the archive"))
    }

    /// An archive with this file under a name, with the owner and mode that it was read with.
    ///
    /// # Errors
    /// The name does not fit into an archive.
    pub fn pack(&self, name: &str) -> io::Result<Archive> {
        let mut header = self.header.clone();
        header.set_size(self.content.len() as u64);
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_data(&mut header, name, self.content.as_slice())?;
        let bytes = builder.into_inner()?;
        Ok(futures::stream::iter([Ok(Bytes::from(bytes))]).boxed())
    }
}
