//! One SSH connection to one host, on which everything for that host is multiplexed.

use super::auth;
use super::dial::dial;
use super::error::SshError;
use super::known_hosts::KnownHosts;
use super::quickack::QuickAck;
use super::settings::{Endpoint, Settings};
use super::watcher::{Fate, Refusal, Watcher};
use russh::client::{Config, Handle, Msg};
use russh::{Channel, ChannelOpenFailure, Preferred, cipher};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// From the first packet to the end of the key exchange: with it a dead host is noticed within 15 s.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(15);

/// A silent link is given up after interval x (max + 1) = 15 s.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_MAX: usize = 2;

/// Measured best at 50 ms round trip (41 MB/s; 2 MiB gave 19, 64 MiB 23).
const WINDOW: u32 = 8 << 20;

/// sshd allows 10 sessions a connection (MaxSessions). Two stay with leases, four with `docker system dial-stdio`.
const PARALLEL_COMMANDS: usize = 4;

/// An authenticated connection. Shared by `Arc`; it ends when the last owner and the last channel are gone.
pub struct Connection {
    handle: Handle<Watcher>,
    endpoint: Endpoint,
    fate: Arc<Fate>,
    commands: Arc<Semaphore>,
}

impl Connection {
    /// Connects, checks the host key and logs in.
    ///
    /// # Errors
    /// Every kind of [`SshError`] up to [`SshError::AuthFailed`]; a dead host is an error within 15 s.
    pub async fn open(endpoint: &Endpoint, settings: &Settings) -> Result<Arc<Self>, SshError> {
        let known = KnownHosts::read(&endpoint.host, endpoint.port, &settings.known_hosts, settings.accept_new)?;
        let config = Arc::new(client_config(&known));
        let fate = Arc::new(Fate::new());
        let started = Instant::now();
        let stream = QuickAck::new(dial(&endpoint.host, endpoint.port).await?);
        let watcher = Watcher::new(known, fate.clone());
        let left = HANDSHAKE_DEADLINE.saturating_sub(started.elapsed());
        let handshake = tokio::time::timeout(left, russh::client::connect_stream(config, stream, watcher));
        let mut handle = match handshake.await {
            Ok(Ok(handle)) => handle,
            Ok(Err(Refusal::Key(e))) => return Err(e),
            Ok(Err(Refusal::Protocol(e))) => return Err(handshake_error(endpoint, &e)),
            Err(_) => {
                return Err(SshError::NoAnswer {
                    port: endpoint.port,
                    waiting_for: "SSH handshake",
                    after: HANDSHAKE_DEADLINE,
                });
            }
        };
        auth::login(&mut handle, endpoint, settings, &fate).await?;
        Ok(Arc::new(Self {
            handle,
            endpoint: endpoint.clone(),
            fate,
            commands: Arc::new(Semaphore::new(PARALLEL_COMMANDS)),
        }))
    }

    /// The host's name as given.
    pub fn host(&self) -> &str {
        &self.endpoint.host
    }

    /// Where this connection goes.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Fires when the connection is gone.
    pub fn closed(&self) -> CancellationToken {
        self.fate.closed()
    }

    /// The error of every call on a connection that is gone.
    pub(super) fn lost(&self) -> SshError {
        self.fate.error()
    }

    /// A place among the commands that may run at once.
    pub(super) fn commands(&self) -> Arc<Semaphore> {
        self.commands.clone()
    }

    /// Opens a session channel. Call it in a task of its own: a cancelled open leaks the channel.
    pub(super) async fn session(&self) -> Result<Channel<Msg>, SshError> {
        self.handle.channel_open_session().await.map_err(|e| self.open_error("a session", &e))
    }

    /// Opens a channel to a unix socket on the host. Call it in a task of its own, see [`Connection::session`].
    pub(super) async fn streamlocal(&self, path: &str) -> Result<Channel<Msg>, russh::Error> {
        self.handle.channel_open_direct_streamlocal(path).await
    }

    /// Ends the connection in good order. What still runs on it fails.
    pub async fn close(&self) {
        // The answer is the end of the connection; there is nothing to do about an error.
        let _ = self.handle.disconnect(russh::Disconnect::ByApplication, "", "en").await;
    }

    /// The reason why a channel was not opened.
    pub(super) fn open_error(&self, what: &str, e: &russh::Error) -> SshError {
        let reason = match e {
            russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                "forbidden by its configuration (MaxSessions, AllowStreamLocalForwarding or DisableForwarding)"
                    .to_string()
            }
            russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => {
                "open failed (too many sessions, see MaxSessions in sshd_config, or nothing listens there)".to_string()
            }
            russh::Error::ChannelOpenFailure(other) => format!("{other:?}"),
            _ => return self.lost(),
        };
        SshError::ChannelRefused { what: what.to_string(), reason }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

fn client_config(known: &KnownHosts) -> Config {
    let defaults = Preferred::DEFAULT;
    Config {
        nodelay: true,
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVE_MAX,
        window_size: WINDOW,
        preferred: Preferred {
            key: Cow::Owned(known.order(&defaults.key)),
            // AES-GCM runs in hardware: 600-900 MB/s, ChaCha20 410-520.
            cipher: Cow::Borrowed(&[
                cipher::AES_256_GCM,
                cipher::AES_128_GCM,
                cipher::CHACHA20_POLY1305,
                cipher::AES_256_CTR,
                cipher::AES_192_CTR,
                cipher::AES_128_CTR,
            ]),
            ..defaults
        },
        ..Config::default()
    }
}

fn handshake_error(endpoint: &Endpoint, e: &russh::Error) -> SshError {
    let reason = match e {
        russh::Error::Version => "what listens there does not speak SSH".to_string(),
        russh::Error::Disconnect | russh::Error::HUP => {
            "the connection was closed (MaxStartups, a firewall, or not an SSH server)".to_string()
        }
        other => other.to_string(),
    };
    SshError::Handshake { port: endpoint.port, reason }
}
