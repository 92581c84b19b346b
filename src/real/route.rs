//! How each host is reached: deploy.yml first, then the SSH configuration, then the defaults.

use crate::config::{HostAddress, KeySource, Ssh, SshProxy};
use crate::effect::{ConnectError, ConnectErrorKind};
use crate::secret::Secret;
use crate::ssh::{
    AgentChoice, Asked, Endpoint, HostOptions, Jump, KeyData, Proxy, Settings, SshConfig, SshConfigError, Target, Via,
    system_known_hosts, user_known_hosts,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// More jump hosts on the way to one host are a loop.
const MOST_HOPS: usize = 8;

/// The operator's side of every connection.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Home directory.
    pub home: PathBuf,
    /// Login on this machine.
    pub login: String,
    /// The SSH agent's socket (`SSH_AUTH_SOCK`).
    pub agent: Option<PathBuf>,
    /// Values of the secrets that `ssh.key_data` names.
    pub secrets: BTreeMap<String, Secret<String>>,
}

/// Ways to hosts.
#[derive(Debug)]
pub struct Routes {
    ssh: Ssh,
    files: SshConfig,
    defaults: Settings,
    home: PathBuf,
}

/// A way that cannot be made out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RouteError {
    /// An SSH configuration file, or a value for a proxy command.
    #[error("SSH configuration: {0}")]
    Config(#[from] SshConfigError),
    /// Jump hosts that lead to each other.
    #[error(
        "SSH configuration: the way leads over more than {MOST_HOPS} jump hosts: does ProxyJump for {0} lead back to itself?"
    )]
    Loop(String),
}

impl From<RouteError> for ConnectError {
    fn from(error: RouteError) -> Self {
        let hint = "`ssh.config: false` in deploy.yml leaves ~/.ssh/config and /etc/ssh/ssh_config out";
        Self { kind: ConnectErrorKind::Other, message: error.to_string(), hint: Some(hint.to_string()) }
    }
}

/// What a hop is on the way to, and what its login is if nobody says any.
struct Hop<'a> {
    address: &'a HostAddress,
    default_user: &'a str,
    depth: usize,
}

impl Routes {
    /// Reads nothing yet: files are read for each host.
    pub fn new(ssh: &Ssh, operator: Operator) -> Self {
        let usual = SshConfig::usual(&operator.home, &operator.login);
        let files = match &ssh.config {
            Some(files) => SshConfig { files: files.clone(), ..usual },
            None => usual,
        };
        let defaults = Settings {
            key_data: ssh.key_data.iter().filter_map(|source| key_data(source, &operator.secrets)).collect(),
            ..Settings::for_home(&operator.home, operator.agent)
        };
        Self { ssh: ssh.clone(), files, defaults, home: operator.home }
    }

    /// The way to a host of deploy.yml, with remarks about what the SSH configuration says and windlass does not do.
    ///
    /// # Errors
    /// An SSH configuration file that cannot be followed, jump hosts without end.
    pub fn target(&self, address: &HostAddress) -> Result<(Target, Vec<String>), RouteError> {
        let hop = Hop { address, default_user: "root", depth: 0 };
        let (endpoint, options) = self.look_up(&hop)?;
        let via = match &self.ssh.proxy {
            Some(SshProxy::Jump(hops)) => self.through(hops.clone(), "root", 0)?,
            Some(SshProxy::Command(command)) => Via::Command(fill_in(command, address, &endpoint)?),
            None => self.via(&options, &endpoint, 0)?,
        };
        let keys = if self.ssh.keys.is_empty() && self.ssh.key_data.is_empty() {
            options.identities.clone()
        } else {
            self.ssh.keys.clone()
        };
        let settings = self.settings(keys, &options);
        Ok((Target { endpoint, settings, via }, options.notes))
    }

    /// A jump host: as `ssh -J` would reach it, with the keys of deploy.yml as well.
    fn jump_host(&self, hop: Hop, before: Option<Via>) -> Result<Target, RouteError> {
        if hop.depth > MOST_HOPS {
            return Err(RouteError::Loop(hop.address.address.clone()));
        }
        let (endpoint, options) = self.look_up(&hop)?;
        let via = match before {
            Some(via) => via,
            None => self.via(&options, &endpoint, hop.depth)?,
        };
        let keys = options.identities.iter().chain(&self.ssh.keys).cloned().collect();
        Ok(Target { endpoint, settings: self.settings(keys, &options), via })
    }

    fn look_up(&self, hop: &Hop) -> Result<(Endpoint, HostOptions), RouteError> {
        let HostAddress { address, port, user } = hop.address;
        let asked = Asked { host: address, user: user.as_deref(), port: *port, default_user: hop.default_user };
        let options = self.files.look_up(asked)?;
        let endpoint = Endpoint {
            host: options.host_name.clone().unwrap_or_else(|| address.clone()),
            port: port.or(options.port).unwrap_or(22),
            user: user.clone().or_else(|| options.user.clone()).unwrap_or_else(|| hop.default_user.to_string()),
        };
        Ok((endpoint, options))
    }

    fn via(&self, options: &HostOptions, endpoint: &Endpoint, depth: usize) -> Result<Via, RouteError> {
        match &options.proxy {
            None | Some(Proxy::None) => Ok(Via::Direct),
            Some(Proxy::Command(command)) => Ok(Via::Command(command.clone())),
            Some(Proxy::Jump(hops)) => {
                let written = |j: &Jump| HostAddress { address: j.host.clone(), port: j.port, user: j.user.clone() };
                let hops: Vec<_> = hops.iter().map(written).collect();
                let default_user = self.files.local_user.as_str();
                // `Host *` with a ProxyJump speaks about the jump host as well, which is not behind itself.
                for address in &hops {
                    if self.look_up(&Hop { address, default_user, depth })?.0 == *endpoint {
                        return Ok(Via::Direct);
                    }
                }
                self.through(hops, default_user, depth)
            }
        }
    }

    /// The first hop is reached as its own configuration says, every further one through the one before.
    fn through(&self, hops: Vec<HostAddress>, default_user: &str, depth: usize) -> Result<Via, RouteError> {
        let mut way = None;
        for address in &hops {
            let hop = Hop { address, default_user, depth: depth + 1 };
            way = Some(Via::Jump(Box::new(self.jump_host(hop, way)?)));
        }
        Ok(way.unwrap_or(Via::Direct))
    }

    fn settings(&self, keys: Vec<PathBuf>, options: &HostOptions) -> Settings {
        let ssh = &self.ssh;
        let known_hosts = match ssh.known_hosts.is_empty() {
            false => ssh.known_hosts.clone(),
            true => {
                let user = options.user_known_hosts.clone().unwrap_or_else(|| user_known_hosts(&self.home));
                let system = options.global_known_hosts.clone().unwrap_or_else(system_known_hosts);
                [user, system].concat()
            }
        };
        let agent = match &options.agent {
            None | Some(AgentChoice::Environment) => self.defaults.agent.clone(),
            Some(AgentChoice::None) => None,
            Some(AgentChoice::Socket(path)) => Some(path.clone()),
        };
        Settings {
            keys,
            certificates: options.certificates.clone(),
            keys_only: ssh.keys_only.or(options.identities_only).unwrap_or(false),
            agent,
            known_hosts,
            host_key_alias: options.host_key_alias.clone(),
            accept_new: ssh.accept_new.or(options.accept_new).unwrap_or(false),
            connect_timeout: options.connect_timeout,
            ..self.defaults.clone()
        }
    }
}

fn key_data(source: &KeySource, secrets: &BTreeMap<String, Secret<String>>) -> Option<KeyData> {
    match source {
        KeySource::Inline(text) => Some(KeyData { name: "ssh.key_data".to_string(), text: text.clone() }),
        KeySource::Secret(name) => {
            let text = secrets.get(name)?.clone();
            Some(KeyData { name: format!("ssh.key_data {name}"), text })
        }
    }
}

/// `ssh.proxy_command` with its tokens. What goes into a shell's line may hold nothing that a shell understands.
fn fill_in(command: &str, address: &HostAddress, endpoint: &Endpoint) -> Result<String, RouteError> {
    for value in [&address.address, &endpoint.host, &endpoint.user] {
        if !value.chars().all(|c| c.is_ascii_alphanumeric() || "._-:@%+".contains(c)) {
            let message = format!("`{value}` cannot be put into a proxy command");
            return Err(SshConfigError { place: "ssh.proxy_command".to_string(), message }.into());
        }
    }
    // A percent sign of its own is set aside, so that `%%h` is not taken for a token.
    let text = command.replace("%%", "\0").replace("%h", &endpoint.host).replace("%p", &endpoint.port.to_string());
    Ok(text.replace("%r", &endpoint.user).replace("%n", &address.address).replace('\0', "%"))
}

impl Operator {
    /// Somebody with this home directory, without an agent and secrets.
    pub fn at_home(home: &Path, login: &str) -> Self {
        Self { home: home.to_path_buf(), login: login.to_string(), agent: None, secrets: BTreeMap::new() }
    }
}
