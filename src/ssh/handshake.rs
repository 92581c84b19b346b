//! From a byte stream to a connection whose host key was checked.

use super::error::SshError;
use super::known_hosts::KnownHosts;
use super::settings::Target;
use super::watcher::{Fate, Refusal, Watcher};
use russh::client::{Config, Handle};
use russh::{Preferred, cipher};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

/// From the first packet to the end of the key exchange: with it a dead host is noticed within 15 s.
pub(super) const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(15);

/// A silent link is given up after interval x (max + 1) = 15 s.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_MAX: usize = 2;

/// Measured best at 50 ms round trip (41 MB/s; 2 MiB gave 19, 64 MiB 23).
const WINDOW: u32 = 8 << 20;

/// What known_hosts says about the target.
pub(super) fn known_hosts(target: &Target) -> Result<KnownHosts, SshError> {
    let (endpoint, settings) = (&target.endpoint, &target.settings);
    // An alias stands without the port (ssh_config(5), HostKeyAlias).
    let (name, port) = match &settings.host_key_alias {
        Some(alias) => (alias.as_str(), 22),
        None => (endpoint.host.as_str(), endpoint.port),
    };
    KnownHosts::read(name, port, &settings.known_hosts, settings.accept_new)
}

/// Speaks SSH over the stream and checks the host key.
pub(super) async fn shake_hands<S>(
    stream: S,
    known: KnownHosts,
    target: &Target,
    fate: Arc<Fate>,
    started: Instant,
) -> Result<Handle<Watcher>, SshError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = Arc::new(client_config(&known));
    let limit = target.settings.connect_timeout.unwrap_or(HANDSHAKE_DEADLINE);
    let watcher = Watcher::new(known, fate);
    let port = target.endpoint.port;
    let handshake = russh::client::connect_stream(config, stream, watcher);
    match tokio::time::timeout(limit.saturating_sub(started.elapsed()), handshake).await {
        Ok(Ok(handle)) => Ok(handle),
        Ok(Err(Refusal::Key(e))) => Err(e),
        Ok(Err(Refusal::Protocol(e))) => Err(failure(port, &e)),
        Err(_) => Err(SshError::NoAnswer { port, waiting_for: "SSH handshake", after: limit }),
    }
}

fn client_config(known: &KnownHosts) -> Config {
    let defaults = Preferred::DEFAULT;
    let key = known.order(&defaults.key);
    Config {
        nodelay: true,
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVE_MAX,
        window_size: WINDOW,
        preferred: Preferred {
            host_key_certificates: Cow::Owned(known.certificates(&key)),
            key: Cow::Owned(key),
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

fn failure(port: u16, e: &russh::Error) -> SshError {
    let reason = match e {
        russh::Error::Version => "what listens there does not speak SSH".to_string(),
        russh::Error::Disconnect | russh::Error::HUP => {
            "the connection was closed (MaxStartups, a firewall, or not an SSH server)".to_string()
        }
        other => other.to_string(),
    };
    SshError::Handshake { port, reason }
}
