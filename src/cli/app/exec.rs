//! `windlass app exec`.

use super::exec_one_off::{self, Made};
use crate::cli::args::Global;
use crate::cli::process::{self, End, Place, Show};
use crate::cli::session::Session;
use crate::cli::{Failure, Kind, output, retained, terminal};
use crate::config::{Config, VerbKind};
use crate::effect::{ExecCommand, Node, Process};
use crate::fleet::Fleet;
use crate::history;
use crate::mask::Masker;
use crate::name::HostName;
use crate::observe::Connections;
use crate::plan::Scope;
use crate::secret::Secret;
use clap::Args;
use futures::future::join_all;
use std::collections::BTreeMap;

const EXAMPLES: &str = "\
Examples:
  windlass app exec 'bin/rails db:version'            beside what serves, on every host and role
  windlass app exec --primary -e DEBUG=1 'bin/check'  on the primary host only
  windlass app exec -i 'bin/rails console'            at this terminal
  windlass app exec -i --reuse bash                   in the very container that serves
  windlass app exec -i -p 'psql' < dump.sql           with a file as input
  windlass app exec -p --raw 'pg_dump' > dump.sql     byte for byte";

/// Run a command in a container of the service
///
/// Runs the command in a new container beside each one that serves, and removes it afterwards: the same image,
/// environment, secrets, volumes and options, but no ports. With --reuse it runs inside the container that serves.
/// Every line of output has its host and role in front, and the containers' own secrets are masked in it.
///
/// One word is split as a shell would (`'bin/rails db:version'`); several are passed on as they are. No shell looks at
/// the command: for pipes and variables run one (`sh -c '…'`).
///
/// With -i the command gets this terminal (or what is piped in), on the primary host only. Nothing is masked then: a
/// terminal's bytes are no lines, and who is at it sees no more than the container itself shows. The exit code is the
/// command's own. Without -i it is 0 when all succeeded, 1 when all failed, and 6 when some did.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ExecArgs {
    /// The command; options that are its own go into the same quotes, or behind `--`
    #[arg(required = true, value_name = "CMD")]
    words: Vec<String>,
    /// At this terminal, or with a pipe as input; on the primary host
    #[arg(short, long)]
    interactive: bool,
    /// In the container that serves, instead of a new one
    #[arg(long)]
    reuse: bool,
    /// A variable over those of the container; may be repeated
    #[arg(short, long, value_name = "K=V", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Start it and do not wait for it
    #[arg(long, conflicts_with_all = ["interactive", "raw"])]
    detach: bool,
    /// On the primary host only
    #[arg(short, long)]
    primary: bool,
    /// Pass the output on byte for byte, without tags and unmasked; one place only
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

/// `K=V`; Kamal writes `K:V`.
fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').or_else(|| text.split_once(':')).ok_or("expected NAME=VALUE")?;
    let valid = !name.is_empty() && !name.contains([' ', '\0']) && !value.contains('\0');
    if valid { Ok((name.to_string(), value.to_string())) } else { Err(format!("`{name}` is no name of a variable")) }
}

/// One word is a command line, several are the words themselves.
pub(super) fn words(words: &[String]) -> Result<Vec<String>, Failure> {
    let [line] = words else { return Ok(words.to_vec()) };
    match shlex::split(line) {
        Some(words) if !words.is_empty() => Ok(words),
        Some(_) => Err(Failure::usage("the command is empty")),
        None => Err(Failure::usage(format!("the command has a quote without its end: {line}"))),
    }
}

/// One run of the command.
pub(super) struct Asked {
    pub(super) words: Vec<String>,
    pub(super) env: BTreeMap<String, Secret<String>>,
    pub(super) input: bool,
    pub(super) terminal: bool,
}

/// The command as it runs in one place.
struct Begun {
    process: Process,
    masker: Masker,
    made: Option<Made>,
}

pub(super) async fn run(global: Global, args: ExecArgs) -> Result<(), Failure> {
    let terminal = args.interactive && terminal::is_there();
    let env = args.env.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone()))).collect();
    let asked = Asked { words: words(&args.words)?, env, input: args.interactive, terminal };
    let session = Session::open(global, VerbKind::Connect)?;
    let (connections, fleet) = session.read().await?;
    let mut places = places(&session.project.config, &session.scope, &fleet);
    if args.primary || args.interactive {
        places.truncate(1);
    }
    if args.raw && places.len() > 1 {
        return Err(Failure::usage(format!("--raw is for one place, and this is {} of them", places.len()))
            .hint("choose one with --primary, or with --hosts and --roles"));
    }
    if places.is_empty() {
        return session.answered(&fleet).and(Err(Failure::refused("no host in scope has a role to run it for")));
    }
    let run = Exec { session: &session, connections: &connections, fleet: &fleet, args: &args, asked: &asked };
    if args.interactive {
        return run.interactive(&places[0]).await;
    }
    let ran = if args.detach { run.detached(&places).await } else { run.everywhere(&places).await };
    process::with_unreachable(ran, session.answered(&fleet))
}

/// The reachable hosts with their roles in scope; the primary role's come first.
fn places(config: &Config, scope: &Scope, fleet: &Fleet) -> Vec<Place> {
    let roles = config.roles.iter().filter(|role| scope.roles.contains(&role.name));
    let all = roles.flat_map(|role| {
        let hosts = role.hosts.iter().filter(|h| scope.hosts.contains(&h.name) && fleet.facts(&h.name).is_some());
        hosts.map(|h| Place { host: h.name.clone(), role: Some(role.name.clone()) })
    });
    all.collect()
}

struct Exec<'a> {
    session: &'a Session,
    connections: &'a Connections,
    fleet: &'a Fleet,
    args: &'a ExecArgs,
    asked: &'a Asked,
}

impl Exec<'_> {
    fn node(&self, host: &HostName) -> Result<&Node, String> {
        self.connections.nodes.get(host).ok_or_else(|| "it is not connected".to_string())
    }

    async fn begin(&self, place: &Place) -> Result<Begun, String> {
        let node = self.node(&place.host)?;
        if self.args.reuse {
            return self.reuse(node, place).await;
        }
        let (mut made, masker) = self.make(node, place).await?;
        let size = self.asked.terminal.then(terminal::size);
        match node.engine.start_attached(&made.id, size).await {
            Ok(process) => Ok(Begun { process, masker, made: Some(made) }),
            Err(error) => {
                made.discard().await;
                Err(error.to_string())
            }
        }
    }

    async fn make(&self, node: &Node, place: &Place) -> Result<(Made, Masker), String> {
        let (config, history) = (&self.session.project.config, self.history());
        let one_off = exec_one_off::plan(config, &history, self.fleet, place, self.asked)?;
        exec_one_off::create(self.session, node, one_off, &self.asked.env).await
    }

    fn history(&self) -> history::History {
        crate::cli::releases::history(&self.session.project.config, self.fleet)
    }

    async fn reuse(&self, node: &Node, place: &Place) -> Result<Begun, String> {
        let (container, masker) = self.serving(node, place).await?;
        let process = node.engine.exec(&container, &self.command()).await.map_err(|e| e.to_string())?;
        Ok(Begun { process, masker, made: None })
    }

    async fn serving(&self, node: &Node, place: &Place) -> Result<(crate::name::ContainerId, Masker), String> {
        let config = &self.session.project.config;
        let facts = self.fleet.facts(&place.host).ok_or("it did not answer")?;
        let role = place.role.as_ref().ok_or("no role")?;
        let serving = history::serving(facts, &config.service, config.destination.as_ref(), role);
        let container = serving.filter(|c| c.state.is_running());
        let container =
            container.ok_or("nothing serves there to run it in; without --reuse it gets its own container")?;
        let secrets = retained::of_container(node, container, &self.session.project.secret_variables()).await;
        let secrets = secrets.map_err(|error| error.to_string())?;
        Ok((container.id.clone(), Masker::new(&secrets)))
    }

    fn command(&self) -> ExecCommand {
        ExecCommand {
            words: self.asked.words.clone(),
            env: self.asked.env.clone(),
            input: self.asked.input,
            terminal: self.asked.terminal.then(terminal::size),
        }
    }

    async fn interactive(&self, place: &Place) -> Result<(), Failure> {
        let failed = |error: String| Failure::new(Kind::Failed, format!("{place}: {error}"));
        // To its end also after a Ctrl-C: half a beginning would leave a container behind.
        let begun = self.begin(place).await.map_err(failed)?;
        let exit = terminal::converse(self.session, begun.process).await;
        if let (Err(_), Some(mut made)) = (&exit, begun.made) {
            made.stop().await;
        }
        terminal::as_own(&exit?)
    }

    async fn everywhere(&self, places: &[Place]) -> Result<(), Failure> {
        let how = match (self.session.global.json, self.args.raw) {
            (true, _) => Show::Json,
            (false, true) => Show::Raw,
            (false, false) => Show::Tagged,
        };
        let runs = places.iter().map(|place| async move { (place.clone(), self.one(place, how).await) });
        let ends = join_all(runs).await;
        if self.session.cancel.is_cancelled() {
            let text = match self.args.reuse {
                true => "interrupted; what runs inside the containers that serve was left alone",
                false => "interrupted; the command's containers were stopped",
            };
            return Err(Failure::new(Kind::Interrupted, text));
        }
        process::conclude(self.session, &ends)
    }

    async fn one(&self, place: &Place, how: Show) -> End {
        let begun = self.begin(place).await?;
        let mut made = begun.made;
        tokio::select! {
            end = process::show(begun.process, place, begun.masker, how) => end,
            () = self.session.cancel.cancelled() => {
                if let Some(made) = &mut made {
                    made.stop().await;
                }
                Err("interrupted".to_string())
            }
        }
    }

    async fn detached(&self, places: &[Place]) -> Result<(), Failure> {
        let runs = places.iter().map(|place| async move { (place, self.detach(place).await) });
        let results = join_all(runs).await;
        let mut failed = 0;
        for (place, result) in &results {
            match result {
                Ok(name) if self.session.global.json => {
                    let (host, role) = (&place.host, &place.role);
                    let object = serde_json::json!({ "schema": 1, "host": host, "role": role, "container": name });
                    output::print(&format!("{object}\n"));
                }
                Ok(name) => output::print(&format!("{place} | {name}\n")),
                Err(error) => {
                    failed += 1;
                    self.session.board.warn(&format!("{place}: {error}"));
                }
            }
        }
        match failed {
            0 => Ok(()),
            n if n == results.len() => Err(Failure::new(Kind::Failed, "the command was started nowhere")),
            n => Err(Failure::new(Kind::Mixed, format!("the command was not started in {n} places"))),
        }
    }

    /// The name of what it runs in.
    async fn detach(&self, place: &Place) -> Result<String, String> {
        let node = self.node(&place.host)?;
        if self.args.reuse {
            let (container, _) = self.serving(node, place).await?;
            node.engine.exec_detached(&container, &self.command()).await.map_err(|e| e.to_string())?;
            return Ok(container.short().to_string());
        }
        let (mut made, _) = self.make(node, place).await?;
        if let Err(error) = node.engine.start(&made.id).await {
            made.discard().await;
            return Err(error.to_string());
        }
        Ok(made.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_a_command_line_and_several_are_words() {
        let of = |list: &[&str]| words(&list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["bin/rails runner 'puts 1'"]).unwrap(), ["bin/rails", "runner", "puts 1"]);
        assert_eq!(of(&["sh", "-c", "echo $HOME"]).unwrap(), ["sh", "-c", "echo $HOME"]);
        assert_eq!(of(&["it's"]).unwrap_err().kind.code(), 2);
        assert_eq!(of(&[" "]).unwrap_err().kind.code(), 2);
    }

    #[test]
    fn variables_are_written_in_both_ways() {
        let pair = |a: &str, b: &str| Ok((a.to_string(), b.to_string()));
        assert_eq!(variable("A=b=c"), pair("A", "b=c"));
        assert_eq!(variable("URL=http://x"), pair("URL", "http://x"));
        assert_eq!(variable("A:b"), pair("A", "b"));
        assert_eq!(variable("A="), pair("A", ""));
        assert!(variable("A").is_err() && variable("=b").is_err());
    }
}
