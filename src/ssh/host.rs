//! `effect::Host` over an SSH connection.

use super::connect::Connection;
use super::host_answers::{parse_dirs, parse_holder, parse_probe, parse_words};
use super::lease;
use crate::effect::{FileSet, Host, HostCommand, HostError, HostProbe, Lease, LeaseError, LeaseRequest, Process};
use crate::fleet::Holder;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// What a lease needs; the other commands are in every base system.
const NEEDED_COMMANDS: [&str; 2] = ["flock", "timeout"];
const SOCKET_DEADLINE: Duration = Duration::from_secs(10);
const SOCKET_LIMIT: usize = 16 << 20;
const PORT_DEADLINE: Duration = Duration::from_secs(5);
const PORT_LIMIT: usize = 64 << 10;

/// Files, commands and leases of the host at the other end of a connection.
#[derive(Debug, Clone)]
pub struct SshHost {
    connection: Arc<Connection>,
}

impl SshHost {
    /// Shares the connection.
    pub fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }

    async fn script(&self, what: &str, source: &str, arguments: &[&str], stdin: &[u8]) -> Result<String, HostError> {
        let stdin = Bytes::copy_from_slice(stdin);
        let output = self.connection.script(what, source, arguments, stdin).await?;
        String::from_utf8(output.stdout)
            .map_err(|_| HostError::Failed { what: what.to_string(), message: "the answer is not UTF-8".to_string() })
    }
}

#[async_trait]
impl Host for SshHost {
    async fn probe(&self) -> Result<HostProbe, HostError> {
        let answer = self.script("look at the host", include_str!("scripts/probe.sh"), &NEEDED_COMMANDS, b"").await?;
        parse_probe(&answer)
    }

    async fn read_dirs(&self, dirs: &[String]) -> Result<Vec<FileSet>, HostError> {
        let arguments: Vec<&str> = dirs.iter().map(String::as_str).collect();
        let answer = self.script("read the state", include_str!("scripts/read_dirs.sh"), &arguments, b"").await?;
        parse_dirs(&answer, dirs.len())
    }

    async fn expand(&self, sources: &[String]) -> Result<Vec<Option<Vec<String>>>, HostError> {
        let arguments: Vec<&str> = sources.iter().map(String::as_str).collect();
        let answer = self.script("expand words", include_str!("scripts/expand.sh"), &arguments, b"").await?;
        parse_words(&answer, sources.len())
    }

    async fn make_dir(&self, path: &str) -> Result<(), HostError> {
        let source = "umask 077; mkdir -p \"$1\"";
        self.script(&format!("create {path}"), source, &[path], b"").await.map(drop)
    }

    async fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<(), HostError> {
        let (length, temporary, mode) = (content.len().to_string(), temporary(path), format!("{mode:o}"));
        let arguments = [path, &length, &temporary, &mode];
        self.script(&format!("write {path}"), include_str!("scripts/write.sh"), &arguments, content).await.map(drop)
    }

    async fn append(&self, path: &str, content: &[u8]) -> Result<(), HostError> {
        if content.is_empty() {
            return Ok(());
        }
        let (length, temporary) = (content.len().to_string(), temporary(path));
        let arguments = [path, &length, &temporary];
        self.script(&format!("append to {path}"), include_str!("scripts/append.sh"), &arguments, content)
            .await
            .map(drop)
    }

    async fn remove(&self, path: &str) -> Result<(), HostError> {
        self.script(&format!("remove {path}"), "rm -f \"$1\"", &[path], b"").await.map(drop)
    }

    async fn ask_socket(&self, path: &str, request: &[u8]) -> Result<Vec<u8>, HostError> {
        Ok(self.connection.ask_socket(path, request, SOCKET_DEADLINE, SOCKET_LIMIT).await?)
    }

    async fn run(&self, command: &HostCommand) -> Result<Process, HostError> {
        Ok(self.connection.process(command.clone()).await?)
    }

    async fn ask_port(&self, address: &str, port: u16, request: &[u8]) -> Result<Vec<u8>, HostError> {
        Ok(self.connection.ask_port(address, port, request, PORT_DEADLINE, PORT_LIMIT).await?)
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Box<dyn Lease>, LeaseError> {
        Ok(Box::new(lease::acquire(&self.connection, request).await?))
    }

    async fn lease_holder(&self, dir: &str) -> Result<Option<Option<Holder>>, HostError> {
        let answer = self.script("ask who holds the lease", include_str!("scripts/holder.sh"), &[dir], b"").await?;
        parse_holder(&answer)
    }
}

/// A hidden name beside the file; [`parse_dirs`] passes such names over.
fn temporary(path: &str) -> String {
    let (dir, _) = path.rsplit_once('/').unwrap_or((".", path));
    format!("{dir}/{}{:016x}", super::host_answers::TEMPORARY, rand::random::<u64>())
}
