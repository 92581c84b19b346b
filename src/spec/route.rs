//! How requests reach a role through the proxy.

use serde::{Deserialize, Serialize};

/// The proxied side of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Host names that lead here; empty means every host name.
    pub hosts: Vec<String>,
    /// Path prefixes that lead here, each beginning with `/`; `["/"]` is everything. The longest match wins.
    pub path_prefixes: Vec<String>,
    /// Whether the prefix is cut off before the request is passed on.
    pub strip_path_prefix: bool,
    /// The port that the application listens on inside its container.
    pub app_port: u16,
    /// How the proxy decides that a container is healthy.
    pub check: HttpCheck,
    /// Seconds until a response must have begun.
    pub response_timeout: u32,
    /// Whether `X-Forwarded-*` of the request are passed on instead of being replaced.
    pub forward_headers: bool,
}

/// A health check by HTTP: healthy means status 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCheck {
    /// Path and query, beginning with `/`.
    pub path: String,
    /// Seconds between two checks.
    pub interval: u32,
    /// Seconds until a check counts as failed.
    pub timeout: u32,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self { path: "/up".to_string(), interval: 1, timeout: 5 }
    }
}
