//! From `deploy.yml` to a [`Config`].

pub mod types;

pub use types::*;
