//! One host during a run: its node, its lease, and the containers that the plan refers to by name.

use crate::effect::{EngineError, HostError, LeaseError, LogsRequest, Node, ProxyError, Target};
use crate::event::Failure;
use crate::execute::Leases;
use crate::fleet::{Container, ContainerBrief, label};
use crate::mask::Masker;
use crate::name::{ContainerId, HostName, ImageRef, RoleName, RunId};
use crate::plan::Ref;
use crate::release::Fingerprint;
use crate::secret::Secret;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;

pub(super) use crate::fleet::NETWORK;
/// How many lines of a failed container's output are shown.
const LOG_LINES: u64 = 20;

/// What a step can fail with.
#[derive(Debug, Error)]
pub(super) enum StepError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The container did not prove that it works.
    #[error("{message}")]
    Unhealthy { message: String, container: ContainerId },
    /// A pull stands still.
    #[error(
        "the pull of {0} made no progress for two minutes: its registry does not answer, or the host's network is stuck"
    )]
    Stalled(ImageRef),
    /// The host that an image is copied from cannot give it.
    #[error("{from}: {error}")]
    Copy { from: HostName, error: EngineError },
    /// A copy stands still.
    #[error("the copy of {tag} from {from} made no progress for two minutes: one of the two connections is stuck")]
    CopyStalled { tag: ImageRef, from: HostName },
    /// The world is not what the plan expects.
    #[error("{0}")]
    Moved(String),
}

/// A host with what the run has made on it so far.
pub(super) struct RunHost {
    pub(super) node: Node,
    pub(super) state_dir: String,
    ids: Mutex<BTreeMap<Ref, ContainerId>>,
}

impl RunHost {
    pub(super) fn new(node: Node, state_dir: String) -> Self {
        Self { node, state_dir, ids: Mutex::new(BTreeMap::new()) }
    }

    /// From now on `reference` means this container.
    pub(super) fn bind(&self, reference: Ref, id: ContainerId) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(reference, id);
    }

    /// The container that a reference of the plan means.
    pub(super) fn id(&self, reference: &Ref) -> Result<ContainerId, StepError> {
        let bound = self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(reference).cloned();
        match (bound, reference) {
            (Some(id), _) => Ok(id),
            (None, Ref::Id(id)) => Ok(id.clone()),
            (None, Ref::Name(name)) => Err(StepError::Moved(format!("the container {name} was not created"))),
        }
    }

    /// Looks for a container that this run created and does not know the id of, and binds it.
    pub(super) async fn find(&self, reference: &Ref, run: &RunId) -> bool {
        let Ref::Name(name) = reference else { return false };
        let all = self.node.engine.list().await.unwrap_or_default();
        let made_here = |c: &&ContainerBrief| c.labels.get(label::CREATED_BY).is_some_and(|by| by == run.as_str());
        let found = all.iter().filter(made_here).find(|c| c.name == *name);
        if let Some(found) = found {
            self.bind(reference.clone(), found.id.clone());
        }
        found.is_some()
    }

    pub(super) async fn inspect(&self, reference: &Ref) -> Result<Container, StepError> {
        Ok(self.node.engine.inspect(&self.id(reference)?).await?)
    }

    /// A running container as the proxy reaches it.
    pub(super) async fn target(&self, reference: &Ref, port: u16) -> Result<Target, StepError> {
        let container = self.inspect(reference).await?;
        match container.addresses.get(NETWORK).filter(|a| !a.is_empty()) {
            Some(address) => Ok(Target { container: container.id, address: address.clone(), port }),
            None => Err(StepError::Unhealthy {
                message: format!(
                    "{} has no address on the network {NETWORK}: {}",
                    container.name,
                    describe(&container)
                ),
                container: container.id,
            }),
        }
    }

    /// What people are told of a failed step: the reason, and the container's last lines, both masked.
    pub(super) async fn failure(&self, error: &StepError, role: Option<RoleName>, masker: &Masker) -> Failure {
        let log = match error {
            StepError::Unhealthy { container, .. } => self.last_lines(container, masker).await,
            _ => Vec::new(),
        };
        Failure { message: masker.mask(&error.to_string()), role, log }
    }

    async fn last_lines(&self, container: &ContainerId, masker: &Masker) -> Vec<String> {
        let own = Masker::new(&self.secrets_of(container).await);
        let request = LogsRequest { tail: Some(LOG_LINES), ..LogsRequest::default() };
        let read = async {
            let lines = self.node.engine.logs(container, request).await.ok()?;
            let lines: Vec<_> = lines.filter_map(|line| async { line.ok() }).collect().await;
            Some(lines.into_iter().map(|line| own.mask(&masker.mask(&line.text))).collect())
        };
        tokio::time::timeout(Duration::from_secs(5), read).await.ok().flatten().unwrap_or_default()
    }

    /// The values that a container's output must not show: those of the variables that its label names as secret; of a
    /// container without that label (Kamal made it) all its variables but the obviously harmless ones.
    async fn secrets_of(&self, container: &ContainerId) -> Vec<Secret<String>> {
        let Ok(environment) = self.node.engine.environment(container).await else { return Vec::new() };
        let inspected = self.node.engine.inspect(container).await.ok();
        let fingerprint: Option<Fingerprint> =
            inspected.and_then(|c| c.labels.get(label::SPEC).and_then(|text| text.parse().ok()));
        let is_secret = |name: &str| match &fingerprint {
            Some(print) => print.secrets.contains_key(name),
            None => name != "PATH" && !name.starts_with("KAMAL_"),
        };
        environment.into_iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value).collect()
    }
}

/// Whether the lease still stands, as a step sees it.
pub(super) fn leased(leases: &Leases, host: &RunHost) -> Result<(), StepError> {
    Ok(leases.check(&host.node.name)?)
}

/// A container's state for people.
pub(super) fn describe(container: &Container) -> String {
    use crate::fleet::{Health, State};
    match &container.state {
        State::Created => "it was never started".to_string(),
        State::Running(Health::Unhealthy) => "it runs and Docker's health check says unhealthy".to_string(),
        State::Running(Health::Starting) => "it runs and its health check has not succeeded yet".to_string(),
        State::Running(_) => "it runs".to_string(),
        State::Restarting => format!("it keeps restarting ({} times so far)", container.restart_count),
        State::Paused => "it is paused".to_string(),
        State::Exited { oom: true, .. } => "it was killed because it ran out of memory".to_string(),
        State::Exited { code, .. } => format!("it exited with code {code}"),
        State::Other(word) => format!("the engine says `{word}`"),
    }
}
