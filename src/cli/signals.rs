//! Ctrl-C and SIGTERM: the first asks the run to end well, the second ends the process.

use crate::cli::Kind;
use crate::render::Board;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Watches for signals until the process ends. Must be called inside the runtime.
pub(crate) fn watch(board: Arc<Board>) -> CancellationToken {
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    let streams = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = streams else { return cancel };
    tokio::spawn(async move {
        let mut first = true;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            match std::mem::take(&mut first) {
                true => {
                    token.cancel();
                    let seen = board.seen();
                    match &seen.plan {
                        None => {}
                        Some(plan) if seen.is_past_changes(plan) => {
                            board.warn("Every host has switched: finishing. Again to abort at once.");
                        }
                        Some(_) => board.warn("Finishing the running steps, then going back. Again to abort at once."),
                    }
                }
                false => abort(&board),
            }
        }
    });
    cancel
}

/// Ends the process. Before a run has begun nothing was changed; after that nobody knows.
fn abort(board: &Board) -> ! {
    board.close();
    if board.seen().plan.is_none() {
        eprintln!("error: interrupted; nothing was changed");
        std::process::exit(Kind::Interrupted.code().into());
    }
    eprintln!("error: aborted; the last thing known of each host:\n{}", board.left_behind());
    eprintln!("hint: leases end by themselves within 15 s; `windlass status` shows each host, and the next deploy or");
    eprintln!("hint: rollback converges from there");
    std::process::exit(Kind::Mixed.code().into());
}
