//! A simulated host's container engine.

mod calls;
mod images;
mod logs;

pub use calls::SimEngine;
