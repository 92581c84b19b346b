//! A command whose standard input and output lead to sshd (ProxyCommand).

use super::error::SshError;
use super::watcher::printable;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Join};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

/// The running command. It ends when this is dropped.
pub(super) struct ProxyCommand {
    _child: Child,
    said: Arc<Mutex<String>>,
    /// Everything that it will say was heard.
    silent: CancellationToken,
}

/// For the last words of a command that has closed its output.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl ProxyCommand {
    /// Starts it in a process group of its own: a Ctrl-C is for windlass, which still needs the way to its hosts to undo
    /// what it began. So it cannot ask anybody anything.
    pub(super) fn start(command: &str) -> Result<(Self, Join<ChildStdout, ChildStdin>), SshError> {
        let failed = |e: &std::io::Error| SshError::ProxyCommand(format!("`{command}` cannot be run: {e}"));
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec {command}"));
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        shell.process_group(0);
        let mut child = shell.spawn().map_err(|e| failed(&e))?;
        let no_pipe = || failed(&std::io::Error::other("no pipe"));
        let (input, output) = (child.stdin.take().ok_or_else(no_pipe)?, child.stdout.take().ok_or_else(no_pipe)?);
        let said = Arc::new(Mutex::new(String::new()));
        let silent = CancellationToken::new();
        if let Some(stderr) = child.stderr.take() {
            let (said, end) = (said.clone(), silent.clone().drop_guard());
            tokio::spawn(async move {
                listen(stderr, said).await;
                drop(end);
            });
        }
        Ok((Self { _child: child, said, silent }, tokio::io::join(output, input)))
    }

    /// Its last line of standard error, empty if none.
    pub(super) async fn last_words(&self) -> String {
        // Without an end there is at least what was heard so far.
        let _ = tokio::time::timeout(LAST_WORDS, self.silent.cancelled()).await;
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn listen(stderr: ChildStderr, said: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = printable(String::from_utf8_lossy(&line).trim());
        if !line.is_empty() {
            *said.lock().unwrap_or_else(PoisonError::into_inner) = line;
        }
    }
}
