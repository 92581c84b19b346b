//! One process at this terminal: raw mode, the size of the window, keys that go through.

use crate::cli::session::Session;
use crate::cli::{Failure, Kind, output};
use crate::effect::{Exit, Process, ProcessEvent, WindowSize};
use futures::StreamExt;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::IsTerminal;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

/// Whether there is a terminal to type at and to look at. Without, input and output are streams.
pub(crate) fn is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The size of the window, if it is known.
pub(crate) fn size() -> WindowSize {
    match tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => WindowSize { columns: size.ws_col, rows: size.ws_row },
        _ => WindowSize::default(),
    }
}

/// While it lives, every key goes to the process: Ctrl-C too is a byte and not a signal. Dropping it, also in a panic,
/// makes the terminal as it was.
struct RawMode(Option<Termios>);

impl RawMode {
    fn enter() -> Result<Self, Failure> {
        let failed = |error: rustix::io::Errno| Failure::refused(format!("the terminal cannot be used: {error}"));
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self(Some(before)))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &before);
        }
    }
}

/// Connects a process with this terminal, or with standard input and output, until it ends.
pub(crate) async fn converse(session: &Session, process: Process) -> Result<Exit, Failure> {
    let _raw = process.terminal.is_some().then(RawMode::enter).transpose()?;
    let Process { mut events, input, terminal } = process;
    // A task of its own: a process that does not read must not keep us from reading it.
    let _keys = AbortOnDropHandle::new(tokio::spawn(pass_on(tokio::io::stdin(), input)));
    let mut resized = signal(SignalKind::window_change())
        .map_err(|error| Failure::refused(format!("the window's size cannot be watched: {error}")))?;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(ProcessEvent::Output(stream, piece))) => output::raw(stream, &piece),
                Some(Ok(ProcessEvent::Ended(exit))) => return Ok(exit),
                Some(Err(error)) => return Err(Failure::new(Kind::Mixed, error.to_string())),
                None => return Err(Failure::new(Kind::Mixed, "it ended without a word")),
            },
            _ = resized.recv() => {
                if let Some(terminal) = &terminal {
                    // The next change tries again.
                    let _ = terminal.resize(size()).await;
                }
            }
            () = session.cancel.cancelled() => return Err(Failure::new(Kind::Interrupted, "interrupted")),
        }
    }
}

/// Copies what is typed until its end, and passes the end on.
async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: Pin<Box<dyn AsyncWrite + Send>>) {
    let mut buffer = vec![0; 8 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..n]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    // A process that has ended needs no end of its input.
    let _ = to.shutdown().await;
}

/// The end of a process that somebody talked to is the end of this one: as with ssh, its exit code is ours.
pub(crate) fn as_own(exit: &Exit) -> Result<(), Failure> {
    match exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) => Err(Failure::new(Kind::Command(u8::try_from(*code).unwrap_or(1)), "")),
        Exit::Signal(signal) => Err(Failure::new(Kind::Command(1), format!("it was ended by the signal {signal}"))),
    }
}
