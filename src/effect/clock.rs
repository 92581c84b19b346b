//! Time.

use jiff::Timestamp;
use std::time::Duration;

/// The coordinator's clock. The simulator's is virtual: a sleep there takes no time.
#[async_trait::async_trait]
pub trait Clock: Send + Sync {
    /// Wall-clock time, for records and for people. Never used to decide who may do what.
    fn now(&self) -> Timestamp;

    /// Monotonic time since some fixed moment, for deadlines.
    fn elapsed(&self) -> Duration;

    /// Waits.
    async fn sleep(&self, duration: Duration);
}
