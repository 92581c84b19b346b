//! Proof: asks every host what serves, and compares.

use crate::event::Failure;
use crate::execute::host::{RunHost, StepError, describe};
use crate::execute::record::Hosts;
use crate::fleet::{BackendState, Container, Health, ServerRole, State};
use crate::name::HostName;
use crate::plan::{MadeOf, Serving};
use futures::future::join_all;
use std::collections::BTreeMap;

/// How much has to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// What the run brought: running, routed, healthy by the proxy, and made of what the plan says.
    Brought,
    /// What served before: running and routed. Whether it was healthy is not this run's doing.
    Before,
}

/// What was not proven to serve once the run had gone over, as failures of the roles.
pub(super) async fn failures(hosts: &Hosts, expected: &[Serving]) -> Vec<(HostName, Failure)> {
    let failure = |(serving, what): (Serving, String)| {
        let message = format!("after the switch: {what}");
        (serving.host, Failure { message, role: Some(serving.role), log: Vec::new() })
    };
    unproven(hosts, expected, Proof::Brought).await.into_iter().map(failure).collect()
}

/// What is not as it should be, and why in words; the rest is proven. Each host's proxy is asked once.
pub(super) async fn unproven(hosts: &Hosts, expected: &[Serving], proof: Proof) -> Vec<(Serving, String)> {
    let mut by_host: BTreeMap<&HostName, Vec<&Serving>> = BTreeMap::new();
    for serving in expected {
        by_host.entry(&serving.host).or_default().push(serving);
    }
    let asked = by_host.into_iter().map(|(name, roles)| async move {
        match hosts.get(name) {
            Some(host) => on_host(host, &roles, proof).await,
            None => roles.iter().map(|role| Some(((*role).clone(), "it could not be asked".to_string()))).collect(),
        }
    });
    join_all(asked).await.into_iter().flatten().flatten().collect()
}

async fn on_host(host: &RunHost, roles: &[&Serving], proof: Proof) -> Vec<Option<(Serving, String)>> {
    let proxied = roles.iter().any(|role| role.backend.is_some());
    let unknown = |error: StepError| format!("it could not be asked: {error}");
    let backends = match proxied {
        true => host.node.proxy.observe().await.map(|state| state.backends).map_err(|e| unknown(e.into())),
        false => Ok(BTreeMap::new()),
    };
    let backends = &backends;
    let checks = roles.iter().map(|serving| async move {
        let what = match backends {
            Err(why) if serving.backend.is_some() => Some(why.clone()),
            _ => {
                let known = backends.as_ref().ok().zip(serving.backend.as_ref());
                let backend = known.and_then(|(backends, name)| backends.get(name));
                check(host, serving, backend, proof).await.unwrap_or_else(|error| Some(unknown(error)))
            }
        };
        Some(((*serving).clone(), what?))
    });
    join_all(checks).await
}

async fn check(
    host: &RunHost,
    serving: &Serving,
    backend: Option<&BackendState>,
    proof: Proof,
) -> Result<Option<String>, StepError> {
    let routed = backend.and_then(BackendState::active);
    let Some(reference) = &serving.container else {
        return Ok(routed.map(|id| format!("the proxy routes to {}, and nothing should serve", id.short())));
    };
    let expected = host.id(reference)?;
    let container = host.node.engine.inspect(&expected).await?;
    if serving.backend.is_some() {
        if routed != Some(&expected) {
            let found = routed.map_or_else(|| "nothing".to_string(), |id| id.short().to_string());
            // Before the first contact there was no route at all: then that is what must be so again.
            let first_contact = proof == Proof::Before && routed.is_none() && runs(&container);
            return Ok((!first_contact).then(|| format!("the proxy routes to {found}, not to {}", container.name)));
        }
        if let Some(why) = backend.and_then(|backend| doubt(backend, proof)) {
            return Ok(Some(format!("{}: {why}", container.name)));
        }
    }
    if !runs(&container) {
        return Ok(Some(format!("{}: {}", container.name, describe(&container))));
    }
    match &serving.made_of {
        Some(expected) if proof == Proof::Brought => made_of(host, &container, expected).await,
        _ => Ok(None),
    }
}

/// Whether it is made of what the plan promised: the label that says from what and with which secrets, and the image's
/// digest as the engine has it.
async fn made_of(host: &RunHost, container: &Container, expected: &MadeOf) -> Result<Option<String>, StepError> {
    let name = &container.name;
    if container.fingerprint() != expected.fingerprint {
        return Ok(Some(format!("{name} is not made from the specification that the plan says")));
    }
    if container.image_id == expected.image {
        return Ok(None);
    }
    let image = host.node.engine.image(container.image_id.as_str()).await?;
    let known = |digest: &String| digest.split_once('@').is_some_and(|(_, digest)| digest == expected.image.as_str());
    let same = image.is_some_and(|image| image.digests.iter().any(known));
    Ok((!same).then(|| format!("{name} runs the image {}, not {}", container.image_id, expected.image)))
}

/// A file says where a proxy would route; only one that runs does.
fn doubt(backend: &BackendState, proof: Proof) -> Option<String> {
    let Some(server) = backend.servers.iter().find(|s| s.role == ServerRole::Ready) else {
        return Some("the proxy's files name it, and the proxy does not run or does not answer".to_string());
    };
    let failing = proof == Proof::Brought && server.healthy == Some(false);
    failing.then(|| format!("the proxy's health check fails: {}", server.check))
}

fn runs(container: &Container) -> bool {
    matches!(container.state, State::Running(health) if health != Health::Unhealthy)
}
