//! Makes connections: straight, through jump hosts, or through a command. What all hosts of a run share is here.

use super::connect::Connection;
use super::dial::dial;
use super::error::SshError;
use super::handshake::{HANDSHAKE_DEADLINE, known_hosts, shake_hands};
use super::passphrase::{AskPassphrase, Unlocker};
use super::proxy_command::ProxyCommand;
use super::quickack::QuickAck;
use super::settings::{Target, Via};
use super::watcher::Fate;
use super::{auth, jumps::Jumps};
use futures::future::BoxFuture;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

/// A stream whose other end takes nothing for this long is dead. The kernel watches TCP streams; nobody would watch these,
/// because keepalives stand still while the session's task is stuck in a write.
const STUCK: Duration = Duration::from_secs(15);

/// How connections are made.
#[derive(Clone)]
pub struct DialerSettings {
    /// How many hosts are being connected to at one time (`sshkit.max_concurrent_starts`).
    pub max_concurrent_starts: usize,
    /// How often a name that does not resolve is tried again (`sshkit.dns_retries`).
    pub dns_retries: usize,
    /// Who knows passphrases; none without a terminal.
    pub passphrases: Option<Arc<dyn AskPassphrase>>,
}

impl Default for DialerSettings {
    /// Kamal's numbers, and nobody to ask.
    fn default() -> Self {
        Self { max_concurrent_starts: 30, dns_retries: 3, passphrases: None }
    }
}

/// Makes connections. Jump hosts are connected to once and shared by all hosts behind them.
pub struct Dialer {
    settings: DialerSettings,
    unlocker: Arc<Unlocker>,
    starts: Arc<Semaphore>,
    jumps: Jumps,
    /// Makes the further connections, over jump connections of their own.
    aside: OnceLock<Arc<Dialer>>,
}

impl Dialer {
    /// Nothing is connected yet.
    pub fn new(settings: DialerSettings) -> Arc<Self> {
        let unlocker = Arc::new(Unlocker::new(settings.passphrases.clone()));
        let starts = Arc::new(Semaphore::new(settings.max_concurrent_starts.max(1)));
        Arc::new(Self::with(settings, unlocker, starts))
    }

    fn with(settings: DialerSettings, unlocker: Arc<Unlocker>, starts: Arc<Semaphore>) -> Self {
        Self { settings, unlocker, starts, jumps: Jumps::default(), aside: OnceLock::new() }
    }

    /// The dialer of further connections: what is heavy there does not hold up what is behind the same jump host here.
    pub(super) fn aside(&self) -> Arc<Self> {
        let make = || Arc::new(Self::with(self.settings.clone(), self.unlocker.clone(), self.starts.clone()));
        self.aside.get_or_init(make).clone()
    }

    /// Connects, checks the host key and logs in, at the host and at every jump host before it.
    ///
    /// # Errors
    /// Every kind of [`SshError`] up to [`SshError::AuthFailed`]; a dead host is an error within 15 s.
    pub fn connect<'a>(self: &'a Arc<Self>, target: &'a Target) -> BoxFuture<'a, Result<Arc<Connection>, SshError>> {
        // Boxed, because a jump host is connected to in the same way.
        Box::pin(self.connect_now(target))
    }

    async fn connect_now(self: &Arc<Self>, target: &Target) -> Result<Arc<Connection>, SshError> {
        let known = known_hosts(target)?;
        match &target.via {
            Via::Direct => {
                let _start = self.starts.acquire().await;
                let started = Instant::now();
                let limit = target.settings.connect_timeout;
                let stream =
                    dial(&target.endpoint.host, target.endpoint.port, limit, self.settings.dns_retries).await?;
                self.log_in(QuickAck::new(stream), known, target, None, started).await
            }
            Via::Jump(hop) => {
                let through = self.jump(hop).await?;
                let _start = self.starts.acquire().await;
                let started = Instant::now();
                let stream = through.open_tcp(&target.endpoint).await.map_err(|e| on_the_way(hop, e))?;
                self.log_in(watched(stream), known, target, Some(through), started).await
            }
            Via::Command(command) => {
                let _start = self.starts.acquire().await;
                let started = Instant::now();
                let (child, stream) = ProxyCommand::start(command)?;
                let child = Arc::new(child);
                let result = self.log_in(watched(stream), known, target, Some(child.clone()), started).await;
                match result {
                    Ok(connection) => Ok(connection),
                    Err(e) => Err(explain_command(command, &child, e).await),
                }
            }
        }
    }

    async fn log_in<S>(
        self: &Arc<Self>,
        stream: S,
        known: super::known_hosts::KnownHosts,
        target: &Target,
        rests_on: RestsOn,
        started: Instant,
    ) -> Result<Arc<Connection>, SshError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let fate = Arc::new(Fate::new());
        let mut handle = shake_hands(stream, known, target, fate.clone(), started).await?;
        auth::login(&mut handle, &target.endpoint, &target.settings, &self.unlocker, &fate).await?;
        Ok(Arc::new(Connection::new(handle, target.clone(), fate, self.clone(), rests_on)))
    }

    /// The connection to a jump host.
    async fn jump(self: &Arc<Self>, hop: &Target) -> Result<Arc<Connection>, SshError> {
        let open = || {
            let (dialer, hop) = (self.clone(), hop.clone());
            async move { dialer.connect(&hop).await }
        };
        self.jumps.get(hop, open).await.map_err(|e| on_the_way(hop, e))
    }
}

/// A jump host's connection or a proxy command: it lives as long as what goes through it.
pub(super) type RestsOn = Option<Arc<dyn Send + Sync>>;

/// See [`STUCK`].
fn watched<S: AsyncRead + AsyncWrite>(stream: S) -> std::pin::Pin<Box<TimeoutStream<S>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STUCK));
    Box::pin(stream)
}

/// The innermost hop is the one that failed; the ones before it worked.
fn on_the_way(hop: &Target, error: SshError) -> SshError {
    match error {
        SshError::OnTheWay { .. } => error,
        error => SshError::OnTheWay { hop: format!("jump host {}", hop.endpoint), error: Box::new(error) },
    }
}

/// A command that fails ends the stream: what it said is the reason.
async fn explain_command(command: &str, child: &ProxyCommand, error: SshError) -> SshError {
    let said = child.last_words().await;
    match error {
        SshError::Handshake { .. } if !said.is_empty() => {
            SshError::ProxyCommand(format!("the proxy command `{command}` failed: {said}"))
        }
        SshError::Handshake { reason, .. } => {
            SshError::ProxyCommand(format!("no SSH server answers through the proxy command `{command}`: {reason}"))
        }
        SshError::NoAnswer { .. } => {
            let said = if said.is_empty() { String::new() } else { format!(" (it said: {said})") };
            let after = HANDSHAKE_DEADLINE.as_secs();
            SshError::ProxyCommand(format!("no answer through the proxy command `{command}` within {after} s{said}"))
        }
        other => other,
    }
}
