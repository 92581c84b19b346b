//! Hooks: executables of the project that run at Kamal's moments with Kamal's environment.

use crate::cli::Failure;
use crate::cli::session::Session;
use crate::event::{Event, Sink};
use crate::execute::StageHooks;
use crate::mask::{MaskedLines, Masker};
use crate::name::{HostName, ServiceName, Version};
use crate::secret::Secret;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// The hooks of one run.
pub(crate) struct Hooks {
    dir: PathBuf,
    root: PathBuf,
    /// Without the prefix; each is set as `KAMAL_X` and `WINDLASS_X`.
    facts: BTreeMap<&'static str, String>,
    secrets: BTreeMap<String, Secret<String>>,
    masker: Masker,
    sink: Arc<dyn Sink>,
    cancel: CancellationToken,
}

/// A hook that failed.
#[derive(Debug, Error)]
pub(crate) enum HookError {
    #[error("hook {hook} failed: {status}")]
    Failed { hook: String, status: ExitStatus },
    #[error("hook {hook} could not be run: {error}")]
    NotRun { hook: String, error: std::io::Error },
    #[error("hook {0} was interrupted")]
    Interrupted(String),
}

/// Which of Kamal's hooks get the secrets as environment variables.
const WITH_SECRETS: [&str; 3] = ["pre-connect", "pre-deploy", "post-deploy"];

impl Hooks {
    /// The hooks for one command (`deploy`, `rollback` …) and version.
    pub(crate) fn new(session: &Session, command: &'static str, version: &str) -> Arc<Self> {
        let config = &session.project.config;
        let hosts: Vec<_> = session.scope.hosts.iter().map(HostName::as_str).collect();
        let short = version.get(..7).filter(|_| version.len() == 40).unwrap_or(version);
        let mut facts = BTreeMap::from([
            ("RECORDED_AT", session.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ("PERFORMER", session.project.actor.clone()),
            ("VERSION", version.to_string()),
            ("SERVICE_VERSION", format!("{}@{short}", config.service)),
            ("SERVICE", config.service.to_string()),
            ("HOSTS", hosts.join(",")),
            ("LOCK", "false".to_string()),
            ("COMMAND", command.to_string()),
        ]);
        if let Some(destination) = &config.destination {
            facts.insert("DESTINATION", destination.to_string());
        }
        if let Some(roles) = &session.global.roles {
            facts.insert("ROLES", roles.clone());
        }
        Arc::new(Self {
            dir: config.hooks_path.clone(),
            root: session.project.root.clone(),
            facts,
            masker: Masker::new(session.secrets.values.values()),
            secrets: session.secrets.values.clone(),
            sink: session.board.clone(),
            cancel: session.cancel.clone(),
        })
    }

    /// The same hooks for the version that a plan came to.
    pub(crate) fn of_version(&self, service: &ServiceName, version: &Version) -> Self {
        self.with("VERSION", version.as_str()).with("SERVICE_VERSION", &format!("{service}@{}", version.short()))
    }

    /// The same hooks with one more fact.
    pub(crate) fn with(&self, name: &'static str, value: &str) -> Self {
        let mut facts = self.facts.clone();
        facts.insert(name, value.to_string());
        Self {
            dir: self.dir.clone(),
            root: self.root.clone(),
            facts,
            secrets: self.secrets.clone(),
            masker: self.masker.clone(),
            sink: self.sink.clone(),
            cancel: self.cancel.clone(),
        }
    }

    /// Runs a hook if its file is there and executable, and shows what it prints.
    pub(crate) async fn run(&self, hook: &str, cancel: &CancellationToken) -> Result<(), HookError> {
        let path = self.dir.join(hook);
        let Ok(meta) = std::fs::metadata(&path) else { return Ok(()) };
        if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 {
            let message = format!("{} is not executable and does not run (chmod +x)", path.display());
            self.sink.emit(Event::Warning { host: None, message });
            return Ok(());
        }
        self.sink.emit(Event::HookStarted { hook: hook.to_string() });
        let not_run = |error| HookError::NotRun { hook: hook.to_string(), error };
        let mut child = self.command(hook, &path).spawn().map_err(not_run)?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (_, _, status) = tokio::join!(self.show(hook, out), self.show(hook, err), child.wait());
            status
        };
        let status = tokio::select! {
            status = work => status.map_err(not_run)?,
            () = cancel.cancelled() => return Err(HookError::Interrupted(hook.to_string())),
        };
        if status.success() { Ok(()) } else { Err(HookError::Failed { hook: hook.to_string(), status }) }
    }

    fn command(&self, hook: &str, path: &std::path::Path) -> Command {
        let mut command = Command::new(path);
        command.current_dir(&self.root).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        if WITH_SECRETS.contains(&hook) {
            command.envs(self.secrets.iter().map(|(name, value)| (name, value.expose())));
        }
        for (name, value) in &self.facts {
            command.env(format!("KAMAL_{name}"), value).env(format!("WINDLASS_{name}"), value);
        }
        command
    }

    async fn show(&self, hook: &str, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut lines = MaskedLines::new(self.masker.clone());
        let mut chunk = [0_u8; 8192];
        let say = |line| self.sink.emit(Event::HookOutput { hook: hook.to_string(), line });
        while let Ok(n @ 1..) = stream.read(&mut chunk).await {
            lines.push(&chunk[..n]).into_iter().for_each(say);
        }
        lines.finish().into_iter().for_each(say);
    }

    async fn group(&self, hook: &str, hosts: &[HostName]) -> Result<(), String> {
        let hosts: Vec<_> = hosts.iter().map(HostName::as_str).collect();
        let hooks = self.with("HOSTS", &hosts.join(",")).with("LOCK", "true");
        hooks.run(hook, &self.cancel).await.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl StageHooks for Hooks {
    async fn before_change(&self, hosts: &[HostName]) -> Result<(), String> {
        self.group("pre-app-boot", hosts).await
    }

    async fn after_change(&self, hosts: &[HostName]) -> Result<(), String> {
        self.group("post-app-boot", hosts).await
    }
}

impl From<HookError> for Failure {
    /// Only hooks that run before anything is changed end a command this way.
    fn from(error: HookError) -> Self {
        match error {
            HookError::Interrupted(_) => Failure::interrupted(),
            HookError::Failed { .. } | HookError::NotRun { .. } => {
                Failure::refused(format!("{error}; nothing was changed")).hint("`--skip-hooks` runs without hooks")
            }
        }
    }
}
