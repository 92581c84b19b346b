//! Asks all hosts at once. What does not answer is a fact, not an error.

mod connect;
mod expand;
mod follow;
mod host;
mod kamal_proxy;

pub use connect::{Connections, connect};
pub use expand::expand;
pub use follow::{Follow, LogEvent, follow};

use crate::effect::Clock;
use crate::fleet::{Fleet, HostState, Unreachable};
use crate::journal;
use crate::name::{Destination, ServiceName};
use futures::future::join_all;

/// What every connected host runs, and which hosts could not be asked.
///
/// Two rounds of parallel calls a host, whatever its number of containers.
pub async fn observe(
    connections: &Connections,
    service: &ServiceName,
    destination: Option<&Destination>,
    clock: &dyn Clock,
) -> Fleet {
    let known = &journal::Known::default();
    let asked = connections.nodes.iter().map(|(name, node)| async move {
        let state = match host::facts(node, service, destination, clock, known).await {
            Ok(facts) => HostState::Up(Box::new(facts)),
            Err(error) => HostState::Unreachable(Unreachable { message: error, hint: None }),
        };
        (name.clone(), state)
    });
    let mut fleet = Fleet { hosts: join_all(asked).await.into_iter().collect() };
    fleet.hosts.extend(connections.failed.iter().map(|(name, error)| {
        let why = Unreachable { message: error.message.clone(), hint: error.hint.clone() };
        (name.clone(), HostState::Unreachable(why))
    }));
    fleet
}
