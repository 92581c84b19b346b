//! The proxy's container.

use crate::effect::{EngineErrorKind, NewContainer, ProxyError, ProxySettings};
use crate::fleet::ContainerBrief;
use crate::haproxy::edge::CertificateList;
use crate::haproxy::layout::{BASE, CONTAINER, FRONTEND, LABEL, METRICS, NETWORK, SETTINGS_LABEL};
use crate::haproxy::observe::is_proxy;
use crate::haproxy::reload::digest;
use crate::haproxy::runtime::failed;
use crate::haproxy::set::ConfSet;
use crate::haproxy::{HaProxy, edge, engine_failed, render};
use crate::name::{ContainerId, ImageRef};
use crate::spec::{ContainerOptions, Logging, PublishedPort, RestartPolicy};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How long a started proxy may take to answer.
const DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);
/// The uid that the proxy runs as, for the container that checks its files.
pub(super) const UID_LABEL: &str = "windlass.proxy.uid";

impl HaProxy {
    pub(super) async fn ensure_running(&self, settings: &ProxySettings) -> Result<(), ProxyError> {
        self.same_home(settings)?;
        if let Some(running) = self.existing().await?.filter(|b| b.running) {
            return self.wait_until_it_answers(&running.id).await;
        }
        let lease = self.proxy_lease().await?;
        let result = self.start_under_lease(settings).await;
        self.give_back(lease).await;
        result
    }

    pub(super) fn same_home(&self, settings: &ProxySettings) -> Result<(), ProxyError> {
        let root = &self.paths.root;
        if super::layout::Paths::new(&settings.home).root == *root {
            return Ok(());
        }
        Err(ProxyError::Failed(format!("the proxy's state is in {root}, not below {}", settings.home)))
    }

    pub(super) async fn existing(&self) -> Result<Option<ContainerBrief>, ProxyError> {
        let list = self.engine.list().await.map_err(engine_failed)?;
        match list.into_iter().find(|b| is_proxy(b) || b.name == CONTAINER) {
            Some(other) if !is_proxy(&other) => Err(ProxyError::Failed(format!(
                "a container named {CONTAINER} exists that windlass did not make (image {}): rename or remove it",
                other.image
            ))),
            found => Ok(found),
        }
    }

    pub(super) async fn start_under_lease(&self, settings: &ProxySettings) -> Result<(), ProxyError> {
        if let Some(stopped) = self.existing().await? {
            if stopped.running {
                return self.wait_until_it_answers(&stopped.id).await;
            }
            // All that it knows is in the files: a new one has today's settings.
            self.engine.remove(&stopped.id).await.map_err(engine_failed)?;
        }
        self.write_first_files(settings).await?;
        self.engine.create_network(NETWORK).await.map_err(engine_failed)?;
        self.have_image(&settings.image).await?;
        self.create_and_start(settings).await
    }

    /// A new container that answers.
    pub(super) async fn create_and_start(&self, settings: &ProxySettings) -> Result<(), ProxyError> {
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

    /// The directories, and the files that belong to no service.
    pub(super) async fn write_first_files(&self, settings: &ProxySettings) -> Result<(), ProxyError> {
        for dir in [self.paths.conf(), self.paths.next(), self.paths.run(), self.paths.edge()] {
            self.host.make_dir(&dir).await.map_err(failed)?;
        }
        let set = self.conf_set().await?;
        let first = self.first_files(settings, &set)?;
        if let Some(list) = &first.list {
            self.put_list(list).await?;
        }
        for (file, content) in first.write {
            self.host.write(&self.conf_path(&file), &content, 0o600).await.map_err(failed)?;
        }
        match first.remove {
            Some(file) => self.host.remove(&self.conf_path(&file)).await.map_err(failed),
            None => Ok(()),
        }
    }

    /// Checks with an image what it would start with.
    pub(super) async fn try_first_files(&self, settings: &ProxySettings, set: &ConfSet) -> Result<(), ProxyError> {
        let first = self.first_files(settings, set)?;
        if let Some(list) = &first.list {
            self.put_list(list).await?;
        }
        let mut wanted = set.clone();
        for (file, content) in &first.write {
            let path = format!("{}/{file}", self.paths.next());
            self.host.write(&path, content, 0o600).await.map_err(failed)?;
            wanted.files.insert(file.clone(), content.clone());
        }
        first.remove.iter().for_each(|file| drop(wanted.files.remove(file)));
        let waiting: Vec<String> = first.write.keys().cloned().collect();
        let files = self.candidates(&wanted, &waiting);
        let verdict = self.try_files(&settings.image, &settings.uid.to_string(), &files).await;
        for file in &waiting {
            self.host.remove(&format!("{}/{file}", self.paths.next())).await.map_err(failed)?;
        }
        verdict
    }

    /// What has to be written and removed. A backend file that cannot be understood is kept out of the frontend; the
    /// proxy could not start with it, so it is refused here by name.
    fn first_files(&self, settings: &ProxySettings, set: &ConfSet) -> Result<FirstFiles, ProxyError> {
        if let Some(complaint) = set.complaint(&self.paths.conf()) {
            return Err(ProxyError::Refused(format!(
                "{complaint}. Repair the file, or remove it and deploy its service again"
            )));
        }
        self.render_first(settings, set).map_err(ProxyError::Refused)
    }

    fn render_first(&self, settings: &ProxySettings, set: &ConfSet) -> Result<FirstFiles, String> {
        let backends: Vec<_> = set.backends.values().map(|h| &h.backend).collect();
        let base = render::base(&self.inside)?;
        let digest = digest(&base, set.backends.values())?;
        let list = edge::list(&self.edge_inside(), &backends)?;
        let frontend = render::frontend(&self.inside, &digest, &backends, list.as_ref())?;
        let metrics = settings.options.metrics_port.map(render::metrics).transpose()?;
        let remove = (metrics.is_none() && set.files.contains_key(METRICS)).then(|| METRICS.to_string());
        let files = [(BASE, Some(base)), (METRICS, metrics), (FRONTEND, Some(frontend))];
        let wanted = files.into_iter().filter_map(|(file, content)| Some((file.to_string(), content?)));
        let write = wanted.filter(|(file, content)| set.files.get(file) != Some(content)).collect();
        Ok(FirstFiles { write, remove, list })
    }

    /// Pulls the image by its digest and names it, unless the host has it.
    pub(super) async fn have_image(&self, name: &str) -> Result<(), ProxyError> {
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

    pub(super) fn container(&self, settings: &ProxySettings) -> NewContainer {
        let dir = &self.inside.dir;
        let master = format!("{dir}/run/master.sock,mode,600,level,admin");
        let command = ["-W", "-db", "-S", &master, "-f", &format!("{dir}/conf")].map(str::to_string);
        let labels =
            [(LABEL, "1".to_string()), (UID_LABEL, settings.uid.to_string()), (SETTINGS_LABEL, settings.digest())];
        let max_size = settings.options.log_max_size.iter().map(|size| ("max-size".to_string(), size.clone()));
        let mut options = settings.options.container.clone();
        options.publish.extend(ports(settings));
        NewContainer {
            name: CONTAINER.to_string(),
            image: settings.image.clone(),
            hostname: Some(CONTAINER.to_string()),
            command: Some(command.to_vec()),
            env: BTreeMap::new(),
            labels: labels.map(|(name, value)| (name.to_string(), value)).into(),
            network: NETWORK.to_string(),
            volumes: vec![format!("{}:{dir}", self.paths.root)],
            options: ContainerOptions {
                user: Some(settings.uid.to_string()),
                // Not the image's own: the official one is a script that adds words, the lab's is the program.
                entrypoint: Some("haproxy".to_string()),
                stop_signal: Some("SIGUSR1".to_string()),
                ..options
            },
            logging: Logging { driver: None, options: max_size.collect() },
            restart: RestartPolicy::UnlessStopped,
            stop_timeout: Some(30),
            one_off: false,
        }
    }

    pub(super) async fn wait_until_it_answers(&self, id: &ContainerId) -> Result<(), ProxyError> {
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

/// What the files that belong to no service lack.
struct FirstFiles {
    write: BTreeMap<String, Vec<u8>>,
    remove: Option<String>,
    list: Option<CertificateList>,
}

/// The host ports. 443 is published from the start, so that certificates later need no new container; metrics are for
/// the host itself and for containers, never for the world.
fn ports(settings: &ProxySettings) -> Vec<PublishedPort> {
    let options = &settings.options;
    if !options.publish {
        return Vec::new();
    }
    let port = |ip: Option<IpAddr>, host: u16, container: u16| PublishedPort {
        host_ip: ip.map(|ip| ip.to_string()),
        host_port: Some(host),
        container_port: container,
        protocol: "tcp".to_string(),
    };
    let everywhere = if options.bind_ips.is_empty() { vec![None] } else { Vec::new() };
    let addresses: Vec<_> = everywhere.into_iter().chain(options.bind_ips.iter().copied().map(Some)).collect();
    let web = addresses.iter().flat_map(|ip| [port(*ip, settings.http_port, 80), port(*ip, settings.https_port, 443)]);
    let metrics = options.metrics_port.map(|metrics| port(Some(Ipv4Addr::LOCALHOST.into()), metrics, metrics));
    web.chain(metrics).collect()
}
