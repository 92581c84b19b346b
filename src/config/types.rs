//! The resolved configuration: what `deploy.yml`, its destination and `x-windlass` come down to.

use crate::name::{Destination, HostName, Repository, RoleName, ServiceName};
use crate::secret::Secret;
use crate::spec::{ProxyOptions, RoleSpec};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::spec::{Retain, RoleHost};

/// A valid configuration for one destination (or none).
#[derive(Debug, Clone)]
pub struct Config {
    /// The prefix of every container's name and the value of its label `service`.
    pub service: ServiceName,
    /// `-d`.
    pub destination: Option<Destination>,
    /// `image`, with the registry's server in front.
    pub repository: Repository,
    /// Where credentials go: to `registry.server` only.
    pub registry: Registry,
    /// The role that is changed first.
    pub primary_role: RoleName,
    /// The primary role first, then by name. Never empty unless the file only has accessories.
    pub roles: Vec<Role>,
    /// How each host is reached. Every host of every role is here.
    pub hosts: BTreeMap<HostName, HostAddress>,
    /// Hosts of accessories, in the file's order, each once. They count for a share in `boot.limit`, as in Kamal.
    pub accessory_hosts: Vec<HostName>,
    /// How windlass logs in.
    pub ssh: Ssh,
    /// How the proxy itself runs (`proxy.run`).
    pub proxy: ProxyRun,
    /// `boot`.
    pub boot: Boot,
    /// What retention keeps.
    pub retain: Retain,
    /// Roles that keep more or less than the others.
    pub role_retain: BTreeMap<RoleName, Retain>,
    /// Until a new container must be healthy.
    pub deploy_timeout: Duration,
    /// How long requests in flight may take to finish before an outgoing container is stopped.
    pub drain_timeout: Duration,
    /// The directory of error pages (`error_pages_path`), absolute.
    pub error_pages: Option<PathBuf>,
    /// The directory of hook executables, absolute.
    pub hooks_path: PathBuf,
    /// The secrets files that exist, in the order in which they are read (later wins), absolute.
    pub secrets_files: Vec<PathBuf>,
    /// Variables that ERB tags set (`Dotenv.load`); secrets files see them before the environment, as in Kamal.
    pub variables: BTreeMap<String, Secret<String>>,
    /// Command lines by the names that stand for them (`aliases`).
    pub aliases: BTreeMap<String, String>,
    /// Keys that are understood but not acted on yet, and which verbs must refuse because of them.
    pub not_acted_on: Vec<NotActedOn>,
    /// Things worth saying that do not stop anything: duplicate keys, keys without effect …
    pub notes: Vec<String>,
}

/// One role with its hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// Name.
    pub name: RoleName,
    /// In the file's order, each host once.
    pub hosts: Vec<RoleHost>,
    /// What its containers are made from.
    pub spec: RoleSpec,
}

/// How one host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAddress {
    /// What the resolver or the network is asked for.
    pub address: String,
    /// TCP port of sshd, if deploy.yml says one; else the SSH configuration's, else 22.
    pub port: Option<u16>,
    /// Login, if deploy.yml says one; else the SSH configuration's, else `root`.
    pub user: Option<String>,
}

/// `ssh`, with the settings of `sshkit` that mean the same here. None: the SSH configuration's, else the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// Private key files, absolute. They stand in for those of the SSH configuration.
    pub keys: Vec<PathBuf>,
    /// Private keys from secrets (`ssh.key_data`).
    pub key_data: Vec<KeySource>,
    /// Use only [`Ssh::keys`] and [`Ssh::key_data`]: no other key of the agent, no default identities.
    pub keys_only: Option<bool>,
    /// Enrol a key that known_hosts does not have (`ssh.accept_new`); a changed one is refused all the same.
    pub accept_new: Option<bool>,
    /// Files to look host keys up in, absolute; empty = the SSH configuration's, else `~/.ssh/known_hosts` and the system's.
    pub known_hosts: Vec<PathBuf>,
    /// The engine's socket (`ssh.docker_socket`), when it is none of the usual ones.
    pub docker_socket: Option<String>,
    /// SSH configuration files (`ssh.config`): `None` = the usual ones, empty = none.
    pub config: Option<Vec<PathBuf>>,
    /// How hosts are reached (`ssh.proxy`, `ssh.proxy_command`).
    pub proxy: Option<SshProxy>,
    /// How many hosts are connected to at one time.
    pub max_concurrent_starts: usize,
    /// How often a name that does not resolve is tried again.
    pub dns_retries: usize,
}

impl Default for Ssh {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            key_data: Vec::new(),
            keys_only: None,
            accept_new: None,
            known_hosts: Vec::new(),
            docker_socket: None,
            config: None,
            proxy: None,
            max_concurrent_starts: 30,
            dns_retries: 3,
        }
    }
}

/// `ssh.proxy` or `ssh.proxy_command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshProxy {
    /// Jump hosts in the order in which they are passed.
    Jump(Vec<HostAddress>),
    /// A command for `sh -c`, with `%h`, `%p`, `%r` and `%%`.
    Command(String),
}

/// One entry of `ssh.key_data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The name of a secret.
    Secret(String),
    /// The key itself, which Kamal deprecates.
    Inline(Secret<String>),
}

/// `registry`.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// `None` is Docker's default registry.
    pub server: Option<String>,
    /// User name.
    pub username: Option<Credential>,
    /// Password or token.
    pub password: Option<Credential>,
}

/// A value that is written in the file or that names a secret.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Written in the file.
    Literal(Secret<String>),
    /// The name of a secret.
    Secret(String),
}

/// How the proxy container runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyRun {
    /// HAProxy's image (`proxy.run.image`).
    pub image: String,
    /// Port on the host.
    pub http_port: u16,
    /// Port on the host.
    pub https_port: u16,
    /// The rest of `proxy.run`.
    pub options: ProxyOptions,
}

/// `boot`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// How many hosts change at once; `None` = one first, then all the others.
    pub limit: Option<BootLimit>,
    /// Pause after each group.
    pub wait: Duration,
    /// Roles of one host side by side.
    pub parallel_roles: bool,
}

/// `boot.limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootLimit {
    /// So many hosts.
    Hosts(usize),
    /// A share of all hosts, `max(1, floor(hosts × percent / 100))`.
    Percent(u32),
}

/// A key that is understood but not acted on yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotActedOn {
    /// The key's path, such as `servers/web/options/gpus` (the form of every message about the configuration).
    pub key: String,
    /// `file:line`.
    pub location: String,
    /// Why it matters, and what to do.
    pub reason: String,
    /// The verbs whose outcome would differ. They refuse before they touch anything. None: only worth a note.
    pub verbs: Vec<VerbKind>,
}

/// The verbs as far as configuration is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum VerbKind {
    Setup,
    Deploy,
    Rollback,
    Prune,
    /// Every verb that connects to hosts.
    Connect,
}
