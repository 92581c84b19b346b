//! Who is at work: what releases, leases and locks say of it.

use crate::cli::git;
use std::path::Path;

/// `ann@example.com@laptop`: git's user (email, else name), else the login, at this machine. Control characters and
/// blanks become `_`, since it ends up in files and terminals of others.
pub(crate) fn actor(dir: &Path) -> String {
    let user = git::config(dir, "user.email").or_else(|| git::config(dir, "user.name"));
    let user = user.or_else(|| whoami::username().ok()).unwrap_or_else(|| "unknown".to_string());
    let machine = whoami::hostname().unwrap_or_else(|_| "unknown".to_string());
    clean(&format!("{user}@{machine}"))
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c.is_whitespace() { '_' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_actor_is_one_harmless_word() {
        assert_eq!(super::clean("Ann\u{1b}[31m Lee@x\n"), "Ann_[31m_Lee@x_");
    }
}
