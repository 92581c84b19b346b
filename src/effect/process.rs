//! A process on a host or in a container, while somebody talks to it.

use crate::effect::LogStream;
use crate::secret::Secret;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error;
use tokio::io::AsyncWrite;

/// A process that runs: what it prints, the way to its input, and how it ended.
pub struct Process {
    /// Its output in pieces as they come, then [`ProcessEvent::Ended`] as the last item. Nothing is dropped: a reader
    /// that is slow makes the process wait.
    pub events: BoxStream<'static, Result<ProcessEvent, ProcessError>>,
    /// Its standard input. Shutting it down is the end of the input; what is written when none was asked for goes nowhere.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// Its terminal, if one was asked for.
    pub terminal: Option<Arc<dyn Terminal>>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("terminal", &self.terminal.is_some()).finish_non_exhaustive()
    }
}

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It printed. With a terminal both streams are [`LogStream::Out`].
    Output(LogStream, Bytes),
    /// It ended. The last event.
    Ended(Exit),
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code.
    Code(i64),
    /// By this signal, such as `TERM`.
    Signal(String),
}

impl Exit {
    /// Exit code 0.
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// A process that could not be followed to its end: whether it still runs is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ProcessError(pub String);

/// The terminal of a process.
#[async_trait]
pub trait Terminal: Send + Sync {
    /// Gives it another size.
    async fn resize(&self, size: WindowSize) -> Result<(), ProcessError>;
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl Default for WindowSize {
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}

/// A command for a running container.
#[derive(Debug, Clone, Default)]
pub struct ExecCommand {
    /// The executable and its arguments; no shell looks at them.
    pub words: Vec<String>,
    /// Variables over those of the container.
    pub env: BTreeMap<String, Secret<String>>,
    /// Whether it gets an input; without, it reads an end at once.
    pub input: bool,
    /// A terminal of this size.
    pub terminal: Option<WindowSize>,
}

/// A command for a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostCommand {
    /// For the login shell, as it is.
    pub line: String,
    /// Whether it gets an input; without, it reads an end at once.
    pub input: bool,
    /// A terminal of this kind (`TERM`) and size.
    pub terminal: Option<(String, WindowSize)>,
}
