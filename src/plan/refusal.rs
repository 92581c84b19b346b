//! Why a run is refused before it changes anything.

use serde::Serialize;
use thiserror::Error;

/// A run that must not begin. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[error("{message}")]
pub struct Refusal {
    /// What kind, which decides the exit code.
    pub kind: RefusalKind,
    /// Why; may have several lines.
    pub message: String,
    /// What to do.
    pub hints: Vec<String>,
}

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// Exit 4.
    Refused,
    /// Exit 5: somebody else has the right to change the service now.
    Leased,
    /// Exit 3.
    Config,
}

impl Refusal {
    /// A refusal with exit code 4.
    pub fn new(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Refused, message: message.into(), hints: Vec::new() }
    }

    /// With a next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Of another kind.
    pub fn of(mut self, kind: RefusalKind) -> Self {
        self.kind = kind;
        self
    }
}
