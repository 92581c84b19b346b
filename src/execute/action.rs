//! Carries out one action on one host. No choices: what to do is in the action, what to expect too.

use crate::effect::{Clock, EngineErrorKind, NewContainer, Node, ProxyError, ProxySettings, RegistryLogin, Target};
use crate::event::{Event, Sink};
use crate::execute::copy::{self, Copying};
use crate::execute::gate;
use crate::execute::host::{NETWORK, RunHost, StepError};
use crate::execute::record::Hosts;
use crate::execute::{assets, kamal_state, pull, record, swap};
use crate::fleet::{BackendName, PROXY, STATE_VOLUME, label};
use crate::name::{ContainerId, HostName, RoleName, RunId};
use crate::plan::{Action, PlannedContainer, Ref, SecretsFrom, StandbyRoute, StepId};
use crate::release::{Fact, FingerprintKey};
use crate::secret::Secret;
use crate::spec::EdgeFile;
use std::collections::BTreeMap;
use std::time::Duration;

/// What actions need besides the host: everything that a plan may not hold.
pub(super) struct Means<'a> {
    pub(super) run: &'a RunId,
    pub(super) clock: &'a dyn Clock,
    pub(super) sink: &'a dyn Sink,
    pub(super) secrets: &'a BTreeMap<String, Secret<String>>,
    pub(super) login: Option<&'a RegistryLogin>,
    pub(super) key: &'a FingerprintKey,
    /// Contents of certificates and pages.
    pub(super) files: &'a BTreeMap<EdgeFile, Secret<String>>,
    /// All hosts of the run: one may have the secrets that another one needs.
    pub(super) hosts: &'a Hosts,
    /// Connections of their own for what is large.
    pub(super) bulk: &'a BTreeMap<HostName, Node>,
}

/// Does it. Returns something worth saying about it, if there is.
pub(super) async fn perform(
    means: &Means<'_>,
    host: &RunHost,
    id: Option<StepId>,
    action: &Action,
) -> Result<Option<String>, StepError> {
    let engine = &host.node.engine;
    let proxy = &host.node.proxy;
    match action {
        Action::PrepareState { home, write_key } => prepare_state(means, host, home, *write_key).await?,
        Action::CreateNetwork { name } => engine.create_network(name).await?,
        Action::BootProxy { settings } => proxy.boot(settings).await?,
        Action::ReplaceProxy { settings, grace } => {
            let gap = proxy.replace(settings, Duration::from_secs(*grace)).await?;
            return Ok(Some(format!("nothing answered for {} ms at most", gap.as_millis())));
        }
        Action::RemoveProxy { keep_files } => proxy.remove(*keep_files).await?,
        Action::PutEdgeFiles { backend, files } => put_edge_files(means, host, backend, files).await?,
        Action::ForgetEdgeFiles { backend, files } => proxy.forget_files(backend, files).await?,
        Action::StandBy { settings, routes, deadline } => stand_by(host, settings, routes, *deadline).await?,
        Action::StandDown { backends } => proxy.stand_down(backends).await?,
        Action::PointKamalProxy { container, targets } => kamal_state::point(host, container, targets).await?,
        Action::SwapProxy(swap) => return swap::swap(means, host, swap).await,
        Action::Pull { image, tag } => pull::pull(means, host, image, tag).await?,
        Action::CopyImage { from, image, tag, size } => {
            copy::copy(means, host, &Copying { from, image, tag, size: *size }).await?;
        }
        Action::Tag { image, tag } => engine.tag(image, tag).await?,
        Action::SetRoute { backend } => proxy.set_route(backend).await?,
        Action::RemoveRoute { backend } => proxy.remove_route(backend).await?,
        Action::Create { container } => create(means, host, container).await?,
        Action::CreateLike { original, name } => {
            let id = engine.create_like(original, name).await?;
            host.bind(Ref::Name(name.clone()), id);
        }
        Action::ShareAssets { incoming, outgoing, path } => {
            return assets::share(host, incoming, outgoing, path).await;
        }
        Action::Start { container, else_like } => return start(host, container, else_like.as_deref()).await,
        Action::SetRestart { container, policy } => engine.set_restart(&host.id(container)?, *policy).await?,
        Action::Load { backend, container, port } => {
            proxy.load(backend, &host.target(container, *port).await?).await?;
        }
        Action::Gate { container, gate, deadline, .. } => {
            let seen = |last: &str| waiting(means, &host.node.name, id, last);
            gate::gate(host, means.clock, container, gate, Duration::from_secs(*deadline), &seen).await?;
        }
        Action::Switch { role, backend, port, from, to, release } => {
            let sides = (from.as_ref(), to);
            switch(means, host, (role, backend.as_ref(), *port), sides, release.clone()).await?;
        }
        Action::Suspend { role, backend, from } => {
            let id = host.id(from)?;
            host.node.proxy.suspend(backend, &id).await?;
            record::append(means, host, means.run, Fact::Stopped { role: role.clone(), from: id }).await?;
        }
        Action::Drain { backend, container, timeout } => {
            let seen = |last: &str| waiting(means, &host.node.name, id, last);
            let timeout = Duration::from_secs(*timeout);
            let left = gate::drain(host, means.clock, backend, container, timeout, &seen).await?;
            return Ok(
                (left > 0).then(|| format!("{left} requests were still in flight after {} s", timeout.as_secs()))
            );
        }
        Action::Unload { backend, container } => proxy.unload(backend, &host.id(container)?).await?,
        Action::Retire { container, role, backend, timeout, stop_first, ends_role } => {
            if !stop_first {
                refuse_if_routed(host, backend.as_ref(), container).await?;
            }
            retire(means, host, container, role, *timeout, *ends_role).await?;
        }
        Action::Mark { release, mark, .. } => {
            let fact = Fact::Marked { release: release.clone(), mark: mark.clone() };
            record::append(means, host, means.run, fact).await?;
        }
        Action::Remove { container, .. } => engine.remove(&host.id(container)?).await?,
        Action::RemoveImage { reference, .. } => engine.remove_image(reference).await?,
    }
    Ok(None)
}

fn waiting(means: &Means<'_>, host: &HostName, step: Option<StepId>, last: &str) {
    if let Some(step) = step {
        means.sink.emit(Event::Waiting { host: host.clone(), step, last: last.to_string() });
    }
}

async fn prepare_state(means: &Means<'_>, host: &RunHost, home: &str, write_key: bool) -> Result<(), StepError> {
    host.node.host.make_dir(home).await?;
    let labels = BTreeMap::from([(label::HOME.to_string(), home.to_string())]);
    host.node.engine.create_volume(STATE_VOLUME, &labels).await?;
    let recorded = host.node.engine.volume(STATE_VOLUME).await?.and_then(|v| v.labels.get(label::HOME).cloned());
    if recorded.as_deref() != Some(home) {
        let found = recorded.unwrap_or_else(|| "nothing".to_string());
        return Err(StepError::Moved(format!(
            "the volume `{STATE_VOLUME}` records {found} as the state directory, not {home}"
        )));
    }
    if write_key {
        host.node.host.write(&crate::journal::key_path(&host.state_dir), means.key.bytes(), 0o600).await?;
    }
    Ok(())
}

async fn put_edge_files(
    means: &Means<'_>,
    host: &RunHost,
    backend: &BackendName,
    files: &[EdgeFile],
) -> Result<(), StepError> {
    for file in files {
        let content = means.files.get(file);
        let content = content.ok_or_else(|| StepError::Moved(format!("the file {} has no content", file.sha256)))?;
        host.node.proxy.put_file(backend, file, content).await?;
    }
    Ok(())
}

async fn create(means: &Means<'_>, host: &RunHost, planned: &PlannedContainer) -> Result<(), StepError> {
    let mut env: BTreeMap<String, Secret<String>> =
        planned.env.clear.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone()))).collect();
    match &planned.secrets_from {
        Some(source) => env.extend(secrets_of(means, planned, source).await?),
        None => {
            for (variable, secret) in &planned.env.secret {
                let missing = || StepError::Moved(format!("secret `{secret}` has no value"));
                env.insert(variable.clone(), means.secrets.get(secret).ok_or_else(missing)?.clone());
            }
        }
    }
    env.extend(planned.extra_env.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone()))));
    let container = NewContainer {
        name: planned.name.clone(),
        image: planned.image.clone(),
        hostname: Some(planned.hostname.clone()),
        command: planned.spec.command.clone(),
        env,
        labels: planned.labels.clone(),
        network: NETWORK.to_string(),
        volumes: planned.spec.mounts(),
        options: planned.spec.options.clone(),
        logging: planned.spec.logging.clone(),
        // Until it has passed its gate; see plan::change.
        restart: crate::spec::RestartPolicy::No,
        stop_timeout: planned.spec.stop_timeout,
        one_off: false,
    };
    let id = host.node.engine.create(&container).await?;
    host.bind(Ref::Name(planned.name.clone()), id);
    Ok(())
}

/// The secrets of another host's container, in memory only; they must be those that the plan has seen the prints of.
async fn secrets_of(
    means: &Means<'_>,
    planned: &PlannedContainer,
    source: &SecretsFrom,
) -> Result<BTreeMap<String, Secret<String>>, StepError> {
    let gone =
        || StepError::Moved(format!("{} is not connected, and has the secrets of {}", source.host, planned.name));
    let engine = &means.hosts.get(&source.host).ok_or_else(gone)?.node.engine;
    let named = |error| StepError::Copy { from: source.host.clone(), error };
    let mut environment = engine.environment(&source.container).await.map_err(named)?;
    environment.retain(|variable, _| planned.env.secret.contains_key(variable));
    let prints = means.key.prints(&environment);
    match planned
        .env
        .secret
        .keys()
        .find(|v| prints.get(*v).is_none_or(|p| planned.fingerprint.secrets.get(*v) != Some(p)))
    {
        None => Ok(environment),
        Some(variable) => Err(StepError::Moved(format!(
            "the value of {variable} in the container {} of {} is not the one that its label says",
            source.container.short(),
            source.host
        ))),
    }
}

async fn stand_by(
    host: &RunHost,
    settings: &ProxySettings,
    routes: &[StandbyRoute],
    deadline: u64,
) -> Result<(), StepError> {
    let mut targets = Vec::new();
    for StandbyRoute { backend, container, port } in routes {
        targets.push((backend.clone(), host.target(&Ref::Id(container.clone()), *port).await?));
    }
    let id = host.node.proxy.stand_by(settings, &targets, Duration::from_secs(deadline)).await?;
    host.bind(Ref::Name(PROXY.to_string()), id);
    Ok(())
}

async fn start(host: &RunHost, container: &Ref, else_like: Option<&str>) -> Result<Option<String>, StepError> {
    let id = host.id(container)?;
    let (error, name) = match (host.node.engine.start(&id).await, else_like) {
        (Ok(()), _) => return Ok(None),
        (Err(error), None) => return Err(error.into()),
        (Err(error), Some(name)) => (error, name),
    };
    let like = host.node.engine.create_like(&id, name).await?;
    host.bind(container.clone(), like.clone());
    host.node.engine.start(&like).await?;
    Ok(Some(format!("the retained container did not start ({error}); a new one like it was made: {name}")))
}

/// The proxy's files and runtime first, then the journal: a fact is written when it is one.
async fn switch(
    means: &Means<'_>,
    host: &RunHost,
    (role, backend, port): (&RoleName, Option<&BackendName>, u16),
    (from, to): (Option<&Ref>, &Ref),
    release: Option<RunId>,
) -> Result<(), StepError> {
    let from = from.map(|from| host.id(from)).transpose()?;
    if let Some(backend) = backend {
        let target = host.target(to, port).await?;
        route(host, backend, from.as_ref(), &target).await?;
    }
    let fact = Fact::Switched { role: role.clone(), from, to: host.id(to)?, release };
    record::append(means, host, means.run, fact).await
}

/// Sends a backend's requests to a container. Only where the proxy routes to something else than expected is it asked
/// what that is: at first contact with a service that ran without this proxy there is a container that serves and a
/// backend that routes to nothing yet; and a container that was removed by hand may still be routed to: it serves
/// nobody, and going over from it loses nothing.
async fn route(
    host: &RunHost,
    backend: &BackendName,
    from: Option<&ContainerId>,
    target: &Target,
) -> Result<(), StepError> {
    let moved = match host.node.proxy.switch(backend, from, target).await {
        Err(moved @ ProxyError::Moved { .. }) => moved,
        result => return Ok(result?),
    };
    let state = host.node.proxy.observe().await?;
    let active = state.backends.get(backend).and_then(|b| b.active().cloned());
    if let Some(active) = &active
        && !is_gone(host, active).await
    {
        return Err(moved.into());
    }
    Ok(host.node.proxy.switch(backend, active.as_ref(), target).await?)
}

async fn is_gone(host: &RunHost, container: &ContainerId) -> bool {
    matches!(host.node.engine.inspect(container).await, Err(error) if error.kind == EngineErrorKind::NotFound)
}

async fn refuse_if_routed(host: &RunHost, backend: Option<&BackendName>, container: &Ref) -> Result<(), StepError> {
    let Some(backend) = backend else { return Ok(()) };
    let id = host.id(container)?;
    let state = host.node.proxy.observe().await?;
    let routed = state.backends.get(backend).and_then(|b| b.active()) == Some(&id);
    if routed {
        return Err(StepError::Moved(format!("the proxy routes to {}, so it is not stopped", id.short())));
    }
    Ok(())
}

/// The policy first: a stopped `always` container would be up again after the engine's next restart.
async fn retire(
    means: &Means<'_>,
    host: &RunHost,
    container: &Ref,
    role: &RoleName,
    timeout: Option<u32>,
    ends_role: bool,
) -> Result<(), StepError> {
    let id = host.id(container)?;
    host.node.engine.set_restart(&id, crate::spec::RestartPolicy::No).await?;
    host.node.engine.stop(&id, timeout).await?;
    if ends_role {
        record::append(means, host, means.run, Fact::Stopped { role: role.clone(), from: id }).await?;
    }
    Ok(())
}
