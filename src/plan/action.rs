//! What can be done to a host. Each action names what it expects to find.

use crate::effect::{Backend, ProxySettings};
use crate::fleet::BackendName;
use crate::name::{ContainerId, Digest, HostName, ImageRef, RoleName, RunId, Version};
use crate::release::{Fingerprint, Mark};
use crate::spec::{EdgeFile, Env, RestartPolicy, RoleSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A container that exists, or one that the plan creates on the same host under this name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ref {
    /// It exists.
    Id(ContainerId),
    /// The plan creates it.
    Name(String),
}

/// One thing that is done on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Creates the state directory, records it on the volume `windlass`, and writes the key of the secret prints where
    /// the host lacks it. Expects the volume to name no other directory.
    PrepareState {
        /// `<home>`.
        home: String,
        /// Whether the key must be written.
        write_key: bool,
    },
    /// Creates the network that containers and proxy share.
    CreateNetwork {
        /// Its name.
        name: String,
    },
    /// Creates and starts the proxy.
    BootProxy {
        /// How it runs.
        settings: ProxySettings,
    },
    /// Replaces the proxy's container; what it routes stays. Taken back by itself when the new one does not answer.
    ReplaceProxy {
        /// How it runs.
        settings: ProxySettings,
        /// Seconds that requests in flight have.
        grace: u64,
    },
    /// Stops the proxy's container and removes it.
    RemoveProxy {
        /// Whether its files stay, so that a boot brings every route back.
        keep_files: bool,
    },
    /// Puts certificates and pages beside the proxy's configuration. Nothing uses them before a route names them.
    PutEdgeFiles {
        /// The backend that they are for.
        backend: BackendName,
        /// By digest; their contents are the executor's.
        files: Vec<EdgeFile>,
    },
    /// Removes certificates and pages that a backend does not use any more.
    ForgetEdgeFiles {
        /// The backend that they were for.
        backend: BackendName,
        /// By digest.
        files: Vec<EdgeFile>,
    },
    /// Makes the proxy ready beside another one that has the ports: files, a trial that finds what serves healthy, a
    /// container that is not started.
    StandBy {
        /// How it runs.
        settings: ProxySettings,
        /// What it will route from the first moment.
        routes: Vec<StandbyRoute>,
        /// Seconds until everything must be healthy.
        deadline: u64,
    },
    /// Removes the proxy that stood by, and these routes of its files. Expects it not to run.
    StandDown {
        /// The routes.
        backends: Vec<BackendName>,
    },
    /// Tells a stopped kamal-proxy where to route from its next start.
    PointKamalProxy {
        /// kamal-proxy.
        container: ContainerId,
        /// By kamal-proxy's name of the service.
        targets: BTreeMap<String, KamalTarget>,
    },
    /// One proxy stops and the other gets its ports. Between the two nothing answers: that gap is measured.
    SwapProxy(ProxySwap),
    /// Pulls `repository@digest` and tags it.
    Pull {
        /// `repository@digest`.
        image: ImageRef,
        /// `repository:version`.
        tag: ImageRef,
    },
    /// Copies an image from another host and tags it. Expects it to have the same id afterwards.
    CopyImage {
        /// The host that has it.
        from: HostName,
        /// Its id there.
        image: Digest,
        /// `repository:version`.
        tag: ImageRef,
        /// Bytes, as the engine that has it says.
        size: u64,
    },
    /// Tags an image that the host has (so that a pull is not needed).
    Tag {
        /// What it has.
        image: String,
        /// `repository:version`.
        tag: ImageRef,
    },
    /// Makes a route known to the proxy, or changes it. What it routes to stays.
    SetRoute {
        /// The backend as it shall be.
        backend: Backend,
    },
    /// Takes a route away.
    RemoveRoute {
        /// The backend.
        backend: BackendName,
    },
    /// Creates a container. Expects its name to be free.
    Create {
        /// What it is made from.
        container: Box<PlannedContainer>,
    },
    /// Creates a container like an existing one.
    CreateLike {
        /// The one to copy.
        original: ContainerId,
        /// The new one's name.
        name: String,
    },
    /// Gives each of two containers the files that only the other one's image has below a directory. What both have
    /// stays each one's own. Nothing is taken back: files that nobody asks for harm nobody.
    ShareAssets {
        /// What takes over; it does not run yet.
        incoming: Ref,
        /// What serves.
        outgoing: Ref,
        /// The directory, absolute.
        path: String,
    },
    /// Starts a container.
    Start {
        /// Which.
        container: Ref,
        /// If a retained container does not start: the name under which one like it is made and started instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        else_like: Option<String>,
    },
    /// Gives a container its restart policy.
    SetRestart {
        /// Which.
        container: Ref,
        /// Policy.
        policy: RestartPolicy,
    },
    /// Puts a running container into a free slot of its backend: checked, not routed.
    Load {
        /// Backend.
        backend: BackendName,
        /// Container.
        container: Ref,
        /// The application's port.
        port: u16,
    },
    /// Waits until a container is healthy.
    Gate {
        /// Which.
        container: Ref,
        /// Role.
        role: RoleName,
        /// By what.
        gate: Gate,
        /// Seconds until it counts as failed.
        deadline: u64,
    },
    /// Sends a role's traffic to a container and writes the fact down. Expects `from` (or `to` already) to serve.
    Switch {
        /// Role.
        role: RoleName,
        /// Backend, for a proxied role.
        backend: Option<BackendName>,
        /// The application's port.
        port: u16,
        /// What serves until then.
        from: Option<Ref>,
        /// What serves from then on.
        to: Ref,
        /// The release that it serves.
        release: Option<RunId>,
    },
    /// Takes a role's container out of service without another one taking over, and writes the fact down. Expects
    /// `from`, or nothing, to serve.
    Suspend {
        /// Role.
        role: RoleName,
        /// Backend; its route stays.
        backend: BackendName,
        /// What serves until then.
        from: Ref,
    },
    /// Waits until a container that gets no new requests has answered those it has. Out of time is reported with the
    /// number cut off, and goes on.
    Drain {
        /// Backend.
        backend: BackendName,
        /// Container.
        container: Ref,
        /// Seconds.
        timeout: u64,
    },
    /// Takes a container out of its slot. Expects that it is not routed to.
    Unload {
        /// Backend.
        backend: BackendName,
        /// Container.
        container: Ref,
    },
    /// Retires a container: restart policy `no`, then stop. Expects that no backend routes to it, unless the plan says
    /// that it has to stop first.
    Retire {
        /// Which.
        container: Ref,
        /// Role.
        role: RoleName,
        /// The backend that must not route to it.
        backend: Option<BackendName>,
        /// Seconds between SIGTERM and SIGKILL, `None` as it was made.
        timeout: Option<u32>,
        /// It serves until the moment it stops: the gap that follows was declared.
        #[serde(default)]
        stop_first: bool,
        /// Nothing of the role serves on this host after it: written down as such.
        #[serde(default)]
        ends_role: bool,
    },
    /// Writes down what is said of a release.
    Mark {
        /// The release.
        release: RunId,
        /// What people call it.
        name: String,
        /// What is said.
        mark: Mark,
    },
    /// Removes a stopped container.
    Remove {
        /// Which.
        container: Ref,
        /// Its name, for people.
        name: String,
        /// Why.
        reason: String,
    },
    /// Removes a reference of an image, and the image with its last one.
    RemoveImage {
        /// `repo:tag`, `repo@digest` or an id.
        reference: String,
        /// Why.
        reason: String,
        /// Bytes that its last reference frees.
        size: u64,
    },
}

/// A route that the proxy has from its first moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandbyRoute {
    /// The backend.
    pub backend: Backend,
    /// What serves already.
    pub container: ContainerId,
    /// The port that it listens on.
    pub port: u16,
}

/// Where kamal-proxy routes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KamalTarget {
    /// The container.
    pub container: ContainerId,
    /// The port that it listens on.
    pub port: u16,
}

/// One proxy stops and the other starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxySwap {
    /// The one that stops. It stays, with restart policy `no`.
    pub stop: Ref,
    /// Its name, for people.
    pub stop_name: String,
    /// The one that starts.
    pub start: Ref,
    /// Its name, for people.
    pub start_name: String,
    /// Seconds that requests in flight have. Nothing new is answered meanwhile.
    pub grace: u64,
    /// The policy that the one that starts gets once it serves.
    pub restart: RestartPolicy,
    /// What must be answered by the one that starts, asked on the host itself.
    pub probes: Vec<PortProbe>,
    /// Seconds until it must be.
    pub deadline: u64,
}

/// A request to a published port, sent on the host itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortProbe {
    /// Address of the host.
    pub address: String,
    /// Port.
    pub port: u16,
    /// The host name that is asked for.
    pub host: String,
    /// The page.
    pub path: String,
}

/// How a new container proves that it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Gate {
    /// The proxy that will route to it is the judge.
    Proxy {
        /// Backend.
        backend: BackendName,
        /// Port.
        port: u16,
    },
    /// Docker's health check if the container has one, else it must keep running without a restart.
    Engine {
        /// Seconds that it must keep running.
        readiness_delay: u32,
    },
}

/// A container to be created: names of secrets, no values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedContainer {
    /// Its name.
    pub name: String,
    /// Role.
    pub role: RoleName,
    /// Version.
    pub version: Version,
    /// What to create it from: `repository:version`.
    pub image: String,
    /// The role's specification.
    pub spec: RoleSpec,
    /// The environment on this host, with the tags' parts.
    pub env: Env,
    /// The value of the label `windlass.spec`.
    pub fingerprint: Fingerprint,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// Further variables (`KAMAL_*`).
    pub extra_env: BTreeMap<String, String>,
    /// First part of the host name inside (Kamal's rule).
    pub hostname: String,
    /// Another host's container whose environment has the values of the secrets; `None`: the run knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_from: Option<SecretsFrom>,
}

/// A container that holds the secrets which another one is to get. They go through memory only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsFrom {
    /// Its host.
    pub host: HostName,
    /// The container.
    pub container: ContainerId,
}
