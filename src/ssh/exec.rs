//! Commands on the host: bounded output, a deadline, and no channel left behind.

use super::connect::Connection;
use super::error::SshError;
use super::watcher::printable;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a command waits for a session. One that was given up counts against MaxSessions until it has ended.
const SESSION_WAIT: Duration = Duration::from_secs(10);

/// What a command left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit status; none if a signal ended it.
    pub status: Option<u32>,
    /// The signal that ended it, such as `TERM`.
    pub signal: Option<String>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Exit status 0.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }

    /// `exit 1`, `signal TERM`.
    pub fn ending(&self) -> String {
        match (self.status, &self.signal) {
            (Some(status), _) => format!("exit {status}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no exit status".to_string(),
        }
    }

    /// The last lines of standard error, fit for a message.
    pub fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let lines: Vec<_> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        printable(&lines[lines.len().saturating_sub(3)..].join(" / "))
    }
}

/// A command line with its limits.
#[derive(Debug, Clone)]
pub struct Command {
    /// What it does, for messages: `write /path`.
    pub what: String,
    /// For the login shell. Arguments are quoted already.
    pub line: String,
    /// Standard input, closed after it.
    pub stdin: Bytes,
    /// Counted from the moment the command is sent.
    pub deadline: Duration,
    /// Most bytes of standard output and of standard error.
    pub limit: usize,
}

/// Ends the command's task when its caller goes away, so that the channel is closed and not leaked.
struct CancelOnDrop(CancellationToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Connection {
    /// Runs a command to its end. A caller that goes away closes the channel; the command on the host then sees the
    /// end of its input, but is not killed.
    ///
    /// # Errors
    /// A lost connection, a refused channel, the deadline, too much output. A failing command is not an error here.
    pub async fn exec(self: &Arc<Self>, command: Command) -> Result<Output, SshError> {
        let stop = CancelOnDrop(CancellationToken::new());
        let token = stop.0.clone();
        let connection = self.clone();
        // A task of its own: an open that is cancelled half-way leaks its channel until the connection ends.
        let task = tokio::spawn(async move { connection.run(command, token).await });
        task.await.unwrap_or_else(|e| Err(SshError::ConnectionLost(e.to_string())))
    }

    async fn run(self: Arc<Self>, command: Command, stop: CancellationToken) -> Result<Output, SshError> {
        let (what, after) = (command.what.clone(), command.deadline);
        let Ok(_place) = self.commands().acquire_owned().await else {
            return Err(self.lost());
        };
        if stop.is_cancelled() {
            return Err(SshError::ConnectionLost("cancelled".to_string()));
        }
        let channel = self.session_when_free().await?;
        let (mut read, write) = channel.split();
        let result = tokio::select! {
            result = tokio::time::timeout(after, self.converse(&mut read, &write, command)) => {
                result.unwrap_or(Err(SshError::Deadline { what, after }))
            }
            () = stop.cancelled() => Err(SshError::ConnectionLost("cancelled".to_string())),
        };
        if result.is_err() {
            // OpenSSH passes it on unless the login is root; the end of input and output is left then.
            let _ = write.signal(russh::Sig::TERM).await;
        }
        // A dropped channel stays open on the host; closing one that the host has closed does nothing.
        let _ = write.close().await;
        result
    }

    /// Whether sshd gives this many sessions at once, besides those in use.
    ///
    /// # Errors
    /// A lost connection.
    pub(super) async fn has_sessions(&self, count: usize) -> Result<bool, SshError> {
        let mut enough = true;
        for session in futures::future::join_all((0..count).map(|_| self.session())).await {
            match session {
                // A dropped channel stays open on the host.
                Ok(channel) => drop(channel.close().await),
                Err(SshError::ChannelRefused { .. }) => enough = false,
                Err(other) => return Err(other),
            }
        }
        Ok(enough)
    }

    /// A session, as soon as sshd has one to give: one that was just closed counts until its process has ended.
    pub(super) async fn session_when_free(&self) -> Result<Channel<Msg>, SshError> {
        let patience = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_millis(320))
            .with_total_delay(Some(SESSION_WAIT))
            .without_max_times();
        let ask = || self.session();
        ask.retry(patience).when(|e| matches!(e, SshError::ChannelRefused { .. })).await
    }

    /// Sends the command and its input while reading its output, until the host closes the channel.
    async fn converse(
        &self,
        read: &mut russh::ChannelReadHalf,
        write: &russh::ChannelWriteHalf<Msg>,
        command: Command,
    ) -> Result<Output, SshError> {
        write.exec(true, command.line).await.map_err(|_| self.lost())?;
        let feed = async {
            // A command may end without reading its input; its status tells.
            let _ = write.data_bytes(command.stdin).await;
            let _ = write.eof().await;
            std::future::pending::<()>().await
        };
        let collect = self.collect(read, &command.what, command.limit);
        tokio::select! {
            output = collect => output,
            () = feed => Err(self.lost()),
        }
    }

    async fn collect(&self, read: &mut russh::ChannelReadHalf, what: &str, limit: usize) -> Result<Output, SshError> {
        let mut output = Output::default();
        let mut ended = false;
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => output.stdout.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, ext: 1 } => output.stderr.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => output.status = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => output.signal = Some(signal_text(&signal_name)),
                ChannelMsg::Failure => {
                    let reason = "the host runs no commands for this login (ForceCommand, or no shell)".to_string();
                    return Err(SshError::ChannelRefused { what: what.to_string(), reason });
                }
                ChannelMsg::Close => {
                    ended = true;
                    break;
                }
                _ => {}
            }
            if output.stdout.len() > limit || output.stderr.len() > limit {
                return Err(SshError::OutputTooLarge { what: what.to_string(), limit });
            }
        }
        // A channel that ends without a status ended with its connection: the command may or may not have run.
        match ended || output.status.is_some() {
            true if output.status.is_some() || output.signal.is_some() => Ok(output),
            _ => Err(self.lost()),
        }
    }
}

fn signal_text(signal: &russh::Sig) -> String {
    format!("{signal:?}")
}
