//! Changes of routes: rendered, checked by the image that runs, written, loaded by a new worker, read back; all under
//! the lease of `<home>/proxy`. What fails its check was never in force.

use crate::effect::{Backend, Lease, LeaseError, LeaseRequest, ProxyError};
use crate::fleet::{BackendName, ContainerBrief};
use crate::haproxy::edge::CertificateList;
use crate::haproxy::header::{Active, Header};
use crate::haproxy::layout::{BASE, FRONTEND, backend_file};
use crate::haproxy::observe::is_proxy;
use crate::haproxy::reload::{Snapshot, digest};
use crate::haproxy::runtime::failed;
use crate::haproxy::set::ConfSet;
use crate::haproxy::{HaProxy, edge, engine_failed, render};
use crate::name::ContainerId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long another run may hold the proxy's lease.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a switch of another service may be between its file and the running proxy.
const SETTLE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(100);
/// A file name holds 255 bytes.
const LONGEST_NAME: usize = 200;

pub(super) enum Change<'a> {
    Set(&'a Backend),
    Remove(&'a BackendName),
}

/// The difference between the files and what they should be.
struct Difference {
    /// The files as they should be, all of them.
    wanted: ConfSet,
    /// Names of those to be written, in this order.
    write: Vec<String>,
    /// Name of one to be removed.
    remove: Option<String>,
    digest: String,
    /// The list of certificates as it should be, and as it is in force.
    list: Option<CertificateList>,
    list_before: Option<CertificateList>,
    before: ConfSet,
    snapshot: Snapshot,
}

impl Difference {
    fn is_none(&self) -> bool {
        self.write.is_empty() && self.remove.is_none() && self.snapshot.digest.as_deref() == Some(self.digest.as_str())
    }
}

impl HaProxy {
    pub(super) async fn change_route(&self, backend: &Backend) -> Result<(), ProxyError> {
        let name = BackendName::new(&backend.service, &backend.role, backend.destination.as_ref());
        if backend.name != name || name.as_str().len() > LONGEST_NAME {
            return Err(ProxyError::Refused(format!(
                "`{}` is not the backend of service {}, role {} (expected `{name}`, at most {LONGEST_NAME} characters)",
                backend.name, backend.service, backend.role
            )));
        }
        self.change(&Change::Set(backend)).await
    }

    pub(super) async fn drop_route(&self, backend: &BackendName) -> Result<(), ProxyError> {
        self.change(&Change::Remove(backend)).await
    }

    async fn change(&self, change: &Change<'_>) -> Result<(), ProxyError> {
        if self.difference(change).await?.is_none() {
            return Ok(());
        }
        let lease = self.proxy_lease().await?;
        let result = self.change_under(change, lease.as_ref()).await;
        self.give_back(lease).await;
        result
    }

    pub(super) async fn give_back(&self, lease: Box<dyn Lease>) {
        if let Err(error) = lease.release().await {
            tracing::debug!(%error, "the proxy's lease was not given back; it ends with the connection");
        }
    }

    async fn change_under(&self, change: &Change<'_>, lease: &dyn Lease) -> Result<(), ProxyError> {
        let difference = self.settled(change).await?;
        if difference.is_none() {
            return Ok(());
        }
        self.try_difference(&difference).await?;
        lease.check().map_err(|e| ProxyError::Failed(e.to_string()))?;
        if let Err(error) = self.put_in_force(&difference).await {
            let undone = self.put_back(&difference).await;
            return Err(match undone {
                Ok(()) => error,
                Err(undo) => ProxyError::Failed(format!("{error}; the files before it could not be restored: {undo}")),
            });
        }
        self.reconcile(&self.conf_set().await?, &difference.snapshot).await?;
        match &difference.list_before {
            Some(before) if difference.list.as_ref() != Some(before) => self.remove_list(before).await,
            _ => Ok(()),
        }
    }

    /// The lease of `<home>/proxy`.
    pub(super) async fn proxy_lease(&self) -> Result<Box<dyn Lease>, ProxyError> {
        let request = LeaseRequest { dir: self.paths.root.clone(), holder: self.holder.clone(), kamal_lock: None };
        let deadline = self.clock.elapsed() + PATIENCE;
        loop {
            match self.host.lease(&request).await {
                Ok(lease) => return Ok(lease),
                Err(LeaseError::Held(_)) if self.clock.elapsed() < deadline => {
                    self.clock.sleep(Duration::from_millis(rand::random_range(100..600))).await;
                }
                Err(LeaseError::Held(_)) => return Err(ProxyError::Busy(PATIENCE)),
                Err(other) => return Err(ProxyError::Failed(other.to_string())),
            }
        }
    }

    /// The difference, once the files and the running proxy agree on what serves. A reload makes the files true: one
    /// that another service's run left ahead of the proxy would be switched to.
    async fn settled(&self, change: &Change<'_>) -> Result<Difference, ProxyError> {
        let deadline = self.clock.elapsed() + SETTLE;
        loop {
            let difference = self.difference(change).await?;
            match disagreement(&difference.wanted.backends, &difference.snapshot) {
                None => return Ok(difference),
                Some(_) if self.clock.elapsed() < deadline => self.clock.sleep(POLL).await,
                Some(reason) => return Err(ProxyError::Refused(reason)),
            }
        }
    }

    async fn difference(&self, change: &Change<'_>) -> Result<Difference, ProxyError> {
        let (set, snapshot) = tokio::try_join!(self.conf_set(), self.snapshot())?;
        let own = match change {
            Change::Set(backend) => &backend.name,
            Change::Remove(name) => name,
        };
        let own_file = backend_file(own);
        let mut wanted = set.clone();
        wanted.broken.remove(&own_file);
        if let Some(complaint) = wanted.complaint(&self.paths.conf()) {
            return Err(ProxyError::Refused(format!(
                "{complaint}. Nothing was changed and everything goes on; repair the file, or remove it and deploy its \
                 service again"
            )));
        }
        let existing = wanted.backends.remove(own);
        wanted.files.remove(&own_file);
        if let Change::Set(backend) = change {
            if let Some(other) = existing.as_ref().map(|h| &h.backend).filter(|b| !same_owner(b, backend)) {
                return Err(ProxyError::Refused(format!(
                    "the name {own} is taken by service {} with role {}: rename one of the two",
                    other.service, other.role
                )));
            }
            let active = self.active(own, existing.and_then(|h| h.active), &snapshot).await?;
            wanted.backends.insert(own.clone(), Header::new((*backend).clone(), active));
        }
        self.rendered(own, set, wanted, snapshot).map_err(ProxyError::Refused)
    }

    fn rendered(
        &self,
        own: &BackendName,
        before: ConfSet,
        mut wanted: ConfSet,
        snapshot: Snapshot,
    ) -> Result<Difference, String> {
        let base = render::base(&self.inside)?;
        let digest = digest(&base, wanted.backends.values())?;
        let backends: Vec<&Backend> = wanted.backends.values().map(|h| &h.backend).collect();
        let list = edge::list(&self.edge_inside(), &backends)?;
        let frontend = render::frontend(&self.inside, &digest, &backends, list.as_ref())?;
        let known: Vec<&Backend> = before.backends.values().map(|h| &h.backend).collect();
        let list_before = edge::list(&self.edge_inside(), &known).ok().flatten();
        if let Some(header) = wanted.backends.get(own) {
            wanted.files.insert(backend_file(own), render::backend(&self.edge_inside(), header)?);
        }
        wanted.files.insert(BASE.to_string(), base);
        wanted.files.insert(FRONTEND.to_string(), frontend);
        // The frontend last: it may name a backend only once that is there.
        let order = [BASE.to_string(), backend_file(own), FRONTEND.to_string()];
        let differs =
            |file: &String| wanted.files.contains_key(file) && wanted.files.get(file) != before.files.get(file);
        let write = order.into_iter().filter(differs).collect();
        let gone = before.files.contains_key(&backend_file(own)) && !wanted.backends.contains_key(own);
        let remove = gone.then(|| backend_file(own));
        Ok(Difference { wanted, write, remove, digest, list, list_before, before, snapshot })
    }

    /// What a backend's file has to say serves: what the running proxy routes to, whatever the file said so far.
    async fn active(
        &self,
        backend: &BackendName,
        recorded: Option<Active>,
        snapshot: &Snapshot,
    ) -> Result<Option<Active>, ProxyError> {
        let ready = snapshot.ready(backend);
        if !snapshot.knows(backend) || recorded.as_ref().is_some_and(|a| ready.iter().any(|r| is(a, &r.fqdn, &r.name)))
        {
            return Ok(recorded);
        }
        let Some(row) = ready.first() else { return Ok(None) };
        let list = self.engine.list().await.map_err(engine_failed)?;
        let container = full_id(&list, &row.fqdn).ok_or_else(|| {
            ProxyError::Failed(format!("{backend} routes to {}, which is no container of this host", row.fqdn))
        })?;
        Ok(Some(Active { container, slot: row.name.clone(), address: row.address.clone(), port: row.port }))
    }

    /// `haproxy -c` on the files that would be in force: those that change wait in `conf.next/`.
    async fn try_difference(&self, difference: &Difference) -> Result<(), ProxyError> {
        if let Some(list) = &difference.list {
            self.put_list(list).await?;
        }
        self.host.make_dir(&self.paths.next()).await.map_err(failed)?;
        for (file, content) in pick(&difference.wanted, &difference.write) {
            self.host.write(&format!("{}/{file}", self.paths.next()), content, 0o600).await.map_err(failed)?;
        }
        let files = self.candidates(&difference.wanted, &difference.write);
        let list = self.engine.list().await.map_err(engine_failed)?;
        let proxy =
            list.iter().find(|b| is_proxy(b)).ok_or_else(|| ProxyError::NotRunning("it has no container".into()))?;
        let image = proxy.image_id.as_ref().map_or(proxy.image.as_str(), |id| id.as_str());
        let uid = proxy.labels.get(super::boot::UID_LABEL).map_or("0", String::as_str);
        let verdict = self.try_files(image, uid, &files).await;
        for file in &difference.write {
            self.host.remove(&format!("{}/{file}", self.paths.next())).await.map_err(failed)?;
        }
        verdict
    }

    /// The files of a configuration as a container sees them; those of `waiting` are in `conf.next/`.
    pub(super) fn candidates(&self, set: &ConfSet, waiting: &[String]) -> Vec<String> {
        let path = |file: &String| {
            let dir = if waiting.contains(file) { "conf.next" } else { "conf" };
            format!("{}/{dir}/{file}", self.inside.dir)
        };
        set.files.keys().filter(|f| f.ends_with(".cfg") && !f.contains('/')).map(path).collect()
    }

    async fn put_in_force(&self, difference: &Difference) -> Result<(), ProxyError> {
        for (file, content) in pick(&difference.wanted, &difference.write) {
            self.host.write(&self.conf_path(file), content, 0o600).await.map_err(failed)?;
        }
        if let Some(file) = &difference.remove {
            self.host.remove(&self.conf_path(file)).await.map_err(failed)?;
        }
        self.reload(&difference.digest).await
    }

    /// The files as they were: what was written over or removed comes back, in the opposite order.
    async fn put_back(&self, difference: &Difference) -> Result<(), ProxyError> {
        for file in difference.remove.iter().chain(difference.write.iter().rev()) {
            let path = self.conf_path(file);
            let undone = match difference.before.files.get(file) {
                Some(content) => self.host.write(&path, content, 0o600).await,
                None => self.host.remove(&path).await,
            };
            undone.map_err(failed)?;
        }
        Ok(())
    }
}

fn pick<'a>(set: &'a ConfSet, names: &'a [String]) -> impl Iterator<Item = (&'a String, &'a [u8])> {
    names.iter().filter_map(|name| Some((name, set.files.get(name)?.as_slice())))
}

fn is(active: &Active, fqdn: &str, slot: &str) -> bool {
    active.container.short() == fqdn && active.slot == slot
}

fn same_owner(one: &Backend, other: &Backend) -> bool {
    (&one.service, &one.role, &one.destination) == (&other.service, &other.role, &other.destination)
}

fn full_id(list: &[ContainerBrief], short: &str) -> Option<ContainerId> {
    list.iter().find(|b| b.id.short() == short).map(|b| b.id.clone())
}

/// A backend whose file and running proxy disagree on what serves.
pub(super) fn disagreement(backends: &BTreeMap<BackendName, Header>, snapshot: &Snapshot) -> Option<String> {
    backends.iter().filter(|(name, _)| snapshot.knows(name)).find_map(|(name, header)| {
        let ready = snapshot.ready(name);
        let routed: Vec<&str> = ready.iter().map(|r| r.fqdn.as_str()).collect();
        let filed: Vec<&str> = header.active.iter().map(|a| a.container.short()).collect();
        (routed != filed).then(|| {
            let text = |ids: &[&str]| if ids.is_empty() { "nothing".to_string() } else { ids.join(" and ") };
            format!(
                "{name} routes to {} while its file says {}: an interrupted run of service {}. A reload would switch it; \
                 deploy that service first",
                text(&routed),
                text(&filed),
                header.backend.service
            )
        })
    })
}
