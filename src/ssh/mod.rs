//! SSH: one connection a host, and on it commands, files, sockets and leases.

mod agent;
mod auth;
mod connect;
mod dial;
mod engine_door;
mod error;
mod exec;
mod host;
mod host_answers;
mod host_pattern;
mod key_file;
mod known_hosts;
mod lease;
mod lease_talk;
mod quickack;
mod script;
mod settings;
mod ssh_config;
mod stream;
mod watcher;

pub use connect::Connection;
pub use engine_door::{Door, EngineDoor};
pub use error::SshError;
pub use exec::{Command, Output};
pub use host::SshHost;
pub use known_hosts::KnownHosts;
pub use settings::{Endpoint, Settings};
pub use ssh_config::{AgentChoice, Asked, HostOptions, Jump, Proxy, SshConfig, SshConfigError};
pub use stream::ByteStream;
