//! Commands on many hosts or in many containers at once: their output with a tag in front, and what became of each.

use crate::cli::session::Session;
use crate::cli::{Failure, Kind, output};
use crate::effect::{Exit, LogStream, Process, ProcessEvent};
use crate::mask::{MaskedLines, Masker};
use crate::name::{HostName, RoleName};
use futures::StreamExt;
use serde_json::json;
use std::fmt;

/// Where a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: HostName,
    /// None for a command of the host itself.
    pub(crate) role: Option<RoleName>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            Some(role) => write!(f, "{} {role}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

/// How output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Lines, masked, each with its place in front.
    Tagged,
    /// One JSON object a line, masked.
    Json,
    /// The bytes as they are: for one place only.
    Raw,
}

/// How a command ended, or why that is not known.
pub(crate) type End = Result<Exit, String>;

/// Shows what a process prints until it ends.
pub(crate) async fn show(process: Process, place: &Place, masker: Masker, how: Show) -> End {
    let Process { mut events, input, .. } = process;
    // Nobody types: whoever reads gets an end.
    drop(input);
    let mut lines = [MaskedLines::new(masker.clone()), MaskedLines::new(masker)];
    let end = loop {
        match events.next().await {
            Some(Ok(ProcessEvent::Output(stream, piece))) if how == Show::Raw => output::raw(stream, &piece),
            Some(Ok(ProcessEvent::Output(stream, piece))) => {
                let buffer = &mut lines[usize::from(stream == LogStream::Err)];
                buffer.push(&piece).iter().for_each(|text| line(place, stream, text, how));
            }
            Some(Ok(ProcessEvent::Ended(exit))) => break Ok(exit),
            Some(Err(error)) => break Err(error.to_string()),
            None => break Err("it ended without a word".to_string()),
        }
    };
    for (buffer, stream) in lines.iter_mut().zip([LogStream::Out, LogStream::Err]) {
        buffer.finish().iter().for_each(|text| line(place, stream, text, how));
    }
    if how == Show::Json {
        let ended = match &end {
            Ok(Exit::Code(code)) => json!({ "exit": code }),
            Ok(Exit::Signal(signal)) => json!({ "signal": signal }),
            Err(error) => json!({ "error": error }),
        };
        let mut object = json!({ "schema": 1, "host": place.host, "role": place.role });
        if let (Some(object), Some(ended)) = (object.as_object_mut(), ended.as_object()) {
            object.extend(ended.clone());
        }
        output::print(&format!("{object}\n"));
    }
    end
}

fn line(place: &Place, stream: LogStream, text: &str, how: Show) {
    match (how, stream) {
        (Show::Json, _) => {
            let name = if stream == LogStream::Err { "err" } else { "out" };
            let object = json!({ "schema": 1, "host": place.host, "role": place.role, "stream": name, "line": text });
            output::print(&format!("{object}\n"));
        }
        (_, LogStream::Out) => output::print(&format!("{place} | {text}\n")),
        (_, LogStream::Err) => output::talk(&format!("{place} | {text}\n")),
    }
}

/// Says how each ended, and gives the command its exit code: 1 when all failed, 6 when some did.
pub(crate) fn conclude(session: &Session, ends: &[(Place, End)]) -> Result<(), Failure> {
    let mut failed = 0;
    for (place, end) in ends {
        match end {
            Ok(exit) if exit.success() => session.board.say(&format!("{place}: {exit}")),
            Ok(exit) => {
                failed += 1;
                session.board.warn(&format!("{place}: {exit}"));
            }
            Err(error) => {
                failed += 1;
                session.board.warn(&format!("{place}: {error}"));
            }
        }
    }
    match failed {
        0 => Ok(()),
        1 if ends.len() == 1 => Err(Failure::new(Kind::Failed, "the command failed")),
        n if n == ends.len() => Err(Failure::new(Kind::Failed, format!("the command failed in all {n} places"))),
        n => Err(Failure::new(Kind::Mixed, format!("the command failed in {n} of {} places", ends.len()))),
    }
}

/// Hosts that were not asked make a success a partial one.
pub(crate) fn with_unreachable(ran: Result<(), Failure>, answered: Result<(), Failure>) -> Result<(), Failure> {
    match (ran, answered) {
        (Ok(()), answered) => answered,
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(missing)) => Err(Failure::new(Kind::Mixed, format!("{}; {}", failure.error, missing.error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_with_its_role() {
        let host: HostName = "web-1".parse().unwrap();
        let place = |role: Option<&str>| Place { host: host.clone(), role: role.map(|r| r.parse().unwrap()) };
        assert_eq!((place(Some("web")).to_string(), place(None).to_string()), ("web-1 web".into(), "web-1".into()));
    }

    #[test]
    fn a_host_that_is_away_makes_the_result_mixed() {
        let failed = || Err(Failure::new(Kind::Failed, "no"));
        let some = || Err(Failure::new(Kind::SomeAnswers, "1 of 3 hosts did not answer"));
        let code = |result: Result<(), Failure>| result.err().map_or(0, |f| f.kind.code());
        assert_eq!(code(with_unreachable(Ok(()), Ok(()))), 0);
        assert_eq!(code(with_unreachable(Ok(()), some())), 6);
        assert_eq!(code(with_unreachable(failed(), Ok(()))), 1);
        assert_eq!(code(with_unreachable(failed(), some())), 6);
    }
}
