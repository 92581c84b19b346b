//! Words that a host's shell expands before an engine sees them, as in Kamal: `${NAME}` in clear values, and anything that
//! a shell knows in volumes. Nothing here runs a shell: a host is asked, and its answers are facts.

use super::{Env, RoleSpec};
use std::collections::{BTreeMap, BTreeSet};

/// What hosts made of words: the source for the shell → the words that it became.
pub type Expansions = BTreeMap<String, Vec<String>>;

/// The source of a clear value (of an environment, a label, a log option) if a shell has to see it: in double quotes,
/// where only `${…}` means something.
pub fn value_source(text: &str) -> Option<String> {
    let mut source = String::from("\"");
    let (mut rest, mut expands) = (text, false);
    while let Some(c) = rest.chars().next() {
        let braces = rest.strip_prefix("${").and_then(|after| Some(&rest[..after.find('}')? + 3]));
        if let Some(braces) = braces {
            source.push_str(braces);
            rest = &rest[braces.len()..];
            expands = true;
            continue;
        }
        if matches!(c, '"' | '\\' | '$' | '`') {
            source.push('\\');
        }
        source.push(c);
        rest = &rest[c.len_utf8()..];
    }
    source.push('"');
    expands.then_some(source)
}

/// The source of a volume if a shell has to see it: bare. A path that begins with `.` is below the login's home.
pub fn volume_source(text: &str) -> Option<String> {
    if text.starts_with('.') {
        return Some(format!("\"$PWD\"/{text}"));
    }
    (text.contains(['$', '`']) || text.starts_with('~')).then(|| text.to_string())
}

impl RoleSpec {
    /// Everything that hosts have to be asked for.
    pub fn shell_sources(&self) -> BTreeSet<String> {
        let envs = std::iter::once(&self.env).chain(self.env_tags.values()).flat_map(|env| env.clear.values());
        let values = envs.chain(self.labels.values()).chain(self.logging.options.values());
        values
            .filter_map(|text| value_source(text))
            .chain(self.volumes.iter().filter_map(|v| volume_source(v)))
            .collect()
    }

    /// The same with what a host made of it.
    ///
    /// # Errors
    /// A source that the host did not turn into exactly one word, and what it became.
    pub fn expanded(&self, known: &Expansions) -> Result<Self, String> {
        let mut spec = self.clone();
        for env in std::iter::once(&mut spec.env).chain(spec.env_tags.values_mut()) {
            values(&mut env.clear, known)?;
        }
        values(&mut spec.labels, known)?;
        values(&mut spec.logging.options, known)?;
        for volume in &mut spec.volumes {
            if let Some(source) = volume_source(volume) {
                *volume = clean(&one(&source, known)?);
            }
        }
        Ok(spec)
    }
}

impl Env {
    /// Whether a shell has a say in it.
    pub fn has_shell_sources(&self) -> bool {
        self.clear.values().any(|text| value_source(text).is_some())
    }
}

fn values(map: &mut BTreeMap<String, String>, known: &Expansions) -> Result<(), String> {
    for value in map.values_mut() {
        if let Some(source) = value_source(value) {
            *value = one(&source, known)?;
        }
    }
    Ok(())
}

fn one(source: &str, known: &Expansions) -> Result<String, String> {
    match known.get(source).map(Vec::as_slice) {
        Some([word]) => Ok(word.clone()),
        Some(words) => Err(format!("{source} becomes {} words there", words.len())),
        None => Err(format!("the shell there does not understand {source}")),
    }
}

/// `/root/./data:/x` as `/root/data:/x`: engines want the shortest form of the host's path.
fn clean(volume: &str) -> String {
    let Some((source, rest)) = volume.split_once(':').filter(|(source, _)| source.starts_with('/')) else {
        return volume.to_string();
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}:{rest}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_expands_is_asked_for() {
        assert_eq!(value_source("a $B `c` $(d)"), None);
        assert_eq!(value_source("${open"), None);
        assert_eq!(value_source("x\"${A}-$B\\"), Some("\"x\\\"${A}-\\$B\\\\\"".into()));
        assert_eq!(volume_source("data:/data"), None);
        assert_eq!(volume_source("./data:/data"), Some("\"$PWD\"/./data:/data".into()));
        for text in ["$PWD/a:/b", "$(pwd)/a:/b", "~/a:/b", "/a/`hostname`:/b"] {
            assert_eq!(volume_source(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn volumes_come_out_clean() {
        assert_eq!(clean("/root/./a/../b//c:/x:ro"), "/root/b/c:/x:ro");
        assert_eq!(clean("data:/x/../y"), "data:/x/../y");
        let known = Expansions::from([("\"a\"".to_string(), vec![])]);
        assert!(one("\"a\"", &known).unwrap_err().contains("0 words") && one("b", &known).is_err());
    }
}
