//! `%h`, `~` and `${NAME}` in values (ssh_config(5), TOKENS).

use super::SshConfigError;
use super::lines::Line;
use std::path::{Path, PathBuf};

/// What tokens stand for.
pub(super) struct Tokens<'a> {
    pub(super) host: &'a str,
    pub(super) original: &'a str,
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) local_user: &'a str,
    pub(super) home: &'a Path,
    pub(super) alias: Option<&'a str>,
}

impl Tokens<'_> {
    /// A path: tokens, `${NAME}`, and `~` at its beginning.
    pub(super) fn path(&self, text: &str, line: &Line) -> Result<PathBuf, SshConfigError> {
        let text = self.expand(&environment(text, line)?, line)?;
        Ok(self.home.join(home(&text, self.home)))
    }

    pub(super) fn expand(&self, text: &str, line: &Line) -> Result<String, SshConfigError> {
        replace(text, line, |token| {
            Some(match token {
                'h' => self.host.to_string(),
                'n' => self.original.to_string(),
                'p' => self.port.to_string(),
                'r' => self.user.to_string(),
                'u' => self.local_user.to_string(),
                'd' => self.home.display().to_string(),
                'k' => self.alias.unwrap_or(self.original).to_string(),
                _ => return None,
            })
        })
    }
}

/// The value of HostName; `%h` is the host that was asked for.
pub(super) fn host_name(line: &Line, asked: &str) -> Result<String, SshConfigError> {
    let text = line.args.first().map_or("", String::as_str);
    replace(text, line, |token| (token == 'h').then(|| asked.to_string()))
}

/// `~/x` below the home directory; anything else as it is.
pub(super) fn home(text: &str, home: &Path) -> PathBuf {
    match text.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(text),
    }
}

fn replace(text: &str, line: &Line, value: impl Fn(char) -> Option<String>) -> Result<String, SshConfigError> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c == '%').then(|| chars.next()) {
            None => out.push(c),
            Some(Some('%')) => out.push('%'),
            Some(token) => {
                out += &token.and_then(&value).ok_or_else(|| {
                    let token = token.map(String::from).unwrap_or_default();
                    line.place.error(format!("windlass does not know the token %{token} here (%% is a percent sign)"))
                })?
            }
        }
    }
    Ok(out)
}

/// `${NAME}`; a variable that is not set is an error, as in OpenSSH.
fn environment(text: &str, line: &Line) -> Result<String, SshConfigError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or_else(|| line.place.error("`${` without `}`"))?;
        let value = std::env::var(name).map_err(|_| line.place.error(format!("the variable {name} is not set")))?;
        out += before;
        out += &value;
        rest = after;
    }
    Ok(out + rest)
}
