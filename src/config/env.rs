//! `env` of the root, of a role and of a tag.

use super::expansion::{self, Quoting};
use super::node::Value;
use super::reader::{Field, Findings, Section};
use crate::spec::Env;
use std::collections::BTreeMap;

const SPECIAL: [&str; 3] = ["clear", "secret", "tags"];

/// Reads the root's `env` with its tags.
pub(super) fn root(field: &Field, found: &mut Findings) -> (Env, BTreeMap<String, Env>) {
    let Some(section) = field.section(found) else { return Default::default() };
    let env = environment(&section, found);
    let tags = section.get("tags").and_then(|tags| tags.section(found));
    let tags =
        tags.iter().flat_map(Section::entries).map(|(tag, field)| (tag.to_string(), inner(&field, found))).collect();
    (env, tags)
}

/// Reads the `env` of a role, an accessory or a tag, where tags are not allowed.
pub(super) fn inner(field: &Field, found: &mut Findings) -> Env {
    let Some(section) = field.section(found) else { return Env::default() };
    if let Some(tags) = section.get("tags") {
        let hint = "move `tags` to the `env` at the top level of the file";
        found.problems.push(
            super::Problem::new(&tags.node.at, &section.path, "tags are only allowed in the root env").hint(hint),
        );
    }
    environment(&section, found)
}

fn environment(section: &Section, found: &mut Findings) -> Env {
    let special = SPECIAL.iter().any(|key| section.map.get(key).is_some());
    let mut env = Env::default();
    if !special {
        env.clear = clear(section, found);
        return env;
    }
    for entry in section.map.0.iter().filter(|e| !SPECIAL.contains(&e.key.as_str())) {
        let key = super::problem::printable(&entry.key);
        let problem = super::Problem::new(&entry.key_at, &section.path, format!("unknown key: {key}"));
        let hint = format!("`clear`, `secret` and `tags` do not mix with plain variables: move `{key}` below `clear:`");
        found.problems.push(problem.hint(hint));
    }
    if let Some(values) = section.get("clear").and_then(|f| f.section(found)) {
        env.clear = clear(&values, found);
    }
    for item in section.get("secret").map(|f| f.list(found)).unwrap_or_default() {
        secret(&item, &mut env, found);
    }
    env
}

fn clear(section: &Section, found: &mut Findings) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (name, field) in section.entries() {
        valid_name(name, &field, found);
        if let Value::Null = field.node.value {
            field.wrong_hint(
                "should be a string",
                "it has no value: write \"\" for an empty one, or remove the key",
                found,
            );
        } else if let Some(text) = field.string(found) {
            expansion::check(&field, &text, Quoting::Quoted, found);
            values.insert(name.to_string(), text);
        }
    }
    values
}

/// `NAME`, or `NAME:SECRET_NAME`. A clear value of the same name wins, as in Kamal.
fn secret(item: &Field, env: &mut Env, found: &mut Findings) {
    let Some(text) = item.string(found) else { return };
    let (name, secret) = text.split_once(':').unwrap_or((&text, &text));
    valid_name(name, item, found);
    if env.clear.contains_key(name) {
        let message = format!("{name} is also below `clear`, which wins");
        found.notes.push(super::Problem::new(&item.node.at, &item.path, message).hint("remove one of them"));
    } else if let Some(secret) = item.secret_name(secret, found) {
        env.secret.insert(name.to_string(), secret);
    }
}

fn valid_name(name: &str, field: &Field, found: &mut Findings) {
    if name.is_empty() || name.contains(|c: char| c == '=' || c.is_whitespace() || c.is_control()) {
        field.wrong("the name of a variable should be a text without `=` and blanks", found);
    }
}
