//! A JSON schema of the configuration, for editors.
//!
//! It is made from the documented examples (`config/*.yml`): they are the loader's list of known keys, so the schema
//! knows the same ones; their comments become descriptions, and their values say the types. Only where a key takes
//! several forms is the form written down here. (A derive such as schemars' needs types that mirror the file; the
//! loader has none, since it reads a tree whose every value knows its line.)

use super::docs::{self, SECTIONS};
use super::node::{Node, Value as Yaml};
use super::schema_text::descriptions;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The mappings whose keys are all known; in the others every key is the user's own.
pub(super) const CLOSED: &[&str] = &[
    "",
    "accessories/*",
    "accessories/*/files/*",
    "boot",
    "builder",
    "builder/cache",
    "builder/pack",
    "logging",
    "output",
    "output/file",
    "output/otel",
    "proxy",
    "proxy/buffering",
    "proxy/healthcheck",
    "proxy/logging",
    "proxy/run",
    "proxy/ssl",
    "registry",
    "servers/*",
    "ssh",
    "sshkit",
];

/// The schema of `deploy.yml` and of a destination's file: JSON schema, draft 7.
pub fn schema() -> Value {
    let own = Builder { descriptions: descriptions(SECTIONS) };
    let mut root = own.object("");
    let fields = [
        ("$schema", json!("http://json-schema.org/draft-07/schema#")),
        ("title", json!("Kamal's and windlass's deploy.yml")),
        ("patternProperties", json!({ "^x-": true })),
        ("definitions", own.definitions()),
    ];
    if let Some(root) = root.as_object_mut() {
        root.extend(fields.map(|(name, value)| (name.to_string(), value)));
    }
    // What lies over the whole file may have any of its keys, and takes one out by leaving its value away.
    let keys: Map<String, Value> = docs::keys("").into_iter().map(|key| (key.to_string(), true.into())).collect();
    root["properties"]["x-windlass"] = json!({
        "description": "Laid over the whole file; only windlass reads it. A key without a value takes the key out.",
        "type": "object",
        "properties": keys,
        "additionalProperties": false,
    });
    root
}

struct Builder {
    descriptions: BTreeMap<String, String>,
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// What Kamal calls a string: text, numbers and booleans.
fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

fn list_of(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn any_of(forms: impl IntoIterator<Item = Value>) -> Value {
    json!({ "anyOf": forms.into_iter().collect::<Vec<_>>() })
}

fn open(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

impl Builder {
    /// A mapping with the documented keys and no others.
    fn object(&self, pattern: &str) -> Value {
        let property = |key: &str| {
            let path = if pattern.is_empty() { key.to_string() } else { format!("{pattern}/{key}") };
            let form = forms(&path).unwrap_or_else(|| self.inferred(&path));
            (key.to_string(), self.described(&path, form))
        };
        let properties: Map<String, Value> = docs::keys(pattern).into_iter().map(property).collect();
        json!({ "type": "object", "properties": properties, "additionalProperties": false })
    }

    fn described(&self, path: &str, form: Value) -> Value {
        let Some(description) = self.descriptions.get(path) else { return form };
        match form.get("$ref") {
            // In draft 7 nothing beside a reference counts.
            Some(_) => json!({ "description": description, "allOf": [form] }),
            None => {
                let mut form = form;
                form["description"] = description.clone().into();
                form
            }
        }
    }

    /// The form that the documented values at a path have.
    fn inferred(&self, path: &str) -> Value {
        let mut found: Vec<Value> = Vec::new();
        for value in docs::values(path) {
            let form = self.form(path, value);
            if !found.contains(&form) {
                found.push(form);
            }
        }
        match found.len() {
            1 => found.remove(0),
            _ => any_of(found),
        }
    }

    fn form(&self, path: &str, value: &Node) -> Value {
        match &value.value {
            Yaml::Bool(_) => json!({ "type": "boolean" }),
            Yaml::Int(_) => json!({ "type": "integer" }),
            Yaml::Seq(_) => list_of(self.inferred(&format!("{path}/*"))),
            Yaml::Map(_) if CLOSED.contains(&path) => self.object(path),
            Yaml::Map(_) => open(text()),
            Yaml::Null | Yaml::Float(_) | Yaml::String(_) | Yaml::Date(_) => text(),
        }
    }

    fn definitions(&self) -> Value {
        let tags = || any_of([text(), list_of(text())]);
        let variables = || open(text());
        let secret = || list_of(text());
        let plain = json!({
            "type": "object",
            "additionalProperties": text(),
            "not": { "anyOf": [{ "required": ["clear"] }, { "required": ["secret"] }, { "required": ["tags"] }] },
        });
        let env = |more: Value| {
            let mut properties = json!({ "clear": variables(), "secret": secret() });
            if let (Some(properties), Some(more)) = (properties.as_object_mut(), more.as_object()) {
                properties.extend(more.clone());
            }
            json!({ "anyOf": [plain, { "type": "object", "properties": properties, "additionalProperties": false }] })
        };
        json!({
            "host": any_of([
                json!({ "type": "string" }),
                json!({ "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": tags() }),
            ]),
            "role": any_of([list_of(reference("host")), self.object("servers/*")]),
            "servers": any_of([list_of(reference("host")), open(reference("role"))]),
            "env": env(json!({ "tags": open(reference("role_env")) })),
            "role_env": env(json!({})),
            "proxy": self.object("proxy"),
            "role_proxy": any_of([json!({ "type": "boolean" }), reference("proxy")]),
            "logging": self.object("logging"),
            "registry": self.object("registry"),
            "options": open(any_of([text(), list_of(text())])),
            "credential": any_of([text(), json!({ "type": "array", "items": text(), "minItems": 1, "maxItems": 1 })]),
            "strings": any_of([text(), list_of(text())]),
        })
    }
}

/// The keys that take other forms than one example shows.
fn forms(path: &str) -> Option<Value> {
    let form = match path {
        "servers" => reference("servers"),
        "servers/*/hosts" => list_of(reference("host")),
        "env" => reference("env"),
        "servers/*/env" | "accessories/*/env" => reference("role_env"),
        "proxy" | "accessories/*/proxy" => reference("proxy"),
        "servers/*/proxy" => reference("role_proxy"),
        "logging" | "servers/*/logging" => reference("logging"),
        "registry" | "accessories/*/registry" => reference("registry"),
        "registry/username" | "registry/password" => reference("credential"),
        "servers/*/options" | "accessories/*/options" | "proxy/run/options" => reference("options"),
        "accessories" => open(Builder { descriptions: descriptions(SECTIONS) }.object("accessories/*")),
        "aliases" => open(text()),
        "boot/limit" => json!({ "type": ["integer", "string"] }),
        "builder/arch" | "builder/remote" => reference("strings"),
        "builder/provenance" | "builder/sbom" => text(),
        "hooks_output" => any_of([text(), open(text())]),
        "proxy/ssl" => {
            let own = Builder { descriptions: descriptions(SECTIONS) };
            any_of([json!({ "type": "boolean" }), own.object("proxy/ssl")])
        }
        "ssh/config" => any_of([json!({ "type": "boolean" }), reference("strings")]),
        "x-windlass" => json!({ "type": "object" }),
        _ => return None,
    };
    Some(form)
}
