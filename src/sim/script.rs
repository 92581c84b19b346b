//! What a test can make happen to a fleet.

use super::behaviour::ImageBehaviour;
use super::fleet::SimFleet;
use super::machine::Link;
use crate::effect::{ConnectError, ConnectErrorKind};
use crate::fleet::DiskSpace;
use crate::name::ContainerId;
use std::time::Duration;

/// How long a reboot takes.
const REBOOT: Duration = Duration::from_secs(20);
/// How long a restart of the engine takes.
const ENGINE_RESTART: Duration = Duration::from_secs(2);

impl SimFleet {
    /// The registry cannot be reached from now on.
    pub fn stop_registry(&self) {
        self.shared.lock().registry.stopped = true;
    }

    /// It can be again.
    pub fn start_registry(&self) {
        self.shared.lock().registry.stopped = false;
    }

    /// Takes a tag and its image out of the registry.
    pub fn delete_from_registry(&self, repository: &str, tag: &str) {
        self.shared.lock().registry.delete(repository, tag);
    }

    /// From now on packets between the coordinator and a host vanish; the host itself goes on.
    pub fn cut_off(&self, host: &str) {
        self.machine(host, |machine, now| machine.link = Link::Cut { since: now });
    }

    /// Connections to a host fail like this at once; those that exist end.
    pub fn refuse(&self, host: &str, kind: ConnectErrorKind, message: &str) {
        let error = ConnectError { kind, message: message.to_string(), hint: None };
        self.machine(host, |machine, _| {
            machine.break_connections();
            machine.link = Link::Refusing(error);
        });
    }

    /// A host can be reached again. A connection that was silent for less than 15 seconds goes on, but a lease that its
    /// coordinator had to give up is free.
    pub fn restore(&self, host: &str) {
        self.machine(host, |machine, _| {
            machine.link = Link::Up;
            for dir in machine.leases.free_lost() {
                machine.files.remove_dir(&dir);
            }
        });
    }

    /// Ends all connections to a host; it can be connected to again at once.
    pub fn reset_connections(&self, host: &str) {
        self.machine(host, |machine, _| machine.break_connections());
    }

    /// Another machine takes a host's place: the same name, the same way there, and nothing on it.
    pub fn replace(&self, host: &str) {
        self.machine(host, |machine, now| machine.replace(now));
    }

    /// The leases on a host are lost, as if it had been silent for too long; everything else goes on.
    pub fn lose_leases(&self, host: &str) {
        self.machine(host, |machine, _| machine.leases.lose_all());
    }

    /// Reboots a host: everything on it ends, and what the restart policies say is back 20 seconds later.
    pub fn reboot(&self, host: &str) {
        self.machine(host, |machine, now| {
            machine.break_connections();
            machine.stop_engine(None, now);
            machine.off_until = Some(now + REBOOT);
        });
    }

    /// Restarts a host's engine, and with it its containers: there is no live-restore. It takes 2 seconds.
    pub fn restart_engine(&self, host: &str) {
        self.machine(host, |machine, now| machine.stop_engine(Some(now + ENGINE_RESTART), now));
    }

    /// Stops a host's engine and its containers until [`SimFleet::start_engine`].
    pub fn stop_engine(&self, host: &str) {
        self.machine(host, |machine, now| machine.stop_engine(None, now));
    }

    /// Starts a stopped engine.
    pub fn start_engine(&self, host: &str) {
        self.machine(host, |machine, now| machine.boot_engine(now));
    }

    /// Something else than a container listens on a port from now on.
    pub fn listen(&self, host: &str, port: u16) {
        self.machine(host, |machine, _| machine.facts.listeners.insert(port));
    }

    /// A command that windlass needs is not there.
    pub fn without_command(&self, host: &str, command: &str) {
        self.machine(host, |machine, _| machine.facts.missing_commands.insert(command.to_string()));
    }

    /// A host's clock is so many seconds ahead (negative: behind).
    pub fn set_clock_ahead(&self, host: &str, seconds: i64) {
        self.machine(host, |machine, _| machine.facts.clock_ahead = seconds);
    }

    /// The room on a host's disk.
    pub fn set_disk(&self, host: &str, disk: DiskSpace) {
        self.machine(host, |machine, _| machine.facts.disk = Some(disk));
    }

    /// The login of the connections to a host; the home directory is made.
    pub fn set_login(&self, host: &str, home: &str, uid: u32) {
        self.machine(host, |machine, _| {
            (machine.facts.home, machine.facts.uid) = (home.to_string(), uid);
            machine.files.make_dir(home).unwrap_or_else(|e| panic!("{e}"));
        });
    }

    /// The next append to this file stops after so many bytes, and its answer is lost.
    pub fn tear_next_append(&self, host: &str, path: &str, after_bytes: usize) {
        self.machine(host, |machine, _| machine.torn.insert(path.to_string(), after_bytes));
    }

    /// The next call of this method (such as `engine.create`) happens, and its answer is lost. The connection goes on.
    pub fn lose_next_answer(&self, host: &str, method: &str) {
        self.machine(host, |machine, _| machine.lost_answers.insert(method.to_string()));
    }

    /// Puts a file onto a host, with its directory.
    pub fn put_file(&self, host: &str, path: &str, content: &[u8]) {
        self.machine(host, |machine, _| {
            let dir = path.rsplit_once('/').map_or("/", |(dir, _)| dir);
            let written = machine.files.make_dir(dir).and_then(|()| machine.files.write(path, content, 0o600));
            written.unwrap_or_else(|e| panic!("{e}"));
        });
    }

    /// Kamal takes its own deploy lock; `dir` is `.kamal/lock-<service>[-<destination>]`.
    pub fn kamal_lock(&self, host: &str, dir: &str, details: &str) {
        let home = self.machine(host, |machine, _| machine.facts.home.clone());
        self.put_file(host, &format!("{home}/{dir}/details"), details.as_bytes());
    }

    /// Kamal gives it back.
    pub fn kamal_unlock(&self, host: &str, dir: &str) {
        self.machine(host, |machine, _| machine.files.remove_dir(&format!("{}/{dir}", machine.facts.home.clone())));
    }

    /// A container behaves differently from its next start on.
    ///
    /// # Panics
    /// If the host has no such container.
    pub fn set_behaviour(&self, host: &str, container: &ContainerId, behaviour: ImageBehaviour) {
        let container = container.clone();
        self.machine(host, |machine, _| match machine.container_mut(&container) {
            Ok(container) => container.behaviour = behaviour,
            Err(error) => panic!("{error}"),
        });
    }

    /// A running container's process ends by itself.
    pub fn crash(&self, host: &str, container: &ContainerId, exit_code: i64) {
        self.machine(host, |machine, now| machine.end(container, exit_code, now));
    }

    /// So many requests are in flight to a container for so long, however it is routed meanwhile.
    pub fn hold_requests(&self, host: &str, container: &ContainerId, count: u64, duration: Duration) {
        self.machine(host, |machine, now| match machine.container_mut(container) {
            Ok(container) => container.requests.push((count, now + duration)),
            Err(error) => panic!("{error}"),
        });
    }
}
