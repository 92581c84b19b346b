//! The running proxy's two sockets.

use crate::effect::{HostError, ProxyError};
use crate::fleet::BackendName;
use crate::haproxy::HaProxy;
use crate::haproxy::stat::{Row, rows};
use crate::haproxy::workers::{Workers, workers};
use std::time::Duration;

/// How long the master may be unreachable: it replaces itself during a reload.
const MASTER_DEADLINE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// Commands for one server and its twin.
pub(super) fn set(backend: &BackendName, server: &str, changes: &[String]) -> Vec<String> {
    changes.iter().map(|change| format!("set server {backend}/{server} {change}")).collect()
}

/// The commands that show a backend's servers.
pub(super) fn show(backend: &BackendName) -> [String; 2] {
    [format!("show servers state {backend}"), format!("show stat {backend} 4 -1")]
}

pub(super) fn failed(error: HostError) -> ProxyError {
    ProxyError::Failed(error.to_string())
}

fn socket_error(error: HostError) -> ProxyError {
    match error {
        HostError::Failed { message, .. } => ProxyError::NotRunning(message),
        other => failed(other),
    }
}

impl HaProxy {
    /// Sends commands to the worker that takes new connections, in one line.
    pub(super) async fn admin(&self, commands: &[String]) -> Result<String, ProxyError> {
        let answer =
            self.host.ask_socket(&self.paths.admin(), line(commands).as_bytes()).await.map_err(socket_error)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// A backend's servers in the running proxy.
    pub(super) async fn servers(&self, backend: &BackendName) -> Result<Vec<Row>, ProxyError> {
        self.apply(backend, Vec::new()).await
    }

    /// The same; none if the running proxy does not know the backend (any more).
    pub(super) async fn servers_if_any(&self, backend: &BackendName) -> Result<Vec<Row>, ProxyError> {
        Ok(rows(&self.admin(&show(backend)).await?))
    }

    /// Runs commands and reads the backend's servers back, all in one line that one worker executes. What the commands
    /// answer is not looked at: what they did is what counts.
    pub(super) async fn apply(&self, backend: &BackendName, commands: Vec<String>) -> Result<Vec<Row>, ProxyError> {
        let commands: Vec<String> = commands.into_iter().chain(show(backend)).collect();
        let answer = self.admin(&commands).await?;
        let rows = rows(&answer);
        if rows.is_empty() {
            let words = answer.split_whitespace().take(30).collect::<Vec<_>>().join(" ");
            return Err(ProxyError::Failed(format!("the proxy has no backend {backend}: {words}")));
        }
        Ok(rows)
    }

    async fn master_once(&self, commands: &[String]) -> Result<String, ProxyError> {
        let answer =
            self.host.ask_socket(&self.paths.master(), line(commands).as_bytes()).await.map_err(socket_error)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Sends commands to the master.
    pub(super) async fn master(&self, commands: &[String]) -> Result<String, ProxyError> {
        let deadline = self.clock.elapsed() + MASTER_DEADLINE;
        loop {
            match self.master_once(commands).await {
                Err(ProxyError::NotRunning(_)) if self.clock.elapsed() < deadline => self.clock.sleep(POLL).await,
                answer => return answer,
            }
        }
    }

    /// Sends commands to one worker, through the master. Every command needs the prefix.
    pub(super) async fn worker(&self, pid: u32, commands: &[String]) -> Result<String, ProxyError> {
        let commands: Vec<_> = commands.iter().map(|c| format!("@!{pid} {c}")).collect();
        self.master(&commands).await
    }

    /// The master's workers.
    pub(super) async fn workers(&self) -> Result<Workers, ProxyError> {
        let deadline = self.clock.elapsed() + MASTER_DEADLINE;
        loop {
            let answer = self.master(&["show proc".to_string()]).await?;
            match workers(&answer) {
                Some(workers) => return Ok(workers),
                None if self.clock.elapsed() < deadline => self.clock.sleep(POLL).await,
                None => {
                    return Err(ProxyError::Failed(format!("`show proc` of the proxy's master: {}", answer.trim())));
                }
            }
        }
    }
}

fn line(commands: &[String]) -> String {
    commands.join(";") + "\n"
}
