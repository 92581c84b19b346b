//! One connection a host, all at once.

use crate::effect::{Clock, ConnectError, Connector, Node};
use crate::event::{Event, Sink};
use crate::name::HostName;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::BTreeMap;

/// The hosts that answered and those that did not.
#[derive(Debug, Default)]
pub struct Connections {
    /// Connected.
    pub nodes: BTreeMap<HostName, Node>,
    /// Not, and why.
    pub failed: BTreeMap<HostName, ConnectError>,
}

/// Connects to all hosts side by side, and reports each as it answers.
pub async fn connect(connector: &dyn Connector, hosts: &[HostName], clock: &dyn Clock, sink: &dyn Sink) -> Connections {
    let started = clock.elapsed();
    let mut attempts: FuturesUnordered<_> =
        hosts.iter().map(|host| async move { (host, connector.connect(host).await) }).collect();
    let mut connections = Connections::default();
    while let Some((host, result)) = attempts.next().await {
        let millis = (clock.elapsed() - started).as_millis() as u64;
        let error = result.as_ref().err().map(|error| error.message.clone());
        sink.emit(Event::Connected { host: host.clone(), error, millis });
        match result {
            Ok(node) => drop(connections.nodes.insert(host.clone(), node)),
            Err(error) => drop(connections.failed.insert(host.clone(), error)),
        }
    }
    connections
}
