//! A simulated host's container engine.

mod archive;
mod calls;
mod image_archive;
mod images;
mod logs;
mod processes;

pub use calls::SimEngine;
