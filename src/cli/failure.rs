//! How a command fails. The one place that knows exit codes (design, rule 12).

use crate::effect::LeaseError;
use crate::name::HostName;
use crate::plan::{Refusal, RefusalKind};
use crate::release::Outcome;
use std::process::ExitCode;

/// What kind of end a command had; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It failed, and what served before serves everywhere, verified.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The configuration or the secrets are wrong.
    Config,
    /// It must not begin: nothing was changed.
    Refused,
    /// Somebody else has the right to change the service.
    Leased,
    /// The fleet is mixed or could not be verified.
    Mixed,
    /// Interrupted, and what served before serves everywhere, verified.
    Interrupted,
    /// Somebody talked to a command on a host, and it ended with this code.
    Command(u8),
    /// A reading command got an answer from no host.
    NoAnswer,
    /// A reading command got an answer from some hosts only.
    SomeAnswers,
}

impl Kind {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Refused | Self::NoAnswer => 4,
            Self::Leased => 5,
            Self::Mixed | Self::SomeAnswers => 6,
            Self::Interrupted => 130,
            Self::Command(code) => code,
        }
    }
}

/// A command that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Decides the exit code.
    pub kind: Kind,
    /// What went wrong; may have several lines. Empty when everything was said already.
    pub error: String,
    /// What to do.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(kind: Kind, error: impl Into<String>) -> Self {
        Self { kind, error: error.into(), hints: Vec::new() }
    }

    /// The command line makes no sense.
    pub fn usage(error: impl Into<String>) -> Self {
        Self::new(Kind::Usage, error)
    }

    /// The configuration is wrong.
    pub fn config(error: impl Into<String>) -> Self {
        Self::new(Kind::Config, error)
    }

    /// Nothing was changed.
    pub fn refused(error: impl Into<String>) -> Self {
        Self::new(Kind::Refused, error)
    }

    /// Interrupted before anything was changed.
    pub fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted; nothing was changed")
    }

    /// With a next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The text for standard error: `error: …`, then `hint: …` lines.
    pub fn text(&self) -> String {
        let error = (!self.error.is_empty()).then(|| format!("error: {}", self.error.trim_end()));
        let hints = self.hints.iter().map(|hint| format!("hint: {hint}"));
        error.into_iter().chain(hints).map(|line| line + "\n").collect()
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.code())
    }

    /// A lease that could not be had on a host. Nothing was changed.
    pub fn lease(host: &HostName, error: &LeaseError) -> Self {
        let failure = |kind| Self::new(kind, format!("{host}: {error}"));
        match error {
            LeaseError::Held(_) => failure(Kind::Leased)
                .hint("wait for it with `--lock-wait`, or see who it is with `windlass lock status`"),
            LeaseError::HeldByKamal(_) => {
                failure(Kind::Leased).hint("if no Kamal deploy is running any more, `kamal lock release` removes it")
            }
            LeaseError::MissingCommand(command) => failure(Kind::Refused)
                .hint(format!("install the package that has `{command}` (util-linux or coreutils) on {host}")),
            LeaseError::Lost(_) | LeaseError::Host(_) => failure(Kind::Refused),
        }
    }

    /// The end of a run that had begun; `None` when it succeeded.
    pub fn of_run(outcome: Outcome, interrupted: bool, reason: Option<&str>) -> Option<Self> {
        let reason = reason.filter(|r| *r != "interrupted").map(|r| format!(":\n  {r}")).unwrap_or_default();
        let say = |kind, what: &str| Some(Self::new(kind, format!("{what}{reason}")));
        match outcome {
            Outcome::Succeeded => None,
            Outcome::Reverted if interrupted => {
                say(Kind::Interrupted, "interrupted; what served before serves everywhere")
            }
            Outcome::Interrupted => say(Kind::Interrupted, "interrupted; what served before serves everywhere"),
            Outcome::Reverted => say(Kind::Failed, "the run failed; what served before serves everywhere"),
            Outcome::Unverified | Outcome::Abandoned => {
                let failure = say(Kind::Mixed, "the fleet is mixed, or what serves could not be verified");
                failure.map(|f| f.hint("`windlass status` shows each host; the next deploy or rollback converges"))
            }
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.kind {
            RefusalKind::Refused => Kind::Refused,
            RefusalKind::Leased => Kind::Leased,
            RefusalKind::Config => Kind::Config,
        };
        Self { kind, error: refusal.message, hints: refusal.hints }
    }
}

/// The end of a reading command: all, some or none of the hosts answered.
pub(crate) fn answered(all: usize, unreachable: usize) -> Result<(), Failure> {
    match unreachable {
        0 => Ok(()),
        n if n < all => Err(Failure::new(Kind::SomeAnswers, format!("{n} of {all} hosts did not answer"))),
        _ => Err(Failure::new(Kind::NoAnswer, "no host answered")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_the_exit_code_of_the_design() {
        let run = |outcome, interrupted| Failure::of_run(outcome, interrupted, None).map_or(0, |f| f.kind.code());
        assert_eq!(run(Outcome::Succeeded, false), 0);
        assert_eq!(run(Outcome::Reverted, false), 1);
        assert_eq!(run(Outcome::Reverted, true), 130);
        assert_eq!(run(Outcome::Interrupted, true), 130);
        assert_eq!(run(Outcome::Unverified, true), 6);
        assert_eq!(run(Outcome::Abandoned, false), 6);
        let refusal = |kind| Failure::from(Refusal::new("no").of(kind)).kind.code();
        let kinds = [RefusalKind::Config, RefusalKind::Refused, RefusalKind::Leased];
        assert_eq!(kinds.map(refusal), [3, 4, 5]);
        let host: HostName = "host-1".parse().unwrap();
        let lease = |error| Failure::lease(&host, &error).kind.code();
        assert_eq!(lease(LeaseError::Held(None)), 5);
        assert_eq!(lease(LeaseError::HeldByKamal("ann".into())), 5);
        assert_eq!(lease(LeaseError::MissingCommand("flock".into())), 4);
        let reading = [answered(3, 0), answered(3, 1), answered(3, 3)];
        assert_eq!(reading.map(|r| r.err().map_or(0, |f| f.kind.code())), [0, 6, 4]);
    }

    #[test]
    fn an_error_comes_before_its_hints() {
        let failure = Failure::refused("host-1: no route").hint("is it on?").hint("is the VPN up?");
        assert_eq!(failure.text(), "error: host-1: no route\nhint: is it on?\nhint: is the VPN up?\n");
    }
}
