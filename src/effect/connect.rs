//! Getting at a host.

use crate::effect::{Engine, Host, Proxy};
use crate::name::HostName;
use std::sync::Arc;
use thiserror::Error;

/// Connects to hosts: one connection each, for the whole run.
#[async_trait::async_trait]
pub trait Connector: Send + Sync {
    /// Connects, authenticates and finds the engine. The address and login come from the configuration that the
    /// connector was made with.
    async fn connect(&self, host: &HostName) -> Result<Node, ConnectError>;

    /// Connects and authenticates only: for what needs no engine.
    async fn connect_host(&self, host: &HostName) -> Result<Arc<dyn Host>, ConnectError>;
}

/// A connected host: everything that can be asked of it goes over its one connection.
#[derive(Clone)]
pub struct Node {
    /// Its name.
    pub name: HostName,
    /// Files, commands, leases.
    pub host: Arc<dyn Host>,
    /// Its container engine.
    pub engine: Arc<dyn Engine>,
    /// Its proxy.
    pub proxy: Arc<dyn Proxy>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.name)
    }
}

/// Why a host could not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ConnectError {
    /// What kind of failure, so that no two look alike.
    pub kind: ConnectErrorKind,
    /// The whole reason in one sentence, without the host's name.
    pub message: String,
    /// What to do, if there is something.
    pub hint: Option<String>,
}

/// The ways in which a connection fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ConnectErrorKind {
    /// The name does not resolve.
    UnknownName,
    /// No answer in time, or no route.
    NoRoute,
    /// Nothing listens on the port.
    Refused,
    /// It is not SSH, or no algorithm in common, or the connection ended during the handshake.
    Protocol,
    HostKeyUnknown,
    HostKeyChanged,
    HostKeyRevoked,
    /// No key was accepted; the message says what was tried.
    AuthFailed,
    /// The engine's socket may not be used by this login.
    EnginePermission,
    /// There is no engine.
    NoEngine,
    /// The engine is older than windlass supports.
    EngineTooOld,
    /// Something else.
    Other,
}
