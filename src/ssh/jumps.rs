//! Connections to jump hosts: one each, however many hosts are behind it.

use super::connect::Connection;
use super::error::SshError;
use super::settings::Target;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::sync::{Arc, Mutex, PoisonError, Weak};

type Opening = Shared<BoxFuture<'static, Result<Arc<Connection>, SshError>>>;

/// Jump hosts by all that makes them: the same host with another login is another one.
#[derive(Default)]
pub(super) struct Jumps(Mutex<Vec<(Target, State)>>);

enum State {
    /// All who want it wait together, and learn of a failure together.
    Opening(Opening),
    /// It lives as long as the connections through it.
    Open(Weak<Connection>),
}

impl Jumps {
    /// The connection, made by `open` if there is none.
    pub(super) async fn get<F, Fut>(&self, hop: &Target, open: F) -> Result<Arc<Connection>, SshError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Arc<Connection>, SshError>> + Send + 'static,
    {
        let opening = match self.find(hop) {
            Some(Ok(connection)) => return Ok(connection),
            Some(Err(opening)) => opening,
            None => self.begin(hop, open().boxed().shared()),
        };
        let result = opening.clone().await;
        self.settle(hop, &opening, result.as_ref().ok());
        result
    }

    fn find(&self, hop: &Target) -> Option<Result<Arc<Connection>, Opening>> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &list.iter().find(|(target, _)| target == hop)?.1 {
            State::Opening(opening) => Some(Err(opening.clone())),
            State::Open(connection) => connection.upgrade().filter(|c| !c.is_closed()).map(Ok),
        }
    }

    /// Another task may have begun in the meantime: then its attempt counts.
    fn begin(&self, hop: &Target, opening: Opening) -> Opening {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, State::Opening(other))) = list.iter().find(|(target, _)| target == hop) {
            return other.clone();
        }
        list.retain(|(target, _)| target != hop);
        list.push((hop.clone(), State::Opening(opening.clone())));
        opening
    }

    /// The first who sees the end of an attempt writes it down.
    fn settle(&self, hop: &Target, opening: &Opening, connection: Option<&Arc<Connection>>) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = |(target, state): &(Target, State)| {
            target == hop && matches!(state, State::Opening(other) if other.ptr_eq(opening))
        };
        let Some(index) = list.iter().position(ours) else { return };
        list.remove(index);
        if let Some(connection) = connection {
            list.push((hop.clone(), State::Open(Arc::downgrade(connection))));
        }
    }
}
