//! HTTP to the engine over byte streams that somebody else opens.

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper::body::Incoming;
use hyper::http::HeaderValue;
use hyper::{Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A two-way byte stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens byte streams to an engine.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// A new stream. It must not leak anything when the future is dropped half-way.
    async fn dial(&self) -> io::Result<Box<dyn Stream>>;
}

/// Idle connections kept for the next call. With dial-stdio each is a session of sshd, which allows ten.
const POOL: usize = 4;
const POOL_IDLE: Duration = Duration::from_secs(60);

/// Until the engine answers; the body that follows has no limit. Pulling resolves the reference before it answers.
const ANSWER_TIMEOUT_S: u64 = 120;

type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, bollard::errors::Error>> + Send>>;

/// Sends one request; shared by bollard and by the calls that need the engine's JSON as it is.
pub(super) type Sender = Arc<dyn Fn(BollardRequest) -> Answer + Send + Sync>;

/// bollard over the dialer, and the same connections without bollard's models.
pub(super) fn connect(dial: Arc<dyn Dial>) -> Result<(Docker, Sender), bollard::errors::Error> {
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL)
        .build(Connector(dial));
    let send: Sender = Arc::new(move |request: BollardRequest| {
        let client = client.clone();
        Box::pin(async move { client.request(request).await.map_err(bollard::errors::Error::from) })
    });
    let transport = send.clone();
    let docker = Docker::connect_with_custom_transport(
        move |request: BollardRequest| transport(request),
        Some("http://docker"),
        ANSWER_TIMEOUT_S,
        API_DEFAULT_VERSION,
    )?;
    Ok((docker.with_request_modifier(url_safe_credentials), send))
}

/// The engine wants URL-safe base64 and silently ignores credentials in the standard alphabet that bollard uses.
fn url_safe_credentials(mut request: BollardRequest) -> BollardRequest {
    for name in ["x-registry-auth", "x-registry-config"] {
        if let Some(value) = request.headers_mut().get_mut(name)
            && let Ok(text) = value.to_str()
            && let Ok(mut fixed) = HeaderValue::from_str(&text.replace('+', "-").replace('/', "_"))
        {
            fixed.set_sensitive(true);
            *value = fixed;
        }
    }
    request
}

/// The connector of hyper's client.
#[derive(Clone)]
struct Connector(Arc<dyn Dial>);

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<EngineIo>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dial = self.0.clone();
        Box::pin(async move { Ok(TokioIo::new(EngineIo(dial.dial().await?))) })
    }
}

/// A stream as hyper's pool wants it.
struct EngineIo(Box<dyn Stream>);

impl Connection for EngineIo {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for EngineIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for EngineIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_url_safe() {
        let mut request = hyper::Request::new(bollard::body_full(Default::default()));
        request.headers_mut().insert("x-registry-auth", HeaderValue::from_static("a+b/c=="));
        let fixed = url_safe_credentials(request);
        let value = &fixed.headers()["x-registry-auth"];
        assert_eq!(value.to_str().unwrap(), "a-b_c==");
        assert!(value.is_sensitive());
    }
}
