//! Commands that tests script: what they print, whether they read their input, how they end.

use super::call::{CallError, SimConnection, reads};
use super::machine::Machine;
use crate::effect::{Exit, LogStream, Process, ProcessError, ProcessEvent, Terminal, WindowSize};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, DuplexStream};

/// What a command does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Lines that it prints at once.
    pub prints: Vec<(LogStream, String)>,
    /// Prints its environment, `NAME=value` a line.
    pub environment: bool,
    /// Prints what it reads and ends with its input.
    pub echoes: bool,
    /// How long it takes.
    pub takes: Duration,
    /// How it ends.
    pub exit_code: i64,
}

impl Script {
    /// Prints these lines on standard output and ends with 0.
    pub fn printing<const N: usize>(lines: [&str; N]) -> Self {
        let prints = lines.map(|line| (LogStream::Out, line.to_string())).to_vec();
        Self { prints, ..Self::default() }
    }

    /// The same, ending with this code.
    pub fn exiting(self, exit_code: i64) -> Self {
        Self { exit_code, ..self }
    }

    /// The same, with a line on standard error.
    pub fn complaining(mut self, line: &str) -> Self {
        self.prints.push((LogStream::Err, line.to_string()));
        self
    }

    /// What a shell says of a command that nobody scripted.
    pub(super) fn unknown(name: &str) -> Self {
        Self::default().complaining(&format!("sh: {name}: not found")).exiting(127)
    }
}

/// What a process belongs to: looked at while it runs.
pub(super) type Alive = Box<dyn Fn(&Machine) -> bool + Send + Sync>;
/// What its end does to the machine.
pub(super) type AtEnd = Box<dyn FnOnce(&mut Machine, Duration) + Send>;

/// A process that runs.
pub(super) struct Running {
    pub(super) connection: SimConnection,
    pub(super) script: Script,
    /// Lines of `environment`.
    pub(super) environment: Vec<String>,
    pub(super) input: bool,
    pub(super) terminal: bool,
    pub(super) alive: Alive,
    pub(super) at_end: AtEnd,
}

impl CallError for ProcessError {
    fn disconnected(why: String) -> Self {
        Self(format!("the connection was lost: {why}"))
    }
}

/// As the effect traits show it.
pub(super) fn process(running: Running) -> Process {
    let (input, read) = tokio::io::duplex(64 << 10);
    let tty = running.terminal;
    let terminal = tty.then(|| Arc::new(SimTerminal(running.connection.clone())) as Arc<dyn Terminal>);
    let newline = if tty { "\r\n" } else { "\n" };
    let environment = running.environment.iter().map(|line| (LogStream::Out, line.clone()));
    let shown = |(stream, line): (LogStream, String)| {
        let stream = if tty { LogStream::Out } else { stream };
        Ok(ProcessEvent::Output(stream, Bytes::from(format!("{line}{newline}"))))
    };
    let lines: Vec<_> = running.script.prints.iter().cloned().chain(environment).map(shown).collect();
    let echo = running.script.echoes.then_some(read).filter(|_| running.input);
    let events = stream::iter(lines).chain(stream::unfold(echo, echo_next)).chain(stream::once(end(running)));
    Process { events: events.boxed(), input: Box::pin(input), terminal }
}

async fn echo_next(read: Option<DuplexStream>) -> Option<(Result<ProcessEvent, ProcessError>, Option<DuplexStream>)> {
    let mut read = read?;
    let mut buffer = vec![0; 8 << 10];
    match read.read(&mut buffer).await {
        Ok(n @ 1..) => {
            let piece = Bytes::copy_from_slice(&buffer[..n]);
            Some((Ok(ProcessEvent::Output(LogStream::Out, piece)), Some(read)))
        }
        _ => None,
    }
}

/// Waits for the end: its own, that of what it runs in, or that of the connection.
async fn end(running: Running) -> Result<ProcessEvent, ProcessError> {
    let shared = running.connection.shared.clone();
    let until = shared.now() + running.script.takes;
    let code = loop {
        let changed = shared.changed.notified();
        let (alive, connected) = running
            .connection
            .look(|machine, _| ((running.alive)(machine), machine.generation == running.connection.generation));
        match () {
            () if !connected => return Err(ProcessError::disconnected("it was reset".to_string())),
            () if !alive => break 137,
            () if shared.now() >= until => break running.script.exit_code,
            () => {}
        }
        tokio::select! {
            () = changed => {}
            () = shared.clock.sleep_until(until) => {}
        }
    };
    shared.with(&running.connection.host, |machine, now| (running.at_end)(machine, now));
    Ok(ProcessEvent::Ended(Exit::Code(code)))
}

struct SimTerminal(SimConnection);

#[async_trait]
impl Terminal for SimTerminal {
    async fn resize(&self, size: WindowSize) -> Result<(), ProcessError> {
        let args = format!("{}x{}", size.columns, size.rows);
        self.0.call(reads("terminal.resize"), args, |_| Ok(())).await
    }
}
