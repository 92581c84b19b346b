//! Files beside the configuration: certificates with their keys, pages, and the list that says which certificate is for
//! which names. A file is named by its content and never changes, so writing one changes nothing by itself: a
//! configuration that names it puts it in force, and the one before still has its own.

use crate::effect::{Backend, ProxyError};
use crate::fleet::BackendName;
use crate::haproxy::HaProxy;
use crate::haproxy::rules::hosts;
use crate::haproxy::runtime::failed;
use crate::secret::Secret;
use crate::spec::{Edge, EdgeFile, EdgeFileKind};
use std::collections::BTreeSet;

/// Digits of a digest that a file name has.
const DIGITS: usize = 16;

/// The name of a file in `edge/`. The digest comes from a file on the host or from a caller: nothing but a digest passes.
pub(super) fn file_name(backend: &BackendName, file: &EdgeFile) -> Result<String, String> {
    let digest = &file.sha256;
    if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(format!("`{}` is not a SHA-256 digest", digest.escape_debug()));
    }
    let extension = match file.kind {
        EdgeFileKind::Certificate => "pem",
        EdgeFileKind::Page => "html",
    };
    Ok(format!("{backend}.{}.{extension}", &digest[..DIGITS]))
}

/// A list for HAProxy's `crt-list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CertificateList {
    /// Its name in `edge/`.
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// The certificate that a backend's HTTPS is answered with.
///
/// # Errors
/// When its route wants TLS and no certificate was ever given.
pub(super) fn certificate(backend: &Backend) -> Result<Option<EdgeFile>, String> {
    match (&backend.route.tls, &backend.edge.certificate) {
        (None, _) => Ok(None),
        (Some(_), Some(certificate)) => Ok(Some(EdgeFile::certificate(&certificate.sha256))),
        (Some(_), None) => Err(format!("{} wants HTTPS and has no certificate", backend.name)),
    }
}

/// Which certificate is for which names: a service's own for its own names, whatever the certificates say, so that
/// another service's older one for the same name is never shown. `None` without any.
pub(super) fn list(dir: &str, backends: &[&Backend]) -> Result<Option<CertificateList>, String> {
    let mut lines = Vec::new();
    for backend in backends {
        let Some(file) = certificate(backend)? else { continue };
        let names: Vec<String> = hosts(&backend.route)?.into_iter().flatten().filter(|h| is_name(h)).collect();
        let words: Vec<_> =
            std::iter::once(format!("{dir}/{}", file_name(&backend.name, &file)?)).chain(names).collect();
        lines.push(words.join(" "));
    }
    if lines.is_empty() {
        return Ok(None);
    }
    use sha2::Digest;
    let content = (lines.join("\n") + "\n").into_bytes();
    let digest = hex::encode(sha2::Sha256::digest(&content));
    Ok(Some(CertificateList { name: format!("certificates.{}.list", &digest[..DIGITS]), content }))
}

/// Whether a client can ask for it in its first message: an address cannot be asked for.
fn is_name(host: &str) -> bool {
    !host.contains([':', '[']) && host.parse::<std::net::IpAddr>().is_err()
}

impl HaProxy {
    fn edge_path(&self, name: &str) -> String {
        format!("{}/{name}", self.paths.edge())
    }

    pub(super) async fn put_edge_file(
        &self,
        backend: &BackendName,
        file: &EdgeFile,
        content: &Secret<String>,
    ) -> Result<(), ProxyError> {
        let name = file_name(backend, file).map_err(ProxyError::Refused)?;
        self.host.make_dir(&self.paths.edge()).await.map_err(failed)?;
        self.host.write(&self.edge_path(&name), content.expose().as_bytes(), 0o600).await.map_err(failed)
    }

    /// Those that the backend's file names stay, whatever the caller believes.
    pub(super) async fn forget_edge_files(&self, backend: &BackendName, files: &[EdgeFile]) -> Result<(), ProxyError> {
        let set = self.conf_set().await?;
        let in_use: BTreeSet<EdgeFile> =
            set.backends.get(backend).into_iter().flat_map(|h| h.backend.edge.files()).collect();
        if set.broken.contains_key(&super::layout::backend_file(backend)) {
            return Ok(());
        }
        for file in files.iter().filter(|f| !in_use.contains(f)) {
            self.remove_edge_file(backend, file).await?;
        }
        Ok(())
    }

    async fn remove_edge_file(&self, backend: &BackendName, file: &EdgeFile) -> Result<(), ProxyError> {
        let name = file_name(backend, file).map_err(ProxyError::Refused)?;
        self.host.remove(&self.edge_path(&name)).await.map_err(failed)
    }

    pub(super) async fn remove_edge(&self, backend: &BackendName, edge: &Edge) -> Result<(), ProxyError> {
        for file in edge.files() {
            self.remove_edge_file(backend, &file).await?;
        }
        Ok(())
    }

    pub(super) async fn put_list(&self, list: &CertificateList) -> Result<(), ProxyError> {
        self.host.make_dir(&self.paths.edge()).await.map_err(failed)?;
        self.host.write(&self.edge_path(&list.name), &list.content, 0o600).await.map_err(failed)
    }

    pub(super) async fn remove_list(&self, list: &CertificateList) -> Result<(), ProxyError> {
        self.host.remove(&self.edge_path(&list.name)).await.map_err(failed)
    }

    /// Where the proxy's process finds its files.
    pub(super) fn edge_inside(&self) -> String {
        format!("{}/edge", self.inside.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_digest_becomes_a_file_name() {
        let name: BackendName = serde_json::from_str("\"demo-web\"").unwrap();
        let file = |digest: &str| file_name(&name, &EdgeFile::page(digest));
        assert_eq!(file(&"ab".repeat(32)), Ok("demo-web.abababababababab.html".to_string()));
        for bad in ["", "../../etc/passwd", &"g".repeat(64), &"AB".repeat(32), &format!("{}\n", "a".repeat(63))] {
            assert!(file(bad).is_err(), "{bad:?}");
        }
    }
}
