//! What differs between two releases: image, environment, mounts, command, options, proxy and hosts. Of environment
//! variables names only; of secrets whether their value is another one, by its print.

use crate::name::{HostName, RoleName};
use crate::release::diff_spec;
use crate::release::{ReleaseRecord, ReleasedRole};
use serde::Serialize;
use std::collections::BTreeSet;

/// All differences, those of the release first and then those of each role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// In the order of roles.
    pub changes: Vec<Change>,
    /// What could not be compared, and why.
    pub unknown: Vec<String>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The role; `None` for the release as a whole.
    pub role: Option<RoleName>,
    /// What kind of thing.
    pub what: What,
    /// Which: the name of a variable, a path of a volume, an option; empty where there is only one.
    pub name: String,
    /// What became of it.
    pub change: Kind,
    /// Before, where it may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// After, where it may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What a difference is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum What {
    Version,
    Image,
    Role,
    Host,
    Command,
    Env,
    Secret,
    Mount,
    Option,
    Label,
    Proxy,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Kind {
    Added,
    Removed,
    Changed,
}

impl Change {
    /// A change of something whose sides may be shown; `None` when they are equal.
    pub(super) fn of(
        role: Option<&RoleName>,
        what: What,
        name: &str,
        from: Option<String>,
        to: Option<String>,
    ) -> Option<Self> {
        let change = match (&from, &to) {
            (None, None) => return None,
            (None, Some(_)) => Kind::Added,
            (Some(_), None) => Kind::Removed,
            (Some(a), Some(b)) if a == b => return None,
            (Some(_), Some(_)) => Kind::Changed,
        };
        Some(Self { role: role.cloned(), what, name: name.to_string(), change, from, to })
    }

    /// A change of something of which only the name is shown.
    pub(super) fn named(role: &RoleName, what: What, name: String, change: Kind) -> Self {
        Self { role: Some(role.clone()), what, name, change, from: None, to: None }
    }
}

impl Diff {
    /// The way from one release to another.
    pub fn between(from: &ReleaseRecord, to: &ReleaseRecord) -> Self {
        let image = |r: &ReleaseRecord| match &r.digest {
            Some(digest) => format!("{}@sha256:{}", r.image.repository, digest.short()),
            None => r.image.to_string(),
        };
        let version = |r: &ReleaseRecord| Some(r.version.to_string());
        let whole = [
            Change::of(None, What::Version, "", version(from), version(to)),
            Change::of(None, What::Image, "", Some(image(from)), Some(image(to))),
        ];
        let mut diff = Self { changes: whole.into_iter().flatten().collect(), unknown: Vec::new() };
        let roles: BTreeSet<&RoleName> = from.roles.keys().chain(to.roles.keys()).collect();
        for role in roles {
            match (from.roles.get(role), to.roles.get(role)) {
                (Some(a), Some(b)) => diff.role(role, a, b),
                (a, _) => {
                    let change = if a.is_some() { Kind::Removed } else { Kind::Added };
                    diff.changes.push(Change::named(role, What::Role, String::new(), change));
                }
            }
        }
        diff
    }

    /// Whether nothing differs, as far as it could be compared.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn role(&mut self, role: &RoleName, a: &ReleasedRole, b: &ReleasedRole) {
        self.changes.extend(hosts(role, a, b));
        match (&a.spec, &b.spec) {
            (Some(x), Some(y)) => self.changes.extend(diff_spec::changes(role, x, y)),
            (None, None) => self.unknown.push(format!("{role}: only its containers know what they were made from")),
            (x, _) => {
                let side = if x.is_none() { "the first" } else { "the second" };
                self.unknown.push(format!("{role}: of {side} only its containers know what they were made from"));
            }
        }
        match (&a.fingerprint, &b.fingerprint) {
            (Some(x), Some(y)) => {
                let both = |name: &String| x.secrets.contains_key(name) && y.secrets.contains_key(name);
                let other = x.changed_secrets(y).into_iter().filter(both);
                self.changes.extend(other.map(|name| Change::named(role, What::Secret, name, Kind::Changed)));
            }
            _ if has_secrets(a) && has_secrets(b) => {
                self.unknown.push(format!("{role}: nothing says whether the values of its secrets changed"));
            }
            _ => {}
        }
    }
}

fn has_secrets(role: &ReleasedRole) -> bool {
    role.spec.as_ref().is_some_and(|spec| !spec.env.secret.is_empty())
}

fn hosts(role: &RoleName, a: &ReleasedRole, b: &ReleasedRole) -> Vec<Change> {
    let names: BTreeSet<_> = a.hosts.iter().chain(&b.hosts).map(|h| &h.name).collect();
    let tags = |side: &ReleasedRole, name: &HostName| {
        let host = side.hosts.iter().find(|h| &h.name == name);
        host.map(|h| if h.tags.is_empty() { "no tags".to_string() } else { h.tags.join(", ") })
    };
    let change = |name: &HostName| {
        let change = Change::of(Some(role), What::Host, name.as_str(), tags(a, name), tags(b, name))?;
        let is_changed = change.change == Kind::Changed;
        Some(Change { from: change.from.filter(|_| is_changed), to: change.to.filter(|_| is_changed), ..change })
    };
    names.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(edit: impl FnOnce(&mut serde_json::Value)) -> ReleaseRecord {
        let golden = include_bytes!("../../tests/golden/release.json");
        let mut value: serde_json::Value = serde_json::from_slice(golden).unwrap();
        edit(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn said(diff: &Diff) -> Vec<String> {
        let text = |c: &Change| {
            let sides = [&c.from, &c.to].map(|s| s.clone().unwrap_or_default());
            format!("{:?} {} {:?} {} {}", c.what, c.name, c.change, sides[0], sides[1]).trim_end().to_string()
        };
        diff.changes.iter().map(text).collect()
    }

    #[test]
    fn a_release_does_not_differ_from_itself() {
        let same = Diff::between(&record(|_| ()), &record(|_| ()));
        assert!(same.is_empty(), "{same:?}");
        assert_eq!(same.unknown, ["worker: only its containers know what they were made from"]);
    }

    #[test]
    fn every_part_of_a_role_is_compared_and_no_value_of_a_variable_is_shown() {
        let other = record(|r| {
            let web = &mut r["roles"]["web"];
            web["hosts"] = serde_json::json!([{ "name": "host-2" }]);
            web["fingerprint"] = "0123456789abcdef+DATABASE_URL=76543210".into();
            let spec = &mut web["spec"];
            spec["command"] = serde_json::json!(["serve", "two words"]);
            spec["env"]["clear"] = serde_json::json!({ "PORT": "81", "NEW": "sesame" });
            spec["env_tags"]["blue"]["clear"]["PORT"] = "90".into();
            spec["labels"]["team"] = "b".into();
            spec["volumes"] = serde_json::json!(["logs:/logs"]);
            spec["options"]["memory"] = 1024.into();
            spec["stop_timeout"] = serde_json::Value::Null;
            spec["logging"]["options"]["max-size"] = "20m".into();
            spec["route"]["app_port"] = 3000.into();
            spec["route"]["check"]["path"] = "/health".into();
            r["roles"]["worker"] = serde_json::json!({ "hosts": [{ "name": "host-1", "tags": ["blue"] }] });
        });
        let diff = Diff::between(&record(|_| ()), &other);
        let expected = [
            "Host host-1 Removed",
            "Host host-2 Added",
            "Command  Changed serve serve 'two words'",
            "Env NEW Added",
            "Env PORT Changed",
            "Env blue/PORT Changed",
            "Mount data:/data Removed",
            "Mount logs:/logs Added",
            "Option logging.options.max-size Changed 10m 20m",
            "Option memory Changed 512 1024",
            "Option stop_timeout Removed 30",
            "Label team Changed a b",
            "Proxy app_port Changed 80 3000",
            "Proxy check.path Changed /up /health",
            "Secret DATABASE_URL Changed",
        ];
        assert_eq!(said(&diff), expected);
        let text = serde_json::to_string(&diff).unwrap();
        assert!(!text.contains("sesame") && !text.contains("01234567"), "{text}");
    }
}
