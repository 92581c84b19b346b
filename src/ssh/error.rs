//! What can go wrong between here and a host, each with a kind of its own and the next step to take.

use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// A failure of the SSH layer. Cloneable, because one lost connection fails every call on it.
#[derive(Debug, Clone, Error)]
pub enum SshError {
    /// The name does not resolve.
    #[error("{host}: the name does not resolve ({reason}); check the spelling, or give an IP address in deploy.yml")]
    Dns {
        /// Name as given.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// No route, or the network is down.
    #[error("{host}: no route to {address} ({reason}); is the host up, and is a VPN needed?")]
    NoRoute {
        /// Name as given.
        host: String,
        /// Address and port that was tried.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// Nothing answered in time.
    #[error("{host}: no answer within {} s ({waiting_for}); is the host up, and does a firewall drop port {port}?", after.as_secs())]
    Timeout {
        /// Name as given.
        host: String,
        /// Port.
        port: u16,
        /// What was being waited for.
        waiting_for: &'static str,
        /// How long.
        after: Duration,
    },
    /// The port is closed.
    #[error("{host}: connection refused at {address}; is sshd running there, and is ssh.port right?")]
    Refused {
        /// Name as given.
        host: String,
        /// Address and port that was tried.
        address: String,
    },
    /// Something answers, but no common ground was found.
    #[error("{host}: SSH handshake on port {port} failed: {reason}")]
    Handshake {
        /// Name as given.
        host: String,
        /// Port.
        port: u16,
        /// What failed.
        reason: String,
    },
    /// known_hosts has no key for the host.
    #[error("{host}: its host key is unknown: {algorithm} {fingerprint}{note}\n{enrol}")]
    HostKeyUnknown {
        /// Name as given.
        host: String,
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
        "{host}: its host key CHANGED: known_hosts has another one ({}:{line}), the host presents {algorithm} {fingerprint}\n\
         Someone may be listening in, or the host was reinstalled. If you know why: remove that line and enrol the new key with\n{enrol}",
        file.display()
    )]
    HostKeyChanged {
        /// Name as given.
        host: String,
        /// Algorithm of the key that the host presents.
        algorithm: String,
        /// Its SHA256 fingerprint.
        fingerprint: String,
        /// File with the other key.
        file: PathBuf,
        /// Line in it, from 1.
        line: usize,
        /// How to enrol.
        enrol: String,
    },
    /// The presented key is marked `@revoked`.
    #[error("{host}: its host key {fingerprint} is revoked ({}:{line}); give the host a new key", file.display())]
    HostKeyRevoked {
        /// Name as given.
        host: String,
        /// Its SHA256 fingerprint.
        fingerprint: String,
        /// File with the mark.
        file: PathBuf,
        /// Line in it, from 1.
        line: usize,
    },
    /// A known_hosts file could not be read or written.
    #[error("{host}: cannot {action} {}: {reason}", file.display())]
    KnownHostsFile {
        /// Name as given.
        host: String,
        /// `read` or `enrol the key in`.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The host accepted none of our keys.
    #[error("{host}: login as {user} failed; tried: {}\n{hint}", if tried.is_empty() { "nothing".to_string() } else { tried.join("; ") })]
    AuthFailed {
        /// Name as given.
        host: String,
        /// Login.
        user: String,
        /// Every key with what became of it.
        tried: Vec<String>,
        /// What to do.
        hint: String,
    },
    /// The connection ended, or stopped answering.
    #[error("{host}: connection lost: {reason}")]
    ConnectionLost {
        /// Name as given.
        host: String,
        /// The last thing known.
        reason: String,
    },
    /// sshd does not open a channel.
    #[error("{host}: sshd refused {what}: {reason}")]
    ChannelRefused {
        /// Name as given.
        host: String,
        /// What was asked for.
        what: String,
        /// sshd's words, and what to change.
        reason: String,
    },
    /// The host lacks a program.
    #[error("{host}: {command} is missing there; install it ({hint})")]
    CommandMissing {
        /// Name as given.
        host: String,
        /// The program.
        command: String,
        /// The package that usually has it.
        hint: String,
    },
    /// A command on the host failed.
    #[error("{host}: {what} failed ({status}): {stderr}")]
    CommandFailed {
        /// Name as given.
        host: String,
        /// What was being done.
        what: String,
        /// `exit 1`, `signal TERM`.
        status: String,
        /// Its last words.
        stderr: String,
    },
    /// A command on the host took too long. It may still be running there.
    #[error("{host}: {what} did not finish within {} s", after.as_secs())]
    Deadline {
        /// Name as given.
        host: String,
        /// What was being done.
        what: String,
        /// The limit.
        after: Duration,
    },
    /// A command printed more than its reader takes.
    #[error("{host}: {what} printed more than {limit} bytes")]
    OutputTooLarge {
        /// Name as given.
        host: String,
        /// What was being done.
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A command's answer is not in the form that its script gives.
    #[error("{host}: {what}: cannot understand the answer: {reason}")]
    BadAnswer {
        /// Name as given.
        host: String,
        /// What was being done.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An argument cannot be passed to a shell.
    #[error("{host}: an argument of {what} holds a NUL byte")]
    BadArgument {
        /// Name as given.
        host: String,
        /// What was being done.
        what: String,
    },
}

impl SshError {
    /// The host could not be reached at all: nothing was done there by the call that failed.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Dns { .. }
                | Self::NoRoute { .. }
                | Self::Timeout { .. }
                | Self::Refused { .. }
                | Self::Handshake { .. }
        )
    }

    /// The call may or may not have had its effect.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Self::ConnectionLost { .. } | Self::Deadline { .. })
    }
}
