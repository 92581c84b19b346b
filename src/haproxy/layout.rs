//! Where things are: on the host, and as the proxy's container sees them.

use crate::fleet::BackendName;

/// The container's name.
pub(super) use crate::fleet::PROXY as CONTAINER;
/// The container in which a candidate configuration is checked.
pub(super) const CHECK_CONTAINER: &str = "windlass-proxy-check";
/// The container that stands by while the proxy is replaced.
pub(super) const SPARE_CONTAINER: &str = "windlass-proxy-before";
/// The container in which a proxy that has no ports yet finds out whether what it will route to is healthy.
pub(super) const TRIAL_CONTAINER: &str = "windlass-proxy-trial";
/// Label of the proxy's container; its value is `1`.
pub const LABEL: &str = "windlass.proxy";
/// Label of the proxy's container: the digest of the settings that it was made with.
pub(super) const SETTINGS_LABEL: &str = "windlass.proxy.settings";
/// Label of the container in which a candidate configuration is checked.
pub(super) const CHECK_LABEL: &str = "windlass.proxy.check";
pub(super) use crate::fleet::NETWORK;
/// Global settings.
pub(super) const BASE: &str = "00-base.cfg";
/// The exporter of metrics, where `proxy.run.metrics_port` asks for it.
pub(super) const METRICS: &str = "05-metrics.cfg";
/// The one frontend, for all services.
pub(super) const FRONTEND: &str = "10-frontend.cfg";

/// How many containers a backend can hold at once: one serves, one is loaded, the others still drain.
pub(super) const SLOTS: [&str; 4] = ["s1", "s2", "s3", "s4"];
/// The name that an empty slot has: one that Docker's DNS answers by itself, so that it is not asked of the operator's
/// name server several times a second. Nothing listens on its port 1.
pub(super) const EMPTY: &str = CONTAINER;

/// The unchecked twin of a slot.
pub(super) fn twin(slot: &str) -> String {
    format!("{slot}-backup")
}

/// How the proxy's process sees its surroundings. The default is that of the container; only tests, whose proxy is a
/// process of the machine itself, need another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Where `<home>/proxy` is.
    pub dir: String,
    /// What the HTTP frontend binds.
    pub bind: String,
    /// What it binds for HTTPS once there is a certificate.
    pub bind_tls: String,
    /// Docker's DNS, `address:port`.
    pub nameserver: String,
}

impl Default for Inside {
    fn default() -> Self {
        Self {
            dir: "/windlass".to_string(),
            bind: ":80".to_string(),
            bind_tls: ":443".to_string(),
            nameserver: "127.0.0.11:53".to_string(),
        }
    }
}

/// Paths on the host.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// `<home>/proxy`.
    pub(super) root: String,
}

impl Paths {
    pub(super) fn new(home: &str) -> Self {
        Self { root: format!("{}/proxy", home.trim_end_matches('/')) }
    }

    /// The configuration in force. HAProxy reads the `.cfg` files in it in the order of their names.
    pub(super) fn conf(&self) -> String {
        format!("{}/conf", self.root)
    }

    /// Where files wait that have not been checked yet.
    pub(super) fn next(&self) -> String {
        format!("{}/conf.next", self.root)
    }

    /// Certificates and pages.
    pub(super) fn edge(&self) -> String {
        format!("{}/edge", self.root)
    }

    pub(super) fn run(&self) -> String {
        format!("{}/run", self.root)
    }

    pub(super) fn admin(&self) -> String {
        format!("{}/run/admin.sock", self.root)
    }

    pub(super) fn master(&self) -> String {
        format!("{}/run/master.sock", self.root)
    }
}

/// The file of a backend.
pub(super) fn backend_file(name: &BackendName) -> String {
    format!("20-{name}.cfg")
}

/// The backend that a file name stands for, as text; `None` for a file that is none of a backend.
pub(super) fn backend_of_file(file: &str) -> Option<&str> {
    file.strip_prefix("20-")?.strip_suffix(".cfg")
}
