//! `windlass app images`.

use crate::fleet::Image;
use crate::name::{Digest, HostName};
use crate::render::{table, time};
use jiff::Timestamp;
use serde::Serialize;

/// The images of a service as `--json` prints them.
#[derive(Debug, Clone, Serialize)]
pub struct Images {
    /// Version of this object: 1.
    pub schema: u32,
    /// In the order of hosts.
    pub images: Vec<Row>,
    /// The hosts that did not answer.
    pub unreachable: Vec<HostName>,
}

/// One image on one host.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Host.
    pub host: HostName,
    /// Its id there.
    pub id: Digest,
    /// `repository:tag`s.
    pub tags: Vec<String>,
    /// `repository@digest`s.
    pub digests: Vec<String>,
    /// Bytes, shared layers counted.
    pub size: u64,
    /// When it was built.
    pub created: Option<Timestamp>,
    /// Containers, running or not, that were made from it.
    pub containers: usize,
}

impl Row {
    /// The view of one image.
    pub fn new(host: &HostName, image: &Image, containers: usize) -> Self {
        Self {
            host: host.clone(),
            id: image.id.clone(),
            tags: image.tags.clone(),
            digests: image.digests.clone(),
            size: image.size,
            created: image.created_at,
            containers,
        }
    }
}

impl Images {
    /// For people.
    pub fn table(&self, now: Timestamp) -> String {
        let rows = self.images.iter().map(|row| {
            [
                row.host.to_string(),
                if row.tags.is_empty() { "-".to_string() } else { row.tags.join(" ") },
                row.id.short().to_string(),
                time::bytes(row.size),
                row.created.map_or_else(|| "-".to_string(), |at| time::ago(at, now)),
                row.containers.to_string(),
            ]
        });
        table::table(["HOST", "TAG", "ID", "SIZE", "BUILT", "CONTAINERS"], rows)
    }
}
