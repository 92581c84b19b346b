//! What can go wrong between here and a host, each with a kind of its own and the next step to take.

use crate::effect::{ConnectError, ConnectErrorKind, HostError};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// A failure of the SSH layer, without the host's name: callers show it beside the host.
///
/// Cloneable, because one lost connection fails every call on it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SshError {
    /// The name does not resolve.
    #[error("the name {name} does not resolve: {reason}")]
    Dns {
        /// Name as given.
        name: String,
        /// The resolver's words.
        reason: String,
    },
    /// No route, or the network is down.
    #[error("no route to {address}: {reason}")]
    NoRoute {
        /// Address and port that was tried.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// Nothing answered in time.
    #[error("no answer on port {port} within {} s (waiting for the {waiting_for})", after.as_secs())]
    NoAnswer {
        /// Port.
        port: u16,
        /// What was being waited for.
        waiting_for: &'static str,
        /// How long.
        after: Duration,
    },
    /// The port is closed.
    #[error("connection refused at {address}")]
    Refused {
        /// Address and port that was tried.
        address: String,
    },
    /// Something answers, but no common ground was found.
    #[error("the SSH handshake on port {port} failed: {reason}")]
    Handshake {
        /// Port.
        port: u16,
        /// What failed.
        reason: String,
    },
    /// known_hosts has no key for the host.
    #[error("its host key is unknown: {algorithm} {fingerprint}{note}")]
    HostKeyUnknown {
        /// Algorithm of the key that the host presents.
        algorithm: String,
        /// Its SHA256 fingerprint.
        fingerprint: String,
        /// What known_hosts does have, empty if nothing.
        note: String,
        /// How to compare and enrol it.
        enrol: String,
    },
    /// known_hosts has another key of that algorithm.
    #[error(
        "its host key has CHANGED: it presents {algorithm} {fingerprint}, {}:{line} has another",
        file.display()
    )]
    HostKeyChanged {
        /// Algorithm of the key that the host presents.
        algorithm: String,
        /// Its SHA256 fingerprint.
        fingerprint: String,
        /// File with the other key.
        file: PathBuf,
        /// Line in it, from 1.
        line: usize,
        /// How to compare and enrol it.
        enrol: String,
    },
    /// The presented key is marked `@revoked`.
    #[error("its host key {fingerprint} is revoked by {}:{line}", file.display())]
    HostKeyRevoked {
        /// Its SHA256 fingerprint.
        fingerprint: String,
        /// File with the mark.
        file: PathBuf,
        /// Line in it, from 1.
        line: usize,
    },
    /// A certificate of a trusted authority that is not good for this host, or not now.
    #[error("its host certificate (\"{key_id}\") is not valid: {reason}")]
    HostCertificate {
        /// What its authority named it.
        key_id: String,
        /// Why.
        reason: String,
    },
    /// Something on the way to the host.
    #[error("on the way there, {hop}: {error}")]
    OnTheWay {
        /// `jump host user@host:port` or `proxy command`.
        hop: String,
        /// What failed there.
        error: Box<SshError>,
    },
    /// A jump host does not connect further.
    #[error("it cannot connect to {to}: {reason}")]
    JumpRefused {
        /// Where it should connect to.
        to: String,
        /// Why.
        reason: String,
    },
    /// The proxy command could not be run, or ended.
    #[error("{0}")]
    ProxyCommand(String),
    /// A known_hosts file could not be read or written.
    #[error("cannot {action} {}: {reason}", file.display())]
    KnownHostsFile {
        /// `read` or `enrol the key in`.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The host accepted none of our keys.
    #[error("login as {user} failed; tried: {}", if tried.is_empty() { "no key at all".to_string() } else { tried.join("; ") })]
    AuthFailed {
        /// Login.
        user: String,
        /// Every key with what became of it.
        tried: Vec<String>,
        /// What to do.
        hint: String,
    },
    /// The connection ended, or stopped answering.
    #[error("connection lost: {0}")]
    ConnectionLost(String),
    /// sshd does not open a channel.
    #[error("sshd refused {what}: {reason}")]
    ChannelRefused {
        /// What was asked for.
        what: String,
        /// sshd's words, and what to change.
        reason: String,
    },
    /// The host lacks a program.
    #[error("{command} is missing on the host")]
    CommandMissing {
        /// The program.
        command: String,
    },
    /// A command on the host failed.
    #[error("{what} failed ({status}): {stderr}")]
    CommandFailed {
        /// What was being done.
        what: String,
        /// `exit 1`, `signal TERM`.
        status: String,
        /// Its last words.
        stderr: String,
    },
    /// A command on the host took too long. It may still be running there.
    #[error("{what} did not finish within {} s", after.as_secs())]
    Deadline {
        /// What was being done.
        what: String,
        /// The limit.
        after: Duration,
    },
    /// A command printed more than its reader takes.
    #[error("{what} printed more than {limit} bytes")]
    OutputTooLarge {
        /// What was being done.
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A command's answer is not in the form that its script gives.
    #[error("{what}: cannot understand the answer: {reason}")]
    BadAnswer {
        /// What was being done.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An argument cannot be passed to a shell.
    #[error("{what}: an argument holds a NUL byte")]
    BadArgument {
        /// What was being done.
        what: String,
    },
}

impl SshError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Dns { .. } => "check the spelling, or give an IP address".to_string(),
            Self::NoRoute { .. } => "is the host up, and is a VPN needed?".to_string(),
            Self::NoAnswer { port, .. } => format!("is the host up, and does a firewall drop port {port}?"),
            Self::Refused { .. } => "is sshd running there, and is ssh.port right?".to_string(),
            Self::HostKeyUnknown { enrol, .. } => enrol.clone(),
            Self::HostKeyChanged { enrol, file, line, .. } => format!(
                "Someone may be listening in, or the host was reinstalled. Only if you know why it changed: \
                 delete line {line} of {}. {enrol}",
                file.display()
            ),
            Self::HostKeyRevoked { .. } => "that key must not be used any more: give the host a new one".to_string(),
            Self::HostCertificate { .. } => {
                "sign its host key anew (ssh-keygen -h -I ID -n NAMES -s CA), with the name that it is connected to by"
                    .to_string()
            }
            Self::OnTheWay { error, .. } => return error.hint(),
            Self::JumpRefused { .. } => {
                "is the host up and its name known there? Does the jump host allow forwarding (AllowTcpForwarding, \
                 PermitOpen)?"
                    .to_string()
            }
            Self::AuthFailed { hint, .. } => hint.clone(),
            Self::CommandMissing { command } => format!("install {}", package(command)),
            _ => return None,
        })
    }

    fn connect_kind(&self) -> ConnectErrorKind {
        match self {
            Self::Dns { .. } => ConnectErrorKind::UnknownName,
            Self::NoRoute { .. } | Self::NoAnswer { .. } => ConnectErrorKind::NoRoute,
            Self::Refused { .. } => ConnectErrorKind::Refused,
            Self::Handshake { .. } => ConnectErrorKind::Protocol,
            Self::HostKeyUnknown { .. } | Self::HostCertificate { .. } => ConnectErrorKind::HostKeyUnknown,
            Self::OnTheWay { error, .. } => error.connect_kind(),
            Self::JumpRefused { .. } => ConnectErrorKind::NoRoute,
            Self::ProxyCommand(_) => ConnectErrorKind::Protocol,
            Self::HostKeyChanged { .. } => ConnectErrorKind::HostKeyChanged,
            Self::HostKeyRevoked { .. } => ConnectErrorKind::HostKeyRevoked,
            Self::AuthFailed { .. } => ConnectErrorKind::AuthFailed,
            _ => ConnectErrorKind::Other,
        }
    }
}

/// Where Debian and Alpine have the commands that scripts use.
fn package(command: &str) -> String {
    let name = match command {
        "flock" => "util-linux",
        "timeout" | "base64" | "dd" | "sync" => "coreutils",
        other => other,
    };
    format!("the package {name}")
}

impl From<SshError> for ConnectError {
    fn from(e: SshError) -> Self {
        Self { kind: e.connect_kind(), hint: e.hint(), message: e.to_string() }
    }
}

impl From<SshError> for HostError {
    fn from(e: SshError) -> Self {
        match e {
            SshError::ConnectionLost(reason) => Self::Disconnected(reason),
            SshError::Deadline { what, after } => Self::Timeout { what, seconds: after.as_secs() },
            SshError::CommandFailed { what, status, stderr } => {
                let message = if stderr.is_empty() { status } else { stderr };
                Self::Failed { what, message }
            }
            SshError::CommandMissing { ref command } => Self::Failed {
                what: command.clone(),
                message: format!("missing on the host; {}", e.hint().unwrap_or_default()),
            },
            SshError::ChannelRefused { what, reason } => Self::Failed { what, message: reason },
            other => Self::Failed { what: "a command on the host".to_string(), message: other.to_string() },
        }
    }
}
