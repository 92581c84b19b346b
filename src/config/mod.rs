//! From `deploy.yml` to a [`Config`].
//!
//! The way of a file: [`source`] reads it, [`erb`] replaces its tags, [`yaml`] makes a tree whose every value knows its
//! line, [`overlay`] lays the destination and `x-windlass` over it, and the resolvers turn the tree into types. All
//! problems of a file are found at once.

mod dotenv;
pub mod erb;
mod erb_expr;
pub mod node;
pub mod overlay;
pub mod problem;
pub mod scalar;
pub mod secrets;
pub mod source;
pub mod types;
pub mod yaml;

pub use problem::{Place, Problem, Problems};
pub use types::*;
