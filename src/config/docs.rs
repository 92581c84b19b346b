//! The documentation of every section, which is at the same time the list of known keys.
//!
//! `config/*.yml` holds examples, several to a file where keys exclude each other, divided by `---`.

use super::erb::Rendered;
use super::node::{Node, Value};
use super::yaml;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};

/// A section of the configuration with its documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocSection {
    /// What `windlass docs` calls it.
    pub name: &'static str,
    /// Commented YAML.
    pub text: &'static str,
}

macro_rules! sections {
    ($($name:literal),* $(,)?) => {
        &[$(DocSection { name: $name, text: include_str!(concat!("../../config/", $name, ".yml")) }),*]
    };
}

/// All sections, in the order in which they are best read.
pub const SECTIONS: &[DocSection] = sections![
    "configuration",
    "servers",
    "role",
    "env",
    "proxy",
    "registry",
    "ssh",
    "boot",
    "retain",
    "logging",
    "accessory",
    "builder",
    "erb",
    "alias",
    "output",
    "sshkit",
];

/// The documentation of a section by its name.
pub fn section(name: &str) -> Option<&'static DocSection> {
    SECTIONS.iter().find(|s| s.name == name)
}

/// The examples of a section, each a configuration file of its own (or a part of one).
pub fn examples(section: &DocSection) -> Vec<&'static str> {
    section.text.split("\n---\n").collect()
}

/// The keys that the examples have at a path such as `proxy/run`; `*` stands for any key. Empty at the root.
pub(super) fn keys(pattern: &str) -> BTreeSet<&'static str> {
    static KNOWN: OnceLock<Mutex<BTreeMap<String, BTreeSet<&'static str>>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let mut known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(keys) = known.get(pattern) {
        return keys.clone();
    }
    let mut keys = BTreeSet::new();
    for tree in trees() {
        collect(tree, pattern.split('/').filter(|p| !p.is_empty()).collect::<Vec<_>>().as_slice(), &mut keys);
    }
    known.insert(pattern.to_string(), keys.clone());
    keys
}

/// The values that the examples have at a path.
pub(super) fn values(path: &str) -> Vec<&'static Node> {
    let path: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let mut found = Vec::new();
    trees().iter().for_each(|tree| collect_values(tree, &path, &mut found));
    found
}

fn collect_values(node: &'static Node, path: &[&str], found: &mut Vec<&'static Node>) {
    match (&node.value, path.split_first()) {
        (_, None) => found.push(node),
        (Value::Map(map), Some((first, rest))) => {
            let inside = map.0.iter().filter(|e| *first == "*" || *first == e.key);
            inside.for_each(|entry| collect_values(&entry.value, rest, found));
        }
        (Value::Seq(items), Some((&"*", rest))) => items.iter().for_each(|item| collect_values(item, rest, found)),
        _ => {}
    }
}

fn trees() -> &'static [Node] {
    static TREES: OnceLock<Vec<Node>> = OnceLock::new();
    TREES.get_or_init(|| {
        let texts = SECTIONS.iter().flat_map(examples);
        // an example with tags holds no key that others do not
        texts.filter_map(|text| yaml::parse(&Rendered::plain(text), "docs").ok()).map(|parsed| parsed.root).collect()
    })
}

fn collect(node: &'static Node, pattern: &[&str], keys: &mut BTreeSet<&'static str>) {
    match (&node.value, pattern.split_first()) {
        (Value::Map(map), None) => keys.extend(map.0.iter().map(|e| e.key.as_str())),
        (Value::Map(map), Some((first, rest))) => {
            for entry in map.0.iter().filter(|e| *first == "*" || *first == e.key) {
                collect(&entry.value, rest, keys);
            }
        }
        (Value::Seq(items), Some((&"*", rest))) => items.iter().for_each(|item| collect(item, rest, keys)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;

    #[test]
    fn every_example_is_a_valid_configuration() {
        for section in SECTIONS {
            for example in examples(section) {
                let loaded = testing::project(&[("config/deploy.yml", example)], None);
                loaded.unwrap_or_else(|problems| panic!("config/{}.yml:\n{problems}", section.name));
            }
        }
    }

    #[test]
    fn known_keys_come_from_the_examples() {
        assert!(keys("").contains("retain_containers"));
        assert_eq!(keys("proxy/healthcheck").into_iter().collect::<Vec<_>>(), ["interval", "path", "timeout"]);
        assert!(keys("servers/*").contains("stop_timeout") && keys("accessories/*").contains("tags"));
        assert!(keys("accessories/*/files/*").contains("remote"));
        assert!(keys("nowhere").is_empty());
        assert_eq!(
            section("proxy").map(|s| s.text.lines().next()),
            Some(Some("# The proxy: how requests reach a role"))
        );
    }

    #[test]
    fn the_documentation_of_a_role_names_every_understood_flag() {
        let text = section("role").unwrap().text.replace("\n    #", "");
        for flag in crate::config::flags::UNDERSTOOD.iter().chain(crate::config::flag_rare::RARE) {
            assert!(text.contains(&format!(" {flag},")) || text.contains(&format!(" {flag}.")), "{flag}");
        }
    }
}
