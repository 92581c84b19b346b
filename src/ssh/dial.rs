//! Name resolution and TCP, with a reason for every failure.

use super::error::SshError;
use backon::{ExponentialBuilder, Retryable};
use futures::stream::{FuturesUnordered, StreamExt};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Before a name is asked for again; twice as long every time.
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// For the name and the TCP handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Data that the other side has not acknowledged for this long ends the connection.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// Head start of one address over the next (RFC 8305 recommends 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// Opens a TCP connection without Nagle's algorithm to the first address of `host` that answers.
pub(super) async fn dial(
    host: &str,
    port: u16,
    limit: Option<Duration>,
    dns_retries: usize,
) -> Result<TcpStream, SshError> {
    let limit = limit.unwrap_or(CONNECT_TIMEOUT);
    let work = async {
        let addresses = persistently(dns_retries, || resolve(host, port)).await?;
        let stream = first_to_answer(&addresses).await?;
        // A failure of these costs latency, or the prompt end of a dead link, and nothing else.
        let _ = stream.set_nodelay(true);
        // While a full socket buffer blocks the session's task, its keepalives stand still: the kernel watches then.
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        Ok(stream)
    };
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(SshError::NoAnswer { port, waiting_for: "TCP connection", after: limit }))
}

/// Asks again where the resolver had no answer. One that says "there is no such name" is believed at once.
async fn persistently<T, F: Future<Output = Result<T, SshError>>>(
    retries: usize,
    ask: impl FnMut() -> F,
) -> Result<T, SshError> {
    let patience = ExponentialBuilder::default().with_min_delay(FIRST_RETRY).with_jitter().with_max_times(retries);
    ask.retry(patience).when(|e| matches!(e, SshError::Dns { reason, .. } if !is_final(reason))).await
}

/// The standard library passes on the resolver's words (gai_strerror of glibc, musl, macOS) but not its code.
fn is_final(reason: &str) -> bool {
    ["Name or service not known", "Name does not resolve", "nodename nor servname", "No address associated"]
        .iter()
        .any(|words| reason.contains(words))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Answers after so many failures; how often it was asked.
    async fn ask(failures: usize, reason: &str, retries: usize) -> (Result<(), SshError>, usize) {
        let asked = Cell::new(0);
        let answer = persistently(retries, || async {
            asked.set(asked.get() + 1);
            match asked.get() > failures {
                true => Ok(()),
                false => Err(SshError::Dns { name: "web1".into(), reason: reason.into() }),
            }
        });
        (answer.await, asked.get())
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_without_an_answer_is_asked_again() {
        let busy = "failed to lookup address information: Temporary failure in name resolution";
        assert_eq!(ask(2, busy, 3).await, (Ok(()), 3));
        let (result, asked) = ask(9, busy, 3).await;
        assert!(matches!(result, Err(SshError::Dns { .. })) && asked == 4);
        assert_eq!(ask(1, busy, 0).await.1, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_does_not_exist_is_an_error_at_once() {
        let (result, asked) = ask(9, "failed to lookup address information: Name or service not known", 3).await;
        assert!(result.is_err() && asked == 1);
    }
}
