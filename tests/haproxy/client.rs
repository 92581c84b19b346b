//! A client that keeps its connection, and counts every request that is not answered with 200.

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

pub(crate) struct Client {
    address: String,
    tls: Option<Arc<ClientConfig>>,
    stream: Option<Box<dyn Stream>>,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_string(), tls: None, stream: None }
    }

    /// By HTTPS: the certificate must be one that `trusted` trusts, and be for the name that is asked for.
    pub(crate) fn tls(address: &str, trusted: &Arc<ClientConfig>) -> Self {
        Self { address: address.to_string(), tls: Some(trusted.clone()), stream: None }
    }

    pub(crate) async fn connect(&self, host: &str) -> Result<Box<dyn Stream>, String> {
        let stream = TcpStream::connect(&self.address).await.map_err(|e| format!("connect: {e}"))?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host.to_string()).map_err(|e| format!("{host}: {e}"))?;
        let stream = TlsConnector::from(config.clone()).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|e| format!("TLS: {e}"))?))
    }

    /// One request. An error is whatever a client would see as one: no retry is hidden here.
    pub(crate) async fn get(&mut self, host: &str, path: &str, headers: &str) -> Result<Answer, String> {
        self.send(host, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")).await
    }

    /// One request as it is written.
    pub(crate) async fn send(&mut self, host: &str, request: &str) -> Result<Answer, String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect(host).await?,
        };
        stream.write_all(request.as_bytes()).await.map_err(|e| format!("write: {e}"))?;
        let mut data = Vec::new();
        let head_end = loop {
            if let Some(end) = data.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut data).await.map_err(|e| format!("read: {e}"))? == 0 {
                return Err(format!("closed after {} bytes", data.len()));
            }
        };
        let head = String::from_utf8_lossy(&data[..head_end]).to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|l| l.lines().next()?.trim().parse().ok());
        let length: usize = if request.starts_with("HEAD ") { 0 } else { length.ok_or("no content-length")? };
        while data.len() < head_end + length {
            if stream.read_buf(&mut data).await.map_err(|e| format!("read: {e}"))? == 0 {
                return Err("closed in the body".to_string());
            }
        }
        if !head.contains("connection: close") {
            self.stream = Some(stream);
        }
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no status")?;
        let body = String::from_utf8_lossy(&data[head_end..]).into_owned();
        Ok(Answer { status, head, body })
    }
}

/// Clients at full speed.
pub(crate) struct Hammer {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    clients: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Hammer {
    pub(crate) fn start(address: &str, host: &'static str, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let run = |_| tokio::spawn(hammer(Client::new(address), host, stop.clone(), done.clone(), true));
        Self { clients: (0..clients).map(run).collect(), stop, done }
    }

    /// By HTTPS: half of the clients keep their connection, the others make one for each request.
    pub(crate) fn start_tls(address: &str, host: &'static str, clients: usize, trusted: &Arc<ClientConfig>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let run = |n: usize| {
            let client = Client::tls(address, trusted);
            tokio::spawn(hammer(client, host, stop.clone(), done.clone(), n.is_multiple_of(2)))
        };
        Self { clients: (0..clients).map(run).collect(), stop, done }
    }

    /// Requests done so far.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many requests were answered, and what went wrong.
    pub(crate) async fn finish(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for client in self.clients {
            failures.extend(client.await.expect("a client does not panic"));
        }
        (self.done.load(Ordering::Relaxed), failures)
    }
}

async fn hammer(
    mut client: Client,
    host: &str,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    keeps: bool,
) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match client.get(host, "/", "").await {
            Ok(answer) if answer.status == 200 => {
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => failures.push(answer.head),
            Err(error) => failures.push(error),
        }
        if !keeps {
            client.stream = None;
        }
    }
    failures
}
