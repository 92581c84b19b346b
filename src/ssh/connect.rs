//! One SSH connection to one host, on which everything for that host is multiplexed.

use super::dialer::{Dialer, DialerSettings, RestsOn};
use super::error::SshError;
use super::settings::{Endpoint, Settings, Target, Via};
use super::watcher::{Fate, Watcher};
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelOpenFailure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// sshd allows 10 sessions a connection (MaxSessions). Two stay with leases, four with `docker system dial-stdio`.
const PARALLEL_COMMANDS: usize = 4;

/// An authenticated connection. Shared by `Arc`; it ends when the last owner and the last channel are gone.
pub struct Connection {
    handle: Handle<Watcher>,
    target: Target,
    fate: Arc<Fate>,
    commands: Arc<Semaphore>,
    narrow: AtomicBool,
    dialer: Arc<Dialer>,
    _rests_on: RestsOn,
}

impl Connection {
    /// Connects straight, checks the host key and logs in. See [`Dialer::connect`] for every other way.
    ///
    /// # Errors
    /// Every kind of [`SshError`] up to [`SshError::AuthFailed`]; a dead host is an error within 15 s.
    pub async fn open(endpoint: &Endpoint, settings: &Settings) -> Result<Arc<Self>, SshError> {
        let target = Target { endpoint: endpoint.clone(), settings: settings.clone(), via: Via::Direct };
        Dialer::new(DialerSettings::default()).connect(&target).await
    }

    pub(super) fn new(
        handle: Handle<Watcher>,
        target: Target,
        fate: Arc<Fate>,
        dialer: Arc<Dialer>,
        rests_on: RestsOn,
    ) -> Self {
        let commands = Arc::new(Semaphore::new(PARALLEL_COMMANDS));
        Self { handle, target, fate, commands, narrow: AtomicBool::new(false), dialer, _rests_on: rests_on }
    }

    /// A further connection to the same host, for what may be heavy or long: followed logs, images. It shares no stream
    /// with this one, also not on the way through a jump host, so that nothing on it delays a lease's beat. No lease fences
    /// it: nothing that changes what serves may go over it.
    ///
    /// # Errors
    /// Those of [`Dialer::connect`].
    pub async fn another(&self) -> Result<Arc<Self>, SshError> {
        self.dialer.aside().connect(&self.target).await
    }

    /// The host's name as given.
    pub fn host(&self) -> &str {
        &self.target.endpoint.host
    }

    /// Where this connection goes.
    pub fn endpoint(&self) -> &Endpoint {
        &self.target.endpoint
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Fires when the connection is gone.
    pub fn closed(&self) -> CancellationToken {
        self.fate.closed()
    }

    /// Leaves room for one command at a time: sshd allows few sessions a connection.
    pub(super) fn narrow(&self) {
        if !self.narrow.swap(true, Ordering::Relaxed) {
            self.commands.forget_permits(PARALLEL_COMMANDS - 1);
        }
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

    /// Opens a TCP connection from the host. Call it in a task of its own, see [`Connection::session`].
    pub(super) async fn direct_tcp(&self, host: &str, port: u16) -> Result<Channel<Msg>, russh::Error> {
        // The originator is for the other side's log only.
        self.handle.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0).await
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
        f.debug_struct("Connection").field("endpoint", &self.target.endpoint).finish_non_exhaustive()
    }
}
