//! Leases: one holder a directory, lost with the connection.

use super::call::SimConnection;
use super::machine::{LEASE_LOST_AFTER, Link, Machine};
use crate::effect::{HostError, Lease, LeaseError, LeaseRequest};
use crate::fleet::Holder;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The file that says that a lock directory of Kamal's was made by windlass.
const OUR_MARK: &str = "windlass";

/// A lease as the host knows it.
#[derive(Debug, Clone)]
struct Held {
    id: u64,
    holder: Holder,
    /// Kamal's lock directory that is held along with it, absolute.
    kamal_dir: Option<String>,
}

/// The leases of a machine.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: BTreeMap<String, Held>,
    /// Those that their coordinator has to take as lost, whatever the host says.
    lost: BTreeSet<u64>,
    taken: u64,
}

impl Leases {
    pub(super) fn holder(&self, dir: &str) -> Option<&Holder> {
        self.held.get(dir).map(|held| &held.holder)
    }

    /// Coordinators have heard nothing for too long.
    pub(super) fn lose_all(&mut self) {
        self.lost.extend(self.held.values().map(|held| held.id));
    }

    /// The host ends those that their coordinator gave up; the answer is the directories to remove.
    pub(super) fn free_lost(&mut self) -> Vec<String> {
        let lost = std::mem::take(&mut self.lost);
        let (gone, kept) = std::mem::take(&mut self.held).into_iter().partition(|(_, held)| lost.contains(&held.id));
        self.held = kept;
        directories(gone)
    }

    /// The host ends all of them.
    pub(super) fn free_all(&mut self) -> Vec<String> {
        self.lost.clear();
        directories(std::mem::take(&mut self.held))
    }

    fn is_held(&self, dir: &str, id: u64) -> bool {
        !self.lost.contains(&id) && self.held.get(dir).is_some_and(|held| held.id == id)
    }
}

fn directories(held: BTreeMap<String, Held>) -> Vec<String> {
    held.into_values().filter_map(|held| held.kamal_dir).collect()
}

impl Machine {
    /// Takes a lease, with its file and Kamal's directory.
    pub(super) fn take_lease(&mut self, request: &LeaseRequest) -> Result<u64, LeaseError> {
        if let Some(command) = self.facts.missing_commands.iter().next() {
            return Err(LeaseError::MissingCommand(command.clone()));
        }
        if let Some(holder) = self.leases.holder(&request.dir) {
            return Err(LeaseError::Held(Some(holder.clone())));
        }
        let kamal_dir = request.kamal_lock.as_ref().map(|dir| format!("{}/{dir}", self.facts.home));
        if let Some(dir) = kamal_dir.as_ref().filter(|dir| self.is_kamals(dir)) {
            let details = self.files.get(&format!("{dir}/details"));
            let details = details.map(|file| String::from_utf8_lossy(&file.content).into_owned());
            return Err(LeaseError::HeldByKamal(details.unwrap_or_default()));
        }
        let failed = |message| HostError::Failed { what: format!("lease {}", request.dir), message };
        let text = serde_json::to_vec(&request.holder).map_err(|e| failed(e.to_string()))?;
        self.files.make_dir(&request.dir).map_err(failed)?;
        self.files.write(&format!("{}/lease", request.dir), &text, 0o600).map_err(failed)?;
        if let Some(dir) = &kamal_dir {
            self.files.make_dir(dir).map_err(failed)?;
            self.files
                .write(&format!("{dir}/{OUR_MARK}"), request.holder.run.as_str().as_bytes(), 0o600)
                .map_err(failed)?;
        }
        self.leases.taken += 1;
        let id = self.leases.taken;
        self.leases.held.insert(request.dir.clone(), Held { id, holder: request.holder.clone(), kamal_dir });
        Ok(id)
    }

    /// Whether a lock directory exists that no run of windlass made: one with our mark is stale, for whoever made it
    /// had the lease that is free now.
    fn is_kamals(&self, dir: &str) -> bool {
        self.files.has_dir(dir) && self.files.get(&format!("{dir}/{OUR_MARK}")).is_none()
    }

    fn free_lease(&mut self, dir: &str, id: u64) {
        if let Some(held) = self.leases.held.get(dir).filter(|held| held.id == id).cloned() {
            self.leases.held.remove(dir);
            held.kamal_dir.iter().for_each(|dir| self.files.remove_dir(dir));
        }
    }
}

/// A lease that a run holds.
pub(super) struct SimLease {
    pub(super) connection: SimConnection,
    pub(super) dir: String,
    pub(super) id: u64,
}

impl SimLease {
    fn lost_because(&self) -> LeaseError {
        LeaseError::Lost(format!("{} has not answered", self.connection.host))
    }

    /// The moment at which it will be lost unless the host answers again.
    fn deadline(&self) -> Option<Duration> {
        self.connection.look(|machine, _| match machine.link {
            Link::Cut { since } => Some(since + LEASE_LOST_AFTER),
            _ => None,
        })
    }
}

#[async_trait::async_trait]
impl Lease for SimLease {
    fn check(&self) -> Result<(), LeaseError> {
        let connection = &self.connection;
        let held =
            connection.look(|m, _| m.generation == connection.generation && m.leases.is_held(&self.dir, self.id));
        if held { Ok(()) } else { Err(self.lost_because()) }
    }

    async fn lost(&self) -> LeaseError {
        loop {
            let changed = self.connection.shared.changed.notified();
            if let Err(error) = self.check() {
                return error;
            }
            match self.deadline() {
                None => changed.await,
                Some(at) => tokio::select! {
                    () = changed => {}
                    () = self.connection.shared.clock.sleep_until(at) => {}
                },
            }
        }
    }

    async fn release(self: Box<Self>) -> Result<(), LeaseError> {
        self.check()?;
        let (dir, id) = (self.dir.clone(), self.id);
        let free = move |machine: &mut Machine| {
            machine.free_lease(&dir, id);
            Ok(())
        };
        self.connection.call(super::host::RELEASE, self.dir.clone(), |at| free(at.machine)).await
    }
}

impl Drop for SimLease {
    /// Gives it back at once, unless nothing reaches the host: then the host notices the silence by itself.
    fn drop(&mut self) {
        let (dir, id) = (&self.dir, self.id);
        self.connection.shared.with(&self.connection.host, |machine, _| match machine.link {
            Link::Cut { .. } => machine.leases.lost.extend([id]),
            _ => machine.free_lease(dir, id),
        });
    }
}
