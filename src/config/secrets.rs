//! Secrets files: which ones are read, and the values in them.
//!
//! Nothing is read until a verb needs a secret. Unlike Kamal, a command that fails is an error and a line that cannot be
//! read is a warning: neither may deploy an empty secret in silence.

use super::dotenv::{self, Assignment, Piece};
use super::problem::{Place, Problem, Problems};
use super::source;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use zeroize::Zeroize;

/// The values of the secrets files.
#[derive(Debug, Default)]
pub struct Secrets {
    values: BTreeMap<String, Secret<String>>,
    files: Vec<String>,
    /// Lines that could not be read.
    pub warnings: Vec<Problem>,
}

/// The secrets files of a project that exist, in the order in which they are read: `-common`, then the destination's
/// (or, without a destination, the plain file). `.windlass/secrets` is preferred to `.kamal/secrets`, as a family.
pub fn files(root: &Path, secrets_path: Option<&Path>, destination: Option<&str>) -> Vec<PathBuf> {
    let family = |base: &Path| -> Vec<PathBuf> {
        let base = root.join(base).into_os_string();
        let own = destination.map_or(String::new(), |d| format!(".{d}"));
        let with = |suffix: &str| {
            let mut name = base.clone();
            name.push(suffix);
            PathBuf::from(name)
        };
        [with("-common"), with(&own)].into_iter().filter(|p| p.is_file()).collect()
    };
    match secrets_path {
        Some(path) => family(path),
        None => Some(family(Path::new(".windlass/secrets")))
            .filter(|found| !found.is_empty())
            .unwrap_or_else(|| family(Path::new(".kamal/secrets"))),
    }
}

impl Secrets {
    /// Reads the files, runs their commands in `dir` by the local shell, and keeps the last value of each key.
    pub fn load(paths: &[PathBuf], dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut secrets = Self::default();
        let mut problems = Vec::new();
        for path in paths {
            let name = path.strip_prefix(dir).unwrap_or(path).display().to_string();
            let mut text = source::read(path, &name)?;
            secrets.read_file(&text, &name, dir, env, &mut problems);
            text.zeroize();
            secrets.files.push(name);
        }
        if problems.is_empty() { Ok(secrets) } else { Err(Problems(problems)) }
    }

    /// The value of a secret.
    pub fn get(&self, name: &str) -> Option<&Secret<String>> {
        self.values.get(name)
    }

    /// The value of a secret, or what to say when there is none.
    pub fn require(&self, name: &str) -> Result<&Secret<String>, Problem> {
        self.get(name).ok_or_else(|| self.missing(name))
    }

    /// All the names that have no value, as problems.
    pub fn check<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), Problems> {
        let missing: Vec<_> = names.into_iter().filter(|n| self.get(n).is_none()).map(|n| self.missing(n)).collect();
        if missing.is_empty() { Ok(()) } else { Err(Problems(missing)) }
    }

    /// Name and value of every secret, for the masker.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret<String>)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn missing(&self, name: &str) -> Problem {
        let shown = super::problem::printable(name);
        let (place, message) = match self.files.last() {
            Some(file) => (file.as_str(), format!("Secret '{shown}' not found in {}", self.files.join(", "))),
            None => (
                ".windlass/secrets",
                format!("Secret '{shown}' not found, no secret files (.windlass/secrets, .kamal/secrets) provided"),
            ),
        };
        let hint = match super::problem::nearest(name, self.values.keys().map(String::as_str)) {
            Some(near) => format!("did you mean {near}? Otherwise add a line {shown}=… to {place}"),
            None => format!("add a line {shown}=… to {place}"),
        };
        Problem::new(&Place::file(place), "", message).hint(hint)
    }

    fn read_file(
        &mut self,
        text: &str,
        name: &str,
        dir: &Path,
        env: &dyn Fn(&str) -> Option<String>,
        problems: &mut Vec<Problem>,
    ) {
        let file: Arc<str> = name.into();
        let (assignments, unreadable) = dotenv::parse(text);
        for line in unreadable {
            let problem = Problem::new(&Place::line(&file, line), "", "is not KEY=value: the line is ignored");
            self.warnings.push(
                problem.hint("keys are letters, digits, `_` and `.`; quote values that hold a `#` or span lines"),
            );
        }
        // As in Kamal, a file sees its own earlier keys and the environment, not the keys of other files.
        let mut own: BTreeMap<String, Secret<String>> = BTreeMap::new();
        for assignment in assignments {
            self.warn_of_other_file(&assignment, &own, &file, env);
            match value_of(&assignment, &own, dir, env) {
                Ok(value) => drop(own.insert(assignment.key.to_string(), Secret::new(value))),
                Err((message, hint)) => {
                    let at = Place::line(&file, assignment.line);
                    problems.push(Problem::new(&at, assignment.key, message).hint(hint));
                }
            }
        }
        self.values.extend(own);
    }

    /// A `$VAR` that only an earlier file has is empty here: easily meant otherwise, so it is said.
    fn warn_of_other_file(
        &mut self,
        assignment: &Assignment,
        own: &BTreeMap<String, Secret<String>>,
        file: &Arc<str>,
        env: &dyn Fn(&str) -> Option<String>,
    ) {
        if assignment.quote == Some('\'') {
            return;
        }
        let missed = std::cell::RefCell::new(Vec::new());
        dotenv::expand(&dotenv::unescape(assignment.raw, assignment.quote), &|name| {
            if !own.contains_key(name) && env(name).is_none() && self.values.contains_key(name) {
                missed.borrow_mut().push(name.to_string());
            }
            None
        });
        for name in missed.into_inner() {
            let message = format!(
                "${name} is empty here: a file sees its own keys and the environment, not those of other files"
            );
            let at = Place::line(file, assignment.line);
            self.warnings
                .push(Problem::new(&at, assignment.key, message).hint(format!("define {name} in this file too")));
        }
    }
}

type Failed = (String, &'static str);

fn value_of(
    assignment: &Assignment,
    own: &BTreeMap<String, Secret<String>>,
    dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Failed> {
    if assignment.quote == Some('\'') {
        return Ok(assignment.raw.to_string());
    }
    let lookup = |name: &str| own.get(name).map(|s| s.expose().clone()).or_else(|| env(name));
    let unescaped = dotenv::unescape(assignment.raw, assignment.quote);
    let written: Vec<&str> = dotenv::commands(&unescaped).iter().filter_map(as_command).collect();
    let expanded = dotenv::expand(&unescaped, &lookup);
    let (mut value, mut nth) = (String::new(), 0);
    for piece in dotenv::commands(&expanded) {
        match piece {
            Piece::Text(text) => value.push_str(text),
            Piece::Command(command) => {
                // messages show the command as written, without the values of its variables
                let shown = written.get(nth).copied().unwrap_or("…");
                nth += 1;
                value.push_str(&run(command, shown, dir)?);
            }
        }
    }
    Ok(value)
}

fn as_command<'a>(piece: &Piece<'a>) -> Option<&'a str> {
    match piece {
        Piece::Command(command) => Some(command),
        Piece::Text(_) => None,
    }
}

/// Runs a command by the local shell. The text goes by environment, since argv can be read by every user of the machine.
fn run(command: &str, shown: &str, dir: &Path) -> Result<String, Failed> {
    const TRY: &str = "run the command yourself to see what it needs";
    let shown = super::problem::printable(shown);
    let mut words = command.split_whitespace();
    if words.next() == Some("kamal") && words.next() == Some("secrets") {
        let hint = "call the vault's own command instead, such as $(op read op://vault/item/field), $(bw get password item) or \
                    $(aws secretsmanager get-secret-value …)";
        return Err((format!("`$({shown})` is not supported by windlass yet"), hint));
    }
    let output = Command::new("sh")
        .args(["-c", "c=$WINDLASS_SECRET_COMMAND; unset WINDLASS_SECRET_COMMAND; eval \"$c\""])
        .env("WINDLASS_SECRET_COMMAND", command)
        .current_dir(dir)
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| (format!("the command `{shown}` cannot be run: {error}"), TRY))?;
    if !output.status.success() {
        return Err((format!("the command `{shown}` failed ({})", output.status), TRY));
    }
    let mut text = String::from_utf8(output.stdout).map_err(|_| {
        (format!("the command `{shown}` gave something that is not UTF-8 text"), "encode it, for example with base64")
    })?;
    let end = text.strip_suffix('\n').map(|t| t.strip_suffix('\r').unwrap_or(t)).unwrap_or(&text).len();
    text.truncate(end);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Secrets, Problems> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".kamal")).unwrap();
        std::fs::write(dir.path().join(".kamal/secrets"), text).unwrap();
        let env = |name: &str| (name == "FROM_ENV").then(|| "e".to_string());
        Secrets::load(&files(dir.path(), None, None), dir.path(), &env)
    }

    fn value<'a>(secrets: &'a Secrets, name: &str) -> &'a str {
        secrets.get(name).unwrap().expose()
    }

    #[test]
    fn values_come_from_text_variables_and_commands() {
        let secrets = load(
            "A=1\nB=$A-$FROM_ENV\nC=$(printf 'x\\ny\\n\\n')\nD=$(echo \"$A\" (2))\nE='$A'\nA=9\nF=\"$(echo '#')\"\n",
        );
        assert!(secrets.unwrap_err().to_string().contains("D: the command"));
        let secrets =
            load("A=1\nB=$A-$FROM_ENV\nC=$(printf 'x\\\\ny\\\\n\\\\n')\nE='$A'\nA=9\nF=\"$(echo '#')\"\n").unwrap();
        let values: Vec<_> = ["A", "B", "C", "E", "F"].map(|n| value(&secrets, n)).into();
        assert_eq!(values, ["9", "1-e", "x\ny\n", "$A", "#"]);
    }

    #[test]
    fn a_failing_command_is_an_error_without_any_value() {
        let text = "TOKEN=hunter2\nK=$(test $TOKEN = x)\nL=$(kamal secrets fetch -a op)\n";
        insta::assert_snapshot!(load(text).unwrap_err(), @r"
        .kamal/secrets:2: K: the command `test $TOKEN = x` failed (exit status: 1)
          run the command yourself to see what it needs
        .kamal/secrets:3: L: `$(kamal secrets fetch -a op)` is not supported by windlass yet
          call the vault's own command instead, such as $(op read op://vault/item/field), $(bw get password item) or $(aws secretsmanager get-secret-value …)
        ");
    }

    #[test]
    fn an_unreadable_line_is_a_warning_and_a_missing_secret_an_error() {
        let secrets = load("A=1\nX-Y=1\nDB_PASSWORD=p\n").unwrap();
        assert_eq!(secrets.warnings[0].place.to_string(), ".kamal/secrets:2");
        assert!(secrets.check(["A"]).is_ok());
        insta::assert_snapshot!(secrets.check(["A", "DB_PASWORD", "ZZ"]).unwrap_err(), @r"
        .kamal/secrets: Secret 'DB_PASWORD' not found in .kamal/secrets
          did you mean DB_PASSWORD? Otherwise add a line DB_PASWORD=… to .kamal/secrets
        .kamal/secrets: Secret 'ZZ' not found in .kamal/secrets
          add a line ZZ=… to .kamal/secrets
        ");
        insta::assert_snapshot!(Secrets::default().require("A").unwrap_err(), @r"
        .windlass/secrets: Secret 'A' not found, no secret files (.windlass/secrets, .kamal/secrets) provided
          add a line A=… to .windlass/secrets
        ");
    }

    #[test]
    fn a_variable_of_another_file_is_empty_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [("a", "A=1\n"), ("b", "B=x$A\n")].map(|(name, text)| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        });
        let secrets = Secrets::load(&paths, dir.path(), &|_| None).unwrap();
        assert_eq!(value(&secrets, "B"), "x");
        assert!(secrets.warnings[0].to_string().starts_with("b:1: B: $A is empty here"));
    }

    #[test]
    fn one_family_of_files_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let touch = |name: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        let names = |path: Option<&str>, destination: Option<&str>| -> Vec<String> {
            let found = files(root, path.map(Path::new), destination);
            found.iter().map(|p| p.strip_prefix(root).unwrap().display().to_string()).collect()
        };
        assert!(names(None, None).is_empty());
        touch(".kamal/secrets");
        touch(".kamal/secrets-common");
        touch(".kamal/secrets.staging");
        assert_eq!(names(None, None), [".kamal/secrets-common", ".kamal/secrets"]);
        assert_eq!(names(None, Some("staging")), [".kamal/secrets-common", ".kamal/secrets.staging"]);
        assert_eq!(names(None, Some("other")), [".kamal/secrets-common"]);
        touch(".windlass/secrets");
        assert_eq!(names(None, None), [".windlass/secrets"]);
        touch("own/s");
        assert_eq!(names(Some("own/s"), None), ["own/s"]);
    }
}
