//! Files in and out of simulated containers.

use crate::effect::{Archive, EngineError, EngineErrorKind};
use crate::sim::container::SimContainer;
use crate::sim::life::error;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use std::io::Read;

fn broken(e: impl std::fmt::Display) -> EngineError {
    error(EngineErrorKind::Other, format!("the archive: {e}"))
}

fn missing(path: &str) -> EngineError {
    error(EngineErrorKind::NotFound, format!("could not find the file {path} in container"))
}

/// `/a/b` is the thing itself, `/a/b/.` what is in it.
pub(super) fn pack(container: &SimContainer, path: &str) -> Result<Archive, EngineError> {
    let (root, own_name) = match path.strip_suffix("/.") {
        Some(directory) => (directory, ".".to_string()),
        None => (path, path.rsplit('/').next().unwrap_or_default().to_string()),
    };
    let mut builder = tar::Builder::new(Vec::new());
    let mut found = false;
    for (file, content) in &container.files {
        let Some(rest) = file.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            continue;
        };
        found = true;
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("{own_name}{rest}"), content.as_slice()).map_err(broken)?;
    }
    let bytes = builder.into_inner().map_err(broken)?;
    match found {
        true => Ok(futures::stream::iter([Ok(Bytes::from(bytes))]).boxed()),
        false => Err(missing(path)),
    }
}

/// All of an archive.
pub(super) async fn read(archive: Archive) -> Result<Vec<u8>, EngineError> {
    archive
        .try_fold(Vec::new(), |mut all, piece| async move {
            all.extend(piece);
            Ok(all)
        })
        .await
        .map_err(broken)
}

/// Directories are known by what is in them; one that the container was mounted or made with counts as there.
pub(super) fn unpack(container: &mut SimContainer, directory: &str, content: &[u8]) -> Result<(), EngineError> {
    let below = format!("{}/", directory.trim_end_matches('/'));
    let mounted = container.made_from.volumes.iter().any(|v| v.rsplit(':').any(|part| part == directory));
    if directory != "/" && !mounted && !container.files.keys().any(|file| file.starts_with(&below)) {
        return Err(missing(directory));
    }
    for entry in tar::Archive::new(content).entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().map_err(broken)?.display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        container.files.insert(format!("{below}{}", name.trim_start_matches("./")), bytes);
    }
    Ok(())
}
