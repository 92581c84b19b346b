//! All choices: pure functions from a configuration, a fleet and a request to a [`Plan`] or a [`Refusal`].

mod refusal;
mod request;
mod types;

pub use refusal::{Refusal, RefusalKind};
pub use request::{DeployRequest, PruneRequest, Request, RollbackRequest, Scope};
pub use types::*;
