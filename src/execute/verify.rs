//! Proof: asks every host what serves, and compares.

use crate::event::Failure;
use crate::execute::host::{RunHost, StepError, describe};
use crate::execute::record::Hosts;
use crate::fleet::{BackendState, Container, Health, ServerRole, State};
use crate::name::HostName;
use crate::plan::Serving;
use futures::future::join_all;

/// How much has to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// What the run brought: running, routed, and healthy by the proxy.
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

/// What is not as it should be, and why in words; the rest is proven.
pub(super) async fn unproven(hosts: &Hosts, expected: &[Serving], proof: Proof) -> Vec<(Serving, String)> {
    let checks = expected.iter().map(|serving| async move {
        let what = match hosts.get(&serving.host) {
            None => Some("it could not be asked".to_string()),
            Some(host) => {
                let checked = check(host, serving, proof).await;
                checked.unwrap_or_else(|error| Some(format!("it could not be asked: {error}")))
            }
        };
        Some((serving.clone(), what?))
    });
    join_all(checks).await.into_iter().flatten().collect()
}

async fn check(host: &RunHost, serving: &Serving, proof: Proof) -> Result<Option<String>, StepError> {
    let Some(reference) = &serving.container else { return nothing_serves(host, serving).await };
    let expected = host.id(reference)?;
    let inspect = async { Ok::<_, StepError>(host.node.engine.inspect(&expected).await?) };
    let (container, backend) = tokio::try_join!(inspect, backend(host, serving))?;
    if serving.backend.is_some() {
        let routed = backend.as_ref().and_then(BackendState::active);
        if routed != Some(&expected) {
            let found = routed.map_or_else(|| "nothing".to_string(), |id| id.short().to_string());
            // Before the first contact there was no route at all: then that is what must be so again.
            let first_contact = proof == Proof::Before && routed.is_none() && runs(&container);
            return Ok((!first_contact).then(|| format!("the proxy routes to {found}, not to {}", container.name)));
        }
        if let Some(why) = backend.as_ref().and_then(|backend| doubt(backend, proof)) {
            return Ok(Some(format!("{}: {why}", container.name)));
        }
    }
    Ok((!runs(&container)).then(|| format!("{}: {}", container.name, describe(&container))))
}

/// A file says where a proxy would route; only one that runs does.
fn doubt(backend: &BackendState, proof: Proof) -> Option<String> {
    let Some(server) = backend.servers.iter().find(|s| s.role == ServerRole::Ready) else {
        return Some("the proxy's files name it, and the proxy does not run or does not answer".to_string());
    };
    let failing = proof == Proof::Brought && server.healthy == Some(false);
    failing.then(|| format!("the proxy's health check fails: {}", server.check))
}

async fn nothing_serves(host: &RunHost, serving: &Serving) -> Result<Option<String>, StepError> {
    let backend = backend(host, serving).await?;
    let routed = backend.as_ref().and_then(BackendState::active);
    Ok(routed.map(|id| format!("the proxy routes to {}, and nothing should serve", id.short())))
}

async fn backend(host: &RunHost, serving: &Serving) -> Result<Option<BackendState>, StepError> {
    let Some(name) = &serving.backend else { return Ok(None) };
    Ok(host.node.proxy.observe().await?.backends.remove(name))
}

fn runs(container: &Container) -> bool {
    matches!(container.state, State::Running(health) if health != Health::Unhealthy)
}
