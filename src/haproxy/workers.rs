//! HAProxy's processes: the master's view of its workers.

/// `show proc` of the master socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Workers {
    /// Reloads that failed since the last good one.
    pub(super) failed: u64,
    /// The worker that takes new connections; `None` while there is none.
    pub(super) current: Option<u32>,
    /// Older workers that still finish what they have.
    pub(super) old: Vec<u32>,
}

/// Reads `show proc`; `None` when the answer is none.
pub(super) fn workers(answer: &str) -> Option<Workers> {
    let mut workers = Workers::default();
    let mut is_old = false;
    let mut has_master = false;
    for line in answer.lines() {
        if line.starts_with('#') {
            is_old = line.starts_with("# old");
            continue;
        }
        let mut words = line.split_whitespace();
        let (Some(pid), Some(kind)) = (words.next().and_then(|w| w.parse().ok()), words.next()) else { continue };
        match kind {
            "master" => {
                has_master = true;
                workers.failed = failed(line);
            }
            "worker" if is_old => workers.old.push(pid),
            "worker" => workers.current = Some(pid),
            _ => {}
        }
    }
    has_master.then_some(workers)
}

fn failed(line: &str) -> u64 {
    let count = line.split_once("[failed:").and_then(|(_, rest)| rest.split(']').next());
    count.and_then(|n| n.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_workers_are_told_from_the_current_one() {
        let answer = "#<PID>          <type>          <reloads>       <uptime>        <version>\n\
            18661           master          6 [failed: 1]   0d00h03m22s     2.6.12-1\n\
            # workers\n20085           worker          0               0d00h00m00s     2.6.12-1\n\
            # old workers\n19298           worker          1               0d00h00m30s     2.6.12-1\n# programs\n\n";
        assert_eq!(workers(answer), Some(Workers { failed: 1, current: Some(20085), old: vec![19298] }));
        assert_eq!(workers("Unknown command\n"), None);
    }
}
