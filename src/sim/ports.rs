//! What answers on a simulated host's published ports.

use super::container::Answer;
use super::machine::Machine;
use crate::fleet::ServerRole;
use std::time::Duration;

impl Machine {
    /// The HTTP status that a request to a published port gets; `None`: the connection is refused. The proxy routes by
    /// its slots; any other container answers for itself, on whatever port it listens.
    pub(super) fn answer_on_port(&self, port: u16, host: &str, now: Duration) -> Option<u16> {
        let holder = self.containers.values().find(|c| c.is_running() && c.host_ports.contains(&port))?;
        if self.proxy.container.as_ref() == Some(&holder.id) {
            return self.proxy.runtime.as_ref().map(|_| self.routed_answer(host, now));
        }
        match holder.answer(holder.behaviour.listens_on, now) {
            Answer::Status(status) => Some(status),
            Answer::Refused | Answer::NoOne => None,
        }
    }

    fn routed_answer(&self, host: &str, now: Duration) -> u16 {
        let leads_here = |hosts: &[String]| hosts.is_empty() || hosts.iter().any(|h| h == host);
        let mut files = self.proxy.files.iter().filter(|(_, file)| leads_here(&file.backend.route.hosts));
        let Some((name, _)) = files.next() else { return 404 };
        let slots = self.proxy.runtime.iter().filter_map(|runtime| runtime.get(name)).flatten();
        let ready = slots.filter(|slot| slot.role == ServerRole::Ready).find_map(|slot| slot.occupant.as_ref());
        match ready.map(|target| self.answer_at(&target.address, target.port, now)) {
            Some(Answer::Status(status)) => status,
            Some(Answer::Refused | Answer::NoOne) | None => 503,
        }
    }
}
