//! Commands in containers, and containers for one command.

use crate::effect::{EngineError, EngineErrorKind, ExecCommand, Process, WindowSize};
use crate::name::ContainerId;
use crate::sim::call::{At, SimConnection};
use crate::sim::command::{Running, Script, process};
use crate::sim::container::SimContainer;
use crate::sim::life::error;
use std::collections::BTreeMap;

fn script(container: &SimContainer, words: &[String]) -> Script {
    let known = container.behaviour.commands.get(&words.join(" ")).cloned();
    known.unwrap_or_else(|| Script::unknown(words.first().map_or("", String::as_str)))
}

fn environment(container: &SimContainer, script: &Script, over: &ExecCommand) -> Vec<String> {
    if !script.environment {
        return Vec::new();
    }
    let mut env: BTreeMap<String, String> = container.behaviour.env.clone();
    let own = container.made_from.env.iter().chain(&over.env);
    env.extend(own.map(|(name, value)| (name.clone(), value.expose().clone())));
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn running<'c>(at: &'c At<'_>, id: &ContainerId) -> Result<&'c SimContainer, EngineError> {
    let container = at.machine.container(id)?;
    if !container.is_running() {
        return Err(error(EngineErrorKind::Conflict, format!("container {} is not running", id.short())));
    }
    Ok(container)
}

pub(super) fn exec(
    at: &At<'_>,
    connection: SimConnection,
    id: &ContainerId,
    command: &ExecCommand,
) -> Result<Process, EngineError> {
    let container = running(at, id)?;
    let script = script(container, &command.words);
    let (of, environment) = (id.clone(), environment(container, &script, command));
    Ok(process(Running {
        connection,
        script,
        environment,
        input: command.input,
        terminal: command.terminal.is_some(),
        alive: Box::new(move |machine| machine.containers.get(&of).is_some_and(SimContainer::is_running)),
        at_end: Box::new(|_, _| ()),
    }))
}

pub(super) fn exec_detached(at: &At<'_>, id: &ContainerId) -> Result<(), EngineError> {
    running(at, id).map(drop)
}

pub(super) fn start_attached(
    at: &mut At<'_>,
    connection: SimConnection,
    id: &ContainerId,
    terminal: Option<WindowSize>,
) -> Result<Process, EngineError> {
    at.machine.start(id, at.now)?;
    let container = at.machine.container(id)?;
    let words = container.made_from.command.clone().unwrap_or_default();
    let script = script(container, &words);
    let (of, ended) = (id.clone(), id.clone());
    let environment = environment(container, &script, &ExecCommand::default());
    let input = container.made_from.options.interactive;
    let code = script.exit_code;
    Ok(process(Running {
        connection,
        script,
        environment,
        input,
        terminal: terminal.is_some(),
        alive: Box::new(move |machine| machine.containers.get(&of).is_some_and(SimContainer::is_running)),
        at_end: Box::new(move |machine, now| {
            if machine.containers.get(&ended).is_some_and(SimContainer::is_running) {
                machine.end(&ended, code, now);
            }
        }),
    }))
}
