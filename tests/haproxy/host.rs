//! Files and sockets of this machine.

use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, OwnedMutexGuard};
use windlass::effect::{
    Clock, FileSet, Host, HostCommand, HostError, HostProbe, Lease, LeaseError, LeaseRequest, Process,
};
use windlass::fleet::Holder;

#[derive(Default)]
pub(crate) struct LocalHost {
    lease: Arc<Mutex<()>>,
    temporary: AtomicU64,
}

fn failed(what: &str, error: &std::io::Error) -> HostError {
    HostError::Failed { what: what.to_string(), message: error.to_string() }
}

#[async_trait]
impl Host for LocalHost {
    async fn probe(&self) -> Result<HostProbe, HostError> {
        Ok(HostProbe {
            home: "/".into(),
            uid: 0,
            unix_time: 0,
            missing_commands: BTreeSet::new(),
            listening: BTreeMap::new(),
            disk: None,
        })
    }

    async fn read_dirs(&self, dirs: &[String]) -> Result<Vec<FileSet>, HostError> {
        let read = |dir: &String| {
            let entries = std::fs::read_dir(dir).map(|e| e.flatten().collect::<Vec<_>>()).unwrap_or_default();
            let file = |e: std::fs::DirEntry| Some((e.file_name().into_string().ok()?, std::fs::read(e.path()).ok()?));
            entries.into_iter().filter_map(file).collect()
        };
        Ok(dirs.iter().map(read).collect())
    }

    async fn expand(&self, sources: &[String]) -> Result<Vec<Option<Vec<String>>>, HostError> {
        Err(HostError::Failed { what: sources.join(" "), message: "the proxy expands nothing".to_string() })
    }

    async fn make_dir(&self, path: &str) -> Result<(), HostError> {
        std::fs::create_dir_all(path).map_err(|e| failed(path, &e))
    }

    async fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<(), HostError> {
        let temporary = format!("{path}.{}.tmp", self.temporary.fetch_add(1, Ordering::Relaxed));
        std::fs::write(&temporary, content).map_err(|e| failed(path, &e))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&temporary, mode).map_err(|e| failed(path, &e))?;
        std::fs::rename(&temporary, path).map_err(|e| failed(path, &e))
    }

    async fn append(&self, path: &str, _content: &[u8]) -> Result<(), HostError> {
        Err(HostError::Failed { what: path.to_string(), message: "the proxy appends to nothing".to_string() })
    }

    async fn remove(&self, path: &str) -> Result<(), HostError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(path, &error)),
            _ => Ok(()),
        }
    }

    async fn ask_socket(&self, path: &str, request: &[u8]) -> Result<Vec<u8>, HostError> {
        let ask = async {
            let mut socket = tokio::net::UnixStream::connect(path).await?;
            socket.write_all(request).await?;
            socket.shutdown().await?;
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).await?;
            Ok(answer)
        };
        ask.await.map_err(|e| failed(path, &e))
    }

    async fn run(&self, _: &HostCommand) -> Result<Process, HostError> {
        Err(HostError::Failed { what: "run".to_string(), message: "the proxy runs no commands".to_string() })
    }

    async fn ask_port(&self, _: &str, _: u16, _: &[u8]) -> Result<Vec<u8>, HostError> {
        Err(HostError::Failed { what: "ask a port".into(), message: "not used".into() })
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Box<dyn Lease>, LeaseError> {
        match self.lease.clone().try_lock_owned() {
            Ok(guard) => Ok(Box::new(LocalLease { _guard: guard })),
            Err(_) => Err(LeaseError::Held(Some(request.holder.clone()))),
        }
    }

    async fn lease_holder(&self, _dir: &str) -> Result<Option<Option<Holder>>, HostError> {
        Ok(self.lease.try_lock().is_err().then_some(None))
    }
}

struct LocalLease {
    _guard: OwnedMutexGuard<()>,
}

#[async_trait]
impl Lease for LocalLease {
    fn check(&self) -> Result<(), LeaseError> {
        Ok(())
    }

    async fn lost(&self) -> LeaseError {
        std::future::pending().await
    }

    async fn release(self: Box<Self>) -> Result<(), LeaseError> {
        Ok(())
    }
}

pub(crate) struct LocalClock(pub(crate) Instant);

#[async_trait]
impl Clock for LocalClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
