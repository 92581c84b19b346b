//! The right to change a service: one lease a host, all or none.

use crate::effect::{Clock, HostError, Lease, LeaseError, LeaseRequest, Node};
use crate::event::{Event, Sink};
use crate::fleet::Holder;
use crate::name::HostName;
use futures::future::join_all;
use rand::Rng;
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;

/// What to lease on which hosts.
#[derive(Debug, Clone)]
pub struct LeasePlan {
    /// The service's state directory on each host.
    pub dirs: BTreeMap<HostName, String>,
    /// Who asks.
    pub holder: Holder,
    /// Kamal's lock directory, relative to the login's home.
    pub kamal_lock: String,
    /// How long to wait for others; `None` = not at all.
    pub wait: Option<Duration>,
}

/// The leases of a run. Dropping it gives them back without waiting.
#[derive(Default)]
pub struct Leases {
    held: BTreeMap<HostName, Box<dyn Lease>>,
}

/// A lease that could not be had. None is held then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{host}: {error}")]
pub struct LeaseFailure {
    /// Where.
    pub host: HostName,
    /// Why.
    pub error: LeaseError,
}

impl Leases {
    /// Takes the leases of all hosts, or none: the first in name order alone, so that of two runs one wins early, then
    /// the rest side by side. Lost against somebody else: everything is given back, and after a jittered moment tried
    /// again, as long as `plan.wait` says.
    ///
    /// # Errors
    /// The first failure in name order.
    pub async fn acquire(
        nodes: &BTreeMap<HostName, Node>,
        plan: &LeasePlan,
        clock: &dyn Clock,
        sink: &dyn Sink,
    ) -> Result<Self, LeaseFailure> {
        let deadline = clock.elapsed() + plan.wait.unwrap_or_default();
        loop {
            let failure = match Self::try_all(nodes, plan, sink).await {
                Ok(leases) => return Ok(leases),
                Err(failure) => failure,
            };
            let by_somebody = matches!(failure.error, LeaseError::Held(_) | LeaseError::HeldByKamal(_));
            if !by_somebody || clock.elapsed() >= deadline {
                return Err(failure);
            }
            let holder = match &failure.error {
                LeaseError::Held(holder) => holder.clone(),
                _ => None,
            };
            sink.emit(Event::WaitingForLease { host: failure.host.clone(), holder });
            let jitter = rand::rng().random_range(500..1500);
            clock.sleep(Duration::from_millis(jitter)).await;
        }
    }

    /// Takes the lease of each host for itself: what could be had, and what could not.
    pub async fn acquire_each(
        nodes: &BTreeMap<HostName, Node>,
        plan: &LeasePlan,
        sink: &dyn Sink,
    ) -> (Self, Vec<LeaseFailure>) {
        let results = join_all(nodes.values().map(|node| take(node, plan))).await;
        let mut leases = Self::default();
        let failures = results.into_iter().filter_map(|r| leases.keep(r, sink).err()).collect();
        (leases, failures)
    }

    async fn try_all(
        nodes: &BTreeMap<HostName, Node>,
        plan: &LeasePlan,
        sink: &dyn Sink,
    ) -> Result<Self, LeaseFailure> {
        let mut leases = Self::default();
        let Some((_, first)) = nodes.first_key_value() else { return Ok(leases) };
        leases.keep(take(first, plan).await, sink)?;
        let rest = join_all(nodes.values().skip(1).map(|node| take(node, plan))).await;
        let failures: Vec<_> = rest.into_iter().filter_map(|r| leases.keep(r, sink).err()).collect();
        match failures.into_iter().next() {
            None => Ok(leases),
            Some(failure) => {
                leases.release().await;
                Err(failure)
            }
        }
    }

    fn keep(
        &mut self,
        result: Result<(HostName, Box<dyn Lease>), LeaseFailure>,
        sink: &dyn Sink,
    ) -> Result<(), LeaseFailure> {
        let (host, lease) = result?;
        sink.emit(Event::Leased { host: host.clone() });
        self.held.insert(host, lease);
        Ok(())
    }

    /// Whether the right to change a host still holds at this moment.
    ///
    /// # Errors
    /// [`LeaseError::Lost`], also for a host that never was leased.
    pub fn check(&self, host: &HostName) -> Result<(), LeaseError> {
        self.get(host)?.check()
    }

    /// Resolves when the lease of a host is lost.
    pub async fn lost(&self, host: &HostName) -> LeaseError {
        match self.get(host) {
            Ok(lease) => lease.lost().await,
            Err(error) => error,
        }
    }

    fn get(&self, host: &HostName) -> Result<&dyn Lease, LeaseError> {
        let lease =
            self.held.get(host).ok_or_else(|| LeaseError::Lost("there is no lease on this host".to_string()))?;
        Ok(&**lease)
    }

    /// The hosts that are leased.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.held.keys()
    }

    /// Gives all leases back and waits for the hosts to confirm; returns those that did not.
    pub async fn release(self) -> Vec<LeaseFailure> {
        let releases = self
            .held
            .into_iter()
            .map(|(host, lease)| async move { lease.release().await.err().map(|error| LeaseFailure { host, error }) });
        join_all(releases).await.into_iter().flatten().collect()
    }
}

async fn take(node: &Node, plan: &LeasePlan) -> Result<(HostName, Box<dyn Lease>), LeaseFailure> {
    let failure = |error| LeaseFailure { host: node.name.clone(), error };
    let dir = plan.dirs.get(&node.name).ok_or_else(|| {
        let what = "lease".to_string();
        failure(LeaseError::Host(HostError::Failed { what, message: "its state directory is not known".to_string() }))
    })?;
    let request =
        LeaseRequest { dir: dir.clone(), holder: plan.holder.clone(), kamal_lock: Some(plan.kamal_lock.clone()) };
    let lease = node.host.lease(&request).await.map_err(failure)?;
    Ok((node.name.clone(), lease))
}
