//! A private key from a file or a secret, as far as it can be read without asking for a passphrase.

use crate::secret::Secret;
use russh::keys::{self, Certificate, PrivateKey, PublicKey};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The text of a private key.
pub(super) type KeyText = Arc<Secret<String>>;

/// What a key file holds.
pub(super) enum Loaded {
    Key(Arc<PrivateKey>),
    /// With the public half, where that can be read.
    Locked(Option<PublicKey>, KeyText),
    /// The public half alone: the private one is in the agent.
    Public(PublicKey),
    Missing,
    Unreadable(String),
}

impl Loaded {
    pub(super) fn public(&self) -> Option<PublicKey> {
        match self {
            Self::Key(key) => Some(key.public_key().clone()),
            Self::Locked(public, _) => public.clone(),
            Self::Public(public) => Some(public.clone()),
            Self::Missing | Self::Unreadable(_) => None,
        }
    }

    /// A private key from a secret.
    pub(super) fn from_text(text: &Secret<String>) -> Self {
        parse(text.clone(), None)
    }
}

/// A key file with the certificates beside it.
pub(super) struct KeyFile {
    pub(super) loaded: Loaded,
    /// `<file>-cert.pub`, which OpenSSH looks for as well.
    pub(super) certificate: Option<Certificate>,
}

impl KeyFile {
    /// Reads and parses, off the runtime's threads.
    pub(super) async fn load(path: &Path) -> Self {
        let path = path.to_path_buf();
        let work =
            move || Self { loaded: read(&path), certificate: Certificate::read_file(&beside(&path, "-cert.pub")).ok() };
        let failed = |e: tokio::task::JoinError| Self { loaded: Loaded::Unreadable(e.to_string()), certificate: None };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(failed)
    }
}

/// A certificate file, or why there is none.
pub(super) fn certificate(path: &Path) -> Result<Certificate, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read it: {e}"))?;
    Certificate::from_openssh(text.trim()).map_err(|e| format!("not an OpenSSH certificate: {e}"))
}

fn read(path: &Path) -> Loaded {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(Secret::new(text), Some(path)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => match keys::load_public_key(beside(path, ".pub")) {
            Ok(public) => Loaded::Public(public),
            Err(_) => Loaded::Missing,
        },
        Err(e) => Loaded::Unreadable(format!("cannot read it: {e}")),
    }
}

fn parse(text: Secret<String>, path: Option<&Path>) -> Loaded {
    match keys::decode_secret_key(text.expose(), None) {
        Ok(key) => Loaded::Key(Arc::new(key)),
        Err(keys::Error::KeyIsEncrypted) => Loaded::Locked(public_half(path, text.expose()), Arc::new(text)),
        Err(e) => match text.expose().trim().parse::<PublicKey>() {
            Ok(public) => Loaded::Public(public),
            Err(_) => Loaded::Unreadable(format!("not a private key that windlass can read: {e}")),
        },
    }
}

/// OpenSSH's own format has the public half in clear; for the others there is the file beside.
fn public_half(path: Option<&Path>, text: &str) -> Option<PublicKey> {
    if let Ok(key) = PrivateKey::from_openssh(text) {
        return Some(key.public_key().clone());
    }
    keys::load_public_key(beside(path?, ".pub")).ok()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    name.into()
}
