//! The published schemas in `docs/schemas`.
#![allow(dead_code, missing_docs, unreachable_pub)]

use serde::Serialize;
use serde_json::Value;
use std::path::Path;

fn load(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas").join(file);
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Fails with everything in which a value is not what a schema says; returns it as JSON.
#[track_caller]
pub fn assert_valid(file: &str, value: &impl Serialize) -> Value {
    let value = serde_json::to_value(value).unwrap_or_else(|e| panic!("{e}"));
    let list = jsonschema::Resource::from_contents(load("releases.v1.json")).unwrap_or_else(|e| panic!("{e}"));
    let options =
        jsonschema::options().with_resource("urn:windlass:schema:releases:1", list).should_validate_formats(true);
    let validator = options.build(&load(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let errors: Vec<_> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path)).collect();
    assert!(errors.is_empty(), "{file}:\n{}\n{value:#}", errors.join("\n"));
    value
}
