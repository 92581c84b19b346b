//! A service's container: an HTTP/1.1 server that keeps connections open and says who it is.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use windlass::effect::Target;
use windlass::name::ContainerId;

/// Each one has an address of its own, as containers do.
static NEXT: AtomicU8 = AtomicU8::new(10);

pub(crate) struct App {
    pub(crate) id: ContainerId,
    pub(crate) address: Ipv4Addr,
    port: u16,
    /// The status of its health page.
    pub(crate) health: Arc<AtomicU16>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl App {
    /// Answers `name`, and after a line break the request as it arrived. `/slow` takes 1.5 s.
    pub(crate) async fn start(name: &'static str) -> Self {
        let address = Ipv4Addr::new(127, 0, 77, NEXT.fetch_add(1, Ordering::Relaxed));
        let listener = TcpListener::bind((address, 0)).await.expect("an address of the loopback network");
        let port = listener.local_addr().expect("bound").port();
        let health = Arc::new(AtomicU16::new(200));
        let status = health.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, name, status.clone()));
            }
        });
        Self { id: id_of(address), address, port, health, server }
    }

    pub(crate) fn target(&self) -> Target {
        Target { container: self.id.clone(), address: self.address.to_string(), port: self.port }
    }

    pub(crate) fn fail_checks(&self) {
        self.health.store(503, Ordering::Relaxed);
    }
}

/// An id whose first 12 digits are the address as C's `inet_aton` reads it (octal): the C library resolves it to that
/// address, as Docker's DNS resolves a container's id, so that a reload finds it.
fn id_of(address: Ipv4Addr) -> ContainerId {
    format!("{:012o}{}", u32::from(address), "0".repeat(52)).parse().expect("64 digits")
}

async fn serve(mut stream: TcpStream, name: &'static str, health: Arc<AtomicU16>) {
    let mut buffer = Vec::new();
    loop {
        let Some(head) = read_head(&mut stream, &mut buffer).await else { return };
        let is_check = head.starts_with("GET /up ");
        if head.contains(" /slow") {
            tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        }
        let status = if is_check { health.load(Ordering::Relaxed) } else { 200 };
        let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if read_body(&mut stream, &mut buffer, length.unwrap_or_default()).await.is_none() {
            return;
        }
        let padding = if head.contains(" /big") { "x".repeat(5000) } else { String::new() };
        let body = format!("{name}\n{head}{padding}");
        let shown = if head.starts_with("HEAD ") { "" } else { &body };
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{shown}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Option<()> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    buffer.drain(..length);
    Some(())
}

async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = buffer.drain(..end + 4).collect::<Vec<_>>();
            return Some(String::from_utf8_lossy(&head).into_owned());
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
