//! The whole world of [`crate::effect`] in memory, on virtual time.
//!
//! As fine-grained as the real interfaces: a created container does not run, a started one is not healthy yet, a
//! loaded server is not checked yet, a reload of the proxy forgets its runtime state. Nothing is random: identifiers
//! and addresses follow from a seed and from the order of calls. Time is tokio's, so that under
//! `#[tokio::test(start_paused = true)]` a wait of three days takes no time.
//!
//! Tests script a [`SimFleet`], run code against its [`Connector`](crate::effect::Connector), and then ask it what
//! was called ([`CallRecord`]) and whether a route was ever without a healthy container ([`Gap`]). The simulator is
//! only worth its contract: `tests/contract` holds it and real hosts to the same behaviour.

mod availability;
mod behaviour;
mod call;
mod clock;
mod command;
mod connector;
mod container;
mod engine;
mod files;
mod fleet;
mod host;
mod inspect;
mod lease;
mod life;
mod machine;
mod ports;
mod proxy;
mod registry;
mod script;
mod world;

#[cfg(test)]
mod tests;

pub use availability::{Availability, Gap, RouteState};
pub use behaviour::ImageBehaviour;
pub use call::CallRecord;
pub use clock::SimClock;
pub use command::Script;
pub use connector::SimConnector;
pub use engine::SimEngine;
pub use fleet::SimFleet;
pub use host::SimHost;
pub use proxy::SimProxy;
