//! The proxy's own health checks: `inter 1s fastinter 200ms downinter 200ms rise 1 fall 3`.

use crate::fleet::ServerRole;
use crate::sim::container::Answer;
use crate::sim::machine::Machine;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(1);
const FAST: Duration = Duration::from_millis(200);
/// Failures in a row that take a server down.
const FALL: u32 = 3;

/// The health of a slot's current occupant.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Checks {
    /// The last check's answer.
    last: Option<Answer>,
    up: bool,
    failures: u32,
    /// When the next one is due. A server whose answer cannot change by itself has none until something happens to it.
    pub(super) next: Option<Duration>,
}

impl Checks {
    /// Checks of a new occupant begin.
    pub(super) fn begin(now: Duration) -> Self {
        Self { next: Some(now + FAST), ..Self::default() }
    }

    /// Whether it is up; `None` before its first check.
    pub(super) fn verdict(&self) -> Option<bool> {
        self.last.map(|_| self.up)
    }

    /// Whether a check of this very occupant succeeded and none has failed since.
    pub(super) fn passed(&self) -> bool {
        self.up && self.failures == 0
    }

    /// HAProxy's words for the last check.
    pub(super) fn text(&self) -> String {
        match self.last {
            None => String::new(),
            Some(Answer::Status(200)) => "L7OK/200".to_string(),
            Some(Answer::Status(503)) => "L7STS/503 Service Unavailable".to_string(),
            Some(Answer::Status(other)) => format!("L7STS/{other}"),
            Some(Answer::Refused) => "L4CON Connection refused".to_string(),
            Some(Answer::NoOne) => "L4TOUT".to_string(),
        }
    }

    /// Makes a check.
    fn make(&mut self, answer: Answer, at: Duration) {
        self.last = Some(answer);
        if answer == Answer::Status(200) {
            (self.up, self.failures) = (true, 0);
        } else {
            self.failures = (self.failures + 1).min(FALL);
            self.up &= self.failures < FALL;
        }
        let settled = self.failures == 0 || self.failures == FALL;
        self.next = (!settled).then_some(at + FAST);
    }

    /// Plans a check if the answer would be another by now.
    fn wake(&mut self, answer: Answer, now: Duration) {
        if self.next.is_none() && self.last.is_some_and(|last| last != answer) {
            self.next = Some(now + if self.up { INTERVAL } else { FAST });
        }
    }
}

impl Machine {
    /// Looks at everything again after a change: which checks are due, which routes have changed.
    pub(in crate::sim) fn settle(&mut self, now: Duration) {
        self.each_check(now, Checks::wake);
        self.note_availability(now);
    }

    /// Name resolutions and checks that were due by this moment.
    pub(in crate::sim) fn checks_happen(&mut self, at: Duration) {
        self.resolve_names(at);
        self.each_check(at, |checks, answer, at| {
            if checks.next.is_some_and(|when| when <= at) {
                checks.make(answer, at);
            }
            checks.wake(answer, at);
        });
    }

    fn each_check(&mut self, now: Duration, act: impl Fn(&mut Checks, Answer, Duration)) {
        let Some(mut runtime) = self.proxy.runtime.take() else { return };
        for slot in runtime.values_mut().flatten().filter(|slot| slot.role != ServerRole::Maint) {
            if let Some(occupant) = &slot.occupant {
                act(&mut slot.checks, self.answer_at(&occupant.address, occupant.port, now), now);
            }
        }
        self.proxy.runtime = Some(runtime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_rises_with_one_answer_and_falls_with_three() {
        let at = Duration::from_secs;
        let mut checks = Checks::begin(at(0));
        assert_eq!((checks.verdict(), checks.text().as_str()), (None, ""));
        checks.make(Answer::Status(200), at(1));
        assert_eq!((checks.verdict(), checks.passed(), checks.next), (Some(true), true, None));
        checks.wake(Answer::Status(200), at(2));
        assert_eq!(checks.next, None, "nothing changed");
        checks.wake(Answer::Refused, at(2));
        assert_eq!(checks.next, Some(at(3)));
        for (n, up) in [(1, true), (2, true), (3, false)] {
            checks.make(Answer::Refused, at(3));
            assert_eq!((checks.verdict(), checks.passed()), (Some(up), false), "after {n} failures");
        }
        assert_eq!(checks.next, None, "three failures and thirty are the same");
        checks.make(Answer::Status(200), at(4));
        assert!(checks.passed());
    }
}
