//! Keys protected by a passphrase: a person is asked once a run, whatever the number of hosts.

use super::key_file::KeyText;
use crate::secret::Secret;
use russh::keys::{self, PrivateKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// As `ssh` does.
const TRIES: usize = 3;

/// Asks a person for passphrases. It is called off the runtime's threads and may block.
pub trait AskPassphrase: Send + Sync {
    /// One answer to one prompt; none: the person gave up.
    fn ask(&self, prompt: &str) -> Option<Secret<String>>;
}

/// Private keys that were unlocked, or will not be.
#[derive(Default)]
pub(super) struct Unlocker {
    person: Option<Arc<dyn AskPassphrase>>,
    /// By the key's name. Held while a person is asked: two prompts at once could not be told apart.
    known: Mutex<BTreeMap<String, Result<Arc<PrivateKey>, String>>>,
}

impl Unlocker {
    pub(super) fn new(person: Option<Arc<dyn AskPassphrase>>) -> Self {
        Self { person, known: Mutex::default() }
    }

    /// Whether there is somebody to ask.
    pub(super) fn can_ask(&self) -> bool {
        self.person.is_some()
    }

    /// The key, or why there is none.
    pub(super) async fn unlock(&self, name: &str, text: &KeyText) -> Result<Arc<PrivateKey>, String> {
        let mut known = self.known.lock().await;
        if let Some(result) = known.get(name) {
            return result.clone();
        }
        let Some(person) = self.person.clone() else {
            return Err("there is no terminal to ask for its passphrase on".to_string());
        };
        let (prompt, text) = (format!("Passphrase of the key {name}"), text.clone());
        // Deriving the key from a passphrase takes 200 ms of CPU by design.
        let work = tokio::task::spawn_blocking(move || ask(&*person, &prompt, &text));
        let result = work.await.unwrap_or_else(|e| Err(e.to_string()));
        known.insert(name.to_string(), result.clone());
        result
    }
}

fn ask(person: &dyn AskPassphrase, prompt: &str, text: &KeyText) -> Result<Arc<PrivateKey>, String> {
    for _ in 0..TRIES {
        let Some(passphrase) = person.ask(prompt).filter(|p| !p.expose().is_empty()) else {
            return Err("no passphrase was given".to_string());
        };
        if let Ok(key) = keys::decode_secret_key(text.expose(), Some(passphrase.expose())) {
            return Ok(Arc::new(key));
        }
    }
    Err(format!("wrong passphrase ({TRIES} times)"))
}
