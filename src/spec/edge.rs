//! What a host's proxy answers and shows for a backend by itself, beside the application.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The statuses that the proxy answers with by itself for a backend, and so can show a page for: all others are the
/// application's own, or are said before a backend is found.
pub const PAGES: &[u16] = &[413, 500, 502, 503, 504];
/// Bytes that a page may have: HAProxy keeps a page in one buffer of 16 KiB, together with the headers.
pub const LONGEST_PAGE: usize = 15_000;

/// Certificate, error pages and maintenance of a backend. They belong to the host and to no release: a rollback and a
/// restart of the proxy leave them as they are. Files are named by a digest of their content and never change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// What HTTPS is answered with. It stays when a route has no TLS any more, and is out of use then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// Status → digest of the page that is shown instead of HAProxy's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pages: BTreeMap<u16, String>,
    /// While it is there every request is answered with 503 and its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
}

impl Edge {
    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The files that it needs, each once.
    pub fn files(&self) -> Vec<EdgeFile> {
        let certificate = self.certificate.iter().map(|c| EdgeFile::certificate(&c.sha256));
        let maintenance = self.maintenance.iter().map(|m| EdgeFile::page(&m.page));
        let files: std::collections::BTreeSet<_> =
            certificate.chain(self.pages.values().map(|p| EdgeFile::page(p))).chain(maintenance).collect();
        files.into_iter().collect()
    }
}

/// A certificate with its chain, without the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 of the chain (DER, one after the other), 64 hex digits.
    pub sha256: String,
    /// The names it is for: `subjectAltName`, else the common name. For people.
    pub names: Vec<String>,
    /// It is valid from here.
    pub not_before: Timestamp,
    /// It is valid until here.
    pub not_after: Timestamp,
}

impl Certificate {
    /// Whether it is for a host name. A `*` stands for exactly one label (RFC 6125).
    pub fn covers(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let wildcard = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.names
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .any(|name| name == host || Some(&name) == wildcard.as_ref())
    }
}

/// `windlass app maintenance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// Digest of the page.
    pub page: String,
    /// `--message`, for people who ask why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A file beside the proxy's configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgeFile {
    /// What it is.
    pub kind: EdgeFileKind,
    /// Digest of its content, 64 hex digits.
    pub sha256: String,
}

/// What a file beside the proxy's configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeFileKind {
    /// A certificate with its chain and its key, as PEM.
    Certificate,
    /// A page, as HTML.
    Page,
}

impl EdgeFile {
    /// A certificate with its key.
    pub fn certificate(sha256: &str) -> Self {
        Self { kind: EdgeFileKind::Certificate, sha256: sha256.to_string() }
    }

    /// A page.
    pub fn page(sha256: &str) -> Self {
        Self { kind: EdgeFileKind::Page, sha256: sha256.to_string() }
    }
}
