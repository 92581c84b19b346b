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
    /// HTTPS with the user's own certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How large bodies may be.
    #[serde(default, skip_serializing_if = "BodyLimits::is_none")]
    pub limits: BodyLimits,
}

/// HTTPS with the user's own certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// The name of the secret that holds the certificate and its chain, as PEM.
    pub certificate_pem: String,
    /// The name of the secret that holds the certificate's key, as PEM.
    pub private_key_pem: String,
    /// Whether requests by HTTP are sent to HTTPS.
    pub redirect: bool,
}

/// How large bodies may be, in bytes; `None` is without a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BodyLimits {
    /// A larger request is answered with 413, one that does not say its length with 411.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// A larger response becomes 502. One that does not say its length passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<u64>,
}

impl BodyLimits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
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
