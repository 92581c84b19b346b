//! Docker: `effect::Engine` over the Engine API (bollard), on whatever byte streams a [`Dial`] opens.

mod answers;
mod api;
mod archive;
mod copy;
mod create;
mod create_rare;
mod engine;
mod error;
mod image_archive;
mod lines;
mod network;
mod process;
mod process_output;
mod registry;
mod transport;

pub use engine::DockerEngine;
pub use transport::{Dial, Stream};
