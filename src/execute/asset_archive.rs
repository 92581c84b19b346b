//! What an archive holds, and an archive without a part of another: as it goes by, whatever its size.

use crate::effect::Archive;
use futures::StreamExt;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

/// Bytes between the two ends of a filter.
const BUFFER: usize = 256 << 10;

/// The names in an archive.
pub(super) type Names = BTreeSet<PathBuf>;

/// Reads an archive to its end.
pub(super) async fn names(archive: Archive) -> io::Result<Names> {
    joined(tokio::task::spawn_blocking(move || walk(archive, &Names::new(), None))).await
}

/// An archive without what has one of these names; and all names that it had, once it was read to its end.
pub(super) fn without(archive: Archive, names: Names) -> (Archive, impl Future<Output = io::Result<Names>>) {
    let (write, read) = duplex(BUFFER);
    let task = tokio::task::spawn_blocking(move || walk(archive, &names, Some(write)));
    (ReaderStream::new(read).boxed(), joined(task))
}

async fn joined(task: JoinHandle<io::Result<Names>>) -> io::Result<Names> {
    task.await.unwrap_or_else(|e| Err(io::Error::other(e)))
}

/// The crate tar reads and writes without waiting for a runtime, hence the bridges.
fn walk(archive: Archive, leave_out: &Names, write: Option<DuplexStream>) -> io::Result<Names> {
    let mut archive = tar::Archive::new(SyncIoBridge::new(StreamReader::new(archive)));
    let mut builder = write.map(|write| tar::Builder::new(SyncIoBridge::new(write)));
    let mut seen = Names::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        seen.insert(path.clone());
        let Some(builder) = builder.as_mut().filter(|_| !leave_out.contains(&path)) else { continue };
        let mut header = entry.header().clone();
        match entry.link_name()?.map(|target| target.into_owned()) {
            Some(target) => builder.append_link(&mut header, &path, &target)?,
            None => builder.append_data(&mut header, &path, &mut entry)?,
        }
    }
    if let Some(mut builder) = builder {
        builder.finish()?;
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::io::Read;

    fn archive(files: &[(&str, usize)]) -> Archive {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, size) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(*size as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, std::io::repeat(b'x').take(*size as u64)).unwrap();
        }
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        builder.append_link(&mut link, "./newest.js", "app-1.js").unwrap();
        let bytes = builder.into_inner().unwrap();
        // In pieces that have nothing to do with the archive's blocks.
        let pieces: Vec<_> = bytes.chunks(777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        futures::stream::iter(pieces).boxed()
    }

    #[tokio::test]
    async fn only_what_is_missing_goes_over() {
        let long = format!("./{}/deep.js", "d".repeat(150));
        let theirs = names(archive(&[("./app-1.js", 10), ("./shared.css", 10)])).await.unwrap();
        let ours = archive(&[("./app-2.js", 600_000), ("./shared.css", 20), (&long, 5)]);
        let (rest, all) = without(ours, theirs);
        let (rest, all) = tokio::join!(names(rest), all);
        // A writer leaves `./` out where the name fits into a header: the same name to whoever unpacks it.
        let plain = |names: Names| -> Vec<String> {
            let mut plain: Vec<_> = names.iter().map(|n| n.display().to_string()).collect();
            plain.iter_mut().for_each(|n| *n = n.trim_start_matches("./").to_string());
            plain.sort();
            plain
        };
        let deep = long.trim_start_matches("./");
        assert_eq!(plain(rest.unwrap()), ["app-2.js", deep]);
        assert_eq!(plain(all.unwrap()), ["app-2.js", deep, "newest.js", "shared.css"]);
    }

    #[tokio::test]
    async fn what_breaks_off_is_an_error() {
        let broken = archive(&[("./a.js", 5000)]).take(2).chain(futures::stream::iter([Err(io::Error::other("gone"))]));
        let (rest, all) = without(broken.boxed(), Names::new());
        let (_, all) = tokio::join!(names(rest), all);
        assert!(all.is_err());
    }
}
