//! Times, durations and sizes for people.

use jiff::Timestamp;
use std::time::Duration;

/// How long ago: `just now`, `5m ago`, `3h ago`, `2d ago`. A time ahead of `now` (a clock that is wrong) is `just now`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    match seconds {
        ..=4 => "just now".to_string(),
        _ => format!("{} ago", coarse(seconds.unsigned_abs())),
    }
}

/// The largest unit only: `59s`, `5m`, `3h`, `2d`.
pub fn coarse(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A measured duration: `0.3 s`, `12.0 s`, `3m 05s`.
pub fn took(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{}m {:02}s", seconds / 60, seconds % 60),
    }
}

/// A size with a decimal unit, as docker prints it: `812 B`, `3.4 MB`, `1.2 GB`.
pub fn bytes(size: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB"];
    if size < 1000 {
        return format!("{size} B");
    }
    let mut value = size as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// RFC 3339 in UTC, to the second, for JSON and for detailed views.
pub fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well_at_the_borders() {
        let now: Timestamp = "2025-03-01T12:00:00Z".parse().unwrap();
        let before = |s: i64| ago(Timestamp::from_second(now.as_second() - s).unwrap(), now);
        assert_eq!([before(-90), before(4), before(59), before(60)], ["just now", "just now", "59s ago", "1m ago"]);
        assert_eq!([before(3600), before(47 * 3600), before(172_800)], ["1h ago", "47h ago", "2d ago"]);
        assert_eq!(took(Duration::from_millis(340)), "0.3 s");
        assert_eq!(took(Duration::from_secs(185)), "3m 05s");
        assert_eq!(
            [bytes(999), bytes(1000), bytes(999_999), bytes(1_234_567_890)],
            ["999 B", "1.0 kB", "1.0 MB", "1.2 GB"]
        );
        assert_eq!(exact(now), "2025-03-01T12:00:00Z");
    }
}
