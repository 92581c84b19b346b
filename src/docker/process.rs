//! Processes in containers: commands in running ones, and a container's own process from its first byte on.
//!
//! The stream is taken apart here and not by bollard, whose decoder guesses from the first byte of a piece whether it
//! has a header: what a terminal prints may begin with any byte.

use super::api::Api;
use super::error::new;
use super::process_output::{Events, events};
use crate::effect::{EngineError, EngineErrorKind, ExecCommand, Exit, Process, ProcessError, Terminal, WindowSize};
use crate::name::ContainerId;
use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Docker's own `ctrl-p,ctrl-q` would take Ctrl-P away from shells; this is typed by nobody.
const DETACH_KEYS: &str = "ctrl-@,ctrl-_,ctrl-@,ctrl-_";
const DETACH_KEYS_QUERY: &str = "ctrl-%40%2Cctrl-_%2Cctrl-%40%2Cctrl-_";

/// The output of an exec ends a moment before the engine knows its code.
const CODE_TRIES: u32 = 100;
const CODE_PAUSE: Duration = Duration::from_millis(50);

/// A process can be resized only once it runs, and the engine answers before that.
const RESIZE_TRIES: u32 = 10;
const RESIZE_PAUSE: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecState {
    #[serde(default)]
    running: bool,
    exit_code: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Waited {
    status_code: i64,
}

/// Runs a command in a container.
pub(super) async fn exec(api: &Api, id: &ContainerId, command: &ExecCommand) -> Result<Process, EngineError> {
    let what = format!("run a command in container {}", id.short());
    let exec = create_exec(api, &what, id, command, true).await?;
    let tty = command.terminal.is_some();
    let body = json!({ "Detach": false, "Tty": tty });
    let stream = api.hijack(&what, &format!("/exec/{exec}/start"), Some(&body)).await?;
    let (read, write) = tokio::io::split(stream);
    let exit = {
        let (api, what, path) = (api.clone(), what.clone(), format!("/exec/{exec}/json"));
        async move { exec_code(&api, &what, &path).await }
    };
    let events = events(read, Events { tty, exit: Box::pin(exit) });
    let terminal = ContainerTerminal::sized(api, format!("/exec/{exec}/resize"), command.terminal).await;
    Ok(Process { events, input: Box::pin(write), terminal })
}

/// Runs a command in a container and does not look back.
pub(super) async fn exec_detached(api: &Api, id: &ContainerId, command: &ExecCommand) -> Result<(), EngineError> {
    let what = format!("run a command in container {}", id.short());
    let exec = create_exec(api, &what, id, command, false).await?;
    api.post(&what, &format!("/exec/{exec}/start"), &json!({ "Detach": true, "Tty": false })).await.map(drop)
}

async fn create_exec(
    api: &Api,
    what: &str,
    id: &ContainerId,
    command: &ExecCommand,
    attached: bool,
) -> Result<String, EngineError> {
    let env: Vec<String> = command.env.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
    let body = json!({
        "AttachStdin": attached && command.input,
        "AttachStdout": attached,
        "AttachStderr": attached,
        "Tty": command.terminal.is_some(),
        "DetachKeys": DETACH_KEYS,
        "Env": env,
        "Cmd": command.words,
    });
    let answer: Value = api.post(what, &format!("/containers/{id}/exec"), &body).await?;
    let created: Created = serde_json::from_value(answer)
        .map_err(|e| new(EngineErrorKind::Other, what, &format!("unexpected answer: {e}")))?;
    Ok(created.id)
}

async fn exec_code(api: &Api, what: &str, path: &str) -> Result<Exit, ProcessError> {
    for _ in 0..CODE_TRIES {
        let state: ExecState = api.get(what, path).await.map_err(|e| ProcessError(e.message))?;
        match state.exit_code {
            Some(code) if !state.running => return Ok(Exit::Code(code)),
            _ => tokio::time::sleep(CODE_PAUSE).await,
        }
    }
    Err(ProcessError(format!("{what}: its output ended, and the engine says that it still runs")))
}

/// Attaches, asks to be told of the end, starts: in this order nothing of it is missed.
pub(super) async fn start_attached(
    api: &Api,
    id: &ContainerId,
    size: Option<WindowSize>,
) -> Result<Process, EngineError> {
    let what = format!("start container {}", id.short());
    let keys = DETACH_KEYS_QUERY;
    let attach = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1&detachKeys={keys}");
    let stream = api.hijack(&what, &attach, None).await?;
    let waiting = api.begin(&what, Method::POST, &format!("/containers/{id}/wait?condition=next-exit")).await?;
    api.post(&what, &format!("/containers/{id}/start"), &Value::Null).await?;
    let (read, write) = tokio::io::split(stream);
    let exit = async move {
        let answer: Waited = waiting.json().await.map_err(|e| ProcessError(e.message))?;
        Ok(Exit::Code(answer.status_code))
    };
    let events = events(read, Events { tty: size.is_some(), exit: Box::pin(exit) });
    let terminal = ContainerTerminal::sized(api, format!("/containers/{id}/resize"), size).await;
    Ok(Process { events, input: Box::pin(write), terminal })
}

struct ContainerTerminal {
    api: Api,
    path: String,
}

impl ContainerTerminal {
    /// A terminal that has its first size. One that ended before it could be given is no error.
    async fn sized(api: &Api, path: String, size: Option<WindowSize>) -> Option<Arc<dyn Terminal>> {
        let size = size?;
        let terminal = Self { api: api.clone(), path };
        for _ in 0..RESIZE_TRIES {
            if terminal.resize(size).await.is_ok() {
                break;
            }
            tokio::time::sleep(RESIZE_PAUSE).await;
        }
        Some(Arc::new(terminal))
    }
}

#[async_trait]
impl Terminal for ContainerTerminal {
    async fn resize(&self, size: WindowSize) -> Result<(), ProcessError> {
        let path = format!("{}?h={}&w={}", self.path, size.rows, size.columns);
        let done = self.api.post("resize the terminal", &path, &Value::Null).await;
        done.map(drop).map_err(|e| ProcessError(e.message))
    }
}
