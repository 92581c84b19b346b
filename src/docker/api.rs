//! Calls whose JSON is read and written here and not by bollard's models.
//!
//! bollard's enumerations know no other values than today's: one container in a state that a newer engine (or podman)
//! invented would break the listing of all. And a container is copied exactly only if nothing is lost on the way.

use super::error::{answered, failed, new};
use super::transport::Sender;
use crate::effect::{EngineError, EngineErrorKind};
use bollard::{BollardRequest, body_full};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(120);
/// A host with ten thousand containers lists in about 30 MB.
const LIMIT: usize = 256 << 20;

/// The engine's API.
#[derive(Clone)]
pub(super) struct Api(pub(super) Sender);

impl Api {
    pub(super) async fn get<T: DeserializeOwned>(&self, what: &str, path: &str) -> Result<T, EngineError> {
        let body = self.call(what, Method::GET, path, None).await?;
        serde_json::from_slice(&body).map_err(|e| new(EngineErrorKind::Other, what, &format!("unexpected answer: {e}")))
    }

    /// `None` for 404.
    pub(super) async fn find<T: DeserializeOwned>(&self, what: &str, path: &str) -> Result<Option<T>, EngineError> {
        match self.get(what, path).await {
            Err(e) if e.kind == EngineErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    pub(super) async fn post(&self, what: &str, path: &str, body: &Value) -> Result<Value, EngineError> {
        let answer = self.call(what, Method::POST, path, Some(body)).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer)
            .map_err(|e| new(EngineErrorKind::Other, what, &format!("unexpected answer: {e}")))
    }

    pub(super) async fn delete(&self, what: &str, path: &str) -> Result<(), EngineError> {
        self.call(what, Method::DELETE, path, None).await.map(drop)
    }

    async fn call(&self, what: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, EngineError> {
        let request = request(what, method, path, body, false)?;
        let work = async {
            let response = (self.0)(request).await.map_err(|e| failed(what, e))?;
            let status = response.status();
            let body = collect(what, response).await?;
            if status.is_success() { Ok(body) } else { Err(answered(what, status.as_u16(), &message(&body))) }
        };
        in_time(what, work).await
    }

    /// Sends a request and waits for the head of its answer only: what the answer waits for has then been registered.
    pub(super) async fn begin(&self, what: &str, method: Method, path: &str) -> Result<Begun, EngineError> {
        let request = request(what, method, path, None, false)?;
        let work = async {
            let response = (self.0)(request).await.map_err(|e| failed(what, e))?;
            refused(what, response, StatusCode::is_success).await
        };
        Ok(Begun { what: what.to_string(), response: in_time(what, work).await? })
    }

    /// Makes the connection of a request the two-way stream of a process.
    pub(super) async fn hijack(
        &self,
        what: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<TokioIo<Upgraded>, EngineError> {
        let request = request(what, Method::POST, path, body, true)?;
        let work = async {
            let response = (self.0)(request).await.map_err(|e| failed(what, e))?;
            let response = refused(what, response, |s| *s == StatusCode::SWITCHING_PROTOCOLS).await?;
            let stream = hyper::upgrade::on(response).await;
            stream.map(TokioIo::new).map_err(|e| new(EngineErrorKind::Disconnected, what, &e.to_string()))
        };
        in_time(what, work).await
    }
}

/// A call whose answer is on its way, however long that takes.
pub(super) struct Begun {
    what: String,
    response: Response<Incoming>,
}

impl Begun {
    /// The answer.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, EngineError> {
        let body = collect(&self.what, self.response).await?;
        serde_json::from_slice(&body)
            .map_err(|e| new(EngineErrorKind::Other, &self.what, &format!("unexpected answer: {e}")))
    }
}

fn request(
    what: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
    upgrade: bool,
) -> Result<BollardRequest, EngineError> {
    let body = body.filter(|b| !b.is_null()).map(Value::to_string).unwrap_or_default();
    let mut builder = Request::builder()
        .method(method)
        .uri(format!("http://docker{path}"))
        .header("host", "docker")
        .header("content-type", "application/json");
    if upgrade {
        builder = builder.header("connection", "Upgrade").header("upgrade", "tcp");
    }
    builder.body(body_full(body.into())).map_err(|e| new(EngineErrorKind::Other, what, &e.to_string()))
}

async fn collect(what: &str, response: Response<Incoming>) -> Result<Bytes, EngineError> {
    let body = Limited::new(response.into_body(), LIMIT).collect().await;
    body.map(|b| b.to_bytes()).map_err(|e| new(EngineErrorKind::Disconnected, what, &e.to_string()))
}

/// The response if its status is a good one, else the engine's words.
async fn refused(
    what: &str,
    response: Response<Incoming>,
    good: impl Fn(&StatusCode) -> bool,
) -> Result<Response<Incoming>, EngineError> {
    let status = response.status();
    if good(&status) {
        return Ok(response);
    }
    let body = collect(what, response).await?;
    Err(answered(what, status.as_u16(), &message(&body)))
}

async fn in_time<T>(what: &str, work: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
    tokio::time::timeout(DEADLINE, work)
        .await
        .unwrap_or_else(|_| Err(new(EngineErrorKind::Disconnected, what, "the engine does not answer")))
}

/// The text of an error answer: `{"message": …}`, else the body itself.
fn message(body: &[u8]) -> String {
    let json = serde_json::from_slice::<Value>(body).ok();
    match json.as_ref().and_then(|v| v.get("message")).and_then(Value::as_str) {
        Some(text) => text.to_string(),
        None => String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned(),
    }
}
