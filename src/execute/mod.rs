//! Runs a plan: lanes, gates, the way back, the proof. Never decides.

mod action;
mod copy;
mod gate;
mod hooks;
mod host;
mod lane;
mod leases;
mod pull;
mod record;
mod report;
mod run;
mod verify;

pub use hooks::{NoHooks, StageHooks};
pub use leases::{LeaseFailure, LeasePlan, Leases};
pub use report::{Removed, RunReport};
pub use run::Run;
