//! Tests of the configuration as a whole.

mod conformance;
mod documented;
mod fuzz;
mod messages;
mod mistakes;
mod resolved;
mod schema;
mod ssh;
mod written;
