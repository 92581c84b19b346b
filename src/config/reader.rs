//! Typed access to a tree that collects every problem instead of stopping at the first.
//!
//! Types are Kamal's: a *string* may be written as text, number or boolean, an *integer* only as an integer.

use super::docs;
use super::node::{Map, Node, Value};
use super::problem::{Place, Problem, nearest, printable};
use super::types::{NotActedOn, VerbKind};

/// Longer than any name, and shorter than a key.
const LONGEST_SECRET_NAME: usize = 128;

/// What is found while a tree is read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// What is worth saying.
    pub(super) notes: Vec<Problem>,
    /// What is understood but not acted on.
    pub(super) not_acted_on: Vec<NotActedOn>,
}

impl Findings {
    /// Records that a key is not acted on. Without verbs it is only worth a note.
    pub(super) fn not_yet(&mut self, field: &Field, verbs: &[VerbKind], reason: impl Into<String>) {
        let (key, location) = (field.path.clone(), field.node.at.to_string());
        self.not_acted_on.push(NotActedOn { key, location, reason: reason.into(), verbs: verbs.to_vec() });
    }
}

/// A value with the path that leads to it.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    pub(super) node: &'a Node,
    /// Keys joined by `/`.
    pub(super) path: String,
}

/// A mapping with the path that leads to it.
#[derive(Debug, Clone)]
pub(super) struct Section<'a> {
    pub(super) map: &'a Map,
    pub(super) at: Place,
    pub(super) path: String,
}

/// `a` and `b` as `a/b`, without a slash at the root.
pub(super) fn join(path: &str, key: &str) -> String {
    let key = printable(key);
    if path.is_empty() { key } else { format!("{path}/{key}") }
}

impl<'a> Section<'a> {
    /// The value of a key, if it is written.
    pub(super) fn get(&self, key: &str) -> Option<Field<'a>> {
        let entry = self.map.get(key)?;
        Some(Field { node: &entry.value, path: join(&self.path, key) })
    }

    /// All keys with their values.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> + use<'a> {
        let path = self.path.clone();
        self.map.0.iter().map(move |e| (e.key.as_str(), Field { node: &e.value, path: join(&path, &e.key) }))
    }

    /// Reports keys that the documentation of this section (`docs`, see [`docs::keys`]) does not have.
    pub(super) fn only_known(&self, pattern: &str, found: &mut Findings) {
        let known = docs::keys(pattern);
        for entry in self.map.0.iter().filter(|e| !known.contains(e.key.as_str())) {
            let key = printable(&entry.key);
            let problem = Problem::new(&entry.key_at, &self.path, format!("unknown key: {key}"));
            found.problems.push(match hint_for(&entry.key, pattern, known.iter().copied()) {
                Some(hint) => problem.hint(hint),
                None => problem.hint(format!("known keys: {}", known.iter().copied().collect::<Vec<_>>().join(", "))),
            });
        }
    }

    /// Reports a problem with the section as a whole.
    pub(super) fn wrong(&self, message: impl Into<String>, hint: &str, found: &mut Findings) {
        found.problems.push(Problem::new(&self.at, &self.path, message).hint(hint));
    }
}

fn hint_for<'k>(key: &str, pattern: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    match (pattern, key) {
        ("", "traefik") => Some("this is a key of Kamal 1: Kamal 2 and windlass have `proxy`".into()),
        ("", "healthcheck") => Some("this is a key of Kamal 1: it is `proxy: healthcheck:` now".into()),
        ("servers/*", "traefik") => Some("this is a key of Kamal 1: it is `proxy: true` now".into()),
        _ => nearest(key, known).map(|near| format!("did you mean `{near}`?")),
    }
}

/// How a value of a kind is written.
fn instead(expected: &str) -> &'static str {
    match expected {
        "a string" => "write a text",
        "a boolean" => "write true or false",
        "an integer" => "write a whole number without quotes",
        "an array" | "an array or a string" => "write a list, each value after `- ` on a line of its own",
        _ => "write keys with values, each on a line of its own below it",
    }
}

impl<'a> Field<'a> {
    /// Reports a problem with this value.
    pub(super) fn wrong(&self, message: impl Into<String>, found: &mut Findings) {
        found.problems.push(Problem::new(&self.node.at, &self.path, message));
    }

    /// Reports a problem with this value and what to do.
    /// The text as the name of a secret. What is none may be the secret itself, so it is never part of the message.
    pub(super) fn secret_name(&self, text: &str, found: &mut Findings) -> Option<String> {
        let letter = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if !text.is_empty() && text.len() <= LONGEST_SECRET_NAME && text.chars().all(letter) {
            return Some(text.to_string());
        }
        let hint = "write the name here (letters, digits, `_`, `.`, `-`) and a line NAME=… into .windlass/secrets";
        self.wrong_hint("should be the name of a secret, not its value", hint, found);
        None
    }

    pub(super) fn wrong_hint(&self, message: impl Into<String>, hint: impl Into<String>, found: &mut Findings) {
        found.problems.push(Problem::new(&self.node.at, &self.path, message).hint(hint));
    }

    fn wrong_type(&self, expected: &str, found: &mut Findings) {
        let hint = match &self.node.value {
            Value::Null => "it has no value: give it one or remove the key".to_string(),
            Value::Date(_) => "YAML reads it as a date: put it in quotes".to_string(),
            Value::String(text) if expected.ends_with("integer") && text.parse::<i64>().is_ok() => {
                "remove the quotes".into()
            }
            Value::String(text) if expected.ends_with("boolean") && text.parse::<bool>().is_ok() => {
                "remove the quotes".into()
            }
            _ => format!("it is {}: {}", self.node.kind(), instead(expected)),
        };
        self.wrong_hint(format!("should be {expected}"), hint, found);
    }

    /// A string.
    pub(super) fn string(&self, found: &mut Findings) -> Option<String> {
        let text = self.node.text();
        if text.is_none() {
            self.wrong_type("a string", found);
        }
        text
    }

    /// A boolean.
    pub(super) fn boolean(&self, found: &mut Findings) -> Option<bool> {
        if let Value::Bool(flag) = self.node.value {
            return Some(flag);
        }
        self.wrong_type("a boolean", found);
        None
    }

    /// An integer within bounds.
    pub(super) fn integer(&self, low: i64, high: i64, found: &mut Findings) -> Option<i64> {
        match self.node.value {
            Value::Int(number) if (low..=high).contains(&number) => return Some(number),
            Value::Int(_) => self.wrong(format!("should be an integer from {low} to {high}"), found),
            _ => self.wrong_type("an integer", found),
        }
        None
    }

    /// A number of seconds.
    pub(super) fn seconds(&self, low: u32, found: &mut Findings) -> Option<u32> {
        self.integer(low.into(), 86_400, found).and_then(|n| u32::try_from(n).ok())
    }

    /// A TCP port.
    pub(super) fn port(&self, found: &mut Findings) -> Option<u16> {
        self.integer(1, 65_535, found).and_then(|n| u16::try_from(n).ok())
    }

    /// The items of a list.
    pub(super) fn list(&self, found: &mut Findings) -> Vec<Field<'a>> {
        match &self.node.value {
            Value::Seq(_) => self.items(),
            _ => {
                self.wrong_type("an array", found);
                Vec::new()
            }
        }
    }

    /// The items of a list without a word if it is none.
    pub(super) fn items(&self) -> Vec<Field<'a>> {
        let Value::Seq(items) = &self.node.value else { return Vec::new() };
        items.iter().enumerate().map(|(i, node)| Field { node, path: join(&self.path, &i.to_string()) }).collect()
    }

    /// A list of strings.
    pub(super) fn strings(&self, found: &mut Findings) -> Vec<String> {
        self.list(found).iter().filter_map(|item| item.string(found)).collect()
    }

    /// A string, or a list of strings.
    pub(super) fn one_or_more(&self, found: &mut Findings) -> Vec<String> {
        match &self.node.value {
            Value::Seq(_) => self.strings(found),
            Value::Map(_) | Value::Null | Value::Date(_) => {
                self.wrong_type("an array or a string", found);
                Vec::new()
            }
            _ => self.string(found).into_iter().collect(),
        }
    }

    /// A mapping with any keys.
    pub(super) fn section(&self, found: &mut Findings) -> Option<Section<'a>> {
        let section = self.as_section();
        if section.is_none() {
            self.wrong_type("a hash", found);
        }
        section
    }

    /// A mapping without a word if it is none.
    pub(super) fn as_section(&self) -> Option<Section<'a>> {
        let map = self.node.map()?;
        Some(Section { map, at: self.node.at.clone(), path: self.path.clone() })
    }

    /// A mapping whose keys must be those of the documentation.
    pub(super) fn known_section(&self, pattern: &str, found: &mut Findings) -> Option<Section<'a>> {
        let section = self.section(found)?;
        section.only_known(pattern, found);
        Some(section)
    }

    /// A mapping of strings.
    pub(super) fn string_map(&self, found: &mut Findings) -> Vec<(&'a str, String, Field<'a>)> {
        let Some(section) = self.section(found) else { return Vec::new() };
        section.entries().filter_map(|(key, field)| Some((key, field.string(found)?, field))).collect()
    }
}
