//! A container's output as a stream.

use crate::effect::{EngineError, LogLine, LogsRequest};
use crate::name::ContainerId;
use crate::sim::call::SimConnection;
use crate::sim::clock::SimClock;
use crate::sim::container::SimContainer;
use crate::sim::machine::Machine;
use futures::stream::{self, BoxStream, StreamExt};
use std::collections::VecDeque;
use std::time::Duration;

/// A reader of one container's output.
struct Reader {
    connection: SimConnection,
    id: ContainerId,
    request: LogsRequest,
    /// Lines of the log that were taken already.
    taken: usize,
    ready: VecDeque<LogLine>,
}

/// What a look at the log found.
enum Look {
    Lines,
    Ended,
    /// Nothing new until then at the earliest, or until somebody does something.
    Wait(Option<Duration>),
}

fn lines(container: &SimContainer, request: &LogsRequest, skip: usize) -> VecDeque<LogLine> {
    let wanted = |at: Duration| request.since.is_none_or(|since| SimClock::timestamp(at) >= since);
    let line = |(at, stream, text): &(Duration, crate::effect::LogStream, String)| LogLine {
        stream: *stream,
        at: request.timestamps.then(|| SimClock::timestamp(*at)),
        text: text.clone(),
    };
    container.log.iter().skip(skip).filter(|(at, ..)| wanted(*at)).map(line).collect()
}

impl Reader {
    fn look(&mut self) -> Look {
        let (id, request, taken) = (&self.id, &self.request, &mut self.taken);
        let ready = &mut self.ready;
        self.connection.look(|machine: &Machine, _| {
            let Some(container) = machine.containers.get(id) else { return Look::Ended };
            *ready = lines(container, request, *taken);
            *taken = container.log.len();
            match () {
                () if !ready.is_empty() => Look::Lines,
                () if !container.is_running() || machine.generation != self.connection.generation => Look::Ended,
                () => Look::Wait(machine.next_event()),
            }
        })
    }

    async fn next(mut self) -> Option<(Result<LogLine, EngineError>, Self)> {
        while self.ready.is_empty() {
            let shared = self.connection.shared.clone();
            let changed = shared.changed.notified();
            match self.look() {
                Look::Lines => {}
                Look::Ended => return None,
                Look::Wait(None) => changed.await,
                Look::Wait(Some(at)) => tokio::select! {
                    () = changed => {}
                    () = shared.clock.sleep_until(at) => {}
                },
            }
        }
        let line = self.ready.pop_front()?;
        Some((Ok(line), self))
    }
}

/// The stream of a container's lines from a moment on.
pub(super) fn stream(
    connection: SimConnection,
    container: &SimContainer,
    request: LogsRequest,
) -> BoxStream<'static, Result<LogLine, EngineError>> {
    let mut ready = lines(container, &request, 0);
    if let Some(tail) = request.tail.and_then(|tail| usize::try_from(tail).ok()) {
        drop(ready.drain(..ready.len().saturating_sub(tail)));
    }
    if !request.follow {
        return stream::iter(ready.into_iter().map(Ok)).boxed();
    }
    let reader = Reader { connection, id: container.id.clone(), request, taken: container.log.len(), ready };
    stream::unfold(reader, Reader::next).boxed()
}
