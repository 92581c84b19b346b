//! windlass deploys containers to a fleet of Docker hosts over plain SSH, and hauls a bad release back in.
//!
//! Ask the fleet what it runs, decide everything at once, print it, do exactly that, prove it, write it down.
//! `docs/design.md` is the map of the rooms below and of the walls between them.

pub mod certificate;
pub mod cli;
pub mod config;
pub mod docker;
pub mod effect;
pub mod event;
pub mod execute;
pub mod fleet;
pub mod haproxy;
pub mod history;
pub mod journal;
pub mod mask;
pub mod name;
pub mod observe;
pub mod plan;
pub mod real;
pub mod release;
pub mod render;
pub mod secret;
pub mod sim;
pub mod spec;
pub mod ssh;
