//! Waiting for a condition, with a deadline and a message.

use std::time::{Duration, Instant};

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < deadline, "not within {} s: {what}", deadline.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The same for an asynchronous question.
pub async fn until_async<T, F>(what: &str, deadline: Duration, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < deadline, "not within {} s: {what}", deadline.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
