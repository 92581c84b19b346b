//! A host's files and commands, and the lease that gives the right to change a service on it.

use crate::effect::{HostCommand, Process};
use crate::fleet::{DiskSpace, Holder};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A directory's regular files (one level) by their path relative to it, with their content.
pub type FileSet = BTreeMap<String, Vec<u8>>;

/// Files and commands of one host. Every method is one round trip on the connection unless it says otherwise.
///
/// Paths are absolute. Nothing here is seen by a shell unquoted, and content travels on standard input, never in
/// arguments.
#[async_trait]
pub trait Host: Send + Sync {
    /// What `observe` needs to know besides the engine and the state files.
    async fn probe(&self) -> Result<HostProbe, HostError>;

    /// All regular files of these directories, two levels deep (`journal.jsonl`, `releases/<run>.json`). A directory
    /// that does not exist is empty. One round trip for all of them.
    async fn read_dirs(&self, dirs: &[String]) -> Result<Vec<FileSet>, HostError>;

    /// Creates a directory and its parents, mode 0700.
    async fn make_dir(&self, path: &str) -> Result<(), HostError>;

    /// Replaces a file: temporary name in the same directory, mode, fsync, rename, fsync of the directory.
    async fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<(), HostError>;

    /// Appends by one write, then fsync. Creates the file with mode 0600. If the file's last line is torn (no newline
    /// at its end), a newline goes first, so that a torn line never swallows a good one.
    async fn append(&self, path: &str, content: &[u8]) -> Result<(), HostError>;

    /// Removes a file; one that is not there is fine.
    async fn remove(&self, path: &str) -> Result<(), HostError>;

    /// Sends a request to a unix socket, closes the sending half, and reads the answer to its end.
    async fn ask_socket(&self, path: &str, request: &[u8]) -> Result<Vec<u8>, HostError>;

    /// Runs a user's command and talks to it. A command that cannot be found ends with the code 127.
    async fn run(&self, command: &HostCommand) -> Result<Process, HostError>;
    /// Sends a request to a TCP port as a program on the host would, and reads the answer to its end (at most 64 KiB of
    /// it). `address` is one of the host's own, such as `127.0.0.1`.
    async fn ask_port(&self, address: &str, port: u16, request: &[u8]) -> Result<Vec<u8>, HostError>;
    /// What words the login's shell makes of each piece of shell, in its home directory: `None` for one that it does not
    /// understand. One round trip for all of them. The pieces run: they are the configuration's own, as in Kamal.
    async fn expand(&self, sources: &[String]) -> Result<Vec<Option<Vec<String>>>, HostError>;

    /// Takes a lease. It lives as long as this connection keeps answering.
    async fn lease(&self, request: &LeaseRequest) -> Result<Box<dyn Lease>, LeaseError>;

    /// Who holds a lease in this directory, without taking it: `None` when it is free.
    async fn lease_holder(&self, dir: &str) -> Result<Option<Option<Holder>>, HostError>;
}

/// Answers of [`Host::probe`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostProbe {
    /// The login's home directory, absolute.
    pub home: String,
    /// The login's numeric user id.
    pub uid: u32,
    /// The host's clock, in seconds since 1970.
    pub unix_time: i64,
    /// Of the commands that windlass needs, those that are missing.
    pub missing_commands: BTreeSet<String>,
    /// TCP ports that something listens on, each with the program (such as `nginx (pid 812)`) where this login may see it.
    pub listening: BTreeMap<u16, Option<String>>,
    /// Room on the file system of `/var/lib/docker` (or of `/` where that does not exist).
    pub disk: Option<DiskSpace>,
}

/// What to take a lease on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The directory whose file `lease` is locked; it is created if missing.
    pub dir: String,
    /// Written into the file for others to read.
    pub holder: Holder,
    /// Kamal's lock directory, relative to the login's home, to be held as well: `.kamal/lock-<service>[-<destination>]`.
    pub kamal_lock: Option<String>,
}

/// A lease that is held. Dropping it gives it back without waiting.
#[async_trait]
pub trait Lease: Send + Sync {
    /// Whether the right still holds at this very moment. It is lost for good once the host has not answered for ten
    /// seconds (a coordinator that was asleep finds that here before it does anything else).
    fn check(&self) -> Result<(), LeaseError>;

    /// Resolves when the lease is lost.
    async fn lost(&self) -> LeaseError;

    /// Gives it back and waits until the host confirms it.
    async fn release(self: Box<Self>) -> Result<(), LeaseError>;
}

/// Why a lease could not be had or kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LeaseError {
    /// Another run holds it.
    #[error("{}", held(.0))]
    Held(Option<Holder>),
    /// Kamal holds its lock; the text of its details.
    #[error("Kamal holds its deploy lock: {0}")]
    HeldByKamal(String),
    /// It was held, and the host did not answer in time.
    #[error("the lease was lost: {0}")]
    Lost(String),
    /// `flock` or `timeout` is missing.
    #[error("the host has no `{0}` command, which a lease needs")]
    MissingCommand(String),
    /// Anything else.
    #[error("{0}")]
    Host(#[from] HostError),
}

fn held(holder: &Option<Holder>) -> String {
    match holder {
        Some(h) => format!("{} holds the lease since {} ({})", h.actor, h.since, h.what),
        None => "another run holds the lease".to_string(),
    }
}

/// A file or command operation that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HostError {
    /// The connection is gone.
    #[error("the connection was lost: {0}")]
    Disconnected(String),
    /// No answer in time.
    #[error("no answer within {seconds} s to: {what}")]
    Timeout {
        /// Operation.
        what: String,
        /// Deadline.
        seconds: u64,
    },
    /// The host answered that it cannot.
    #[error("{what}: {message}")]
    Failed {
        /// Operation.
        what: String,
        /// The host's words.
        message: String,
    },
}
