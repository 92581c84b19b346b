//! From `deploy.yml` to a [`Config`].
//!
//! The way of a file: [`source`] reads it, [`erb`] replaces its tags, [`yaml`] makes a tree whose every value knows its
//! line, [`overlay`] lays the destination and `x-windlass` over it, and one module a section turns the tree into types.
//! All problems of a file are found at once. Secrets are read by [`secrets`], and only when a verb needs one.

mod accessories;
mod aliases;
mod asset_path;
pub mod docs;
mod dotenv;
mod env;
pub mod erb;
mod expansion;
pub mod filter;
mod flag_rare;
mod flag_values;
mod flags;
mod labels;
mod load;
pub mod node;
pub mod overlay;
mod passive;
pub mod problem;
mod proxy;
mod proxy_rules;
mod proxy_run;
mod reader;
mod redact;
mod registry;
mod resolve;
mod role;
pub mod scalar;
mod schema;
mod schema_text;
pub mod secrets;
mod servers;
mod settings;
pub mod source;
mod ssh;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod types;
mod volumes;
mod write;
mod write_options;
mod write_yaml;
pub mod yaml;
mod yaml_mapping;

pub use aliases::{COMMANDS, OPTIONS_WITH_VALUE};
pub use load::{DEFAULT_FILE, Request, load};
pub use problem::{Place, Problem, Problems};
pub use proxy_run::DEFAULT_IMAGE;
pub use schema::schema;
pub use secrets::Secrets;
pub use types::*;
pub use write::{WritableRole, deploy_yml};
