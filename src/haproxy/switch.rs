//! The switch: file first, then the running proxy in one line, then both are read back.

use crate::effect::{ProxyError, Target};
use crate::fleet::{BackendName, ServerRole};
use crate::haproxy::HaProxy;
use crate::haproxy::header::{Active, Header};
use crate::haproxy::layout::backend_file;
use crate::haproxy::render;
use crate::haproxy::runtime::failed;
use crate::haproxy::set::ConfSet;
use crate::haproxy::slots::{both, primaries, slot_of, valid};
use crate::haproxy::stat::Row;
use crate::name::ContainerId;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(50);

fn ready(rows: &[Row]) -> Vec<&Row> {
    primaries(rows).filter(|r| r.role() == ServerRole::Ready).collect()
}

/// Commands that send new requests to a slot and none to the others.
fn route_to(backend: &BackendName, rows: &[Row], slot: &str) -> Vec<String> {
    let mut commands = both(backend, slot, &["state ready".to_string()]);
    for other in ready(rows).into_iter().filter(|r| r.name != slot) {
        commands.extend(both(backend, &other.name, &["state drain".to_string()]));
    }
    commands
}

fn serves(rows: &[Row], container: &ContainerId) -> bool {
    matches!(ready(rows).as_slice(), [one] if one.fqdn == container.short())
}

/// What the running proxy routes to must be what the caller believes, or already what it wants. The running proxy
/// decides and not the file: a file that differs was left by a run which died between the two.
fn expect(backend: &BackendName, rows: &[Row], from: Option<&ContainerId>, to: &ContainerId) -> Result<(), ProxyError> {
    let found: Vec<&str> = ready(rows).iter().map(|r| r.fqdn.as_str()).collect();
    let from = from.map(ContainerId::short);
    let known = found.iter().all(|id| Some(*id) == from || *id == to.short());
    let nothing_lost = from.is_none() || !found.is_empty();
    if known && nothing_lost {
        return Ok(());
    }
    Err(ProxyError::Moved {
        backend: backend.clone(),
        expected: from.unwrap_or("nothing").to_string(),
        found: if found.is_empty() { "nothing".to_string() } else { found.join(" and ") },
    })
}

impl HaProxy {
    /// The configuration directory.
    pub(super) async fn conf_set(&self) -> Result<ConfSet, ProxyError> {
        let mut dirs = self.host.read_dirs(&[self.paths.conf()]).await.map_err(failed)?;
        Ok(ConfSet::parse(dirs.pop().unwrap_or_default()))
    }

    pub(super) fn header(&self, set: &ConfSet, backend: &BackendName) -> Result<Header, ProxyError> {
        let file = backend_file(backend);
        if let Some(reason) = set.broken.get(&file) {
            return Err(ProxyError::Failed(format!("{}/{file}: {reason}", self.paths.conf())));
        }
        let missing =
            || ProxyError::Failed(format!("{}/{file} does not exist: the route is not set", self.paths.conf()));
        set.backends.get(backend).cloned().ok_or_else(missing)
    }

    pub(super) async fn switch_to(
        &self,
        backend: &BackendName,
        from: Option<&ContainerId>,
        to: &Target,
    ) -> Result<(), ProxyError> {
        valid(to)?;
        let (set, rows) = tokio::try_join!(self.conf_set(), self.servers(backend))?;
        let before = self.header(&set, backend)?;
        expect(backend, &rows, from, &to.container)?;
        let rows = self.loaded(backend, &before, rows, to).await?;
        let slot = match slot_of(&rows, &to.container) {
            Some(row) => row.name.clone(),
            None => return Err(ProxyError::Failed(format!("{} is in no slot of {backend}", to.container.short()))),
        };
        let active =
            Active { container: to.container.clone(), slot: slot.clone(), address: to.address.clone(), port: to.port };
        let after = Header::new(before.backend.clone(), Some(active));
        self.write_header(&after).await?;
        let (routed, back) = tokio::join!(self.route(backend, &rows, &slot, to), self.conf_set());
        if let Err(error) = routed {
            // What is not routed must not be in the file either: the next reload would do it.
            let undone = self.write_header(&before).await;
            return Err(undone.err().unwrap_or(error));
        }
        if self.header(&back?, backend)? != after {
            let file = backend_file(backend);
            return Err(ProxyError::Failed(format!("{}/{file} changed while it was written", self.paths.conf())));
        }
        Ok(())
    }

    pub(super) async fn write_header(&self, header: &Header) -> Result<(), ProxyError> {
        let content = render::backend(&self.edge_inside(), header).map_err(ProxyError::Failed)?;
        let path = format!("{}/{}", self.paths.conf(), backend_file(&header.backend.name));
        self.host.write(&path, &content, 0o600).await.map_err(failed)
    }

    async fn route(&self, backend: &BackendName, rows: &[Row], slot: &str, to: &Target) -> Result<(), ProxyError> {
        let rows = self.apply(backend, route_to(backend, rows, slot)).await?;
        if serves(&rows, &to.container) {
            return Ok(());
        }
        let found: Vec<_> = ready(&rows).iter().map(|r| r.fqdn.clone()).collect();
        let id = to.container.short();
        Err(ProxyError::Failed(format!(
            "the proxy did not switch {backend} to {id}; it routes to {}",
            found.join(", ")
        )))
    }

    /// The backend's servers with the container among them. A reload by another service's run may have emptied its slot
    /// after the caller's gate: it is loaded again and has to pass the gate again.
    async fn loaded(
        &self,
        backend: &BackendName,
        header: &Header,
        rows: Vec<Row>,
        to: &Target,
    ) -> Result<Vec<Row>, ProxyError> {
        if slot_of(&rows, &to.container).is_some() {
            return Ok(rows);
        }
        let check = &header.backend.route.check;
        let patience = Duration::from_secs(u64::from(check.interval) + u64::from(check.timeout) + 2);
        let deadline = self.clock.elapsed() + patience;
        loop {
            let probe = self.probe(backend, to).await?;
            if probe.healthy {
                return self.servers(backend).await;
            }
            if self.clock.elapsed() >= deadline {
                let id = to.container.short();
                let answer = if probe.answer.is_empty() { "no answer" } else { &probe.answer };
                return Err(ProxyError::Failed(format!(
                    "{id} was not loaded in {backend}, and is not healthy: {answer}"
                )));
            }
            self.clock.sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::stat::rows;

    fn rows_of(states: &[(&str, &str, u32)]) -> Vec<Row> {
        let header = "# be_name srv_name srv_addr srv_admin_state srv_fqdn srv_port\n".to_string();
        let row = |(slot, id, admin): &(&str, &str, u32)| format!("b {slot} 10.0.0.1 {admin} {id} 80\n");
        rows(&states.iter().fold(header, |text, state| text + &row(state)))
    }

    fn id(digit: char) -> ContainerId {
        String::from(digit).repeat(64).parse().unwrap()
    }

    #[test]
    fn something_else_that_serves_is_moved() {
        let name: BackendName = serde_json::from_str("\"b\"").unwrap();
        let (a, b, c) = (id('a'), id('b'), id('c'));
        let serving = rows_of(&[("s1", a.short(), 0), ("s2", b.short(), 8), ("s3", "windlass-proxy", 5)]);
        assert!(expect(&name, &serving, Some(&a), &b).is_ok());
        assert!(expect(&name, &serving, Some(&c), &a).is_ok(), "it already serves");
        assert!(expect(&name, &serving, None, &b).is_err());
        let moved = expect(&name, &serving, Some(&c), &b).unwrap_err();
        assert_eq!(moved.to_string(), "backend b routes to aaaaaaaaaaaa, not to cccccccccccc");
        let nothing = rows_of(&[("s1", a.short(), 8)]);
        assert!(expect(&name, &nothing, None, &a).is_ok());
        assert!(expect(&name, &nothing, Some(&a), &b).is_err());
    }
}
