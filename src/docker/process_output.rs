//! A process's output as the engine sends it: pieces with a header of eight bytes, or plain bytes from a terminal.

use crate::effect::{Exit, LogStream, ProcessError, ProcessEvent};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Longest piece that is passed on at once, in bytes.
const PIECE: usize = 32 << 10;
/// Pieces that wait for their reader: 4 MiB. Beyond that the process waits, and with it (SSH's channels share one
/// connection) what else is asked of the host.
const WAITING: usize = 128;

/// What follows from how the process was started.
pub(super) struct Events {
    /// Whether it has a terminal: then the bytes have no headers.
    pub(super) tty: bool,
    /// Its end, asked for after the last byte.
    pub(super) exit: BoxFuture<'static, Result<Exit, ProcessError>>,
}

/// The stream of a process's events. It is read by a task of its own, which ends when the stream is dropped.
pub(super) fn events(
    read: impl AsyncRead + Send + Unpin + 'static,
    process: Events,
) -> BoxStream<'static, Result<ProcessEvent, ProcessError>> {
    let (send, receive) = mpsc::channel(WAITING);
    let task = AbortOnDropHandle::new(tokio::spawn(pump(read, process, send)));
    let events = futures::stream::unfold((receive, task), |(mut receive, task)| async move {
        receive.recv().await.map(|event| (event, (receive, task)))
    });
    events.boxed()
}

type Sender = mpsc::Sender<Result<ProcessEvent, ProcessError>>;

async fn pump(mut read: impl AsyncRead + Send + Unpin, process: Events, send: Sender) {
    let copied = match process.tty {
        true => plain(&mut read, u64::MAX, LogStream::Out, &send).await.map(drop),
        false => framed(&mut read, &send).await,
    };
    let end = match copied {
        Ok(()) => process.exit.await.map(ProcessEvent::Ended),
        Err(error) => Err(ProcessError(format!("the connection was lost: {error}"))),
    };
    // Nobody may listen any more.
    let _ = send.send(end).await;
}

/// Passes on at most so many bytes, as they come. The answer is how many there were.
async fn plain(read: &mut (impl AsyncRead + Unpin), most: u64, stream: LogStream, send: &Sender) -> io::Result<u64> {
    let mut buffer = vec![0; PIECE];
    let mut passed = 0;
    while passed < most {
        let room = usize::try_from(most - passed).unwrap_or(PIECE).min(PIECE);
        let n = read.read(&mut buffer[..room]).await?;
        if n == 0 {
            break;
        }
        passed += n as u64;
        let piece = ProcessEvent::Output(stream, Bytes::copy_from_slice(&buffer[..n]));
        send.send(Ok(piece)).await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
    }
    Ok(passed)
}

async fn framed(read: &mut (impl AsyncRead + Unpin), send: &Sender) -> io::Result<()> {
    let mut header = [0; 8];
    loop {
        if read.read(&mut header[..1]).await? == 0 {
            return Ok(());
        }
        read.read_exact(&mut header[1..]).await?;
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        // 3 is the engine's own word about the stream.
        let stream = if header[0] >= 2 { LogStream::Err } else { LogStream::Out };
        if plain(read, length.into(), stream, send).await? < length.into() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0][..], &length, text].concat()
    }

    async fn seen(bytes: Vec<u8>, tty: bool) -> (Vec<(LogStream, Vec<u8>)>, Result<Exit, ProcessError>) {
        let exit = Box::pin(async { Ok(Exit::Code(7)) });
        let all: Vec<_> = events(std::io::Cursor::new(bytes), Events { tty, exit }).collect().await;
        let mut pieces: Vec<(LogStream, Vec<u8>)> = Vec::new();
        let mut end = Err(ProcessError("none".into()));
        for event in all {
            match event {
                Ok(ProcessEvent::Output(stream, piece)) => pieces.push((stream, piece.to_vec())),
                Ok(ProcessEvent::Ended(exit)) => end = Ok(exit),
                Err(error) => end = Err(error),
            }
        }
        (pieces, end)
    }

    #[tokio::test]
    async fn headers_tell_the_streams_apart_and_long_pieces_are_cut() {
        let long = vec![b'x'; PIECE + 1];
        let bytes = [frame(1, b"out\n"), frame(2, b"err"), frame(1, b""), frame(1, &long)].concat();
        let (pieces, end) = seen(bytes, false).await;
        assert_eq!(end, Ok(Exit::Code(7)));
        assert_eq!(pieces[..2], [(LogStream::Out, b"out\n".to_vec()), (LogStream::Err, b"err".to_vec())]);
        assert_eq!(pieces[2..].iter().map(|(_, p)| p.len()).collect::<Vec<_>>(), [PIECE, 1]);
    }

    #[tokio::test]
    async fn a_terminals_bytes_are_passed_on_whatever_they_are() {
        let bytes = [0x01, 0x00, 0x02, 0xff, b'\r', b'\n'].to_vec();
        assert_eq!(seen(bytes.clone(), true).await, (vec![(LogStream::Out, bytes)], Ok(Exit::Code(7))));
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_is_no_end() {
        let mut bytes = frame(1, b"half a piece");
        bytes.truncate(12);
        let (pieces, end) = seen(bytes, false).await;
        assert_eq!(pieces, [(LogStream::Out, b"half".to_vec())]);
        assert!(end.unwrap_err().to_string().starts_with("the connection was lost"));
    }
}
