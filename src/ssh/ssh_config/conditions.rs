//! Whether a `Host` or `Match` line speaks about the host that is asked for.

use super::SshConfigError;
use super::lines::Line;
use crate::ssh::host_pattern::wildcard;

/// What conditions are about.
pub(super) struct Facts<'a> {
    /// As asked for.
    pub(super) original: &'a str,
    /// After HostName.
    pub(super) host: &'a str,
    pub(super) user: &'a str,
    pub(super) local_user: &'a str,
    /// The second pass, which `Match final` asks for.
    pub(super) last_pass: bool,
}

/// What a `Match` line comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No,
    /// Everything else fits, but this condition is not evaluated here.
    Unknown(String),
}

/// `Host a b !c`: one negated pattern that fits excludes the line.
pub(super) fn host_line(patterns: &[String], host: &str) -> bool {
    any_of(patterns.iter().map(String::as_str), host, true)
}

/// `Match host a,b user c`: all conditions must hold.
pub(super) fn match_line(line: &Line, facts: &Facts) -> Result<Verdict, SshConfigError> {
    let mut words = words(line)?.into_iter();
    let mut verdict = Verdict::Yes;
    while let Some(word) = words.next() {
        let (negated, name) = match word.strip_prefix('!') {
            Some(name) => (true, name.to_ascii_lowercase()),
            None => (false, word.to_ascii_lowercase()),
        };
        let mut list =
            || words.next().ok_or_else(|| line.place.error(format!("`Match {name}` needs a value, such as a pattern")));
        let holds = match name.as_str() {
            "all" => true,
            "final" => facts.last_pass,
            // Host names are never canonicalized here.
            "canonical" => false,
            "host" => any_of(list()?.split(','), facts.host, true),
            "originalhost" => any_of(list()?.split(','), facts.original, true),
            "user" => any_of(list()?.split(','), facts.user, false),
            "localuser" => any_of(list()?.split(','), facts.local_user, false),
            "exec" | "localnetwork" | "tagged" | "command" | "sessiontype" | "version" => {
                list()?;
                if verdict == Verdict::Yes {
                    verdict = Verdict::Unknown(name);
                }
                continue;
            }
            _ => return Err(line.place.error(format!("`Match {name}` is no condition that ssh_config(5) has"))),
        };
        if holds == negated {
            // The rest is read all the same: a mistake in it should not hide.
            verdict = Verdict::No;
        }
    }
    Ok(verdict)
}

/// `host=a` is `host a`.
fn words(line: &Line) -> Result<Vec<String>, SshConfigError> {
    let spaced: Vec<String> = line
        .args
        .iter()
        .flat_map(|word| match word.split_once('=') {
            Some((name, value)) if name.chars().all(|c| c.is_ascii_alphabetic() || c == '!') => {
                vec![name.to_string(), value.to_string()]
            }
            _ => vec![word.clone()],
        })
        .collect();
    match spaced.is_empty() {
        true => Err(line.place.error("Match without a condition")),
        false => Ok(spaced),
    }
}

fn any_of<'a>(patterns: impl Iterator<Item = &'a str>, text: &str, ignore_case: bool) -> bool {
    let fold = |t: &str| if ignore_case { t.to_ascii_lowercase() } else { t.to_string() };
    let text = fold(text);
    let mut found = false;
    for pattern in patterns.map(fold) {
        match pattern.strip_prefix('!') {
            Some(negated) if wildcard(negated, &text) => return false,
            Some(_) => {}
            None => found |= wildcard(&pattern, &text),
        }
    }
    found
}
