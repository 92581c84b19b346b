//! What is said of a release after it was made: facts of their own in the journal, since records are never changed.

use crate::name::Label;
use serde::{Deserialize, Serialize};

/// One remark. Of several the last one counts, by time and then by run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub enum Mark {
    /// It is called so from now on, and no other release is; `None` takes its label away.
    Labelled {
        /// The label.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<Label>,
    },
    /// Retention may not touch it.
    Pinned {
        /// Who.
        actor: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// Retention may touch it again.
    Unpinned,
    /// `releases rm`: its containers and images were taken away on purpose.
    Removed,
}
