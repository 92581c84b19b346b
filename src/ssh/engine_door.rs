//! The way to a host's container engine: its unix socket, or `docker system dial-stdio` where sshd forbids that.

use super::connect::Connection;
use super::error::SshError;
use super::stream::ByteStream;
use crate::effect::{ConnectError, ConnectErrorKind};
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Where engines listen, after [`FIRST`]: what the login's own environment names, rootless Docker and Podman.
/// `UID` stands for the login's; a variable is the login's own.
const USUAL_SOCKETS: [&str; 7] = [
    "DOCKER_HOST",
    FIRST,
    "XDG_RUNTIME_DIR/docker.sock",
    "/run/user/UID/docker.sock",
    "/run/podman/podman.sock",
    "XDG_RUNTIME_DIR/podman/podman.sock",
    "/run/user/UID/podman/podman.sock",
];

/// Tried without asking where engines are: it is nearly always the one. A login that may use it gets it, whatever its
/// DOCKER_HOST says; `ssh.docker_socket` names another.
const FIRST: &str = "/var/run/docker.sock";

/// Sessions that must be free where every stream to the engine takes one: two of them, a command, a lease.
const SESSIONS_WITH_DIAL_STDIO: usize = 4;

/// How byte streams to the engine are opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// A direct-streamlocal channel to this path. There is no limit on how many.
    Socket(String),
    /// A session channel with `docker system dial-stdio`, which talks to this path. Each counts against MaxSessions.
    DialStdio(String),
}

/// Opens byte streams to the engine of one host.
pub struct EngineDoor {
    connection: Arc<Connection>,
    door: Door,
    /// The stream that proved the way: the first caller gets it and is spared two round trips.
    spare: Mutex<Option<ByteStream>>,
}

impl EngineDoor {
    /// Finds the engine. `socket` is the configured path, if any; else the usual ones are looked at.
    ///
    /// # Errors
    /// No engine, no permission, no way through sshd; each with what to do.
    pub async fn find(connection: &Arc<Connection>, socket: Option<&str>) -> Result<Self, ConnectError> {
        let first = socket.unwrap_or(FIRST);
        if let Ok(stream) = connection.open_socket(first).await {
            return Ok(Self::new(connection, Door::Socket(first.to_string()), Some(stream)));
        }
        let looked_at: Vec<&str> = socket.map_or(USUAL_SOCKETS.to_vec(), |s| vec![s]);
        let survey = Survey::take(connection, &looked_at).await?;
        let mut refused = None;
        for path in &survey.usable {
            match connection.open_socket(path).await {
                Ok(stream) => return Ok(Self::new(connection, Door::Socket(path.clone()), Some(stream))),
                Err(e @ SshError::ConnectionLost(_)) => return Err(e.into()),
                Err(_) => refused = Some(path.clone()),
            }
        }
        match refused {
            Some(path) if survey.cli && connection.has_sessions(SESSIONS_WITH_DIAL_STDIO).await? => {
                Ok(Self::new(connection, Door::DialStdio(path), None))
            }
            Some(path) if survey.cli => Err(too_few_sessions(&path)),
            Some(path) => Err(forbidden(&path)),
            None => Err(survey.explain(&looked_at)),
        }
    }

    fn new(connection: &Arc<Connection>, door: Door, spare: Option<ByteStream>) -> Self {
        Self { connection: connection.clone(), door, spare: Mutex::new(spare) }
    }

    /// A way that is known already, over another connection to the same host.
    pub fn through(connection: &Arc<Connection>, door: Door) -> Self {
        Self::new(connection, door, None)
    }

    /// Whether its connection is still there.
    pub fn is_open(&self) -> bool {
        !self.connection.is_closed()
    }

    /// Which way it is.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Opens a stream to the engine.
    ///
    /// # Errors
    /// The engine does not listen any more, or the connection is lost.
    pub async fn open(&self) -> Result<ByteStream, SshError> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(stream) = spare {
            return Ok(stream);
        }
        match &self.door {
            Door::Socket(path) => self.connection.open_socket(path).await,
            Door::DialStdio(path) => self.connection.open_command(dial_stdio(path)?).await,
        }
    }
}

fn dial_stdio(path: &str) -> Result<String, SshError> {
    let words = ["exec", "docker", "-H", &format!("unix://{path}"), "system", "dial-stdio"];
    shlex::try_join(words).map_err(|_| SshError::BadArgument { what: "docker system dial-stdio".to_string() })
}

/// What the host says about its sockets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Survey {
    user: String,
    groups: String,
    usable: Vec<String>,
    denied: Vec<String>,
    cli: bool,
}

impl Survey {
    async fn take(connection: &Arc<Connection>, sockets: &[&str]) -> Result<Self, SshError> {
        let what = "look for the engine's socket";
        let output = connection.script(what, include_str!("scripts/socket.sh"), sockets, Bytes::new()).await?;
        Ok(Self::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    fn parse(text: &str) -> Self {
        let mut survey = Self::default();
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("@user", name) => survey.user = name.to_string(),
                ("@groups", names) => survey.groups = names.to_string(),
                ("@usable", path) => survey.usable.push(path.to_string()),
                ("@denied", path) => survey.denied.push(path.to_string()),
                ("@cli", _) => survey.cli = true,
                _ => {}
            }
        }
        survey
    }

    /// Why there is no usable socket.
    fn explain(&self, looked_at: &[&str]) -> ConnectError {
        if let Some(path) = self.denied.first() {
            let group = if path.contains("podman") { "podman" } else { "docker" };
            return ConnectError {
                kind: ConnectErrorKind::EnginePermission,
                message: format!("user {} may not use the engine's socket {path} (groups: {})", self.user, self.groups),
                hint: Some(format!(
                    "as root on the host: usermod -aG {group} {}; it holds from the next login on",
                    self.user
                )),
            };
        }
        let places = looked_at.join(", ").replace("UID", "<uid>").replace("XDG_RUNTIME_DIR", "$XDG_RUNTIME_DIR");
        let places = places.replace("DOCKER_HOST", "$DOCKER_HOST");
        let hint = match self.cli {
            true => "the docker command is there: does its daemon run? (systemctl status docker)",
            false => "install Docker 20.10 or newer, or name the socket in ssh.docker_socket",
        };
        ConnectError {
            kind: ConnectErrorKind::NoEngine,
            message: format!("there is no container engine (looked for a socket at {places})"),
            hint: Some(hint.to_string()),
        }
    }
}

fn forbidden(path: &str) -> ConnectError {
    ConnectError {
        kind: ConnectErrorKind::NoEngine,
        message: format!("nothing answers at the engine's socket {path}, or sshd forbids forwarding to it"),
        hint: Some(
            "does the daemon run? If it does: AllowStreamLocalForwarding yes (and no DisableForwarding) in sshd_config, \
             or install the docker command"
                .to_string(),
        ),
    }
}

fn too_few_sessions(path: &str) -> ConnectError {
    ConnectError {
        kind: ConnectErrorKind::Other,
        message: format!(
            "sshd forwards no sockets (AllowStreamLocalForwarding, DisableForwarding), and for `docker system dial-stdio` to \
             {path} it allows too few sessions a connection (MaxSessions)"
        ),
        hint: Some(
            "in sshd_config on the host: AllowStreamLocalForwarding yes, or MaxSessions 10 (the default)".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_permission_names_the_user_and_the_group() {
        let survey =
            Survey::parse("motd\n@user deploy\n@groups deploy www\n@denied /var/run/docker.sock\n@cli\n@done\n");
        let error = survey.explain(&USUAL_SOCKETS);
        assert_eq!(error.kind, ConnectErrorKind::EnginePermission);
        assert_eq!(
            error.message,
            "user deploy may not use the engine's socket /var/run/docker.sock (groups: deploy www)"
        );
        assert!(error.hint.unwrap().contains("usermod -aG docker deploy"));
    }

    #[test]
    fn no_engine_says_where_it_looked() {
        let error = Survey::parse("@user root\n@done\n").explain(&USUAL_SOCKETS);
        assert_eq!(error.kind, ConnectErrorKind::NoEngine);
        assert!(error.message.contains("/run/user/<uid>/docker.sock"), "{}", error.message);
    }
}
