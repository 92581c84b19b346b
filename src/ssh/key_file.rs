//! A private key file, as far as it can be read without asking for a passphrase.

use russh::keys::{self, HashAlg, PrivateKey, PublicKey};
use std::path::Path;
use std::sync::Arc;

/// What a key file holds.
pub(super) enum Loaded {
    Key(Arc<PrivateKey>),
    /// With the public half, where that can be read.
    Encrypted(Option<PublicKey>),
    Missing,
    Unreadable(String),
}

/// A key file.
pub(super) struct KeyFile {
    pub(super) loaded: Loaded,
}

impl KeyFile {
    /// Reads and parses, off the runtime's threads.
    pub(super) async fn load(path: &Path) -> Self {
        let path = path.to_path_buf();
        let loaded = tokio::task::spawn_blocking(move || read(&path))
            .await
            .unwrap_or_else(|e| Loaded::Unreadable(e.to_string()));
        Self { loaded }
    }

    /// The SHA256 fingerprint, empty when the public half is unknown.
    pub(super) fn fingerprint(&self) -> String {
        match &self.loaded {
            Loaded::Key(key) => key.public_key().fingerprint(HashAlg::Sha256).to_string(),
            Loaded::Encrypted(Some(key)) => key.fingerprint(HashAlg::Sha256).to_string(),
            _ => String::new(),
        }
    }
}

fn read(path: &Path) -> Loaded {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Loaded::Missing,
        Err(e) => return Loaded::Unreadable(format!("cannot read it: {e}")),
    };
    match keys::decode_secret_key(&text, None) {
        Ok(key) => Loaded::Key(Arc::new(key)),
        Err(keys::Error::KeyIsEncrypted) => Loaded::Encrypted(public_half(path, &text)),
        Err(e) => Loaded::Unreadable(format!("not a private key that windlass can read: {e}")),
    }
}

/// OpenSSH's format leaves the public half in the clear; other formats have it in the `.pub` file beside.
fn public_half(path: &Path, text: &str) -> Option<PublicKey> {
    if let Ok(key) = PrivateKey::from_openssh(text) {
        return Some(key.public_key().clone());
    }
    let mut beside = path.as_os_str().to_os_string();
    beside.push(".pub");
    keys::load_public_key(beside).ok()
}
