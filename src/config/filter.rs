//! `--hosts`, `--roles` and `--tag`: which part of the fleet a verb is about.

use super::types::Config;
use crate::name::{HostName, RoleName};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use thiserror::Error;

/// A role with the hosts that were asked for; never without hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The role.
    pub role: RoleName,
    /// Its hosts, in the file's order.
    pub hosts: Vec<HostName>,
}

/// A filter that selects nothing or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// Nothing has such a name.
    #[error("No {option} match for {patterns}\n  there are: {known}")]
    NoMatch {
        /// `--hosts` or `--roles`.
        option: &'static str,
        /// As given.
        patterns: String,
        /// What there is.
        known: String,
    },
    /// Each filter matches something, but no host of these roles is among these hosts.
    #[error("no host of the roles {roles} matches --hosts {hosts}\n  hosts of these roles: {known}")]
    Disjoint {
        /// `--roles` as given.
        roles: String,
        /// `--hosts` as given.
        hosts: String,
        /// The hosts of these roles.
        known: String,
    },
    /// No host that the other filters leave has such a tag.
    #[error("no host in scope has a tag that matches --tag {tags}\n  tags of the hosts in scope: {known}")]
    NotTagged {
        /// As given.
        tags: String,
        /// The tags that there are.
        known: String,
    },
    /// Not a pattern.
    #[error("{option} {patterns}: {reason}")]
    Pattern {
        /// `--hosts` or `--roles`.
        option: &'static str,
        /// As given.
        patterns: String,
        /// What is wrong.
        reason: String,
    },
}

/// Selects roles and hosts by comma lists of names, where `*` and `{a,b}` work as wildcards. `None` selects all.
pub fn select(config: &Config, hosts: Option<&str>, roles: Option<&str>) -> Result<Vec<Selected>, FilterError> {
    let role_names: Vec<&str> = config.roles.iter().map(|r| r.name.as_str()).collect();
    let wanted_roles = matching("--roles", roles, &role_names)?;
    let of_roles = || config.roles.iter().filter(|r| wanted_roles.contains(&r.name.as_str()));
    let all_hosts = unique(config.roles.iter().flat_map(|r| &r.hosts).map(|h| h.name.as_str()));
    let wanted_hosts = matching("--hosts", hosts, &all_hosts)?;
    let selected: Vec<Selected> = of_roles()
        .map(|role| {
            let names = role.hosts.iter().map(|h| &h.name).filter(|h| wanted_hosts.contains(&h.as_str()));
            Selected { role: role.name.clone(), hosts: names.cloned().collect() }
        })
        .filter(|selected| !selected.hosts.is_empty())
        .collect();
    match (hosts, roles) {
        (Some(hosts), Some(roles)) if selected.is_empty() => Err(FilterError::Disjoint {
            roles: roles.to_string(),
            hosts: hosts.to_string(),
            known: unique(of_roles().flat_map(|r| &r.hosts).map(|h| h.name.as_str())).join(", "),
        }),
        _ => Ok(selected),
    }
}

/// Of what was selected, the hosts that carry (in that role) a tag which matches this comma list. `None` keeps all.
pub fn tagged(config: &Config, selected: Vec<Selected>, tags: Option<&str>) -> Result<Vec<Selected>, FilterError> {
    let Some(tags) = tags else { return Ok(selected) };
    let of_role = |one: &Selected| config.roles.iter().find(|r| r.name == one.role);
    let in_scope = |one: &Selected| {
        let hosts = of_role(one).into_iter().flat_map(|r| &r.hosts).filter(|h| one.hosts.contains(&h.name));
        hosts.flat_map(|h| &h.tags).map(String::as_str).collect::<Vec<_>>()
    };
    let known = unique(selected.iter().flat_map(in_scope));
    let not_tagged = || FilterError::NotTagged { tags: tags.to_string(), known: known.join(", ") };
    if known.is_empty() {
        return Err(FilterError::NotTagged { tags: tags.to_string(), known: "none".to_string() });
    }
    let wanted = matching("--tag", Some(tags), &known).map_err(|error| match error {
        FilterError::NoMatch { .. } => not_tagged(),
        other => other,
    })?;
    let carries = |one: &Selected, host: &HostName| {
        let host = of_role(one).and_then(|r| r.hosts.iter().find(|h| h.name == *host));
        host.is_some_and(|h| h.tags.iter().any(|tag| wanted.contains(&tag.as_str())))
    };
    let narrowed = selected.into_iter().map(|one| {
        let hosts = one.hosts.iter().filter(|host| carries(&one, host)).cloned().collect();
        Selected { hosts, ..one }
    });
    Ok(narrowed.filter(|one| !one.hosts.is_empty()).collect())
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = std::collections::BTreeSet::new();
    names.filter(|n| seen.insert(*n)).collect()
}

fn matching<'a>(option: &'static str, patterns: Option<&str>, names: &[&'a str]) -> Result<Vec<&'a str>, FilterError> {
    let Some(patterns) = patterns else { return Ok(names.to_vec()) };
    let globs = globs(patterns).map_err(|reason| FilterError::Pattern { option, patterns: patterns.into(), reason })?;
    let found: Vec<&str> = names.iter().copied().filter(|n| globs.is_match(n)).collect();
    if found.is_empty() {
        return Err(FilterError::NoMatch { option, patterns: patterns.to_string(), known: names.join(", ") });
    }
    Ok(found)
}

fn globs(patterns: &str) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in split(patterns) {
        let glob = GlobBuilder::new(pattern).backslash_escape(false).build();
        set.add(glob.map_err(|error| error.kind().to_string())?);
    }
    set.build().map_err(|error| error.to_string())
}

/// Splits at commas outside of braces.
fn split(patterns: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0_usize, 0, Vec::new());
    for (at, c) in patterns.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&patterns[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&patterns[from..]);
    parts.into_iter().map(str::trim).filter(|p| !p.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;

    fn config() -> Config {
        testing::config(
            "servers:\n  web: [web1.example.com, web2.example.com]\n  jobs: [job1.example.com, web1.example.com]\n",
        )
    }

    fn picked(hosts: Option<&str>, roles: Option<&str>) -> Vec<String> {
        let selected = select(&config(), hosts, roles).unwrap();
        selected
            .iter()
            .map(|s| format!("{}: {}", s.role, s.hosts.iter().map(|h| &h.as_str()[..4]).collect::<Vec<_>>().join(" ")))
            .collect()
    }

    #[test]
    fn names_wildcards_and_braces_select() {
        assert_eq!(picked(None, None), ["web: web1 web2", "jobs: job1 web1"]);
        assert_eq!(picked(Some("web*"), None), ["web: web1 web2", "jobs: web1"]);
        assert_eq!(picked(Some("{web1,job1}.example.com"), Some("jobs")), ["jobs: job1 web1"]);
        assert_eq!(picked(Some("web2.example.com, job*"), None), ["web: web2", "jobs: job1"]);
        assert_eq!(picked(None, Some("w*")), ["web: web1 web2"]);
    }

    #[test]
    fn a_filter_that_matches_nothing_lists_what_there_is() {
        let error = |hosts, roles| select(&config(), hosts, roles).unwrap_err().to_string();
        insta::assert_snapshot!(error(Some("db*"), None), @r"
        No --hosts match for db*
          there are: web1.example.com, web2.example.com, job1.example.com
        ");
        insta::assert_snapshot!(error(None, Some("cron")), @r"
        No --roles match for cron
          there are: web, jobs
        ");
        insta::assert_snapshot!(error(Some("web2*"), Some("jobs")), @r"
        no host of the roles jobs matches --hosts web2*
          hosts of these roles: job1.example.com, web1.example.com
        ");
        assert!(error(Some("{a"), None).starts_with("--hosts {a: "));
        assert!(error(Some(""), None).starts_with("No --hosts match"));
    }

    #[test]
    fn tags_narrow_what_is_selected() {
        let config = testing::config(
            "servers:\n  - web1.example.com: [iad, big]\n  - web2.example.com: ams\n  - web3.example.com\n\
             env:\n  clear: {A: b}\n  tags:\n    iad: {R: 1}\n    ams: {R: 2}\n    big: {S: 3}\n",
        );
        let all = || select(&config, None, None).unwrap();
        let hosts = |tags: &str| {
            let found = tagged(&config, all(), Some(tags)).unwrap();
            found.iter().flat_map(|s| &s.hosts).map(|h| h.as_str()[..4].to_string()).collect::<Vec<_>>()
        };
        assert_eq!(hosts("iad"), ["web1"]);
        assert_eq!(hosts("a*,big"), ["web1", "web2"]);
        assert_eq!(tagged(&config, all(), None).unwrap(), all());
        let error = |tags: &str| tagged(&config, all(), Some(tags)).unwrap_err().to_string();
        assert_eq!(
            error("fra"),
            "no host in scope has a tag that matches --tag fra\n  tags of the hosts in scope: iad, big, ams"
        );
        let narrowed = select(&config, Some("web3*"), None).unwrap();
        let error = tagged(&config, narrowed, Some("iad")).unwrap_err().to_string();
        assert!(error.ends_with("tags of the hosts in scope: none"), "{error}");
    }
}
