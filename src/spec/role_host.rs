//! Where a role runs.

use crate::name::HostName;
use serde::{Deserialize, Serialize};

/// A host of a role, with the tags it carries there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleHost {
    /// The host.
    pub name: HostName,
    /// Tags in the file's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}
