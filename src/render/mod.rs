//! What people and pipes see: the only user of progress bars and of colours.

pub mod audit;
mod bars;
mod board;
pub mod containers;
pub mod details;
pub mod diff;
pub mod images;
mod narrate;
pub mod plan;
pub mod pruned;
pub mod release;
pub mod releases;
mod releases_table;
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
