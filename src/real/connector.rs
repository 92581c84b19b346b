//! One SSH connection a host, with everything that is asked of the host on it.

use super::route::{Operator, Routes};
use crate::config::{Config, HostAddress};
use crate::docker::{Dial, DockerEngine, Stream};
use crate::effect::{Clock, ConnectError, ConnectErrorKind, Connector, Engine, Host, Node};
use crate::fleet::{Holder, label};
use crate::haproxy::HaProxy;
use crate::name::HostName;
use crate::ssh::{AskPassphrase, Connection, Dialer, DialerSettings, Door, EngineDoor, SshHost};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Connects to the hosts of a configuration.
pub struct RealConnector {
    addresses: BTreeMap<HostName, HostAddress>,
    routes: Routes,
    dialer: Arc<Dialer>,
    docker_socket: Option<String>,
    clock: Arc<dyn Clock>,
    holder: Holder,
}

impl RealConnector {
    /// `passphrases` is who knows those of locked keys, if somebody is there; `holder` is named to others while something
    /// is held.
    pub fn new(
        config: &Config,
        operator: Operator,
        passphrases: Option<Arc<dyn AskPassphrase>>,
        clock: Arc<dyn Clock>,
        holder: Holder,
    ) -> Self {
        let ssh = &config.ssh;
        let dialer = Dialer::new(DialerSettings {
            max_concurrent_starts: ssh.max_concurrent_starts,
            dns_retries: ssh.dns_retries,
            passphrases,
        });
        let docker_socket = ssh.docker_socket.clone();
        Self {
            addresses: config.hosts.clone(),
            routes: Routes::new(ssh, operator),
            dialer,
            docker_socket,
            clock,
            holder,
        }
    }

    /// The SSH connection. What the SSH configuration says and windlass does not do may be why it fails.
    async fn reach(&self, name: &HostName) -> Result<Arc<Connection>, ConnectError> {
        let address = self.addresses.get(name).ok_or_else(|| other(format!("{name} is not in the configuration")))?;
        let (target, notes) = self.routes.target(address)?;
        notes.iter().for_each(|note| tracing::info!(host = %name, "{note}"));
        self.dialer.connect(&target).await.map_err(|error| {
            let error = ConnectError::from(error);
            let hints: Vec<String> = error.hint.into_iter().chain(notes).collect();
            ConnectError { hint: (!hints.is_empty()).then(|| hints.join("\n")), ..error }
        })
    }
}

#[async_trait]
impl Connector for RealConnector {
    async fn connect(&self, name: &HostName) -> Result<Node, ConnectError> {
        let connection = self.reach(name).await?;
        let door = EngineDoor::find(&connection, self.docker_socket.as_deref()).await?;
        let aside = Aside::new(connection.clone(), door.door().clone());
        let (engine, _) = DockerEngine::connect(Arc::new(OverSsh(door))).await?;
        let engine = engine.with_aside(Arc::new(aside))?;
        let host: Arc<dyn Host> = Arc::new(SshHost::new(connection));
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let home = state_home(&*host, &*engine).await?;
        let proxy = HaProxy::new(host.clone(), engine.clone(), self.clock.clone(), &home, self.holder.clone());
        Ok(Node { name: name.clone(), host, engine, proxy: Arc::new(proxy) })
    }

    async fn connect_host(&self, name: &HostName) -> Result<Arc<dyn Host>, ConnectError> {
        Ok(Arc::new(SshHost::new(self.reach(name).await?)))
    }
}

/// The state directory in force: what the engine's volume records, else the login's own.
async fn state_home(host: &dyn Host, engine: &dyn Engine) -> Result<String, ConnectError> {
    let (volume, probe) = tokio::join!(engine.volume(crate::fleet::STATE_VOLUME), host.probe());
    let recorded = volume.map_err(|e| other(e.message))?.and_then(|v| v.labels.get(label::HOME).cloned());
    let own = probe.map_err(|e| other(e.to_string()))?.home;
    Ok(recorded.unwrap_or_else(|| format!("{}/.windlass", own.trim_end_matches('/'))))
}

fn other(message: String) -> ConnectError {
    ConnectError { kind: ConnectErrorKind::Other, message, hint: None }
}

struct OverSsh(EngineDoor);

#[async_trait]
impl Dial for OverSsh {
    async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        let stream = self.0.open().await.map_err(|e| io::Error::other(e.to_string()))?;
        Ok(Box::new(stream))
    }
}

/// The engine over a further connection, made when it is first needed.
struct Aside {
    connection: Arc<Connection>,
    door: Door,
    further: Mutex<Option<EngineDoor>>,
}

impl Aside {
    fn new(connection: Arc<Connection>, door: Door) -> Self {
        Self { connection, door, further: Mutex::new(None) }
    }
}

#[async_trait]
impl Dial for Aside {
    async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        let mut further = self.further.lock().await;
        let door = match further.take().filter(EngineDoor::is_open) {
            Some(door) => door,
            None => {
                let connection = self.connection.another().await.map_err(|e| io::Error::other(e.to_string()))?;
                EngineDoor::through(&connection, self.door.clone())
            }
        };
        let stream = further.insert(door).open().await.map_err(|e| io::Error::other(e.to_string()))?;
        Ok(Box::new(stream))
    }
}
