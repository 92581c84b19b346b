//! Small sections: `boot`, `logging`, timeouts and what is kept.

use super::expansion::{self, Quoting};
use super::node::Value;
use super::reader::{Field, Findings, Section};
use super::servers::WrittenRole;
use super::types::{Boot, BootLimit, Retain};
use crate::name::RoleName;
use crate::spec::Logging;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long containers that stopped serving are kept unless `retain_age` says otherwise.
const RETAIN_AGE: Duration = Duration::from_secs(3 * 24 * 3600);
/// More complete releases than anybody keeps.
const MOST_KEPT: i64 = 10_000;

/// A timeout of the root in seconds, `low` or more.
pub(super) fn seconds(root: &Section, key: &str, low: u32, default: u32, found: &mut Findings) -> u32 {
    root.get(key).and_then(|f| f.seconds(low, found)).unwrap_or(default)
}

/// A switch of the root, off by default.
pub(super) fn switch(root: &Section, key: &str, found: &mut Findings) -> bool {
    root.get(key).and_then(|f| f.boolean(found)).unwrap_or(false)
}

/// Reads `boot`.
pub(super) fn boot(root: &Section, found: &mut Findings) -> Boot {
    let mut boot = Boot::default();
    let Some(section) = root.get("boot").and_then(|f| f.known_section("boot", found)) else { return boot };
    boot.limit = section.get("limit").and_then(|f| limit(&f, found));
    let wait = section.get("wait").and_then(|f| f.seconds(0, found)).unwrap_or(0);
    boot.wait = Duration::from_secs(wait.into());
    boot.parallel_roles = switch(&section, "parallel_roles", found);
    if let Some(field) = section.get("parallel_roles").filter(|_| boot.parallel_roles) {
        let reason = "the roles of one host go over one after the other; hosts go side by side";
        found.not_yet(&field, &[], reason);
    }
    boot
}

fn limit(field: &Field, found: &mut Findings) -> Option<BootLimit> {
    let percent =
        |text: &str| text.strip_suffix('%').and_then(|p| p.trim().parse().ok()).filter(|p| (1..=100).contains(p));
    let limit = match &field.node.value {
        Value::Int(n) => usize::try_from(*n).ok().filter(|n| *n > 0).map(BootLimit::Hosts),
        Value::String(text) => percent(text).map(BootLimit::Percent),
        _ => None,
    };
    if limit.is_none() {
        let hint = "write a number without quotes, such as 10, or a share, such as \"25%\"";
        field.wrong_hint("should be a number of hosts or a percentage", hint, found);
    }
    limit
}

/// Reads `logging`; a role's options lie over the root's.
pub(super) fn logging(root: Option<Field>, role: Option<Field>, found: &mut Findings) -> Logging {
    let (mut driver, mut options) = (None, BTreeMap::new());
    for field in [root, role].into_iter().flatten() {
        let Some(section) = field.known_section("logging", found) else { continue };
        driver = section.get("driver").and_then(|f| f.string(found)).or(driver);
        for (key, text, field) in section.get("options").map(|f| f.string_map(found)).unwrap_or_default() {
            expansion::check(&field, &text, Quoting::Quoted, found);
            options.insert(key.to_string(), text);
        }
    }
    if driver.is_none() && options.is_empty() { Logging::default() } else { Logging { driver, options } }
}

/// Reads `retain`, or `retain_containers` and `retain_age`.
pub(super) fn retain(root: &Section, found: &mut Findings) -> Retain {
    let mut retain = Retain { age: RETAIN_AGE, at_least: 1, at_most: None };
    if let Some(field) = root.get("retain_containers") {
        if matches!(field.node.value, Value::Int(n) if n < 1) {
            field.wrong("Must retain at least 1 container", found);
        } else {
            retain.at_least = field.integer(1, MOST_KEPT, found).map_or(1, count);
        }
    }
    retain.age = root.get("retain_age").and_then(|field| age(&field, found)).unwrap_or(retain.age);
    let Some(field) = root.get("retain") else { return retain };
    for (old, new) in [("retain_age", "age"), ("retain_containers", "at_least")] {
        if let (Some(old_field), Some(_)) = (root.get(old), field.as_section().and_then(|s| s.get(new))) {
            old_field.wrong_hint(
                format!("`retain: {new}` says it too"),
                format!("keep one of them: remove `{old}`"),
                found,
            );
        }
    }
    limits(&field, "retain", retain, found)
}

/// Reads every role's own `retain`: what it does not say is the root's.
pub(super) fn role_retain(roles: &[WrittenRole], root: &Retain, found: &mut Findings) -> BTreeMap<RoleName, Retain> {
    let own = |role: &WrittenRole, found: &mut Findings| {
        let field = role.section.as_ref()?.get("retain")?;
        Some((role.name.clone(), limits(&field, "servers/*/retain", root.clone(), found)))
    };
    roles.iter().filter_map(|role| own(role, found)).collect()
}

fn limits(field: &Field, pattern: &str, base: Retain, found: &mut Findings) -> Retain {
    let Some(section) = field.known_section(pattern, found) else { return base };
    let mut number = |key: &str| section.get(key)?.integer(0, MOST_KEPT, found).map(count);
    let at_least = number("at_least").unwrap_or(base.at_least);
    let at_most = number("at_most").or(base.at_most);
    if at_most.is_some_and(|most| most < at_least) {
        let message = format!("at_most should not be below at_least, which is {at_least}");
        section.get("at_most").unwrap_or_else(|| field.clone()).wrong(message, found);
    }
    let age = section.get("age").and_then(|field| age(&field, found)).unwrap_or(base.age);
    Retain { age, at_least, at_most }
}

fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(1)
}

fn age(field: &Field, found: &mut Findings) -> Option<Duration> {
    let parsed = humantime::parse_duration(&field.string(found)?);
    if parsed.is_err() {
        field.wrong_hint("should be a duration", "such as 3d or 12h", found);
    }
    parsed.ok()
}

#[cfg(test)]
mod tests {
    use crate::config::testing;
    use std::time::Duration;

    #[test]
    fn what_is_kept_by_service_and_by_role() {
        let config = testing::config(
            "servers: {web: [a], jobs: {hosts: [b], retain: {at_least: 3, at_most: 4}}}\nretain: {age: 12h, at_most: 9}\n",
        );
        assert_eq!((config.retain.age, config.retain.at_least), (Duration::from_secs(12 * 3600), 1));
        assert_eq!(config.retain.at_most, Some(9));
        let jobs = &config.role_retain[&"jobs".parse().unwrap()];
        assert_eq!((jobs.age, jobs.at_least, jobs.at_most), (config.retain.age, 3, Some(4)));
        assert_eq!(config.role_retain.len(), 1);
        assert_eq!(testing::config("servers: [a]\nretain_containers: 5\n").retain.at_least, 5);
    }

    #[test]
    fn limits_that_make_no_sense_are_named() {
        let wrong = |text: &str| testing::try_config(&format!("servers: [a]\n{text}\n")).unwrap_err().to_string();
        assert!(
            wrong("retain: {at_least: 5, at_most: 3}").contains("at_most should not be below at_least, which is 5")
        );
        assert!(wrong("retain: {age: soon}").contains("should be a duration"));
        assert!(wrong("retain_age: 3d\nretain: {age: 3d}").contains("`retain: age` says it too"));
        assert!(wrong("retain: {at_leest: 1}").contains("at_least"));
    }
}
