//! Scenarios and laws.

mod laws;
mod marks;
mod releases;
mod retention;
mod serving;
mod target;
