//! `windlass app exec`: the container that a single command runs in, made like what serves.

use crate::config::Config;
use crate::effect::NewContainer;
use crate::fleet::{Container, HostFacts, NETWORK, label};
use crate::history::{self, History};
use crate::name::{ContainerId, HostName, RoleName, Version};
use crate::plan::Refusal;
use crate::spec::{ContainerOptions, Healthcheck, RestartPolicy, RoleSpec};
use std::collections::BTreeMap;

/// What a command asks of its container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OneOffRequest {
    /// The executable and its arguments.
    pub words: Vec<String>,
    /// Whether it gets an input.
    pub input: bool,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// What tells it from others of the same role: a few random characters.
    pub suffix: String,
}

/// A container for one command.
#[derive(Debug, Clone)]
pub struct OneOff {
    /// The container whose environment, secrets included, it gets.
    pub like: ContainerId,
    /// The version of its image.
    pub version: Option<Version>,
    /// Everything but the environment, which no plan holds.
    pub container: NewContainer,
}

/// The variables that say which container one is, and that are not true of another.
pub const IDENTITY: [&str; 4] = ["KAMAL_CONTAINER_NAME", "KAMAL_VERSION", "KAMAL_HOST", "KAMAL_DESTINATION"];

/// Decides what a command of a role runs in on a host: the image of what serves (or was suspended), with the volumes
/// and options that its release recorded. It publishes no port, has none of the role's names on the network and no
/// health check, since no request is for it, and no label that makes it one of the service's containers.
///
/// # Errors
/// A [`Refusal`] when the host has nothing of the role.
pub fn one_off(
    config: &Config,
    history: &History,
    (host, facts): (&HostName, &HostFacts),
    role: &RoleName,
    request: &OneOffRequest,
) -> Result<OneOff, Refusal> {
    let base = base(config, facts, role).ok_or_else(|| {
        Refusal::new(format!("{host}: nothing of role {role} serves or was stopped there, so there is no image to run"))
            .hint("deploy first, or see what is there with `windlass app containers`")
    })?;
    let spec = spec(config, history, host, role, base).ok_or_else(|| {
        Refusal::new(format!("{host}: the configuration has no role {role}, and no release recorded it"))
    })?;
    let version = base.version();
    let destination = config.destination.as_ref().map(|d| format!("-{d}")).unwrap_or_default();
    let shown = version.as_ref().map_or_else(|| "unknown".to_string(), ToString::to_string);
    let container = NewContainer {
        name: format!("{}-{role}{destination}-exec-{shown}-{}", config.service, request.suffix),
        image: base.image_id.to_string(),
        hostname: None,
        command: Some(request.words.clone()),
        env: BTreeMap::new(),
        labels: [(label::ONE_OFF.to_string(), config.service.to_string())].into(),
        network: NETWORK.to_string(),
        volumes: spec.volumes.clone(),
        options: options(&spec.options, request),
        logging: spec.logging.clone(),
        restart: RestartPolicy::No,
        stop_timeout: spec.stop_timeout,
        one_off: true,
    };
    Ok(OneOff { like: base.id.clone(), version, container })
}

/// What serves the role on the host, else what was suspended there.
fn base<'a>(config: &Config, facts: &'a HostFacts, role: &RoleName) -> Option<&'a Container> {
    let (service, destination) = (&config.service, config.destination.as_ref());
    history::serving(facts, service, destination, role)
        .or_else(|| history::suspended(facts, service, destination, role)?.container)
}

/// As the release recorded it; of one that windlass did not make, as today's configuration says.
fn spec<'a>(
    config: &'a Config,
    history: &'a History,
    host: &HostName,
    role: &RoleName,
    base: &Container,
) -> Option<&'a RoleSpec> {
    let serving = history.releases.iter().find(|r| r.running.get(host).is_some_and(|roles| roles.contains(role)));
    let made = base.created_by();
    let release = serving.or_else(|| history.releases.iter().find(|r| r.run.is_some() && r.run == made));
    let recorded = release.and_then(|r| r.record.as_ref()?.roles.get(role)?.spec.as_ref());
    recorded.or_else(|| config.roles.iter().find(|r| r.name == *role).map(|r| &r.spec))
}

fn options(role: &ContainerOptions, request: &OneOffRequest) -> ContainerOptions {
    ContainerOptions {
        publish: Vec::new(),
        network_alias: Vec::new(),
        health: Some(Healthcheck { disabled: true, ..Healthcheck::default() }),
        tty: request.terminal,
        interactive: request.input,
        ..role.clone()
    }
}
