//! All choices: pure functions from a configuration, a fleet and a request to a [`Plan`] or a [`Refusal`].

mod action;
mod adopt;
mod assemble;
mod change;
mod check;
mod deploy;
mod edge;
mod end_role;
mod groups;
mod hand_back;
mod inherit;
mod leftovers;
mod mark;
mod names;
mod one_off;
mod preflight;
mod prepare;
mod proxy;
mod prune;
mod refusal;
mod remake;
mod remove;
mod request;
mod restart;
mod retain;
mod rollback;
mod rollback_record;
mod rollback_refusal;
mod situation;
mod start;
mod stop;
mod take_over;
#[cfg(test)]
mod tests;
mod types;
mod words;
mod work;

pub use action::*;
pub use check::{Violation, check};
pub use deploy::deploy;
pub use hand_back::hand_back;
pub use inherit::Inherited;
pub use mark::mark;
pub use one_off::{IDENTITY, OneOff, OneOffRequest, one_off};
pub use preflight::not_acted_on;
pub use prepare::other_settings;
pub use proxy::proxy;
pub use prune::prune;
pub use refusal::{Refusal, RefusalKind};
pub use remove::remove;
pub use request::{
    DeployRequest, MarkRequest, Marking, ProxyRequest, ProxyWork, PruneRequest, RemoveRequest, Request, RestartRequest,
    RollbackRequest, Scope, Strategy, WantedEdge,
};
pub use restart::restart;
pub use rollback::rollback;
pub use start::start;
pub use stop::{stop, stop_stale};
pub use take_over::take_over;
pub use types::*;
pub use words::{container_of, describe, edge_files, marked};
