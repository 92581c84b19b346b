//! One SSH connection a host, with everything that is asked of the host on it.

use crate::config::{Config, HostAddress};
use crate::docker::{Dial, DockerEngine, Stream};
use crate::effect::{Clock, ConnectError, ConnectErrorKind, Connector, Engine, Host, Node};
use crate::fleet::{Holder, label};
use crate::haproxy::HaProxy;
use crate::name::HostName;
use crate::ssh::{Connection, Endpoint, EngineDoor, Settings, SshHost};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Connects to the hosts of a configuration.
pub struct RealConnector {
    addresses: BTreeMap<HostName, HostAddress>,
    settings: Settings,
    docker_socket: Option<String>,
    clock: Arc<dyn Clock>,
    holder: Holder,
}

impl RealConnector {
    /// `home` is the operator's home directory, `agent` the SSH agent's socket; `holder` is named to others while
    /// something is held.
    pub fn new(config: &Config, home: &Path, agent: Option<PathBuf>, clock: Arc<dyn Clock>, holder: Holder) -> Self {
        let defaults = Settings::for_home(home, agent);
        let ssh = &config.ssh;
        let known_hosts =
            if ssh.known_hosts.is_empty() { defaults.known_hosts.clone() } else { ssh.known_hosts.clone() };
        let settings = Settings {
            keys: ssh.keys.clone(),
            keys_only: ssh.keys_only,
            known_hosts,
            accept_new: ssh.accept_new,
            ..defaults
        };
        let docker_socket = ssh.docker_socket.clone();
        Self { addresses: config.hosts.clone(), settings, docker_socket, clock, holder }
    }
}

#[async_trait]
impl Connector for RealConnector {
    async fn connect(&self, name: &HostName) -> Result<Node, ConnectError> {
        let address = self.addresses.get(name).ok_or_else(|| other(format!("{name} is not in the configuration")))?;
        let endpoint = Endpoint { host: address.address.clone(), port: address.port, user: address.user.clone() };
        let connection = Connection::open(&endpoint, &self.settings).await?;
        let door = EngineDoor::find(&connection, self.docker_socket.as_deref()).await?;
        let (engine, _) = DockerEngine::connect(Arc::new(OverSsh(door))).await?;
        let host: Arc<dyn Host> = Arc::new(SshHost::new(connection));
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let home = state_home(&*host, &*engine).await?;
        let proxy = HaProxy::new(host.clone(), engine.clone(), self.clock.clone(), &home, self.holder.clone());
        Ok(Node { name: name.clone(), host, engine, proxy: Arc::new(proxy) })
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
