//! Small sections: `boot`, `logging`, timeouts and what is kept.

use super::expansion::{self, Quoting};
use super::node::Value;
use super::reader::{Field, Findings, Section};
use super::types::{Boot, BootLimit, Retain};
use crate::spec::Logging;
use std::time::Duration;

/// How long containers that stopped serving are kept unless `retain_age` says otherwise.
const RETAIN_AGE: Duration = Duration::from_secs(3 * 24 * 3600);

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
    let (mut driver, mut options) = (None, std::collections::BTreeMap::new());
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

/// Reads `retain_containers` and `retain_age`.
pub(super) fn retain(root: &Section, found: &mut Findings) -> Retain {
    let mut retain = Retain { age: RETAIN_AGE, at_least: 1, at_most: None };
    if let Some(field) = root.get("retain_containers") {
        if matches!(field.node.value, Value::Int(n) if n < 1) {
            field.wrong("Must retain at least 1 container", found);
        } else if let Some(number) = field.integer(1, 10_000, found) {
            retain.at_least = usize::try_from(number).unwrap_or(1);
        }
    }
    if let Some(field) = root.get("retain_age") {
        match field.string(found).map(|text| humantime::parse_duration(&text)) {
            Some(Ok(age)) => retain.age = age,
            Some(Err(_)) => field.wrong_hint("should be a duration", "such as 3d or 12h", found),
            None => {}
        }
    }
    retain
}
