//! Tests of the configuration as a whole.

mod conformance;
mod fuzz;
mod messages;
mod resolved;
mod written;
