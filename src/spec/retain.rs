//! How much of the past is kept.

use std::time::Duration;

/// What retention keeps besides what it must never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retain {
    /// Containers that stopped serving less than this ago stay (default three days).
    pub age: Duration,
    /// Complete releases to keep whatever their age, what serves not counted: `retain: at_least`, a *written*
    /// `retain_containers`, else 1.
    pub at_least: usize,
    /// Complete releases beyond which the rest goes, however young; `None` = as many as their age allows.
    pub at_most: Option<usize>,
}
