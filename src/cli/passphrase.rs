//! Passphrases of SSH keys, from a person at a terminal.

use crate::cli::confirm::can_ask;
use crate::secret::Secret;
use crate::ssh::AskPassphrase;
use console::{Key, Term};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroize;

/// Until a Ctrl-C at the prompt, which arrives as a signal, has been seen by everybody.
const SIGNAL_DEADLINE: Duration = Duration::from_secs(1);

/// Whoever is at the terminal, if there is one. `cancel` is what Ctrl-C sets off.
pub(crate) fn person(cancel: &CancellationToken) -> Option<Arc<dyn AskPassphrase>> {
    can_ask().then(|| Arc::new(Person { cancel: cancel.clone() }) as Arc<dyn AskPassphrase>)
}

struct Person {
    cancel: CancellationToken,
}

impl AskPassphrase for Person {
    /// Key by key: a line read without echo would leave the terminal without echo on Ctrl-C.
    fn ask(&self, prompt: &str) -> Option<Secret<String>> {
        let terminal = Term::stderr();
        terminal.write_str(&format!("{prompt}: ")).ok()?;
        let answer = read(&terminal);
        terminal.write_line("").ok()?;
        answer.unwrap_or_else(|Interrupted| {
            // An interruption, not a login that failed.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                let seen = async { tokio::time::timeout(SIGNAL_DEADLINE, self.cancel.cancelled()).await };
                let _ = runtime.block_on(seen);
            }
            None
        })
    }
}

/// Ctrl-C, or a terminal that is gone.
struct Interrupted;

fn read(terminal: &Term) -> Result<Option<Secret<String>>, Interrupted> {
    // Room enough that it is not moved, which would leave a copy behind.
    let mut text = String::with_capacity(1024);
    loop {
        match terminal.read_key() {
            Ok(Key::Enter) => return Ok(Some(Secret::new(text))),
            Ok(Key::Backspace) => drop(text.pop()),
            Ok(Key::Char('\u{15}')) => text.clear(),
            Ok(Key::Char(c)) if !c.is_control() => text.push(c),
            end @ (Ok(Key::CtrlC | Key::Escape) | Err(_)) => {
                text.zeroize();
                return if matches!(end, Ok(Key::Escape)) { Ok(None) } else { Err(Interrupted) };
            }
            Ok(_) => {}
        }
    }
}
