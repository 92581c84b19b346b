//! The configuration directory as it was read: what can be understood of it, and what not.

use crate::effect::FileSet;
use crate::fleet::BackendName;
use crate::haproxy::header::Header;
use crate::haproxy::layout::backend_of_file;
use std::collections::BTreeMap;

/// The files of `conf/`.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfSet {
    /// As they are.
    pub(super) files: FileSet,
    /// Backends by name.
    pub(super) backends: BTreeMap<BackendName, Header>,
    /// Backend files that cannot be understood: file name and reason.
    pub(super) broken: BTreeMap<String, String>,
}

impl crate::haproxy::HaProxy {
    /// A file of `conf/`.
    pub(super) fn conf_path(&self, file: &str) -> String {
        format!("{}/{file}", self.paths.conf())
    }
}

impl ConfSet {
    pub(super) fn parse(files: FileSet) -> Self {
        let mut set = Self { files, ..Self::default() };
        for (file, content) in &set.files {
            if backend_of_file(file).is_none() {
                continue;
            }
            match Header::parse(file, content) {
                Ok(header) => {
                    set.backends.insert(header.backend.name.clone(), header);
                }
                Err(reason) => {
                    set.broken.insert(file.clone(), reason);
                }
            }
        }
        set
    }

    /// A sentence on every file that cannot be understood; `None` when all are well.
    pub(super) fn complaint(&self, conf: &str) -> Option<String> {
        let each: Vec<_> = self.broken.iter().map(|(file, reason)| format!("{conf}/{file}: {reason}")).collect();
        (!each.is_empty()).then(|| each.join("; "))
    }
}
