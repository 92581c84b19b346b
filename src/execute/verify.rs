//! Proof: asks every host what serves, and compares.

use crate::effect::Node;
use crate::execute::host::{RunHost, StepError, describe};
use crate::execute::record::Hosts;
use crate::fleet::{Container, Health, State};
use crate::name::ContainerId;
use crate::plan::Serving;
use futures::future::join_all;

/// What is not as it should be, in words; empty means proven.
pub(super) async fn mismatches(hosts: &Hosts, expected: &[Serving]) -> Vec<String> {
    let checks = expected.iter().map(|serving| async move {
        let Some(host) = hosts.get(&serving.host) else {
            return Some(format!("{}: {}: it could not be asked", serving.host, serving.role));
        };
        match check(host, serving).await {
            Ok(None) => None,
            Ok(Some(what)) => Some(format!("{}: {}: {what}", serving.host, serving.role)),
            Err(error) => Some(format!("{}: {}: it could not be asked: {error}", serving.host, serving.role)),
        }
    });
    join_all(checks).await.into_iter().flatten().collect()
}

async fn check(host: &RunHost, serving: &Serving) -> Result<Option<String>, StepError> {
    let Some(reference) = &serving.container else { return nothing_serves(host, serving).await };
    let expected = host.id(reference)?;
    let container = host.node.engine.inspect(&expected).await?;
    if let Some(backend) = &serving.backend {
        let routed = routed(&host.node, backend).await?;
        if routed.as_ref() != Some(&expected) {
            let found = routed.map_or_else(|| "nothing".to_string(), |id| id.short().to_string());
            // Before the first contact there was no route at all: then that is what must be so again.
            let first_contact = found == "nothing" && runs(&container);
            return Ok((!first_contact).then(|| format!("the proxy routes to {found}, not to {}", container.name)));
        }
    }
    Ok((!runs(&container)).then(|| format!("{}: {}", container.name, describe(&container))))
}

async fn nothing_serves(host: &RunHost, serving: &Serving) -> Result<Option<String>, StepError> {
    let Some(backend) = &serving.backend else { return Ok(None) };
    let routed = routed(&host.node, backend).await?;
    Ok(routed.map(|id| format!("the proxy routes to {}, and nothing should serve", id.short())))
}

async fn routed(node: &Node, backend: &crate::fleet::BackendName) -> Result<Option<ContainerId>, StepError> {
    Ok(node.proxy.observe().await?.backends.get(backend).and_then(|b| b.active().cloned()))
}

fn runs(container: &Container) -> bool {
    matches!(container.state, State::Running(health) if health != Health::Unhealthy)
}
