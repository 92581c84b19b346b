//! Descriptions of keys: the comments above them in the documented examples.

use super::docs::{DocSection, examples};
use std::collections::BTreeMap;

/// Description by path; `*` stands for a name of the user's own.
pub(super) fn descriptions(sections: &[DocSection]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for example in sections.iter().flat_map(examples) {
        for (path, text) in of_example(example) {
            found.entry(path).or_insert(text);
        }
    }
    // A key that has a section of its own is described by that section's first line.
    for section in sections {
        let key = match section.name {
            "accessory" => "accessories",
            "alias" => "aliases",
            "role" | "configuration" => continue,
            name => name,
        };
        if let Some(title) = section.text.lines().next().and_then(|line| line.strip_prefix("# ")) {
            found.insert(key.to_string(), format!("{title} (windlass docs {})", section.name));
        }
    }
    found
}

/// Mappings whose keys are names of the user's own.
const NAMES: [&str; 4] = ["servers", "accessories", "env/tags", "servers/*/env/tags"];

fn of_example(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start();
        let indentation = line.len() - bare.len();
        if let Some(words) = bare.strip_prefix('#') {
            comment.push(words.trim());
            continue;
        }
        let Some((key, _)) = bare.split_once(':').filter(|(key, _)| is_key(key)) else {
            comment.clear();
            continue;
        };
        path.retain(|(depth, _)| *depth < indentation);
        let parent = joined(&path);
        let name = if NAMES.contains(&parent.as_str()) { "*" } else { key };
        path.push((indentation, name.to_string()));
        let words = std::mem::take(&mut comment).join(" ");
        if !words.is_empty() && name != "*" {
            found.push((joined(&path), words.trim().to_string()));
        }
    }
    found
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn joined(path: &[(usize, String)]) -> String {
    path.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::docs::SECTIONS;

    #[test]
    fn comments_belong_to_the_key_below_them() {
        let all = descriptions(SECTIONS);
        assert_eq!(all["primary_role"], "The role that is changed first. Default: web.");
        assert_eq!(all["proxy/app_port"], "The port inside the container. Default: 80.");
        assert_eq!(all["proxy"], "The proxy: how requests reach a role (windlass docs proxy)");
        assert_eq!(all["servers/*/stop_timeout"], "Seconds between SIGTERM and SIGKILL.");
        assert_eq!(all["accessories/*/host"], "Exactly one of host, hosts, role, roles, tag, tags.");
        assert!(!all.contains_key("labels/team"));
    }
}
