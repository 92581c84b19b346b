//! What people and pipes see: the only user of progress bars and of colours.

mod bars;
mod board;
pub mod containers;
mod narrate;
pub mod plan;
pub mod releases;
pub mod status;
mod summary;
pub mod table;
pub mod time;
pub mod verdicts;
pub mod words;

#[cfg(test)]
mod tests;

pub use bars::Bars;
pub use board::{Board, Screen, Seen, Verbosity};
pub use narrate::{Level, Line, lines};
pub use summary::summary;
