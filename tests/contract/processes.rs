//! Processes: commands in containers, containers for one command, commands on the host.

use super::{NETWORK, World, assert_kind, created, eventually, plan, pulled};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;
use windlass::effect::{
    EngineErrorKind, ExecCommand, Exit, HostCommand, LogStream, Node, Process, ProcessEvent, WindowSize,
};
use windlass::name::ContainerId;
use windlass::secret::Secret;

/// Standard output, standard error and the end of a process that is given `input`, if any.
async fn talk(mut process: Process, input: Option<&str>) -> (String, String, Exit) {
    if let Some(text) = input {
        process.input.write_all(text.as_bytes()).await.expect("a process takes its input");
        process.input.shutdown().await.expect("an input can be ended");
    }
    let (mut out, mut err, mut exit) = (Vec::new(), Vec::new(), None);
    let read = async {
        while let Some(event) = process.events.next().await {
            match event.expect("the connection holds") {
                ProcessEvent::Output(LogStream::Out, piece) => out.extend_from_slice(&piece),
                ProcessEvent::Output(LogStream::Err, piece) => err.extend_from_slice(&piece),
                ProcessEvent::Ended(how) => assert!(exit.replace(how).is_none(), "a process ends once"),
            }
        }
    };
    tokio::time::timeout(super::DEADLINE, read).await.expect("the process ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(out), text(err), exit.expect("the last event is the end"))
}

fn command(words: &[&str]) -> ExecCommand {
    ExecCommand { words: words.iter().map(ToString::to_string).collect(), ..ExecCommand::default() }
}

async fn running(world: &dyn World) -> (Node, ContainerId) {
    let node = world.node().await;
    let (id, _) = created(world, &node, &world.healthy_image()).await;
    node.engine.start(&id).await.unwrap();
    (node, id)
}

pub(crate) async fn a_command_runs_in_a_container(world: &dyn World) {
    let (node, id) = running(world).await;
    let mut env = command(&["app", "env"]);
    env.env.insert("ADDED".to_string(), Secret::new("a b=c".to_string()));
    env.env.insert("CLEAR".to_string(), Secret::new("over".to_string()));
    let (out, err, exit) = talk(node.engine.exec(&id, &env).await.unwrap(), None).await;
    assert_eq!((err.as_str(), exit), ("", Exit::Code(0)));
    let has = |line: &str| out.lines().any(|l| l == line);
    assert!(has("ADDED=a b=c") && has("CLEAR=over"), "{out}");

    let (out, err, exit) = talk(node.engine.exec(&id, &command(&["app", "nonsense"])).await.unwrap(), None).await;
    assert_eq!((out.as_str(), exit), ("", Exit::Code(2)));
    assert!(err.contains("nonsense"), "{err}");

    let (_, _, exit) = talk(node.engine.exec(&id, &command(&["no-such-command"])).await.unwrap(), None).await;
    assert!(matches!(exit, Exit::Code(126 | 127)), "{exit:?}");
    node.engine.exec_detached(&id, &command(&["app", "env"])).await.expect("nobody listens");
}

pub(crate) async fn a_command_reads_its_input(world: &dyn World) {
    let (node, id) = running(world).await;
    let cat = ExecCommand { input: true, ..command(&["app", "cat"]) };
    let (out, _, exit) = talk(node.engine.exec(&id, &cat).await.unwrap(), Some("one\ntwo")).await;
    assert_eq!((out.as_str(), exit), ("one\ntwo", Exit::Code(0)));
    let without = node.engine.exec(&id, &command(&["app", "cat"])).await.unwrap();
    assert_eq!(talk(without, None).await, (String::new(), String::new(), Exit::Code(0)), "no input is an end at once");
}

pub(crate) async fn a_terminal_joins_the_streams(world: &dyn World) {
    let (node, id) = running(world).await;
    let size = WindowSize { columns: 132, rows: 43 };
    let with = ExecCommand { terminal: Some(size), ..command(&["app", "nonsense"]) };
    let process = node.engine.exec(&id, &with).await.unwrap();
    assert!(process.terminal.is_some());
    let (out, err, exit) = talk(process, None).await;
    assert!(out.contains("nonsense") && out.ends_with("\r\n"), "{out:?}");
    assert_eq!((err.as_str(), exit), ("", Exit::Code(2)));
}

pub(crate) async fn a_container_that_does_not_run_runs_no_command(world: &dyn World) {
    let (node, id) = running(world).await;
    node.engine.stop(&id, Some(1)).await.unwrap();
    assert_kind(node.engine.exec(&id, &command(&["app", "env"])).await, EngineErrorKind::Conflict);
    assert_kind(node.engine.exec_detached(&id, &command(&["app", "env"])).await, EngineErrorKind::Conflict);
    let missing: ContainerId = "0".repeat(64).parse().unwrap();
    assert_kind(node.engine.exec(&missing, &command(&["app", "env"])).await, EngineErrorKind::NotFound);
    assert_kind(node.engine.start_attached(&missing, None).await, EngineErrorKind::NotFound);
}

pub(crate) async fn a_one_off_container_ends_and_is_gone(world: &dyn World) {
    let node = world.node().await;
    node.engine.create_network(NETWORK).await.unwrap();
    let image = pulled(world, &node, &world.healthy_image()).await;
    for (words, input, expected) in [
        (["app", "nonsense"], None, ("", Exit::Code(2))),
        (["app", "cat"], Some("to and fro\n"), ("to and fro\n", Exit::Code(0))),
    ] {
        let mut container = plan(&world.name(), &image);
        container.one_off = true;
        container.command = Some(words.map(str::to_string).to_vec());
        container.options.interactive = input.is_some();
        let id = node.engine.create(&container).await.unwrap();
        let process = node.engine.start_attached(&id, None).await.unwrap();
        let (out, err, exit) = talk(process, input).await;
        assert_eq!((out.as_str(), exit), expected, "{words:?}: {err}");
        let gone = async || node.engine.inspect(&id).await.is_err().then_some(());
        eventually("the engine removes it", gone).await;
        assert_kind(node.engine.inspect(&id).await, EngineErrorKind::NotFound);
    }
}

pub(crate) async fn a_command_runs_on_the_host(world: &dyn World) {
    let node = world.node().await;
    let run = async |line: &str, input: Option<&str>| {
        let command = HostCommand { line: line.to_string(), input: input.is_some(), terminal: None };
        talk(node.host.run(&command).await.unwrap(), input).await
    };
    let (out, err, exit) = run("echo out; echo err >&2; exit 3", None).await;
    assert_eq!((out.as_str(), err.as_str(), exit), ("out\n", "err\n", Exit::Code(3)));
    assert_eq!(run("cat", Some("to and fro")).await, ("to and fro".to_string(), String::new(), Exit::Code(0)));
    assert_eq!(run("cat", None).await.2, Exit::Code(0), "no input is an end at once");
    assert_eq!(run("no-such-command", None).await.2, Exit::Code(127));
}
