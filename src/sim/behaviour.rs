//! How an image's containers behave.

use super::command::Script;
use std::collections::BTreeMap;
use std::time::Duration;

/// The script of an image's containers. Every duration counts from a container's (re)start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBehaviour {
    /// When it begins to answer health checks with 200; `None` = never.
    pub becomes_healthy_after: Option<Duration>,
    /// When it ceases to; `None` = never.
    pub becomes_unhealthy_after: Option<Duration>,
    /// The status of its answers while it is not healthy; `None`: nothing listens, connections are refused.
    pub unhealthy_status: Option<u16>,
    /// When it ends by itself; `None` = never.
    pub crashes_after: Option<Duration>,
    /// The exit code when it does.
    pub exit_code: i64,
    /// Lines that it prints when it starts.
    pub prints: Vec<String>,
    /// The port that it listens on.
    pub listens_on: u16,
    /// How long it takes to end after SIGTERM.
    pub stops_after: Duration,
    /// The engine's words if it cannot be started at all, such as a missing executable.
    pub fails_to_start: Option<String>,
    /// Whether the image has a Docker HEALTHCHECK.
    pub docker_healthcheck: bool,
    /// The image's own environment.
    pub env: BTreeMap<String, String>,
    /// What commands do in its containers, by their words with a blank between; others are not found.
    pub commands: BTreeMap<String, Script>,
    /// The image's labels.
    pub labels: BTreeMap<String, String>,
    /// The image's files that matter to a test, by absolute path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Bytes.
    pub size: u64,
}

impl Default for ImageBehaviour {
    fn default() -> Self {
        Self {
            becomes_healthy_after: Some(Duration::from_millis(500)),
            becomes_unhealthy_after: None,
            unhealthy_status: None,
            crashes_after: None,
            exit_code: 1,
            prints: Vec::new(),
            listens_on: 80,
            stops_after: Duration::from_millis(100),
            fails_to_start: None,
            docker_healthcheck: false,
            env: [("PATH".to_string(), "/usr/local/bin:/usr/bin:/bin".to_string())].into(),
            commands: BTreeMap::new(),
            labels: BTreeMap::new(),
            files: BTreeMap::new(),
            size: 10_000_000,
        }
    }
}

impl ImageBehaviour {
    /// Healthy half a second after its start, for good.
    pub fn healthy() -> Self {
        Self::default()
    }

    /// Healthy after this time.
    pub fn healthy_after(delay: Duration) -> Self {
        Self { becomes_healthy_after: Some(delay), ..Self::default() }
    }

    /// Runs and answers every check with 503.
    pub fn never_healthy() -> Self {
        Self { becomes_healthy_after: None, unhealthy_status: Some(503), ..Self::default() }
    }

    /// Ends with this exit code after this time, without ever having answered.
    pub fn crashing(after: Duration, exit_code: i64) -> Self {
        Self { becomes_healthy_after: None, crashes_after: Some(after), exit_code, ..Self::default() }
    }

    /// The same, with a command that can be run in its containers.
    pub fn command(mut self, words: &str, script: Script) -> Self {
        self.commands.insert(words.to_string(), script);
        self
    }

    /// The same, printing these lines when it starts.
    pub fn printing<const N: usize>(self, lines: [&str; N]) -> Self {
        Self { prints: lines.map(String::from).to_vec(), ..self }
    }
}
