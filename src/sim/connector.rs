//! Connections to simulated hosts.

use super::call::{CallRecord, SimConnection};
use super::machine::Link;
use super::world::Shared;
use super::{SimEngine, SimHost, SimProxy};
use crate::effect::{ConnectError, ConnectErrorKind, Connector, Host, Node};
use crate::name::HostName;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to the hosts of a [`SimFleet`](super::SimFleet).
#[derive(Debug, Clone)]
pub struct SimConnector {
    pub(super) shared: Arc<Shared>,
}

fn failed(kind: ConnectErrorKind, message: &str) -> ConnectError {
    ConnectError { kind, message: message.to_string(), hint: None }
}

impl SimConnector {
    /// The connection's generation, or why there is none.
    fn try_once(&self, host: &HostName, needs_engine: bool) -> Result<u64, ConnectError> {
        let unknown = || failed(ConnectErrorKind::UnknownName, "its name does not resolve");
        let state = self.shared.with(host, |machine, _| {
            (machine.link.clone(), machine.off_until, machine.engine_runs(), machine.generation)
        });
        match state.ok_or_else(unknown)? {
            (Link::Refusing(error), ..) => Err(error),
            (Link::Cut { .. }, ..) | (_, Some(_), ..) => {
                Err(failed(ConnectErrorKind::NoRoute, "no answer within 10 s"))
            }
            (Link::Up, None, false, _) if needs_engine => {
                Err(failed(ConnectErrorKind::NoEngine, "the engine's socket does not answer"))
            }
            (Link::Up, None, _, generation) => Ok(generation),
        }
    }

    fn record(&self, host: &HostName, error: Option<String>) {
        let at = self.shared.now();
        let record =
            CallRecord { at, host: host.clone(), method: "connect", mutates: false, args: String::new(), error };
        self.shared.lock().calls.push(record);
    }
}

impl SimConnector {
    async fn open(&self, host: &HostName, needs_engine: bool) -> Result<SimConnection, ConnectError> {
        let latency = self.shared.lock().latency;
        tokio::time::sleep(latency).await;
        let result = self.try_once(host, needs_engine);
        self.record(host, result.as_ref().err().map(ToString::to_string));
        if result.as_ref().is_err_and(|e| e.kind == ConnectErrorKind::NoRoute) {
            tokio::time::sleep(CONNECT_TIMEOUT).await;
        }
        Ok(SimConnection { shared: self.shared.clone(), host: host.clone(), generation: result? })
    }
}

#[async_trait::async_trait]
impl Connector for SimConnector {
    async fn connect(&self, host: &HostName) -> Result<Node, ConnectError> {
        let connection = self.open(host, true).await?;
        Ok(Node {
            name: host.clone(),
            host: Arc::new(SimHost { connection: connection.clone() }),
            engine: Arc::new(SimEngine { connection: connection.clone() }),
            proxy: Arc::new(SimProxy { connection }),
        })
    }

    async fn connect_host(&self, host: &HostName) -> Result<Arc<dyn Host>, ConnectError> {
        Ok(Arc::new(SimHost { connection: self.open(host, false).await? }))
    }
}
