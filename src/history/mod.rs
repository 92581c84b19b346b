//! What the journals, records and containers of a fleet add up to: releases, what serves, rollback targets, retention.
//!
//! Pure functions over a [`crate::fleet::Fleet`].

mod availability;
mod badge;
mod build;
mod content;
mod doubt;
mod marks;
mod merge;
mod missing;
mod protected;
mod removal;
mod retention;
mod retention_images;
mod serving;
mod supply;
mod suspended;
mod target;
mod target_error;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod timeline;
mod types;
mod unfinished;
mod verdict;
mod view;

pub use badge::Badge;
pub use doubt::{Doubt, doubts};
pub use missing::missing_lines;
pub use removal::{Kept, removal};
pub use retention::{Retention, retention};
pub use serving::{leftovers, serving};
pub use supply::{Help, Source};
pub use suspended::{Suspended, suspended};
pub use target::{Scope, Target, gaps};
pub use target_error::{Candidate, Gap, TargetError};
pub use types::{Availability, History, Pin, Release, Status};
pub use verdict::{Item, Reason, Verdict};
