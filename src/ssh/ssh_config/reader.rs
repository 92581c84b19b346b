//! Reads the files for one host: which lines count, and what they say first.

use super::conditions::{Facts, Verdict, host_line, match_line};
use super::lines::{Line, parse};
use super::{Asked, SshConfig, SshConfigError, tokens};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// As OpenSSH has it.
const DEEPEST_INCLUDE: usize = 16;

/// Keywords that count once, by the name under which they are kept: ProxyJump and ProxyCommand exclude each other.
const ONCE: [(&str, &str); 12] = [
    ("hostname", "hostname"),
    ("user", "user"),
    ("port", "port"),
    ("identitiesonly", "identitiesonly"),
    ("identityagent", "identityagent"),
    ("proxyjump", "proxy"),
    ("proxycommand", "proxy"),
    ("userknownhostsfile", "userknownhostsfile"),
    ("globalknownhostsfile", "globalknownhostsfile"),
    ("hostkeyalias", "hostkeyalias"),
    ("stricthostkeychecking", "stricthostkeychecking"),
    ("connecttimeout", "connecttimeout"),
];

/// Keywords that add up.
const MANY: [&str; 2] = ["identityfile", "certificatefile"];

/// What the lines that count say.
#[derive(Debug, Default)]
pub(super) struct Found {
    once: BTreeMap<&'static str, Line>,
    many: BTreeMap<&'static str, Vec<Line>>,
    pub(super) notes: Vec<String>,
}

impl Found {
    pub(super) fn get(&self, keyword: &str) -> Option<&Line> {
        self.once.get(keyword)
    }

    pub(super) fn all(&self, keyword: &str) -> &[Line] {
        self.many.get(keyword).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, line: Line) {
        if let Some((_, name)) = ONCE.iter().find(|(keyword, _)| *keyword == line.keyword) {
            self.once.entry(name).or_insert(line);
        } else if let Some(keyword) = MANY.iter().find(|k| **k == line.keyword) {
            self.many.entry(keyword).or_default().push(line);
        }
    }
}

pub(super) fn read(config: &SshConfig, asked: Asked) -> Result<Found, SshConfigError> {
    let mut reader = Reader { config, asked, found: Found::default(), last_pass: false, wants_last_pass: false };
    reader.pass()?;
    if reader.wants_last_pass {
        reader.last_pass = true;
        reader.pass()?;
    }
    Ok(reader.found)
}

struct Reader<'a> {
    config: &'a SshConfig,
    asked: Asked<'a>,
    found: Found,
    /// `Match final` asks for a second pass, in which `Host` is compared with the name that HostName gave.
    last_pass: bool,
    wants_last_pass: bool,
}

impl Reader<'_> {
    fn pass(&mut self) -> Result<(), SshConfigError> {
        let files = &self.config.files;
        files.iter().try_for_each(|file| self.file(file, 0))
    }

    fn file(&mut self, file: &Path, depth: usize) -> Result<(), SshConfigError> {
        let Some(text) = content(file)? else { return Ok(()) };
        let mut counts = true;
        for line in parse(&text, file)? {
            match line.keyword.as_str() {
                "host" => counts = host_line(&line.args, &self.host_of_host_lines()?),
                "match" => counts = self.matches(&line)?,
                "include" if counts => self.include(&line, depth)?,
                "revokedhostkeys" if counts && !line.rest.eq_ignore_ascii_case("none") => return Err(unheeded(&line)),
                _ if counts => self.found.add(line),
                _ => {}
            }
        }
        Ok(())
    }

    /// A host name that begins a `Host` block inside an included file ends with that file.
    fn include(&mut self, line: &Line, depth: usize) -> Result<(), SshConfigError> {
        if depth >= DEEPEST_INCLUDE {
            return Err(line
                .place
                .error(format!("Include goes deeper than {DEEPEST_INCLUDE} files: does one include itself?")));
        }
        for pattern in &line.args {
            for file in self.files_of(pattern, line)? {
                self.file(&file, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Relative paths start where the file's own kind lives, as in OpenSSH.
    fn files_of(&self, pattern: &str, line: &Line) -> Result<Vec<PathBuf>, SshConfigError> {
        let system = line.place.file.starts_with("/etc/ssh");
        let base = if system { PathBuf::from("/etc/ssh") } else { self.config.home.join(".ssh") };
        let path = base.join(tokens::home(pattern, &self.config.home));
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
        let found = glob::glob_with(&path.to_string_lossy(), options)
            .map_err(|e| line.place.error(format!("Include {pattern}: {e}")))?;
        // A directory that cannot be listed has no files for us, as in OpenSSH.
        Ok(found.flatten().filter(|p| p.is_file()).collect())
    }

    fn matches(&mut self, line: &Line) -> Result<bool, SshConfigError> {
        let host = self.host_name()?;
        let user = match (self.asked.user, self.found.get("user")) {
            (Some(user), _) => user,
            (None, Some(line)) => line.args.first().map_or(self.asked.default_user, String::as_str),
            (None, None) => self.asked.default_user,
        };
        let facts = Facts {
            original: self.asked.host,
            host: &host,
            user,
            local_user: &self.config.local_user,
            last_pass: self.last_pass,
        };
        self.wants_last_pass |= line.args.iter().any(|a| a.trim_start_matches('!').eq_ignore_ascii_case("final"));
        match match_line(line, &facts)? {
            Verdict::Yes => Ok(true),
            Verdict::No => Ok(false),
            Verdict::Unknown(condition) => {
                let note =
                    format!("{}: windlass does not evaluate `Match {condition}`: its lines are left out", line.place);
                if !self.found.notes.contains(&note) {
                    self.found.notes.push(note);
                }
                Ok(false)
            }
        }
    }

    fn host_of_host_lines(&self) -> Result<String, SshConfigError> {
        if self.last_pass { self.host_name() } else { Ok(self.asked.host.to_string()) }
    }

    fn host_name(&self) -> Result<String, SshConfigError> {
        match self.found.get("hostname") {
            Some(line) => tokens::host_name(line, self.asked.host),
            None => Ok(self.asked.host.to_string()),
        }
    }
}

/// Whoever names revoked keys wants them refused; to connect all the same would be worse than not to connect.
fn unheeded(line: &Line) -> SshConfigError {
    SshConfigError {
        place: line.place.to_string(),
        message: "windlass does not read RevokedHostKeys: write the keys as `@revoked` lines into known_hosts, and \
                  keep this line away from these hosts"
            .to_string(),
    }
}

/// None for a file that is not there. A file that others may write could name a ProxyCommand: refused, as in OpenSSH.
fn content(file: &Path) -> Result<Option<String>, SshConfigError> {
    let error = |message: String| SshConfigError { place: file.display().to_string(), message };
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(error(format!("cannot be read: {e}"))),
    };
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o022 != 0 && metadata.is_file() {
        return Err(error("others may write to it, and it can name commands to run: chmod go-w it".to_string()));
    }
    std::fs::read_to_string(file).map(Some).map_err(|e| error(format!("cannot be read: {e}")))
}
