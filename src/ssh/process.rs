//! A user's command on the host: its output as it comes, its input, its terminal, its end.

use super::connect::Connection;
use super::error::SshError;
use crate::effect::{Exit, HostCommand, LogStream, Process, ProcessError, ProcessEvent, Terminal, WindowSize};
use async_trait::async_trait;
use futures::StreamExt;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Pieces that wait for their reader, of 32 KiB at most each. Beyond that the connection waits: a command whose
/// output is lost in part is worse than one that is slow.
const WAITING: usize = 128;

impl Connection {
    /// Starts a command of a user. It has no deadline; when its [`Process::events`] are dropped, the channel is closed
    /// and a command with a terminal gets a hangup.
    ///
    /// # Errors
    /// A lost connection, or a refused channel.
    pub async fn process(self: &Arc<Self>, command: HostCommand) -> Result<Process, SshError> {
        let connection = self.clone();
        // A task of its own: an open that is cancelled half-way leaks its channel until the connection ends.
        let task = tokio::spawn(async move { connection.start_process(command).await });
        task.await.unwrap_or_else(|e| Err(SshError::ConnectionLost(e.to_string())))
    }

    async fn start_process(self: Arc<Self>, command: HostCommand) -> Result<Process, SshError> {
        let channel: Channel<Msg> = self.session().await?;
        let (read, write) = channel.split();
        if let Some((kind, size)) = &command.terminal {
            let (columns, rows) = (size.columns.into(), size.rows.into());
            write.request_pty(false, kind, columns, rows, 0, 0, &[]).await.map_err(|_| self.lost())?;
        }
        write.exec(true, command.line).await.map_err(|_| self.lost())?;
        let mut input: std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>> = Box::pin(write.make_writer());
        if !command.input {
            // A command may end before it looks at its input.
            let _ = input.shutdown().await;
        }
        let write = Arc::new(write);
        let (send, receive) = mpsc::channel(WAITING);
        let (stop, guard) = stop_on_drop();
        tokio::spawn(pump(self.clone(), read, write.clone(), send, stop));
        let events = futures::stream::unfold((receive, guard), |(mut receive, guard)| async move {
            receive.recv().await.map(|event| (event, (receive, guard)))
        });
        let terminal = command.terminal.map(|_| Arc::new(HostTerminal(write)) as Arc<dyn Terminal>);
        Ok(Process { events: events.boxed(), input, terminal })
    }
}

fn stop_on_drop() -> (CancellationToken, DropGuard) {
    let token = CancellationToken::new();
    (token.clone(), token.drop_guard())
}

type Sender = mpsc::Sender<Result<ProcessEvent, ProcessError>>;

/// Passes on what the command prints until it has ended, and closes the channel whatever happens.
async fn pump(
    connection: Arc<Connection>,
    mut read: ChannelReadHalf,
    write: Arc<ChannelWriteHalf<Msg>>,
    send: Sender,
    stop: CancellationToken,
) {
    let end = tokio::select! {
        end = pass_on(&mut read, &send) => end,
        () = stop.cancelled() => {
            // OpenSSH passes it on unless the login is root; the end of input and output is left then.
            let _ = write.signal(russh::Sig::TERM).await;
            None
        }
    };
    // Nobody may listen any more.
    let _ = match end {
        Some(end) => send.send(end).await,
        None => send.send(Err(ProcessError(connection.lost().to_string()))).await,
    };
    // A dropped channel stays open on the host; closing one that the host has closed does nothing.
    let _ = write.close().await;
}

/// `None` when the channel ended without a word, as it does with its connection.
async fn pass_on(read: &mut ChannelReadHalf, send: &Sender) -> Option<Result<ProcessEvent, ProcessError>> {
    let mut end = None;
    while let Some(message) = read.wait().await {
        let piece = match message {
            ChannelMsg::Data { data } => ProcessEvent::Output(LogStream::Out, data),
            ChannelMsg::ExtendedData { data, .. } => ProcessEvent::Output(LogStream::Err, data),
            ChannelMsg::ExitStatus { exit_status } => {
                end = Some(Exit::Code(exit_status.into()));
                continue;
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                end = Some(Exit::Signal(format!("{signal_name:?}")));
                continue;
            }
            ChannelMsg::Failure => {
                let reason = "the host runs no commands for this login (ForceCommand, or no shell)";
                return Some(Err(ProcessError(reason.to_string())));
            }
            // Output may still come after the status, but not after this.
            ChannelMsg::Close => break,
            _ => continue,
        };
        if send.send(Ok(piece)).await.is_err() {
            return None;
        }
    }
    end.map(|exit| Ok(ProcessEvent::Ended(exit)))
}

struct HostTerminal(Arc<ChannelWriteHalf<Msg>>);

#[async_trait]
impl Terminal for HostTerminal {
    async fn resize(&self, size: WindowSize) -> Result<(), ProcessError> {
        let change = self.0.window_change(size.columns.into(), size.rows.into(), 0, 0);
        change.await.map_err(|e| ProcessError(format!("resize the terminal: {e}")))
    }
}
