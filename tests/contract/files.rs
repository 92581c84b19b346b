//! Files of a host.

use super::World;
use windlass::effect::{FileSet, Node};

async fn read(node: &Node, dir: &str) -> FileSet {
    node.host.read_dirs(&[dir.to_string()]).await.expect("directories can be read").remove(0)
}

/// A fresh directory.
async fn dir(world: &dyn World, node: &Node) -> String {
    let dir = format!("{}/{}", world.scratch(), world.name());
    node.host.make_dir(&dir).await.unwrap();
    node.host.make_dir(&dir).await.expect("a directory that exists is fine");
    dir
}

pub(crate) async fn a_missing_directory_is_empty(world: &dyn World) {
    let node = world.node().await;
    let dir = dir(world, &node).await;
    node.host.write(&format!("{dir}/a"), b"1", 0o600).await.unwrap();
    let sets = node.host.read_dirs(&[format!("{dir}/none"), dir.clone()]).await.unwrap();
    assert_eq!(sets, [FileSet::new(), FileSet::from([("a".to_string(), b"1".to_vec())])]);
    assert!(node.host.read_dirs(&[]).await.unwrap().is_empty());
}

pub(crate) async fn words_are_expanded(world: &dyn World) {
    let node = world.node().await;
    let home = node.host.probe().await.unwrap().home;
    let one = |text: String| Some(vec![text]);
    let cases = [
        ("plain", one("plain".into())),
        ("\"a  b\"", one("a  b".into())),
        ("$HOME/x:/y", one(format!("{home}/x:/y"))),
        ("\"${HOME}\"", one(home.clone())),
        ("$(pwd)/d", one(format!("{home}/d"))),
        ("~/z", one(format!("{home}/z"))),
        ("\"-${NOT_SET_ANYWHERE}-\"", one("--".into())),
        ("${NOT_SET_ANYWHERE}", Some(Vec::new())),
        ("\"open", None),
    ];
    let sources: Vec<String> = cases.iter().map(|(source, _)| source.to_string()).collect();
    let words = node.host.expand(&sources).await.unwrap();
    for ((source, expected), words) in cases.iter().zip(&words) {
        assert_eq!(words, expected, "{source}");
    }
}

pub(crate) async fn write_replaces_and_sets_the_mode(world: &dyn World) {
    let node = world.node().await;
    let dir = dir(world, &node).await;
    let path = format!("{dir}/it's a file");
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    node.host.write(&path, &bytes, 0o644).await.unwrap();
    assert_eq!(world.mode_from_outside(&path).await, Some(0o644));
    assert_eq!(read(&node, &dir).await, FileSet::from([("it's a file".to_string(), bytes)]));
    node.host.write(&path, b"", 0o600).await.unwrap();
    assert_eq!(world.mode_from_outside(&path).await, Some(0o600));
    assert_eq!(
        read(&node, &dir).await,
        FileSet::from([("it's a file".to_string(), Vec::new())]),
        "and nothing beside it"
    );
}

pub(crate) async fn append_adds_lines(world: &dyn World) {
    let node = world.node().await;
    let dir = dir(world, &node).await;
    let path = format!("{dir}/journal.jsonl");
    node.host.append(&path, b"one\n").await.unwrap();
    assert_eq!(world.mode_from_outside(&path).await, Some(0o600));
    node.host.append(&path, b"two\n").await.unwrap();
    assert_eq!(read(&node, &dir).await["journal.jsonl"], b"one\ntwo\n");
}

pub(crate) async fn append_ends_a_torn_line_first(world: &dyn World) {
    let node = world.node().await;
    let dir = dir(world, &node).await;
    let path = format!("{dir}/journal.jsonl");
    node.host.write(&path, b"one\n{\"torn", 0o600).await.unwrap();
    node.host.append(&path, b"two\n").await.unwrap();
    assert_eq!(read(&node, &dir).await["journal.jsonl"], b"one\n{\"torn\ntwo\n");
}

pub(crate) async fn remove_tolerates_a_missing_file(world: &dyn World) {
    let node = world.node().await;
    let dir = dir(world, &node).await;
    let path = format!("{dir}/freeze");
    node.host.remove(&path).await.expect("a file that is not there is fine");
    node.host.write(&path, b"{}", 0o600).await.unwrap();
    node.host.remove(&path).await.unwrap();
    assert!(read(&node, &dir).await.is_empty());
}

pub(crate) async fn two_levels_are_read(world: &dyn World) {
    let node = world.node().await;
    let dir = dir(world, &node).await;
    node.host.make_dir(&format!("{dir}/releases/deep")).await.unwrap();
    for path in ["journal.jsonl", "releases/a.json", "releases/deep/no.json"] {
        node.host.write(&format!("{dir}/{path}"), path.as_bytes(), 0o600).await.unwrap();
    }
    let found: Vec<_> = read(&node, &dir).await.into_keys().collect();
    assert_eq!(found, ["journal.jsonl", "releases/a.json"]);
}

/// The records of many releases.
pub(crate) async fn many_small_files_are_all_read(world: &dyn World) {
    let node = world.node().await;
    let dir = dir(world, &node).await;
    node.host.make_dir(&format!("{dir}/releases")).await.unwrap();
    let content =
        |n: usize| if n == 3 { Vec::new() } else { format!("record {n}\n{}", "x".repeat(n * 40)).into_bytes() };
    for n in 0..20 {
        node.host.write(&format!("{dir}/releases/run {n}.json"), &content(n), 0o600).await.unwrap();
    }
    node.host.append(&format!("{dir}/journal.jsonl"), b"one\n").await.unwrap();
    node.host.make_dir(&format!("{dir}/runs/deep")).await.unwrap();
    node.host.write(&format!("{dir}/runs/deep/report.json"), b"{}", 0o600).await.unwrap();
    let mut expected: FileSet = (0..20).map(|n| (format!("releases/run {n}.json"), content(n))).collect();
    expected.insert("journal.jsonl".to_string(), b"one\n".to_vec());
    assert_eq!(read(&node, &dir).await, expected, "two levels deep, and no deeper");
}
