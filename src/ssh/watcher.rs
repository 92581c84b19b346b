//! russh's callbacks: the host key, and the only place that learns why a connection ended.

use super::error::SshError;
use super::known_hosts::KnownHosts;
use russh::client::{DisconnectReason, Handler};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Why a connection ended, known to all who use it.
#[derive(Debug)]
pub(super) struct Fate {
    reason: Mutex<Option<String>>,
    closed: CancellationToken,
}

impl Fate {
    pub(super) fn new() -> Self {
        Self { reason: Mutex::new(None), closed: CancellationToken::new() }
    }

    pub(super) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// The reason if one is known.
    pub(super) fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn error(&self) -> SshError {
        let reason = self.reason().unwrap_or_else(|| "closed by the other side".to_string());
        SshError::ConnectionLost(reason)
    }

    fn end(&self, reason: String) {
        let mut slot = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(reason);
        drop(slot);
        self.closed.cancel();
    }
}

/// What the handler can fail with.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The host key.
    Key(SshError),
    /// Anything else.
    Protocol(russh::Error),
}

impl From<russh::Error> for Refusal {
    fn from(e: russh::Error) -> Self {
        Self::Protocol(e)
    }
}

/// The handler of one connection.
pub(super) struct Watcher {
    known: KnownHosts,
    accepted: Option<PublicKey>,
    fate: Arc<Fate>,
}

impl Watcher {
    pub(super) fn new(known: KnownHosts, fate: Arc<Fate>) -> Self {
        Self { known, accepted: None, fate }
    }
}

impl Drop for Watcher {
    /// The session task owns the handler: its end is the connection's, whatever the way there.
    fn drop(&mut self) {
        self.fate.end("closed".to_string());
    }
}

impl Handler for Watcher {
    type Error = Refusal;

    /// Called at every key exchange; the key may not change during a connection.
    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Refusal> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            // Certificates are never asked for (`host_key_certificates` is empty).
            return Ok(false);
        };
        if let Some(accepted) = &self.accepted {
            return Ok(accepted.key_data() == key.key_data());
        }
        self.known.check(key).map_err(Refusal::Key)?;
        self.accepted = Some(key.clone());
        Ok(true)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Refusal>) -> Result<(), Refusal> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.fate.end(format!("sshd says: {}", printable(&info.message)));
                Ok(())
            }
            DisconnectReason::Error(e) => {
                self.fate.end(match &e {
                    Refusal::Key(e) => e.to_string(),
                    Refusal::Protocol(russh::Error::KeepaliveTimeout) => "no sign of life for 15 s".to_string(),
                    Refusal::Protocol(russh::Error::Disconnect | russh::Error::HUP) => {
                        "closed by the other side".to_string()
                    }
                    Refusal::Protocol(e) => e.to_string(),
                });
                Err(e)
            }
        }
    }
}

/// A host's words, safe for a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == ' ').take(200).collect()
}
