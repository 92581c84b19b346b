//! `haproxy -c`, by the image that will read the files, in a container of its own that lives for a moment: the running
//! proxy is not disturbed, and nothing but the ordinary calls of the engine is needed.

use crate::effect::{EngineErrorKind, LogsRequest, NewContainer, ProxyError};
use crate::fleet::State;
use crate::haproxy::layout::{CHECK_CONTAINER, CHECK_LABEL, NETWORK};
use crate::haproxy::{HaProxy, engine_failed};
use crate::name::ContainerId;
use crate::spec::{ContainerOptions, Logging, RestartPolicy};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// HAProxy's words in an error, in bytes.
const WORDS: usize = 2000;

impl HaProxy {
    /// Checks configuration files, given by their paths inside a container, in this order.
    pub(super) async fn try_files(&self, image: &str, uid: &str, files: &[String]) -> Result<(), ProxyError> {
        let container = self.trial_container(image, uid, files);
        let id = self.create_trial(&container).await?;
        let verdict = self.run_trial(&id).await;
        if let Err(error) = self.engine.remove(&id).await {
            tracing::debug!(%error, "the container that checked the proxy's configuration stays until the next check");
        }
        verdict
    }

    fn trial_container(&self, image: &str, uid: &str, files: &[String]) -> NewContainer {
        let files = files.iter().flat_map(|f| ["-f".to_string(), f.clone()]);
        NewContainer {
            name: CHECK_CONTAINER.to_string(),
            image: image.to_string(),
            hostname: None,
            command: Some(std::iter::once("-c".to_string()).chain(files).collect()),
            env: BTreeMap::new(),
            labels: [(CHECK_LABEL.to_string(), "1".to_string())].into(),
            network: NETWORK.to_string(),
            volumes: vec![format!("{}:{}:ro", self.paths.root, self.inside.dir)],
            options: ContainerOptions {
                user: Some(uid.to_string()),
                entrypoint: Some("haproxy".to_string()),
                ..ContainerOptions::default()
            },
            logging: Logging::default(),
            restart: RestartPolicy::No,
            stop_timeout: Some(1),
            one_off: false,
        }
    }

    /// The name may be taken by a check whose run died: we hold the proxy's lease, so nobody waits for it.
    async fn create_trial(&self, container: &NewContainer) -> Result<ContainerId, ProxyError> {
        match self.engine.create(container).await {
            Err(error) if error.kind == EngineErrorKind::Conflict => {}
            other => return other.map_err(engine_failed),
        }
        let list = self.engine.list().await.map_err(engine_failed)?;
        let leftover = list.iter().find(|b| b.name == CHECK_CONTAINER && b.labels.contains_key(CHECK_LABEL));
        if let Some(leftover) = leftover {
            self.engine.stop(&leftover.id, Some(1)).await.map_err(engine_failed)?;
            self.engine.remove(&leftover.id).await.map_err(engine_failed)?;
        }
        self.engine.create(container).await.map_err(engine_failed)
    }

    async fn run_trial(&self, id: &ContainerId) -> Result<(), ProxyError> {
        self.engine.start(id).await.map_err(engine_failed)?;
        let deadline = self.clock.elapsed() + DEADLINE;
        loop {
            match self.engine.inspect(id).await.map_err(engine_failed)?.state {
                State::Exited { code: 0, .. } => return Ok(()),
                State::Exited { .. } => return Err(ProxyError::Refused(self.words(id).await)),
                _ if self.clock.elapsed() < deadline => self.clock.sleep(POLL).await,
                _ => break,
            }
        }
        // It is stopped so that it can be removed; that it hangs is the error to report.
        drop(self.engine.stop(id, Some(1)).await);
        Err(ProxyError::Failed(format!("`haproxy -c` did not end within {} s", DEADLINE.as_secs())))
    }

    /// The last lines of a container's output.
    pub(super) async fn words(&self, id: &ContainerId) -> String {
        let request = LogsRequest { tail: Some(20), ..LogsRequest::default() };
        let lines: Vec<String> = match self.engine.logs(id, request).await {
            Ok(lines) => lines.filter_map(|line| async { line.ok().map(|l| l.text) }).collect().await,
            Err(error) => vec![format!("its output cannot be read: {error}")],
        };
        let words = lines.join("\n");
        words.chars().take(WORDS).collect()
    }
}
