//! `aliases`: names that stand for command lines.

use super::problem::printable;
use super::reader::{Field, Findings, Section};
use std::collections::BTreeMap;

/// Commands of windlass and of Kamal, whose names an alias cannot take.
pub const COMMANDS: &[&str] = &[
    "accessory",
    "app",
    "audit",
    "build",
    "completions",
    "config",
    "deploy",
    "details",
    "docs",
    "help",
    "init",
    "lock",
    "man",
    "proxy",
    "prune",
    "redeploy",
    "registry",
    "releases",
    "remove",
    "revisions",
    "restart",
    "rollback",
    "rollout",
    "secrets",
    "server",
    "setup",
    "status",
    "upgrade",
    "version",
];

/// The global options that take a value: it is no command.
pub const OPTIONS_WITH_VALUE: &[&str] =
    &["-c", "--config-file", "-d", "--destination", "--hosts", "--roles", "--tag", "--region"];

/// Reads and checks the aliases.
pub(super) fn resolve(root: &Section, found: &mut Findings) -> BTreeMap<String, String> {
    let Some(field) = root.get("aliases") else { return BTreeMap::new() };
    let all = field.string_map(found);
    let lines: BTreeMap<String, String> = all.iter().map(|(name, line, _)| (name.to_string(), line.clone())).collect();
    for (name, line, field) in &all {
        check(name, line, field, found);
        if let Some(round) = cycle(name, &lines) {
            let hint = "an alias begins with a command, such as `app exec`";
            field.wrong_hint(format!("Alias '{}' leads back to itself: {round}", printable(name)), hint, found);
        }
    }
    lines
}

fn check(name: &str, line: &str, field: &Field, found: &mut Findings) {
    let valid = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b));
    if !valid || name.is_empty() {
        let shown = printable(name);
        field.wrong(
            format!("Invalid alias name: '{shown}'. Must only contain lowercase letters, alphanumeric, hyphens and underscores."),
            found,
        );
    } else if COMMANDS.contains(&name) {
        field.wrong(format!("Alias '{name}' conflicts with a built-in command."), found);
    }
    if shlex::split(line).is_none() {
        field.wrong_hint("has a quote without its end", "close the quote", found);
    }
}

/// The names on the way from an alias back to itself: `a -> b -> a`. Names that only lead into a round are not part of
/// it, and are not reported.
fn cycle(name: &str, lines: &BTreeMap<String, String>) -> Option<String> {
    let mut way = vec![name.to_string()];
    let mut at = name.to_string();
    loop {
        let next = first_word(lines.get(&at)?)?;
        way.push(next.clone());
        if next == name {
            return Some(way.join(" -> "));
        }
        if way[..way.len() - 1].contains(&next) {
            return None;
        }
        at = next;
    }
}

/// The word of a command line that says the command.
fn first_word(line: &str) -> Option<String> {
    let words = shlex::split(line)?;
    let mut words = words.into_iter();
    loop {
        let word = words.next()?;
        if !word.starts_with('-') {
            return Some(word);
        }
        if OPTIONS_WITH_VALUE.contains(&word.as_str()) {
            words.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing::try_config;

    fn problems(aliases: &str) -> String {
        let text = format!("servers: [a.example]\naliases:\n{aliases}");
        try_config(&text).map(|c| panic!("{:?}", c.aliases)).map_err(|p| p.to_string()).unwrap_err()
    }

    #[test]
    fn aliases_are_kept_as_written() {
        let config =
            try_config("servers: [a.example]\naliases:\n  console: app exec -i 'bin/rails c'\n  c: console\n").unwrap();
        assert_eq!(config.aliases["console"], "app exec -i 'bin/rails c'");
        assert_eq!(config.aliases.len(), 2);
        assert!(config.notes.is_empty(), "{:?}", config.notes);
    }

    #[test]
    fn aliases_that_go_round_are_named_with_their_lines() {
        let text = problems("  a: b --verbose\n  b: -d staging c\n  c: a\n  in: a\n");
        assert!(
            text.contains("config/deploy.yml:3: aliases/a: Alias 'a' leads back to itself: a -> b -> c -> a"),
            "{text}"
        );
        assert!(text.contains("Alias 'b' leads back to itself: b -> c -> a -> b"), "{text}");
        assert!(!text.contains("Alias 'in'"), "{text}");
        assert!(problems("  me: me\n").contains("me -> me"));
    }

    #[test]
    fn commands_and_odd_names_are_refused() {
        assert!(problems("  deploy: app logs\n").contains("Alias 'deploy' conflicts with a built-in command."));
        assert!(problems("  releases: app logs\n").contains("conflicts"));
        assert!(problems("  Foo: app logs\n").contains("Invalid alias name: 'Foo'"));
        assert!(problems("  x: app exec 'a\n").contains("has a quote without its end"));
    }
}
