//! What the journals, records and containers of a fleet add up to: releases, what serves, rollback targets, retention.
//!
//! Pure functions over a [`crate::fleet::Fleet`].

mod availability;
mod build;
mod content;
mod merge;
mod serving;
mod target;
mod target_error;
mod timeline;
mod types;
mod view;

pub use serving::{leftovers, serving};
pub use target::{Scope, Target, gaps};
pub use target_error::{Candidate, Gap, TargetError};
pub use types::{Availability, History, Release, Status};
