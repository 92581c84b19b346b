//! Shell scripts sent to a host.
//!
//! A script goes as `exec sh -c 'SCRIPT' windlass ARG…`: login shells of every family understand that line, `exec`
//! makes the script a child of sshd itself, and data travels on standard input. Scripts are for POSIX sh (dash, busybox)
//! and hold no single quote, backslash or exclamation mark (but before a blank), so that one pair of single quotes is enough
//! in any shell.

use super::connect::Connection;
use super::error::SshError;
use super::exec::{Command, Output};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// For a script that touches a few files.
const DEADLINE: Duration = Duration::from_secs(30);
/// A journal of ten thousand releases is about 5 MB.
const LIMIT: usize = 64 << 20;

/// The line for the login shell. Comments and line breaks of the source are taken out: csh cannot quote a newline.
///
/// # Errors
/// An argument with a NUL byte.
pub(super) fn command_line(what: &str, source: &str, arguments: &[&str]) -> Result<String, SshError> {
    let script = one_line(source);
    let words = ["exec", "sh", "-c", &script, "windlass"].into_iter().chain(arguments.iter().copied());
    shlex::try_join(words).map_err(|_| SshError::BadArgument { what: what.to_string() })
}

fn one_line(source: &str) -> String {
    let lines = source.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.collect::<Vec<_>>().join(" ")
}

impl Connection {
    /// Runs a script; data for it goes to its standard input.
    ///
    /// # Errors
    /// Those of [`Connection::exec`], and [`SshError::CommandFailed`] for a status other than 0.
    pub(super) async fn script(
        self: &Arc<Self>,
        what: &str,
        source: &str,
        arguments: &[&str],
        stdin: Bytes,
    ) -> Result<Output, SshError> {
        let line = command_line(what, source, arguments)?;
        let command = Command { what: what.to_string(), line, stdin, deadline: DEADLINE, limit: LIMIT };
        let output = self.exec(command).await?;
        if output.success() {
            return Ok(output);
        }
        Err(SshError::CommandFailed { what: what.to_string(), status: output.ending(), stderr: output.last_words() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 8] = [
        include_str!("scripts/append.sh"),
        include_str!("scripts/ask_socket.sh"),
        include_str!("scripts/holder.sh"),
        include_str!("scripts/lease.sh"),
        include_str!("scripts/probe.sh"),
        include_str!("scripts/read_dirs.sh"),
        include_str!("scripts/socket.sh"),
        include_str!("scripts/write.sh"),
    ];

    #[test]
    fn scripts_are_safe_in_any_login_shell_and_parse_as_one_line() {
        for source in ALL {
            let script = one_line(source);
            // csh leaves an exclamation mark alone when a blank follows.
            assert!(!script.replace("! ", "").contains(['\'', '\\', '!', '\n']), "{script}");
            let line = command_line("x", source, &[]).unwrap();
            assert_eq!(line, format!("exec sh -c '{script}' windlass"));
            let checked = std::process::Command::new("sh").args(["-n", "-c", &script]).status().unwrap();
            assert!(checked.success(), "sh -n does not like: {script}");
        }
    }

    #[test]
    fn arguments_arrive_as_they_are() {
        let arguments = ["a b", "it's", "$HOME `id` \"x\" \\ !", "", "*", "-n", "ü\nnewline"];
        let source = "for a in \"$@\"; do printf \"<%s>\" \"$a\"; done";
        let line = command_line("x", source, &arguments).unwrap();
        for shell in ["sh", "bash"] {
            let output = std::process::Command::new(shell).args(["-c", &line]).output().unwrap();
            let expected: String = arguments.iter().map(|a| format!("<{a}>")).collect();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{shell}");
        }
        assert!(matches!(command_line("x", source, &["a\0b"]), Err(SshError::BadArgument { .. })));
    }
}
