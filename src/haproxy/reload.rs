//! A reload: the master starts a new worker with the files as they are, the old one finishes what it has.

use crate::effect::{ProxyError, Target};
use crate::fleet::{BackendName, ServerRole};
use crate::haproxy::HaProxy;
use crate::haproxy::header::{Active, Header};
use crate::haproxy::layout::EMPTY;
use crate::haproxy::set::ConfSet;
use crate::haproxy::slots::{both, occupy, primaries};
use crate::haproxy::stat::{Row, rows};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// What the worker that answers says of itself, and all servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    pid: Option<u32>,
    /// The digest of the routes that it was started with: the description in `10-frontend.cfg`.
    pub(super) digest: Option<String>,
    /// All servers of all backends.
    pub(super) rows: Vec<Row>,
}

impl Snapshot {
    fn parse(answer: &str) -> Self {
        let info = |key: &str| {
            let value = answer.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
            Some(value.trim().to_string())
        };
        Self { pid: info("Pid").and_then(|p| p.parse().ok()), digest: info("description"), rows: rows(answer) }
    }

    fn slots_of<'a>(&'a self, backend: &BackendName) -> impl Iterator<Item = &'a Row> {
        let name = backend.to_string();
        primaries(&self.rows).filter(move |r| r.backend == name)
    }

    /// The short ids that get a backend's requests.
    pub(super) fn ready(&self, backend: &BackendName) -> Vec<&Row> {
        self.slots_of(backend).filter(|r| r.role() == ServerRole::Ready && r.fqdn != EMPTY).collect()
    }

    /// Whether it knows a backend.
    pub(super) fn knows(&self, backend: &BackendName) -> bool {
        self.slots_of(backend).next().is_some()
    }
}

impl HaProxy {
    pub(super) async fn snapshot(&self) -> Result<Snapshot, ProxyError> {
        let commands = ["show info", "show servers state", "show stat -1 4 -1"].map(str::to_string);
        Ok(Snapshot::parse(&self.admin(&commands).await?))
    }

    /// Reloads and waits until the new worker answers, with the routes of this digest.
    pub(super) async fn reload(&self, digest: &str) -> Result<(), ProxyError> {
        let before = self.workers().await?;
        // HAProxy 2.6 drops the connection, 2.7 and later wait and answer `Success=…` with their words.
        if let Ok(answer) = self.master(&["reload".to_string()]).await
            && answer.contains("Success=0")
        {
            return Err(ProxyError::Failed(format!("the proxy could not reload: {}", answer.trim())));
        }
        let deadline = self.clock.elapsed() + DEADLINE;
        loop {
            let now = self.workers().await?;
            if now.failed > before.failed {
                return Err(ProxyError::Failed("the proxy could not reload and goes on as before".to_string()));
            }
            let snapshot = self.snapshot().await?;
            let fresh = now.current.is_some() && now.current != before.current;
            if fresh && snapshot.pid == now.current && snapshot.digest.as_deref() == Some(digest) {
                return Ok(());
            }
            if self.clock.elapsed() >= deadline {
                let seconds = DEADLINE.as_secs();
                return Err(ProxyError::Failed(format!(
                    "no new worker of the proxy answers {seconds} s after a reload"
                )));
            }
            self.clock.sleep(POLL).await;
        }
    }

    /// Makes the running proxy what the files say. Another service's switch may have written its file and told the old
    /// worker between the new one's reading and its first answer; and a name that Docker's DNS did not answer just then
    /// has the address that the old worker knew.
    pub(super) async fn reconcile(&self, set: &ConfSet, before: &Snapshot) -> Result<(), ProxyError> {
        let now = self.snapshot().await?;
        for (name, header) in &set.backends {
            let Some(active) = &header.active else { continue };
            let commands = repair(name, active, &now, before);
            if !commands.is_empty() {
                self.apply(name, commands).await?;
            }
        }
        Ok(())
    }
}

fn repair(name: &BackendName, active: &Active, now: &Snapshot, before: &Snapshot) -> Vec<String> {
    let id = active.container.short();
    let known = before.slots_of(name).find(|r| r.fqdn == id && r.address != UNRESOLVED);
    let address = known.map_or(active.address.clone(), |r| r.address.clone());
    let target = Target { container: active.container.clone(), address, port: active.port };
    match now.ready(name).as_slice() {
        [row] if row.fqdn == id && row.address != UNRESOLVED => Vec::new(),
        [row] if row.fqdn == id && known.is_none() => Vec::new(),
        [row] if row.fqdn == id => both(name, &row.name, &[format!("addr {} port {}", target.address, target.port)]),
        others => {
            let drain = others.iter().filter(|r| r.name != active.slot);
            let mut commands = occupy(name, &active.slot, &target, "ready");
            commands.extend(drain.flat_map(|r| both(name, &r.name, &["state drain".to_string()])));
            commands
        }
    }
}

/// The address of a server whose name was not resolved at the start.
const UNRESOLVED: &str = "255.255.255.255";

/// A digest of everything that a worker reads only when it starts: what serves is not part of it.
pub(super) fn digest<'a>(base: &[u8], headers: impl Iterator<Item = &'a Header>) -> Result<String, String> {
    // Where its files are is the same in all of them, and of no meaning here.
    const EDGE: &str = "edge";
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    hash.update(base);
    for header in headers {
        let inactive = Header::new(header.backend.clone(), None);
        hash.update(crate::haproxy::render::backend(EDGE, &inactive)?);
    }
    Ok(format!("windlass {}", hex::encode(&hash.finalize()[..16])))
}
