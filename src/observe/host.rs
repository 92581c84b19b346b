//! The facts of one host.

use crate::effect::{Clock, HostProbe, Node};
use crate::fleet::{Container, ContainerBrief, HostFacts, LeaseState, STATE_VOLUME, StateHome, label};
use crate::journal;
use crate::name::{Destination, ServiceName};
use crate::observe::kamal_proxy::kamal_proxy;
use futures::future::try_join_all;
use std::time::Duration;

/// A host that does not answer for so long is not there.
const DEADLINE: Duration = Duration::from_secs(30);

/// Everything that is known of a host, or why it could not be asked.
pub(super) async fn facts(
    node: &Node,
    service: &ServiceName,
    destination: Option<&Destination>,
    clock: &dyn Clock,
    known: &journal::Known,
) -> Result<HostFacts, String> {
    tokio::time::timeout(DEADLINE, ask(node, service, destination, clock, known))
        .await
        .unwrap_or_else(|_| Err(format!("it did not answer within {} s", DEADLINE.as_secs())))
}

async fn ask(
    node: &Node,
    service: &ServiceName,
    destination: Option<&Destination>,
    clock: &dyn Clock,
    known: &journal::Known,
) -> Result<HostFacts, String> {
    let text = |error: crate::effect::EngineError| error.to_string();
    let (probe, engine, all, images, networks, volume) = tokio::join!(
        timed_probe(node, clock),
        node.engine.info(),
        node.engine.list(),
        node.engine.images(),
        node.engine.networks(),
        node.engine.volume(STATE_VOLUME),
    );
    let (probe, clock_ahead) = probe?;
    let all = all.map_err(text)?;
    let recorded = volume.map_err(text)?.and_then(|v| v.labels.get(label::HOME).cloned());
    let home = StateHome { own: format!("{}/.windlass", probe.home.trim_end_matches('/')), recorded, uid: probe.uid };
    let dir = home.of_service(service, destination);
    let ours = all.iter().filter(|c| is_ours(c, service, destination));
    let (files, lease, containers, proxy, kamal_proxy) = tokio::join!(
        node.host.read_dirs(std::slice::from_ref(&dir)),
        node.host.lease_holder(&dir),
        try_join_all(ours.map(|c| inspect(node, c))),
        node.proxy.observe(),
        kamal_proxy(node, &all),
    );
    let files = files.map_err(|e| e.to_string())?.into_iter().next().unwrap_or_default();
    let state = journal::read_with(&files, known);
    let mut containers: Vec<Container> = containers.map_err(text)?.into_iter().flatten().collect();
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(HostFacts {
        engine: engine.map_err(text)?,
        clock_ahead,
        missing_commands: probe.missing_commands,
        disk: probe.disk,
        listening: probe.listening,
        home,
        containers,
        all_containers: all,
        images: images.map_err(text)?,
        networks: networks.map_err(text)?,
        proxy: proxy.map_err(|e| e.to_string())?,
        kamal_proxy,
        journal: state.journal,
        records: state.records,
        bad_records: state.bad_records,
        key: state.key,
        lease: match lease.map_err(|e| e.to_string())? {
            None => LeaseState::Free,
            Some(holder) => LeaseState::Held(holder),
        },
        freeze: state.freeze,
        expansions: Default::default(),
    })
}

/// The probe, and how far the host's clock is ahead, half a round trip taken into account.
async fn timed_probe(node: &Node, clock: &dyn Clock) -> Result<(HostProbe, i64), String> {
    let before = clock.elapsed();
    let probe = node.host.probe().await.map_err(|e| e.to_string())?;
    let half = (clock.elapsed() - before) / 2;
    let middle = clock.now().as_second() - i64::try_from(half.as_secs()).unwrap_or_default();
    let ahead = probe.unix_time - middle;
    Ok((probe, ahead))
}

pub(super) fn is_ours(container: &ContainerBrief, service: &ServiceName, destination: Option<&Destination>) -> bool {
    let label = |name: &str| container.labels.get(name).map_or("", String::as_str);
    label(label::SERVICE) == service.as_str()
        && label(label::DESTINATION) == destination.map_or("", Destination::as_str)
        && !label(label::ROLE).is_empty()
}

/// A container that went away between the two rounds is no longer a fact.
async fn inspect(node: &Node, brief: &ContainerBrief) -> Result<Option<Container>, crate::effect::EngineError> {
    match node.engine.inspect(&brief.id).await {
        Ok(container) => Ok(Some(container)),
        Err(error) if error.kind == crate::effect::EngineErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
