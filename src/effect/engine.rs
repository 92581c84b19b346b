//! A host's container engine.

use crate::effect::{ExecCommand, Process, WindowSize};
use crate::fleet::{Container, ContainerBrief, EngineInfo, Image};
use crate::name::{ContainerId, Digest, ImageRef};
use crate::secret::Secret;
use crate::spec::{ContainerOptions, Logging, RestartPolicy};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;
use tokio::sync::mpsc;

/// The Docker Engine API, as much as windlass uses of it. One method is one call.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Version and kind.
    async fn info(&self) -> Result<EngineInfo, EngineError>;

    /// All containers, running or not.
    async fn list(&self) -> Result<Vec<ContainerBrief>, EngineError>;

    /// One container.
    async fn inspect(&self, id: &ContainerId) -> Result<Container, EngineError>;

    /// Creates a container; it does not run yet. A name that is taken is [`EngineErrorKind::Conflict`].
    async fn create(&self, container: &NewContainer) -> Result<ContainerId, EngineError>;

    /// Creates a container exactly like an existing one (image, environment with its secrets, mounts, command, labels
    /// …) under another name.
    async fn create_like(&self, original: &ContainerId, name: &str) -> Result<ContainerId, EngineError>;

    /// Starts a container; one that runs already is fine.
    async fn start(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Stops a container: its stop signal, then after `timeout` seconds SIGKILL (`None`: as the container was made).
    /// One that is stopped already is fine.
    async fn stop(&self, id: &ContainerId, timeout: Option<u32>) -> Result<(), EngineError>;

    /// Changes the restart policy.
    async fn set_restart(&self, id: &ContainerId, policy: RestartPolicy) -> Result<(), EngineError>;

    /// Sends a signal, such as `USR2`.
    async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError>;

    /// Removes a stopped container and its anonymous volumes. A running one is refused, one that is gone is fine.
    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Files of a container that need not run, as a tar archive; what is mounted there is what is read. `/a/b` is the
    /// file or directory under its own name (`b`, `b/c`), `/a/b/.` what is in the directory (`./c`). A path that is
    /// missing is [`EngineErrorKind::NotFound`], at once.
    async fn copy_out(&self, id: &ContainerId, path: &str) -> Result<Archive, EngineError>;

    /// Unpacks a tar archive into a directory of a container that need not run, over what is there; owners and modes are
    /// the archive's. A directory that is missing is [`EngineErrorKind::NotFound`].
    async fn copy_in(&self, id: &ContainerId, directory: &str, archive: Archive) -> Result<(), EngineError>;

    /// The environment that a container was created with, `NAME` → value.
    async fn environment(&self, id: &ContainerId) -> Result<BTreeMap<String, Secret<String>>, EngineError>;

    /// Lines of a container's output, oldest first; with `follow` it goes on until the container ends. However much it is,
    /// no other call and no lease waits for it.
    async fn logs(
        &self,
        id: &ContainerId,
        request: LogsRequest,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError>;

    /// Runs a command in a running container and talks to it. One that cannot be found ends with the code 126 or 127.
    async fn exec(&self, id: &ContainerId, command: &ExecCommand) -> Result<Process, EngineError>;

    /// Runs a command in a running container and leaves it alone: neither its input, nor its output, nor its end.
    async fn exec_detached(&self, id: &ContainerId, command: &ExecCommand) -> Result<(), EngineError>;

    /// Starts a created container and talks to its process from the first byte on. The container has the input and the
    /// terminal that it was made with; `terminal` is the size of the latter.
    async fn start_attached(&self, id: &ContainerId, terminal: Option<WindowSize>) -> Result<Process, EngineError>;

    /// Asks the registry (through this engine) what a reference means: the digest of the index or manifest.
    async fn resolve(&self, image: &ImageRef, login: Option<&RegistryLogin>) -> Result<ResolvedImage, EngineError>;

    /// Pulls `repository@digest`.
    async fn pull(
        &self,
        image: &ImageRef,
        login: Option<&RegistryLogin>,
        progress: mpsc::UnboundedSender<PullProgress>,
    ) -> Result<(), EngineError>;

    /// An image by reference or id; `None` if the host does not have it.
    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError>;

    /// All images.
    async fn images(&self) -> Result<Vec<Image>, EngineError>;

    /// Gives an image (by id or reference) a `repository:tag`.
    async fn tag(&self, image: &str, as_reference: &ImageRef) -> Result<(), EngineError>;

    /// Removes one reference (`repo:tag`, `repo@digest` or an id) of an image, and the image with its last. Never
    /// forced: an image that a container uses is [`EngineErrorKind::Conflict`].
    async fn remove_image(&self, reference: &str) -> Result<(), EngineError>;

    /// An image with all its layers as a tar archive (`docker save`), in pieces as the engine makes them. Whoever reads
    /// slowly slows the engine down: nothing is held back in memory. By its id it carries no tags.
    async fn save(&self, image: &str) -> Result<Archive, EngineError>;

    /// Takes such an archive in (`docker load`). One that ends early is an error, and leaves no image. The engine knows
    /// no registry's digest of what came this way; its id is the same as where it was saved.
    async fn load(&self, archive: Archive) -> Result<(), EngineError>;

    /// Names of all networks.
    async fn networks(&self) -> Result<BTreeSet<String>, EngineError>;

    /// Creates a bridge network; one of that name is fine.
    async fn create_network(&self, name: &str) -> Result<(), EngineError>;

    /// A volume by name.
    async fn volume(&self, name: &str) -> Result<Option<Volume>, EngineError>;

    /// Creates a volume with labels; an existing one stays as it is.
    async fn create_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), EngineError>;
}

/// A tar archive as it arrives.
pub type Archive = BoxStream<'static, std::io::Result<Bytes>>;

/// A container to be created.
#[derive(Debug, Clone)]
pub struct NewContainer {
    /// Its name.
    pub name: String,
    /// What to create it from: `repository:tag` or an image id present on the host.
    pub image: String,
    /// Host name inside, unless the options say another.
    pub hostname: Option<String>,
    /// Words after the image.
    pub command: Option<Vec<String>>,
    /// Environment with its secrets.
    pub env: BTreeMap<String, Secret<String>>,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// The network it joins.
    pub network: String,
    /// `source:target[:options]`.
    pub volumes: Vec<String>,
    /// The other flags.
    pub options: ContainerOptions,
    /// Log driver.
    pub logging: Logging,
    /// Restart policy.
    pub restart: RestartPolicy,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_timeout: Option<u32>,
    /// For one command only: the engine removes it when it ends, and its input ends with the one that is attached.
    pub one_off: bool,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// Credentials of one registry. They go along with each call and are never stored on a host.
#[derive(Debug, Clone)]
pub struct RegistryLogin {
    /// `registry.server`; `None` is Docker's default registry.
    pub server: Option<String>,
    /// User.
    pub username: Secret<String>,
    /// Password or token.
    pub password: Secret<String>,
}

/// What a registry says of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// Digest of the index, or of the manifest where there is no index.
    pub digest: Digest,
    /// The platforms it has, such as `linux/amd64`; empty when the registry does not say.
    pub platforms: Vec<String>,
}

/// How far a pull is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProgress {
    /// Layer, or empty for the whole.
    pub layer: String,
    /// The engine's word, such as `Downloading`.
    pub status: String,
    /// Bytes done.
    pub current: u64,
    /// Bytes in all, 0 when unknown.
    pub total: u64,
}

/// Which lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogsRequest {
    /// So many from the end; `None` = all.
    pub tail: Option<u64>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Go on with new ones.
    pub follow: bool,
    /// Ask for timestamps.
    pub timestamps: bool,
}

/// A line of output, without its newline. Bytes that are not UTF-8 are replaced, and a line is cut at 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Which stream.
    pub stream: LogStream,
    /// When the engine got it, if asked for.
    pub at: Option<Timestamp>,
    /// Text.
    pub text: String,
}

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogStream {
    Out,
    Err,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct EngineError {
    /// What kind.
    pub kind: EngineErrorKind,
    /// What was asked and what the engine said, in one sentence.
    pub message: String,
}

/// The failures that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineErrorKind {
    /// There is no such container, image, network or volume.
    NotFound,
    /// The registry has no such image or tag.
    ImageNotFound,
    /// The registry refuses the credentials, or wants some.
    RegistryAuth,
    /// The registry cannot be reached, or it failed.
    Registry,
    /// The name is taken, the thing is in use, a port is taken.
    Conflict,
    /// The connection is gone, or the engine does not answer.
    Disconnected,
    /// The disk is full.
    NoSpace,
    /// Anything else.
    Other,
}
