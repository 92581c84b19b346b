//! Asking before a change.

use crate::cli::Failure;
use std::io::IsTerminal;
use tokio_util::sync::CancellationToken;

/// Whether there is somebody to ask: a terminal to read from and one to write to.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks; anything but yes is a refusal, and Ctrl-C an interruption.
pub(crate) async fn ask(question: &str, cancel: &CancellationToken) -> Result<(), Failure> {
    let question = question.to_string();
    let prompt = move || dialoguer::Confirm::new().with_prompt(question).default(false).interact();
    let answer = tokio::select! {
        answer = tokio::task::spawn_blocking(prompt) => answer,
        () = cancel.cancelled() => return Err(Failure::interrupted()),
    };
    match answer {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Failure::refused("you said no; nothing was changed")),
        Ok(Err(_)) | Err(_) => Err(Failure::interrupted()),
    }
}
