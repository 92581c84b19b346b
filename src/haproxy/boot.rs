//! The proxy's container.

use crate::effect::{EngineErrorKind, NewContainer, ProxyError, ProxySettings};
use crate::fleet::{BackendName, ContainerBrief};
use crate::haproxy::layout::{BASE, CONTAINER, FRONTEND, LABEL, NETWORK};
use crate::haproxy::observe::is_proxy;
use crate::haproxy::reload::digest;
use crate::haproxy::runtime::failed;
use crate::haproxy::{HaProxy, engine_failed, render};
use crate::name::{ContainerId, ImageRef};
use crate::spec::{ContainerOptions, Logging, PublishedPort, RestartPolicy};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a started proxy may take to answer.
const DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);
/// The uid that the proxy runs as, for the container that checks its files.
pub(super) const UID_LABEL: &str = "windlass.proxy.uid";

impl HaProxy {
    pub(super) async fn ensure_running(&self, settings: &ProxySettings) -> Result<(), ProxyError> {
        if super::layout::Paths::new(&settings.home).root != self.paths.root {
            let root = &self.paths.root;
            return Err(ProxyError::Failed(format!("the proxy's state is in {root}, not below {}", settings.home)));
        }
        if let Some(running) = self.existing().await?.filter(|b| b.running) {
            return self.wait_until_it_answers(&running.id).await;
        }
        let lease = self.proxy_lease().await?;
        let result = self.start_under_lease(settings).await;
        if let Err(error) = lease.release().await {
            tracing::debug!(%error, "the proxy's lease was not given back; it ends with the connection");
        }
        result
    }

    async fn existing(&self) -> Result<Option<ContainerBrief>, ProxyError> {
        let list = self.engine.list().await.map_err(engine_failed)?;
        match list.into_iter().find(|b| is_proxy(b) || b.name == CONTAINER) {
            Some(other) if !is_proxy(&other) => Err(ProxyError::Failed(format!(
                "a container named {CONTAINER} exists that windlass did not make (image {}): rename or remove it",
                other.image
            ))),
            found => Ok(found),
        }
    }

    async fn start_under_lease(&self, settings: &ProxySettings) -> Result<(), ProxyError> {
        if let Some(stopped) = self.existing().await? {
            if stopped.running {
                return self.wait_until_it_answers(&stopped.id).await;
            }
            // All that it knows is in the files: a new one has today's settings.
            self.engine.remove(&stopped.id).await.map_err(engine_failed)?;
        }
        self.write_first_files().await?;
        self.engine.create_network(NETWORK).await.map_err(engine_failed)?;
        self.have_image(&settings.image).await?;
        let id = self.engine.create(&self.container(settings)).await.map_err(engine_failed)?;
        self.engine.start(&id).await.map_err(|error| match error.kind {
            EngineErrorKind::Conflict => ProxyError::Failed(format!(
                "the proxy cannot have the ports {} and {}: {error}. Free them, or set `proxy.run.http_port` and \
                 `proxy.run.https_port`",
                settings.http_port, settings.https_port
            )),
            _ => engine_failed(error),
        })?;
        self.wait_until_it_answers(&id).await
    }

    /// The directories, and the files that belong to no service. A backend file that cannot be understood is kept out of
    /// the frontend; the proxy could not start with it, so it is refused here by name.
    async fn write_first_files(&self) -> Result<(), ProxyError> {
        for dir in [self.paths.conf(), self.paths.next(), self.paths.run()] {
            self.host.make_dir(&dir).await.map_err(failed)?;
        }
        let set = self.conf_set().await?;
        if let Some(complaint) = set.complaint(&self.paths.conf()) {
            return Err(ProxyError::Refused(format!(
                "{complaint}. Repair the file, or remove it and deploy its service again"
            )));
        }
        let backends: BTreeMap<&BackendName, _> = set.backends.iter().collect();
        let rendered = || {
            let base = render::base(&self.inside)?;
            let digest = digest(&base, set.backends.values())?;
            let backends: Vec<_> = backends.values().map(|h| &h.backend).collect();
            let frontend = render::frontend(&self.inside, &digest, &backends)?;
            Ok([(BASE, base), (FRONTEND, frontend)])
        };
        for (file, content) in rendered().map_err(ProxyError::Refused)? {
            if set.files.get(file) != Some(&content) {
                let path = format!("{}/{file}", self.paths.conf());
                self.host.write(&path, &content, 0o600).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Pulls the image by its digest and names it, unless the host has it.
    async fn have_image(&self, name: &str) -> Result<(), ProxyError> {
        if self.engine.image(name).await.map_err(engine_failed)?.is_some() {
            return Ok(());
        }
        let image: ImageRef = name.parse().map_err(|e| ProxyError::Failed(format!("proxy.run.image: {e}")))?;
        let resolved = self.engine.resolve(&image, None).await.map_err(engine_failed)?;
        let pinned = ImageRef { repository: image.repository.clone(), tag: None, digest: Some(resolved.digest) };
        let (progress, _) = tokio::sync::mpsc::unbounded_channel();
        self.engine.pull(&pinned, None, progress).await.map_err(engine_failed)?;
        match image.digest {
            Some(_) => Ok(()),
            None => self.engine.tag(&pinned.to_string(), &image).await.map_err(engine_failed),
        }
    }

    fn container(&self, settings: &ProxySettings) -> NewContainer {
        let dir = &self.inside.dir;
        let port = |host: u16, container: u16| PublishedPort {
            host_ip: None,
            host_port: Some(host),
            container_port: container,
            protocol: "tcp".to_string(),
        };
        let master = format!("{dir}/run/master.sock,mode,600,level,admin");
        let command = ["-W", "-db", "-S", &master, "-f", &format!("{dir}/conf")].map(str::to_string);
        NewContainer {
            name: CONTAINER.to_string(),
            image: settings.image.clone(),
            hostname: Some(CONTAINER.to_string()),
            command: Some(command.to_vec()),
            env: BTreeMap::new(),
            labels: [(LABEL.to_string(), "1".to_string()), (UID_LABEL.to_string(), settings.uid.to_string())].into(),
            network: NETWORK.to_string(),
            volumes: vec![format!("{}:{dir}", self.paths.root)],
            options: ContainerOptions {
                // Port 443 is published from the start, so that certificates later need no new container.
                publish: vec![port(settings.http_port, 80), port(settings.https_port, 443)],
                user: Some(settings.uid.to_string()),
                // Not the image's own: the official one is a script that adds words, the lab's is the program.
                entrypoint: Some("haproxy".to_string()),
                stop_signal: Some("SIGUSR1".to_string()),
                ..ContainerOptions::default()
            },
            logging: Logging::default(),
            restart: RestartPolicy::UnlessStopped,
            stop_timeout: Some(30),
        }
    }

    async fn wait_until_it_answers(&self, id: &ContainerId) -> Result<(), ProxyError> {
        let deadline = self.clock.elapsed() + DEADLINE;
        loop {
            let reason = match self.snapshot().await {
                Ok(snapshot) if snapshot.digest.is_some() => return Ok(()),
                Ok(_) => "its answer is not HAProxy's".to_string(),
                Err(error) => error.to_string(),
            };
            let state = self.engine.inspect(id).await.map_err(engine_failed)?.state;
            if !state.is_running() || self.clock.elapsed() >= deadline {
                let words = self.words(id).await;
                return Err(ProxyError::NotRunning(format!("it was started and does not answer ({reason}): {words}")));
            }
            self.clock.sleep(POLL).await;
        }
    }
}
