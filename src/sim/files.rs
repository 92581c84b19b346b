//! A host's file system, as much as a deployer sees of it.

use crate::effect::FileSet;
use std::collections::{BTreeMap, BTreeSet};

/// Files by absolute path, and the directories that exist.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: BTreeMap<String, File>,
    dirs: BTreeSet<String>,
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) content: Vec<u8>,
    pub(super) mode: u32,
}

fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..at])
}

impl Files {
    /// Creates a directory and its parents.
    pub(super) fn make_dir(&mut self, path: &str) -> Result<(), String> {
        let path = path.trim_end_matches('/');
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        for end in ends.collect::<Vec<_>>() {
            if self.files.contains_key(&path[..end]) {
                return Err(format!("{}: not a directory", &path[..end]));
            }
            self.dirs.insert(path[..end].to_string());
        }
        Ok(())
    }

    fn writable(&self, path: &str) -> Result<(), String> {
        if !path.starts_with('/') {
            return Err(format!("{path}: not an absolute path"));
        }
        if self.dirs.contains(path) {
            return Err(format!("{path}: is a directory"));
        }
        let dir = parent(path);
        if dir.is_empty() || self.dirs.contains(dir) { Ok(()) } else { Err(format!("{dir}: no such directory")) }
    }

    pub(super) fn write(&mut self, path: &str, content: &[u8], mode: u32) -> Result<(), String> {
        self.writable(path)?;
        self.files.insert(path.to_string(), File { content: content.to_vec(), mode });
        Ok(())
    }

    /// Appends; after a torn last line a newline goes first.
    pub(super) fn append(&mut self, path: &str, content: &[u8]) -> Result<(), String> {
        self.writable(path)?;
        let file = self.files.entry(path.to_string()).or_insert(File { content: Vec::new(), mode: 0o600 });
        if file.content.last().is_some_and(|last| *last != b'\n') {
            file.content.push(b'\n');
        }
        file.content.extend_from_slice(content);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str) -> Result<(), String> {
        if self.dirs.contains(path) {
            return Err(format!("{path}: is a directory"));
        }
        self.files.remove(path);
        Ok(())
    }

    /// Removes a directory with everything in it.
    pub(super) fn remove_dir(&mut self, path: &str) {
        let inside = format!("{path}/");
        self.dirs.retain(|dir| dir != path && !dir.starts_with(&inside));
        self.files.retain(|file, _| !file.starts_with(&inside));
    }

    /// Regular files of a directory, two levels deep, by relative path.
    pub(super) fn read_dir(&self, path: &str) -> FileSet {
        let inside = format!("{}/", path.trim_end_matches('/'));
        let relative =
            |(path, file): (&String, &File)| Some((path.strip_prefix(&inside)?.to_string(), file.content.clone()));
        self.files.iter().filter_map(relative).filter(|(path, _)| path.matches('/').count() < 2).collect()
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    pub(super) fn has_dir(&self, path: &str) -> bool {
        self.dirs.contains(path)
    }

    /// All files.
    pub(super) fn all(&self) -> &BTreeMap<String, File> {
        &self.files
    }
}
