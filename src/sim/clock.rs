//! Virtual time.

use crate::effect::Clock;
use jiff::Timestamp;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

/// 2026-01-05T09:00:00Z: the moment at which every simulated world begins.
const EPOCH_MS: i64 = 1_767_603_600_000;

/// Time since a world began, by tokio's clock (paused in tests: a sleep takes no time).
#[derive(Debug, Default)]
pub struct SimClock {
    /// Set by the first question, so that a fleet may be made outside the runtime whose time it follows.
    start: OnceLock<Instant>,
}

impl SimClock {
    /// The moment so long after the beginning, as a wall clock shows it.
    pub(super) fn timestamp(at: Duration) -> Timestamp {
        let ms = i64::try_from(at.as_millis()).unwrap_or(i64::MAX / 2);
        Timestamp::from_millisecond(EPOCH_MS.saturating_add(ms)).unwrap_or(Timestamp::MAX)
    }

    /// Waits for a moment, which may have passed.
    pub(super) async fn sleep_until(&self, at: Duration) {
        let left = at.saturating_sub(self.elapsed());
        if !left.is_zero() {
            tokio::time::sleep(left).await;
        }
    }
}

#[async_trait::async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Self::timestamp(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        let now = Instant::now();
        now.saturating_duration_since(*self.start.get_or_init(|| now))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
