//! OpenSSH's client configuration, ssh_config(5), as far as it says how a host is reached and trusted.
//!
//! Own code, because the parsers that exist (ssh2-config 0.9, russh-config 0.58) know neither `Match` nor tokens, and the
//! second no `Include`: they would silently connect to another place than `ssh` does. What has nothing to do with reaching
//! a host is passed over; a condition that is not evaluated is said (see [`HostOptions::notes`]).

mod conditions;
mod jump;
mod lines;
mod options;
mod reader;
mod tokens;

pub use jump::Jump;
pub use options::{AgentChoice, HostOptions, Proxy};

use std::path::PathBuf;
use thiserror::Error;

/// Where the configuration is, and who asks.
#[derive(Debug, Clone)]
pub struct SshConfig {
    /// Files in their order: what one says first counts. A missing one is empty.
    pub files: Vec<PathBuf>,
    /// The operator's home directory (`~`, `%d`, and where `Include` starts).
    pub home: PathBuf,
    /// The operator's login on this machine (`%u`, `Match localuser`).
    pub local_user: String,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The host as it is written in deploy.yml or ProxyJump: what `Host` lines are about.
    pub host: &'a str,
    /// A login that is settled already.
    pub user: Option<&'a str>,
    /// A port that is settled already.
    pub port: Option<u16>,
    /// The login if nobody says any.
    pub default_user: &'a str,
}

/// A file that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {message}")]
pub struct SshConfigError {
    /// `file:line`, or the file.
    pub place: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl SshConfig {
    /// The user's file and the system's, as `ssh` reads them.
    pub fn usual(home: &std::path::Path, local_user: &str) -> Self {
        let files = vec![home.join(".ssh/config"), PathBuf::from("/etc/ssh/ssh_config")];
        Self { files, home: home.to_path_buf(), local_user: local_user.to_string() }
    }

    /// All that the files say about a host.
    ///
    /// # Errors
    /// A file that cannot be read or that others may write to, a line that cannot be understood.
    pub fn look_up(&self, asked: Asked) -> Result<HostOptions, SshConfigError> {
        let found = reader::read(self, asked)?;
        options::settle(self, asked, found)
    }
}

/// A line's place and the error about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    file: PathBuf,
    line: usize,
}

impl Place {
    fn error(&self, message: impl Into<String>) -> SshConfigError {
        SshConfigError { place: self.to_string(), message: message.into() }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

#[cfg(test)]
mod tests;
