//! Scenarios and laws.

mod laws;
mod releases;
mod retention;
mod serving;
mod target;
