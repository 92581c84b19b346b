//! What the journals, records and containers of a fleet add up to: releases, what serves, rollback targets, retention.
//!
//! Pure functions over a [`crate::fleet::Fleet`].

mod types;

pub use types::{Availability, History, Release, Status};
