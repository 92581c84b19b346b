//! The first line of a backend's file: what windlass knows of it, as JSON in a comment.

use crate::effect::Backend;
use crate::fleet::BackendName;
use crate::haproxy::layout::{SLOTS, backend_of_file};
use crate::name::ContainerId;
use serde::{Deserialize, Serialize};

const MARK: &str = "# windlass ";
/// Files of this format and of older ones are understood; one with a higher number is neither read nor replaced.
const SCHEMA: u32 = 2;
/// A file that needs nothing newer says so, and an older windlass goes on with it. One that dropped TLS or maintenance
/// from a file because it does not know them would take a site down: such a file is of the second format.
const FIRST_SCHEMA: u32 = 1;

/// What a backend's file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    schema: u32,
    /// The backend.
    pub(super) backend: Backend,
    /// What serves; `None` before the first release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) active: Option<Active>,
}

/// The container that serves, and its slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Active {
    /// The container.
    pub(super) container: ContainerId,
    /// Its slot, `s1` …
    pub(super) slot: String,
    /// The address it had when it was switched to. The proxy asks Docker's DNS for the present one.
    pub(super) address: String,
    /// The port that it listens on, which may differ from the route's after a change of `app_port`.
    pub(super) port: u16,
}

#[derive(Deserialize)]
struct SchemaOnly {
    schema: u32,
}

impl Header {
    pub(super) fn new(backend: Backend, active: Option<Active>) -> Self {
        let route = &backend.route;
        let plain = route.tls.is_none() && route.limits.is_none() && backend.edge.is_empty();
        let schema = if plain { FIRST_SCHEMA } else { SCHEMA };
        Self { schema, backend, active }
    }

    /// The line, without a newline.
    pub(super) fn line(&self) -> Result<String, String> {
        serde_json::to_string(self).map(|json| format!("{MARK}{json}")).map_err(|e| e.to_string())
    }

    /// Reads the first line of `<conf>/<file>`. The error says what is wrong with it, without the file's name.
    pub(super) fn parse(file: &str, content: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(content).map_err(|_| "it is not UTF-8".to_string())?;
        let first = text.lines().next().unwrap_or_default();
        let json = first.strip_prefix(MARK).ok_or_else(|| {
            format!("line 1 should begin with `{MARK}{{` and hold what windlass knows of the backend")
        })?;
        let SchemaOnly { schema } = serde_json::from_str(json).map_err(|e| format!("line 1: {e}"))?;
        if schema > SCHEMA {
            return Err(format!(
                "a newer windlass wrote it (schema {schema}, this one knows {SCHEMA}): update windlass"
            ));
        }
        let header: Self = serde_json::from_str(json).map_err(|e| format!("line 1: {e}"))?;
        header.consistent(file)?;
        Ok(Self::new(header.backend, header.active))
    }

    fn consistent(&self, file: &str) -> Result<(), String> {
        let b = &self.backend;
        let expected = BackendName::new(&b.service, &b.role, b.destination.as_ref());
        if b.name != expected || backend_of_file(file) != Some(expected.as_str()) {
            return Err(format!(
                "line 1 describes the backend {} of {expected}, which belongs into another file",
                b.name
            ));
        }
        match &self.active {
            Some(active) if !SLOTS.contains(&active.slot.as_str()) => {
                Err(format!("line 1 names the slot `{}`; expected one of {}", active.slot, SLOTS.join(", ")))
            }
            _ => Ok(()),
        }
    }
}
