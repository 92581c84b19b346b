//! SSH: one connection a host, and on it commands, files, sockets and leases.

mod agent;
mod auth;
mod connect;
mod dial;
mod error;
mod host_pattern;
mod key_file;
mod known_hosts;
mod quickack;
mod settings;
mod watcher;

pub use connect::Connection;
pub use error::SshError;
pub use known_hosts::KnownHosts;
pub use settings::{Endpoint, Settings};
