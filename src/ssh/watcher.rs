//! russh's callbacks: the host key, and the only place that learns why a connection ended.

use super::error::SshError;
use super::known_hosts::KnownHosts;
use russh::client::{DisconnectReason, Handler};
use russh::keys::PublicKeyOrCertificate;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
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
    accepted: Option<PublicKeyOrCertificate>,
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
        if let Some(accepted) = &self.accepted {
            return Ok(same(accepted, key));
        }
        match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.known.check(key),
            PublicKeyOrCertificate::Certificate(certificate) => {
                // A clock before 1970 accepts no certificate.
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                self.known.check_certificate(certificate, now)
            }
        }
        .map_err(Refusal::Key)?;
        self.accepted = Some(copy(key));
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
                    Refusal::Protocol(russh::Error::IO(e)) if e.kind() == std::io::ErrorKind::TimedOut => {
                        "no sign of life for 15 s".to_string()
                    }
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

fn copy(key: &PublicKeyOrCertificate) -> PublicKeyOrCertificate {
    match key {
        PublicKeyOrCertificate::PublicKey { key, hash_alg } => {
            PublicKeyOrCertificate::PublicKey { key: key.clone(), hash_alg: *hash_alg }
        }
        PublicKeyOrCertificate::Certificate(certificate) => PublicKeyOrCertificate::Certificate(certificate.clone()),
    }
}

fn same(a: &PublicKeyOrCertificate, b: &PublicKeyOrCertificate) -> bool {
    match (a, b) {
        (PublicKeyOrCertificate::PublicKey { key: a, .. }, PublicKeyOrCertificate::PublicKey { key: b, .. }) => {
            a.key_data() == b.key_data()
        }
        (PublicKeyOrCertificate::Certificate(a), PublicKeyOrCertificate::Certificate(b)) => a == b,
        _ => false,
    }
}

/// A host's words, safe for a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == ' ').take(200).collect()
}
