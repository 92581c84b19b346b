//! Runs a plan: lanes, gates, the way back, the proof. Never decides.

mod action;
mod asset_archive;
mod assets;
mod copy;
mod gate;
mod hooks;
mod host;
mod kamal_state;
mod lane;
mod leases;
mod pull;
mod record;
mod report;
mod run;
mod swap;
mod verify;

pub use hooks::{NoHooks, StageHooks};
pub use leases::{LeaseFailure, LeasePlan, Leases};
pub use report::{Removed, RunReport};
pub use run::Run;
