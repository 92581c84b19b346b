//! The schema for editors is held to the loader.

use crate::config::docs::{SECTIONS, examples};
use crate::config::erb::{self, Surroundings, World};
use crate::config::node::{Entry, Map, Node, Value as Yaml};
use crate::config::schema::{CLOSED, schema};
use crate::config::{testing, yaml};
use serde_json::{Map as Object, Value, json};
use std::path::{Path, PathBuf};

fn as_json(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => json!(flag),
        Yaml::Int(number) => json!(number),
        Yaml::Float(number) => json!(number),
        Yaml::String(text) | Yaml::Date(text) => json!(text),
        Yaml::Seq(items) => items.iter().map(as_json).collect(),
        Yaml::Map(map) => map.0.iter().map(|e| (e.key.clone(), as_json(&e.value))).collect::<Object<_, _>>().into(),
    }
}

fn tree(text: &str) -> Node {
    let env = |_: &str| Some("value".to_string());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut world = World::new(Surroundings { env: &env, docker_arch: Surroundings::own_arch(), root });
    let rendered = erb::render(text, "deploy.yml", &mut world).unwrap();
    yaml::parse(&rendered, "deploy.yml").unwrap().root
}

fn complaints(value: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(&schema()).expect("the schema is one");
    validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path)).collect()
}

fn fixtures() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kamal-configs");
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "yml")).collect();
    files.sort();
    assert!(files.len() > 30, "{files:?}");
    files
}

#[test]
fn every_example_of_the_documentation_is_valid() {
    for section in SECTIONS {
        for example in examples(section) {
            assert_eq!(complaints(&as_json(&tree(example))), [] as [String; 0], "config/{}.yml", section.name);
        }
    }
}

#[test]
fn every_fixture_of_kamals_that_loads_is_valid() {
    let mut checked = 0;
    for file in fixtures() {
        let text = std::fs::read_to_string(&file).unwrap();
        // A destination's file is no configuration by itself, and still a valid file.
        let is_part = file.file_stem().is_some_and(|stem| stem.to_string_lossy().contains('.'));
        if !is_part && testing::project(&[("config/deploy.yml", &text)], None).is_err() {
            continue;
        }
        checked += 1;
        assert_eq!(complaints(&as_json(&tree(&text))), [] as [String; 0], "{}", file.display());
    }
    assert!(checked > 25, "only {checked} fixtures load by themselves");
}

/// Puts a key that nobody knows into every mapping of a closed section that the examples have.
fn with_unknown_key(node: &Node, pattern: &[&str]) -> Vec<Node> {
    match (&node.value, pattern.split_first()) {
        (Yaml::Map(map), None) => {
            let value = Node { value: Yaml::String("x".to_string()), at: node.at.clone() };
            let entry = Entry { key: "no_such_key".to_string(), key_at: node.at.clone(), value };
            let mut map = map.clone();
            map.set(entry);
            vec![Node { value: Yaml::Map(map), at: node.at.clone() }]
        }
        (Yaml::Map(map), Some((first, rest))) => {
            let inside = map.0.iter().enumerate().filter(|(_, e)| *first == "*" || *first == e.key);
            let changed = inside.flat_map(|(i, entry)| {
                with_unknown_key(&entry.value, rest).into_iter().map(move |value| {
                    let mut map = Map(map.0.clone());
                    map.0[i].value = value;
                    Node { value: Yaml::Map(map), at: node.at.clone() }
                })
            });
            changed.collect()
        }
        (Yaml::Seq(items), Some((&"*", rest))) => {
            let changed = items.iter().enumerate().flat_map(|(i, item)| {
                with_unknown_key(item, rest).into_iter().map(move |value| {
                    let mut items = items.clone();
                    items[i] = value;
                    Node { value: Yaml::Seq(items), at: node.at.clone() }
                })
            });
            changed.collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn an_unknown_key_fails_the_schema_and_the_loader_alike() {
    for pattern in CLOSED.iter().chain(&["x-windlass"]) {
        let path: Vec<&str> = pattern.split('/').filter(|p| !p.is_empty()).collect();
        let mut tried = 0;
        for example in SECTIONS.iter().flat_map(examples) {
            for changed in with_unknown_key(&tree(example), &path) {
                let value = as_json(&changed);
                assert!(!complaints(&value).is_empty(), "the schema accepts an unknown key in `{pattern}`: {value}");
                // JSON is YAML.
                let loaded = testing::project(&[("config/deploy.yml", &value.to_string())], None);
                assert!(loaded.is_err(), "the loader accepts an unknown key in `{pattern}`: {value}");
                tried += 1;
            }
        }
        assert!(tried > 0, "no example has a mapping at `{pattern}`");
    }
}

#[test]
fn wrong_types_fail() {
    for (key, value) in [
        ("deploy_timeout", json!("soon")),
        ("servers", json!(3)),
        ("proxy", json!(true)),
        ("env", json!(["A"])),
        ("env", json!({ "clear": {}, "OTHER": "x" })),
        ("registry", json!({ "password": ["A", "B"] })),
        ("require_destination", json!("maybe")),
        ("volumes", json!({})),
    ] {
        let value = json!({ "service": "a", "image": "b", key: value });
        assert!(!complaints(&value).is_empty(), "{value}");
    }
    let own = json!({ "x-anything": 1, "x-windlass": { "asset_path": null, "ssh": { "accept_new": true } } });
    assert_eq!(complaints(&own), [] as [String; 0]);
}
