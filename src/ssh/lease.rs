//! The lease: the right to change one service on one host, held by a live channel.
//!
//! A script on the host holds an flock and answers every line it reads. After [`SILENCE`] seconds without a line it ends
//! this connection's sshd and only then gives the lock back: nothing sent over a connection that lost its lease arrives.
//! Here a lease is lost earlier, once the newest *answered* line is older than [`GRACE`]. Its age counts from when the
//! line was sent, not from when its answer was read: an answer may have waited in a buffer while this process slept.

use super::connect::Connection;
use super::lease_place::{self, Place};
use super::lease_talk::{Said, opening_line, refusal};
use crate::effect::{HostError, Lease, LeaseError, LeaseRequest};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Seconds without a line after which the host takes the lease back.
pub(super) const SILENCE: u32 = 15;
/// Age of the newest answered line at which the lease counts as lost here; well before the host's own limit.
const GRACE: Duration = Duration::from_secs(10);
/// Between two lines. The next one waits for the answer to the last: on a host that is slow to answer, lines that pile
/// up would be answered later and later.
const BEAT: Duration = Duration::from_secs(2);
/// Until the host has said whether the lease is ours, and until it has confirmed the release.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// A moment on both clocks. The monotonic one stands still while a machine is suspended, the other may be set back.
#[derive(Debug, Clone, Copy)]
struct Moment(Instant, SystemTime);

impl Moment {
    fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// The longer of what both clocks say has passed.
    fn age(&self) -> Duration {
        self.0.elapsed().max(self.1.elapsed().unwrap_or_default())
    }
}

/// What the lease's owner and its task share.
struct State {
    confirmed: Mutex<Moment>,
    why_lost: Mutex<Option<String>>,
    lost: CancellationToken,
}

impl State {
    fn new() -> Self {
        Self { confirmed: Mutex::new(Moment::now()), why_lost: Mutex::new(None), lost: CancellationToken::new() }
    }

    fn confirm(&self, moment: Moment) {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }

    fn age(&self) -> Duration {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner).age()
    }

    /// Lost is for good; the first reason stays.
    fn lose(&self, why: String) -> LeaseError {
        let mut slot = self.why_lost.lock().unwrap_or_else(PoisonError::into_inner);
        let why = slot.get_or_insert(why).clone();
        drop(slot);
        self.lost.cancel();
        LeaseError::Lost(why)
    }

    fn check(&self) -> Result<(), LeaseError> {
        if let Some(why) = self.why_lost.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(LeaseError::Lost(why));
        }
        let age = self.age();
        if age > GRACE {
            return Err(self.lose(format!("the host has not answered for {} s", age.as_secs())));
        }
        Ok(())
    }
}

/// A lease that was taken.
pub(super) struct HeldLease {
    state: Arc<State>,
    /// Sending asks for the release; dropping it gives the lease back without waiting.
    release: oneshot::Sender<oneshot::Sender<Result<(), LeaseError>>>,
}

/// Takes a lease.
///
/// # Errors
/// Held by another run or by Kamal, a missing command, a host that cannot be fenced, a lost connection.
pub(super) async fn acquire(connection: &Arc<Connection>, request: &LeaseRequest) -> Result<HeldLease, LeaseError> {
    let state = Arc::new(State::new());
    let (taken, answer) = oneshot::channel();
    let (release, released) = oneshot::channel();
    // The task outlives a caller that goes away, so that a lease taken in vain is given back.
    tokio::spawn(hold(connection.clone(), request.clone(), state.clone(), taken, released));
    answer.await.unwrap_or_else(|_| Err(connection_lost("the lease's task ended")))?;
    Ok(HeldLease { state, release })
}

#[async_trait::async_trait]
impl Lease for HeldLease {
    fn check(&self) -> Result<(), LeaseError> {
        self.state.check()
    }

    async fn lost(&self) -> LeaseError {
        loop {
            if let Err(e) = self.state.check() {
                return e;
            }
            // Does not rely on the lease's task: that one may hang on a connection that does.
            let rest = GRACE.saturating_sub(self.state.age()) + Duration::from_millis(20);
            tokio::select! {
                () = self.state.lost.cancelled() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    async fn release(self: Box<Self>) -> Result<(), LeaseError> {
        self.state.check()?;
        let (confirm, confirmed) = oneshot::channel();
        let gone = || self.state.lose("the connection ended before the host confirmed the release".to_string());
        if self.release.send(confirm).is_err() {
            return Err(gone());
        }
        match tokio::time::timeout(ANSWER_DEADLINE, confirmed).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(self.state.lose("the host did not confirm the release within 10 s".to_string())),
        }
    }
}

fn connection_lost(why: &str) -> LeaseError {
    HostError::Disconnected(why.to_string()).into()
}

/// The lease's task: takes it, keeps it, gives it back.
async fn hold(
    connection: Arc<Connection>,
    request: LeaseRequest,
    state: Arc<State>,
    taken: oneshot::Sender<Result<(), LeaseError>>,
    released: oneshot::Receiver<oneshot::Sender<Result<(), LeaseError>>>,
) {
    let opened = match lease_place::find(&connection).await {
        Ok(place) => opening_line(&request, place.fenced).map(|line| (place, line)),
        Err(e) => Err(e),
    };
    let (Place { channel, owner, .. }, line) = match opened {
        Ok(opened) => opened,
        Err(e) => return drop(taken.send(Err(HostError::from(e).into()))),
    };
    let (read, write) = channel.split();
    let closed = connection.closed();
    let mut talk = Talk { read, write, said: Said::default(), sent: None, beats: 0 };
    // The host's patience begins after this moment.
    state.confirm(Moment::now());
    let opened = match talk.write.exec(true, line).await {
        Ok(()) => tokio::time::timeout(ANSWER_DEADLINE, talk.opening()).await.unwrap_or_else(|_| {
            Err(HostError::Timeout { what: "take the lease".into(), seconds: ANSWER_DEADLINE.as_secs() }.into())
        }),
        Err(_) => Err(HostError::from(owner.lost()).into()),
    };
    let ours = opened.is_ok();
    // A failed send means that nobody waits for the lease any more: `released` is then closed too.
    if taken.send(opened).is_ok() && ours {
        talk.keep(&state, released, closed).await;
    } else {
        talk.give_back().await;
    }
    // A dropped channel stays open on the host.
    let _ = talk.write.close().await;
}

/// The conversation with the script.
struct Talk {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    said: Said,
    /// The line that waits for its answer.
    sent: Option<(u64, Moment)>,
    beats: u64,
}

impl Talk {
    /// Until the script holds the lease or says why not.
    async fn opening(&mut self) -> Result<(), LeaseError> {
        loop {
            match self.next().await {
                Some(line) if line == "holding" => return Ok(()),
                Some(line) => {
                    if let Some(refused) = refusal(&line) {
                        return Err(refused);
                    }
                }
                None => return Err(self.said.failure()),
            }
        }
    }

    /// Beats until the owner lets go or the lease is lost.
    /// `closed` is about the connection that the lease is for, which need not be the one that it is on.
    async fn keep(
        &mut self,
        state: &State,
        mut released: oneshot::Receiver<oneshot::Sender<Result<(), LeaseError>>>,
        closed: CancellationToken,
    ) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                confirm = &mut released => {
                    let freed = self.give_back().await;
                    if let Ok(confirm) = confirm {
                        let result = if freed { Ok(()) } else { Err(connection_lost("the release was not confirmed")) };
                        // The owner may have stopped waiting.
                        let _ = confirm.send(result);
                    }
                    return;
                }
                line = self.next() => match line {
                    Some(line) => {
                        if self.confirm(state, &line) {
                            beat.reset_after(BEAT.saturating_sub(state.age()));
                        }
                    }
                    None => {
                        state.lose("the host ended it, or the connection did".to_string());
                        return;
                    }
                },
                () = closed.cancelled() => {
                    state.lose("the connection is gone".to_string());
                    return;
                }
                _ = beat.tick() => {
                    if state.check().is_err() || (self.sent.is_none() && !self.beat().await) {
                        state.lose("the connection is gone".to_string());
                        return;
                    }
                }
            }
        }
    }

    /// Sends one line; its moment is taken first.
    async fn beat(&mut self) -> bool {
        self.beats += 1;
        self.sent = Some((self.beats, Moment::now()));
        let line = format!("{}\n", self.beats);
        matches!(tokio::time::timeout(GRACE, self.write.data_bytes(line)).await, Ok(Ok(())))
    }

    /// Whether the line answers the one that was sent last.
    fn confirm(&mut self, state: &State, line: &str) -> bool {
        let number = line.strip_prefix("echo ").and_then(|n| n.parse::<u64>().ok());
        let answered = self.sent.take_if(|(beat, _)| Some(*beat) == number);
        if let Some((_, moment)) = answered {
            state.confirm(moment);
        }
        answered.is_some()
    }

    /// Says goodbye, ends the script's input and waits for its last word; true if it came.
    async fn give_back(&mut self) -> bool {
        let last_word = async {
            // An end without it is a connection that broke.
            if self.write.data_bytes("bye\n").await.is_err() || self.write.eof().await.is_err() {
                return false;
            }
            while let Some(line) = self.next().await {
                if line == "released" {
                    return true;
                }
            }
            false
        };
        tokio::time::timeout(ANSWER_DEADLINE, last_word).await.unwrap_or(false)
    }

    /// The next line of the protocol; none once the channel has ended. Safe to cancel.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.said.take_line() {
                return Some(line);
            }
            match self.read.wait().await? {
                ChannelMsg::Data { data } => self.said.out(&data),
                ChannelMsg::ExtendedData { data, .. } => self.said.err(&data),
                ChannelMsg::ExitStatus { exit_status } => self.said.status = Some(exit_status),
                ChannelMsg::Close | ChannelMsg::Failure => return None,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_from_when_its_line_was_sent() {
        let state = State::new();
        let long_ago = Moment(Instant::now() - Duration::from_secs(11), SystemTime::now());
        state.confirm(long_ago);
        assert!(matches!(state.check(), Err(LeaseError::Lost(_))));
        state.confirm(Moment::now());
        assert!(state.check().is_err(), "lost is for good");
    }

    #[test]
    fn a_suspended_machine_is_seen_by_the_wall_clock() {
        let state = State::new();
        state.confirm(Moment(Instant::now(), SystemTime::now() - Duration::from_secs(11)));
        assert!(state.check().is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_does_no_harm() {
        let state = State::new();
        state.confirm(Moment(Instant::now(), SystemTime::now() + Duration::from_secs(3600)));
        assert!(state.check().is_ok());
    }
}
