//! What a test can ask of a fleet, without a call that would be counted.

use super::availability::{Availability, Gap, gaps};
use super::call::CallRecord;
use super::fleet::{SimFleet, host_name};
use crate::fleet::{BackendName, Container, Image};
use crate::name::ContainerId;
use std::collections::{BTreeMap, BTreeSet};

impl SimFleet {
    /// Every call that reached a host, in order.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.shared.lock().calls.clone()
    }

    /// The calls of one method, such as `engine.pull`.
    pub fn calls_of(&self, method: &str) -> Vec<CallRecord> {
        self.calls().into_iter().filter(|call| call.method == method).collect()
    }

    /// Pulls that were asked for.
    pub fn pulls(&self) -> usize {
        self.calls_of("engine.pull").len()
    }

    /// The calls that could have changed something on a host.
    pub fn mutations(&self) -> Vec<CallRecord> {
        self.calls().into_iter().filter(|call| call.mutates).collect()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.shared.lock().calls.clear();
    }

    /// The containers of a host, by name.
    pub fn containers(&self, host: &str) -> BTreeMap<String, Container> {
        self.machine(host, |machine, now| {
            machine.containers.values().map(|c| (c.made_from.name.clone(), c.inspected(now))).collect()
        })
    }

    /// A container of a host by its name.
    ///
    /// # Panics
    /// If there is none.
    pub fn container(&self, host: &str, name: &str) -> Container {
        let mut all = self.containers(host);
        all.remove(name).unwrap_or_else(|| panic!("{host} has no container {name}, only {:?}", all.keys()))
    }

    /// The environment that a container has inside, secrets included.
    pub fn environment(&self, host: &str, name: &str) -> BTreeMap<String, String> {
        let id = self.container(host, name).id;
        self.machine(host, |machine, _| {
            let env = machine.containers.get(&id).map(|container| container.made_from.env.clone()).unwrap_or_default();
            env.into_iter().map(|(name, value)| (name, value.expose().clone())).collect()
        })
    }

    /// The files of a container by absolute path, in order.
    pub fn files_of(&self, host: &str, name: &str) -> BTreeMap<String, Vec<u8>> {
        let id = self.container(host, name).id;
        self.machine(host, |machine, _| {
            machine.containers.get(&id).map(|container| container.files.clone()).unwrap_or_default()
        })
    }

    /// Whether a container runs and answers with 200 now.
    pub fn is_healthy(&self, host: &str, container: &ContainerId) -> bool {
        self.machine(host, |machine, now| machine.containers.get(container).is_some_and(|c| c.is_healthy(now)))
    }

    /// The images of a host.
    pub fn images(&self, host: &str) -> Vec<Image> {
        self.machine(host, |machine, _| machine.all_images())
    }

    /// The networks of a host.
    pub fn networks(&self, host: &str) -> BTreeSet<String> {
        self.machine(host, |machine, _| machine.networks.keys().cloned().collect())
    }

    /// A file's content.
    pub fn file(&self, host: &str, path: &str) -> Option<Vec<u8>> {
        self.machine(host, |machine, _| machine.files.get(path).map(|file| file.content.clone()))
    }

    /// All files of a host with their modes.
    pub fn files(&self, host: &str) -> BTreeMap<String, (Vec<u8>, u32)> {
        self.machine(host, |machine, _| {
            let all = machine.files.all().iter();
            all.map(|(path, file)| (path.clone(), (file.content.clone(), file.mode))).collect()
        })
    }

    /// The container that a host's requests for a backend go to at this moment.
    pub fn routed(&self, host: &str, backend: &BackendName) -> Option<ContainerId> {
        self.machine(host, |machine, now| machine.proxy_state(now).backends.get(backend)?.active().cloned())
    }

    /// How often a host's proxy was reloaded.
    pub fn reloads(&self, host: &str) -> u64 {
        self.machine(host, |machine, _| machine.proxy.reloads)
    }

    /// What requests to a backend got, from the beginning to now.
    pub fn availability(&self, host: &str, backend: &BackendName) -> Vec<Availability> {
        self.machine(host, |machine, _| machine.availability.get(backend).cloned().unwrap_or_default())
    }

    /// When requests to a backend failed after it had served for the first time.
    pub fn gaps(&self, host: &str, backend: &BackendName) -> Vec<Gap> {
        gaps(&self.availability(host, backend))
    }

    /// The same for every backend of every host; an empty answer is "never a moment without a healthy route".
    pub fn all_gaps(&self) -> Vec<(String, BackendName, Gap)> {
        let hosts: Vec<_> = self.shared.lock().machines.keys().cloned().collect();
        let of_host = |host: String| {
            let logs =
                self.shared.with(&host_name(&host), |machine, _| machine.availability.clone()).unwrap_or_default();
            let of_log = move |(backend, log): (BackendName, Vec<Availability>)| {
                let host = host.clone();
                gaps(&log).into_iter().map(move |gap| (host.clone(), backend.clone(), gap)).collect::<Vec<_>>()
            };
            logs.into_iter().flat_map(of_log).collect::<Vec<_>>()
        };
        hosts.into_iter().flat_map(|host| of_host(host.to_string())).collect()
    }
}
