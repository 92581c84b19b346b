//! A container's output as lines, read whether or not somebody takes them.

use super::error::failed;
use crate::effect::{EngineError, LogLine, LogStream};
use bollard::container::LogOutput;
use bollard::errors::Error;
use futures::stream::{BoxStream, Stream, StreamExt};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// Longest line in bytes; the rest of a longer one is dropped.
const LINE: usize = 64 << 10;
/// Bytes that wait for their reader in one stream, each line counted with what it costs to keep. Beyond that lines are
/// dropped and counted: they must not fill the memory, and a stream that is not read stalls its connection.
const WAITING: usize = 4 << 20;
/// What a line costs besides its text.
const LINE_COST: usize = 128;

type Item = Result<LogLine, EngineError>;

/// Reads the stream in a task of its own: a stream that nobody polls would stall every other call on its connection.
/// The task ends when the returned stream is dropped.
pub(super) fn drain(
    source: impl Stream<Item = Result<LogOutput, Error>> + Send + 'static,
    what: String,
    timestamps: bool,
) -> BoxStream<'static, Result<LogLine, EngineError>> {
    // The room is what bounds the channel.
    let (send, receive) = mpsc::unbounded_channel();
    let task = AbortOnDropHandle::new(tokio::spawn(read(source, what, timestamps, send)));
    let lines = futures::stream::unfold((receive, task), |(mut receive, task)| async move {
        receive.recv().await.map(|(line, _room)| (line, (receive, task)))
    });
    lines.boxed()
}

async fn read(
    source: impl Stream<Item = Result<LogOutput, Error>> + Send,
    what: String,
    timestamps: bool,
    send: mpsc::UnboundedSender<(Item, Option<OwnedSemaphorePermit>)>,
) {
    let mut source = std::pin::pin!(source);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let room = Arc::new(Semaphore::new(WAITING));
    let try_send = |line: LogLine| {
        let cost = u32::try_from(line.text.len() + LINE_COST).unwrap_or(u32::MAX);
        let permit = room.clone().try_acquire_many_owned(cost).ok()?;
        send.send((Ok(line), Some(permit))).ok()
    };
    let mut dropped = 0u64;
    let mut offer = |line: LogLine| {
        if dropped > 0 {
            let note = LogLine { stream: LogStream::Err, at: None, text: format!("[{dropped} lines dropped]") };
            if try_send(note).is_some() {
                dropped = 0;
            }
        }
        if dropped > 0 || try_send(line).is_none() {
            dropped += 1;
        }
    };
    while let Some(item) = source.next().await {
        let (stream, message, buffer) = match item {
            Ok(LogOutput::StdErr { message }) => (LogStream::Err, message, &mut err),
            Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => (LogStream::Out, message, &mut out),
            Ok(LogOutput::StdIn { .. }) => continue,
            Err(e) => {
                // The last thing said. Nobody may listen any more.
                let _ = send.send((Err(failed(&what, e)), None));
                return;
            }
        };
        split(&message, buffer, |bytes| offer(line(stream, bytes, timestamps)));
    }
    for (stream, rest) in [(LogStream::Out, out), (LogStream::Err, err)] {
        if !rest.is_empty() {
            offer(line(stream, &rest, timestamps));
        }
    }
}

/// Cuts a piece of output into whole lines; what is left of the last one stays in the buffer.
fn split(piece: &[u8], buffer: &mut Vec<u8>, mut whole: impl FnMut(&[u8])) {
    let mut parts = piece.split(|b| *b == b'\n').peekable();
    while let Some(part) = parts.next() {
        let room = LINE.saturating_sub(buffer.len());
        buffer.extend_from_slice(&part[..part.len().min(room)]);
        if parts.peek().is_some() {
            whole(buffer);
            buffer.clear();
        }
    }
}

fn line(stream: LogStream, bytes: &[u8], timestamps: bool) -> LogLine {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\r');
    let (at, text) = match timestamps.then(|| text.split_once(' ')).flatten() {
        Some((moment, rest)) if moment.parse::<jiff::Timestamp>().is_ok() => (moment.parse().ok(), rest),
        _ => (None, text),
    };
    LogLine { stream, at, text: text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str) -> Result<LogOutput, Error> {
        Ok(LogOutput::StdOut { message: text.to_string().into() })
    }

    async fn texts(pieces: Vec<Result<LogOutput, Error>>, timestamps: bool) -> Vec<LogLine> {
        drain(futures::stream::iter(pieces), "logs".into(), timestamps).map(|l| l.unwrap()).collect().await
    }

    #[tokio::test]
    async fn lines_come_whole_however_they_were_cut() {
        let stderr = Ok(LogOutput::StdErr { message: "oops\n".into() });
        let lines = texts(vec![out("a"), stderr, out("b\r\nc\n\nlast")], false).await;
        let seen: Vec<_> = lines.iter().map(|l| (l.stream, l.text.as_str())).collect();
        use LogStream::{Err, Out};
        assert_eq!(seen, [(Err, "oops"), (Out, "ab"), (Out, "c"), (Out, ""), (Out, "last")]);
    }

    #[tokio::test]
    async fn timestamps_and_long_lines() {
        let lines = texts(vec![out("2026-01-02T03:04:05.123456789Z hello world\n")], true).await;
        assert_eq!((lines[0].text.as_str(), lines[0].at.is_some()), ("hello world", true));
        let lines = texts(vec![out(&"x".repeat(100_000)), out("y\nz\n")], false).await;
        assert_eq!((lines[0].text.len(), lines[1].text.as_str()), (LINE, "z"));
    }

    #[tokio::test]
    async fn long_lines_that_nobody_takes_are_bounded_by_their_bytes() {
        let pieces: Vec<_> = (0..1000).map(|_| out(&("x".repeat(LINE) + "\n"))).collect();
        let mut stream = drain(futures::stream::iter(pieces), "logs".into(), false);
        tokio::task::yield_now().await;
        let mut bytes = 0;
        while let Some(line) = stream.next().await {
            bytes += line.unwrap().text.len();
        }
        assert!(bytes <= WAITING && bytes > WAITING / 2, "{bytes} bytes waited");
    }

    #[tokio::test]
    async fn a_slow_reader_loses_lines_and_is_told() {
        let fit = WAITING / (LINE_COST + 10);
        let pieces: Vec<_> = (0..fit + 50).map(|i| out(&format!("{i:010}\n"))).collect();
        let mut stream = drain(futures::stream::iter(pieces), "logs".into(), false);
        // The source never waits: on this one thread it has ended before the first line is taken.
        tokio::task::yield_now().await;
        let mut count = 0;
        while stream.next().await.is_some() {
            count += 1;
        }
        assert_eq!(count, fit);
    }
}
