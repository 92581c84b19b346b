//! A simulated host's files, commands and leases.

use super::call::{At, Method, SimConnection, mutates, reads};
use super::clock::SimClock;
use super::command::{self, Running, Script};
use super::lease::SimLease;
use crate::effect::{FileSet, Host, HostCommand, HostError, HostProbe, Lease, LeaseError, LeaseRequest, Process};
use crate::fleet::Holder;
use async_trait::async_trait;

/// The host side of a connection. There are no unix sockets on it: `ask_socket` fails as for one that nobody made.
#[derive(Debug, Clone)]
pub struct SimHost {
    pub(super) connection: SimConnection,
}

pub(super) const RELEASE: Method = reads("host.release");

fn failed(what: &str) -> impl Fn(String) -> HostError + '_ {
    move |message| HostError::Failed { what: what.to_string(), message }
}

fn probe(at: &At<'_>) -> HostProbe {
    let (machine, facts) = (&at.machine, &at.machine.facts);
    let ports = machine.containers.values().flat_map(|c| c.host_ports.iter().copied());
    HostProbe {
        home: facts.home.clone(),
        uid: facts.uid,
        unix_time: SimClock::timestamp(at.now).as_second() + facts.clock_ahead,
        missing_commands: facts.missing_commands.clone(),
        listening: facts.listeners.iter().copied().chain(ports).map(|port| (port, None)).collect(),
        disk: facts.disk,
    }
}

/// The value of a header of an HTTP request.
fn header(request: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(request);
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let mut found =
        fields.filter(|(n, _)| n.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_string());
    found.next_back().unwrap_or_default()
}

/// What a shell makes of a word: the home directory in its usual spellings, `${…}` of anything else is not set.
fn words(source: &str, home: &str) -> Option<Vec<String>> {
    let tilde = source.strip_prefix("~/").map_or(source.to_string(), |rest| format!("{home}/{rest}"));
    let mut text = ["${HOME}", "${PWD}", "$(pwd)", "$HOME", "$PWD"].iter().fold(tilde, |t, name| t.replace(name, home));
    while let Some((before, after)) = text.split_once("${") {
        text = format!("{before}{}", after.split_once('}')?.1);
    }
    shlex::split(&text)
}

/// Appends, or as much of it as the script lets through.
fn append(at: &mut At<'_>, path: &str, content: &[u8]) -> Result<(), HostError> {
    let what = format!("append {path}");
    match at.machine.torn.remove(path) {
        None => at.machine.files.append(path, content).map_err(failed(&what)),
        Some(bytes) => {
            at.machine.files.append(path, &content[..bytes.min(content.len())]).map_err(failed(&what))?;
            Err(HostError::Disconnected("the write was cut off".to_string()))
        }
    }
}

#[async_trait]
impl Host for SimHost {
    async fn probe(&self) -> Result<HostProbe, HostError> {
        self.connection.call(reads("host.probe"), String::new(), |at| Ok(probe(at))).await
    }

    async fn read_dirs(&self, dirs: &[String]) -> Result<Vec<FileSet>, HostError> {
        let read = |at: &mut At<'_>| Ok(dirs.iter().map(|dir| at.machine.files.read_dir(dir)).collect());
        self.connection.call(reads("host.read_dirs"), dirs.join(" "), read).await
    }

    async fn expand(&self, sources: &[String]) -> Result<Vec<Option<Vec<String>>>, HostError> {
        let expand = |at: &mut At<'_>| Ok(sources.iter().map(|source| words(source, &at.machine.facts.home)).collect());
        self.connection.call(reads("host.expand"), sources.join(" "), expand).await
    }

    async fn make_dir(&self, path: &str) -> Result<(), HostError> {
        let make = |at: &mut At<'_>| at.machine.files.make_dir(path).map_err(failed("make directory"));
        self.connection.call(mutates("host.make_dir"), path.to_string(), make).await
    }

    async fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<(), HostError> {
        let write = |at: &mut At<'_>| at.machine.files.write(path, content, mode).map_err(failed("write"));
        self.connection.call(mutates("host.write"), format!("{path} {mode:o}"), write).await
    }

    async fn append(&self, path: &str, content: &[u8]) -> Result<(), HostError> {
        self.connection.call(mutates("host.append"), path.to_string(), |at| append(at, path, content)).await
    }

    async fn remove(&self, path: &str) -> Result<(), HostError> {
        let remove = |at: &mut At<'_>| at.machine.files.remove(path).map_err(failed("remove"));
        self.connection.call(mutates("host.remove"), path.to_string(), remove).await
    }

    async fn ask_socket(&self, path: &str, _request: &[u8]) -> Result<Vec<u8>, HostError> {
        let no_socket = |_: &mut At<'_>| Err(failed("ask socket")(format!("{path}: no such file or directory")));
        self.connection.call(mutates("host.ask_socket"), path.to_string(), no_socket).await
    }

    async fn run(&self, command: &HostCommand) -> Result<Process, HostError> {
        let connection = self.connection.clone();
        let begin = |at: &mut At<'_>| {
            let known = at.machine.commands.get(&command.line).cloned();
            let script = known.unwrap_or_else(|| Script::unknown(&command.line));
            Ok(command::process(Running {
                connection,
                script,
                environment: Vec::new(),
                input: command.input,
                terminal: command.terminal.is_some(),
                alive: Box::new(|_| true),
                at_end: Box::new(|_, _| ()),
            }))
        };
        self.connection.call(mutates("host.run"), command.line.clone(), begin).await
    }

    async fn ask_port(&self, _address: &str, port: u16, request: &[u8]) -> Result<Vec<u8>, HostError> {
        let host = header(request, "host");
        let ask = |at: &mut At<'_>| match at.machine.answer_on_port(port, &host, at.now) {
            Some(status) => Ok(format!("HTTP/1.0 {status} Simulated\r\n\r\n").into_bytes()),
            None => Err(failed("ask port")(format!("{port}: connection refused"))),
        };
        self.connection.call(reads("host.ask_port"), format!("{port} {host}"), ask).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Box<dyn Lease>, LeaseError> {
        let take = |at: &mut At<'_>| -> Result<SimLease, LeaseError> {
            let id = at.machine.take_lease(request)?;
            Ok(SimLease { connection: self.connection.clone(), dir: request.dir.clone(), id })
        };
        let what = format!("{} {}", request.dir, request.holder.what);
        Ok(Box::new(self.connection.call(reads("host.lease"), what, take).await?))
    }

    async fn lease_holder(&self, dir: &str) -> Result<Option<Option<Holder>>, HostError> {
        let look = |at: &mut At<'_>| Ok(at.machine.leases.holder(dir).cloned().map(Some));
        self.connection.call(reads("host.lease_holder"), dir.to_string(), look).await
    }
}
