//! What the lease script is given and what it says.

use super::error::SshError;
use super::lease::SILENCE;
use super::script::command_line;
use super::watcher::printable;
use crate::effect::{HostError, LeaseError, LeaseRequest};
use crate::fleet::Holder;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest line that is kept; the rest of a longer one is dropped.
const LINE_LIMIT: usize = 64 << 10;

/// The line that starts the script. `fenced` is the process of another sshd that the lease is for, if there is one.
pub(super) fn opening_line(request: &LeaseRequest, fenced: Option<u32>) -> Result<String, SshError> {
    let holder = serde_json::to_string(&request.holder).unwrap_or_default();
    let kamal = request.kamal_lock.as_deref().unwrap_or("");
    let details = kamal_details(&request.holder);
    let silence = SILENCE.to_string();
    let fenced = fenced.map(|pid| pid.to_string()).unwrap_or_default();
    let arguments = [&request.dir, &holder, &silence, kamal, &details, request.holder.run.as_str(), &fenced];
    command_line("take the lease", include_str!("scripts/lease.sh"), &arguments)
}

/// Kamal's `details` file: base64 of three lines, as `kamal lock status` prints them.
fn kamal_details(holder: &Holder) -> String {
    let text = format!(
        "Locked by: {} at {}\nVersion: {}\nMessage: windlass: {}",
        holder.actor, holder.since, holder.run, holder.what
    );
    STANDARD.encode(text)
}

/// The error that a line of the opening stands for; none for lines that are none.
pub(super) fn refusal(line: &str) -> Option<LeaseError> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match word {
        "missing" => LeaseError::MissingCommand(rest.to_string()),
        "held" => LeaseError::Held(serde_json::from_str(rest).ok()),
        "kamal" => LeaseError::HeldByKamal(kamal_text(rest)),
        "parent" => LeaseError::Host(HostError::Failed {
            what: "take the lease".to_string(),
            message: format!(
                "commands there are not started by sshd itself but by {rest}, so a silent run could not be cut off \
                 (does a ForceCommand or a login wrapper stand between?)"
            ),
        }),
        _ => return None,
    })
}

fn kamal_text(base64: &str) -> String {
    match STANDARD.decode(base64).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(text) if !text.is_empty() => text.lines().map(printable).collect::<Vec<_>>().join(", "),
        _ => "it has no details".to_string(),
    }
}

/// The script's output, in lines.
#[derive(Default)]
pub(super) struct Said {
    out: Vec<u8>,
    err: Vec<u8>,
    pub(super) status: Option<u32>,
}

impl Said {
    pub(super) fn out(&mut self, data: &[u8]) {
        self.out.extend_from_slice(data);
        if self.out.len() > LINE_LIMIT && !self.out.contains(&b'\n') {
            self.out.truncate(LINE_LIMIT);
        }
    }

    pub(super) fn err(&mut self, data: &[u8]) {
        let room = LINE_LIMIT.saturating_sub(self.err.len());
        self.err.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// The next whole line of the protocol, without its prefix; what a login shell prints is passed over.
    pub(super) fn take_line(&mut self) -> Option<String> {
        while let Some(end) = self.out.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = self.out.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(said) = line.trim_end().strip_prefix("windlass ") {
                return Some(said.to_string());
            }
        }
        None
    }

    /// The script ended without a word of the protocol.
    pub(super) fn failure(&self) -> LeaseError {
        let text = String::from_utf8_lossy(&self.err);
        let words = text.lines().rfind(|l| !l.trim().is_empty()).map(printable);
        match (self.status, words) {
            (Some(_), Some(message)) => HostError::Failed { what: "take the lease".to_string(), message }.into(),
            (Some(status), None) => {
                HostError::Failed { what: "take the lease".to_string(), message: format!("exit {status}") }.into()
            }
            (None, _) => HostError::Disconnected("while taking the lease".to_string()).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_whole_and_noise_is_passed_over() {
        let mut said = Said::default();
        said.out(b"Welcome!\nwind");
        assert_eq!(said.take_line(), None);
        said.out(b"lass holding\nwindlass echo 1\n");
        assert_eq!(said.take_line().as_deref(), Some("holding"));
        assert_eq!(said.take_line().as_deref(), Some("echo 1"));
        assert_eq!(said.take_line(), None);
    }

    #[test]
    fn refusals() {
        assert_eq!(refusal("missing flock"), Some(LeaseError::MissingCommand("flock".into())));
        assert_eq!(refusal("held not json"), Some(LeaseError::Held(None)));
        let details = STANDARD.encode("Locked by: ann at 2026\nVersion: abc\nMessage: mine\x1b[2J");
        assert_eq!(
            refusal(&format!("kamal {details}")),
            Some(LeaseError::HeldByKamal("Locked by: ann at 2026, Version: abc, Message: mine[2J".into()))
        );
        assert_eq!(refusal("kamal "), Some(LeaseError::HeldByKamal("it has no details".into())));
        assert_eq!(refusal("holding"), None);
    }
}
