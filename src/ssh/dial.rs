//! Name resolution and TCP, with a reason for every failure.

use super::error::SshError;
use futures::stream::{FuturesUnordered, StreamExt};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// For the name and the TCP handshake together.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Data that the other side has not acknowledged for this long ends the connection.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// Head start of one address over the next (RFC 8305 recommends 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// Opens a TCP connection without Nagle's algorithm to the first address of `host` that answers.
pub(super) async fn dial(host: &str, port: u16) -> Result<TcpStream, SshError> {
    let work = async {
        let addresses = resolve(host, port).await?;
        let stream = first_to_answer(&addresses).await?;
        // A failure of these costs latency, or the prompt end of a dead link, and nothing else.
        let _ = stream.set_nodelay(true);
        // While a full socket buffer blocks the session's task, its keepalives stand still: the kernel watches then.
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        Ok(stream)
    };
    tokio::time::timeout(CONNECT_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| Err(SshError::NoAnswer { port, waiting_for: "TCP connection", after: CONNECT_TIMEOUT }))
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, SshError> {
    let fail = |reason: String| SshError::Dns { name: host.to_string(), reason };
    let found: Vec<_> = tokio::net::lookup_host((host, port)).await.map_err(|e| fail(e.to_string()))?.collect();
    if found.is_empty() {
        return Err(fail("the resolver knows no address".into()));
    }
    Ok(found)
}

/// Tries all addresses, each a little later than the one before. The error of the first address is the one reported.
async fn first_to_answer(addresses: &[SocketAddr]) -> Result<TcpStream, SshError> {
    let mut attempts: FuturesUnordered<_> = addresses
        .iter()
        .zip(0u32..)
        .map(|(address, n)| async move {
            tokio::time::sleep(STAGGER * n).await;
            (n, *address, TcpStream::connect(address).await)
        })
        .collect();
    let mut failed: Option<(u32, SocketAddr, std::io::Error)> = None;
    while let Some((n, address, result)) = attempts.next().await {
        match result {
            Ok(stream) => return Ok(stream),
            Err(e) if failed.as_ref().is_none_or(|(first, ..)| n < *first) => failed = Some((n, address, e)),
            Err(_) => {}
        }
    }
    Err(match failed {
        Some((_, address, e)) => explain(address, &e),
        None => SshError::NoRoute { address: "any address".into(), reason: "the resolver knows none".into() },
    })
}

fn explain(address: SocketAddr, e: &std::io::Error) -> SshError {
    let address = address.to_string();
    match e.kind() {
        ErrorKind::ConnectionRefused => SshError::Refused { address },
        _ => SshError::NoRoute { address, reason: e.to_string() },
    }
}
