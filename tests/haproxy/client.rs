//! A client that keeps its connection, and counts every request that is not answered with 200.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) struct Client {
    address: String,
    stream: Option<TcpStream>,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_string(), stream: None }
    }

    /// One request. An error is whatever a client would see as one: no retry is hidden here.
    pub(crate) async fn get(&mut self, host: &str, path: &str, headers: &str) -> Result<Answer, String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(&self.address).await.map_err(|e| format!("connect: {e}"))?,
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
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
        let length: usize = length.ok_or("no content-length")?;
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
        let run = |_| tokio::spawn(hammer(Client::new(address), host, stop.clone(), done.clone()));
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

async fn hammer(mut client: Client, host: &str, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match client.get(host, "/", "").await {
            Ok(answer) if answer.status == 200 => {
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => failures.push(answer.head),
            Err(error) => failures.push(error),
        }
    }
    failures
}
