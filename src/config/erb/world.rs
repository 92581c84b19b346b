//! What tags can see and do outside of themselves: the environment, files of the project, commands, `Dotenv`.

use super::eval::{Failure, Outcome, not_understood, raised};
use super::value::Value;
use crate::config::secrets::Secrets;
use crate::config::source;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the tags can see of the outside world.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// This machine's architecture as Docker names it, for `Kamal::Utils.docker_arch`.
    pub docker_arch: &'a str,
    /// The project's directory: relative paths begin here, and commands run here.
    pub root: &'a Path,
}

impl Surroundings<'_> {
    /// The architecture that this program was built for, as Docker names it.
    pub fn own_arch() -> &'static str {
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    }
}

/// The outside world while the files of one configuration are read: what one file's tags set, the next one sees.
pub struct World<'a> {
    around: Surroundings<'a>,
    /// Variables that tags set (`ENV["X"] = …`, `Dotenv.load`).
    variables: BTreeMap<String, Secret<String>>,
    /// `@name`s.
    pub(super) fields: BTreeMap<String, Value>,
}

/// Libraries that configurations require and whose use, if any, is understood or an error of its own.
const LIBRARIES: &[&str] = &[
    "json",
    "yaml",
    "psych",
    "dotenv",
    "erb",
    "uri",
    "time",
    "date",
    "shellwords",
    "pathname",
    "fileutils",
    "digest",
    "socket",
    "etc",
    "open3",
    "securerandom",
    "base64",
    "set",
    "bundler/setup",
    "active_support",
    "active_support/all",
    "active_support/core_ext/object/blank",
];

impl<'a> World<'a> {
    /// A world in which nothing was set yet.
    pub fn new(around: Surroundings<'a>) -> Self {
        Self { around, variables: BTreeMap::new(), fields: BTreeMap::new() }
    }

    /// The variables that tags set, for what is read later (secrets files see them in Kamal too).
    pub fn into_variables(self) -> BTreeMap<String, Secret<String>> {
        self.variables
    }

    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| value.expose().clone()).or_else(|| (self.around.env)(name))
    }

    pub(super) fn set_variable(&mut self, name: &Value, value: &Value) -> Outcome<()> {
        match (name, value) {
            (Value::Text(name), Value::Text(value)) => {
                self.variables.insert(name.clone(), Secret::new(value.clone()));
                Ok(())
            }
            _ => raised("a variable of the environment takes a string"),
        }
    }

    /// The value of a constant.
    pub(super) fn constant(&self, path: &str, assigned: Option<&Value>) -> Outcome<Value> {
        match (assigned, path) {
            (Some(value), _) => Ok(value.clone()),
            (None, "RUBY_ENGINE") => Ok(Value::text("ruby")),
            _ => not_understood(format!("`{path}` is not known")),
        }
    }

    /// A function without a receiver; none if there is no such.
    pub(super) fn function(&mut self, name: &str, arguments: &[Value]) -> Option<Outcome<Value>> {
        Some(match (name, arguments) {
            ("require", [Value::Text(library)]) if LIBRARIES.contains(&library.as_str()) => Ok(Value::Bool(true)),
            ("require", [Value::Text(library)]) if library.starts_with("dotenv") => Ok(Value::Bool(true)),
            ("require" | "require_relative" | "load", [library]) => {
                not_understood(format!("`{}` is Ruby of its own", library.to_text()))
            }
            ("raise" | "abort" | "fail", [.., message]) => raised(message.to_text()),
            ("puts" | "warn" | "p" | "print", _) => Ok(Value::Nil),
            ("Integer", [value]) => match value.to_text().trim().parse() {
                Ok(number) => Ok(Value::Int(number)),
                Err(_) => raised(format!("invalid value for Integer(): {}", value.inspect())),
            },
            ("String", [value]) => Ok(Value::Text(value.to_text())),
            ("Array", [value]) => Ok(match value {
                Value::Nil => Value::List(Vec::new()),
                Value::List(_) => value.clone(),
                other => Value::List(vec![other.clone()]),
            }),
            ("__dir__", []) => Ok(Value::text(self.around.root.join("config").display().to_string())),
            _ => return None,
        })
    }

    /// A method of a module.
    pub(super) fn call(&mut self, path: &str, name: &str, arguments: &[Value]) -> Outcome<Value> {
        match (path, name, arguments) {
            ("ENV", "key?" | "has_key?" | "include?" | "member?", [name]) => {
                Ok(Value::Bool(self.variable(&name.to_text()).is_some()))
            }
            ("Kamal::Utils", "docker_arch", []) => Ok(Value::text(self.around.docker_arch)),
            ("JSON", "parse", [Value::Text(text), ..]) => match serde_json::from_str(text) {
                Ok(json) => Ok(Value::from_json(json)),
                Err(error) => raised(format!("JSON.parse: {error}")),
            },
            ("JSON", "generate" | "dump", [value]) => Ok(Value::text(value.to_json().to_string())),
            ("YAML", "load" | "safe_load" | "unsafe_load", [Value::Text(text), ..]) => yaml(text, "YAML"),
            ("YAML", "load_file" | "safe_load_file" | "unsafe_load_file", [file, ..]) => {
                yaml(&self.read(file)?, &file.to_text())
            }
            ("Dotenv", "load" | "load!" | "overload" | "overload!", files) => self.dotenv(name, files),
            ("Dir", "pwd" | "getwd", []) => Ok(Value::text(self.around.root.display().to_string())),
            ("Dir", "exist?", [dir]) => Ok(Value::Bool(self.path(dir).is_dir())),
            ("Dir", "home", []) => {
                self.variable("HOME").map_or_else(|| raised("HOME is not set"), |home| Ok(Value::Text(home)))
            }
            ("File" | "IO", ..) => self.file(name, arguments),
            _ => not_understood(format!("`{path}.{name}` is not known")),
        }
    }

    fn file(&mut self, name: &str, arguments: &[Value]) -> Outcome<Value> {
        let text = |path: PathBuf| Ok(Value::text(path.display().to_string()));
        match (name, arguments) {
            ("read" | "binread", [file]) => Ok(Value::Text(self.read(file)?)),
            ("readlines", [file]) => Ok(Value::List(self.read(file)?.split_inclusive('\n').map(Value::text).collect())),
            ("exist?" | "exists?", [file]) => Ok(Value::Bool(self.path(file).exists())),
            ("file?" | "readable?", [file]) => Ok(Value::Bool(self.path(file).is_file())),
            ("directory?", [file]) => Ok(Value::Bool(self.path(file).is_dir())),
            ("join", parts) => Ok(Value::Text(joined(parts))),
            ("expand_path" | "absolute_path", [file]) => text(clean(&self.path(file))),
            ("expand_path" | "absolute_path", [file, base]) => text(clean(&self.path(base).join(file.to_text()))),
            ("basename", [file]) => text(PathBuf::from(Path::new(&file.to_text()).file_name().unwrap_or_default())),
            ("dirname", [file]) => text(Path::new(&file.to_text()).parent().unwrap_or(Path::new(".")).to_path_buf()),
            _ => not_understood(format!("`File.{name}` is not known")),
        }
    }

    /// A path below the project, or below the home directory after `~/`.
    fn path(&self, file: &Value) -> PathBuf {
        let text = file.to_text();
        match (text.strip_prefix("~/"), self.variable("HOME")) {
            (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => self.around.root.join(text),
        }
    }

    fn read(&self, file: &Value) -> Outcome<String> {
        let name = file.to_text();
        source::read(&self.path(file), &name)
            .map_err(|problems| Failure::Raised(problems.to_string().replace('\n', ": ")))
    }

    /// `Dotenv.load` sets what is not set, `overload` everything; a file that is not there matters to the `!` forms only.
    fn dotenv(&mut self, name: &str, files: &[Value]) -> Outcome<Value> {
        let default = [Value::text(".env")];
        for file in if files.is_empty() { &default } else { files } {
            let path = self.path(file);
            if !path.is_file() {
                if name.ends_with('!') {
                    return raised(format!("{} is not there", file.to_text()));
                }
                continue;
            }
            let env = |name: &str| self.variable(name);
            let loaded = Secrets::load(&[path], self.around.root, &env)
                .map_err(|problems| Failure::Raised(problems.to_string().replace('\n', ": ")))?;
            for (key, value) in loaded.iter() {
                if name.starts_with("overload") || self.variable(key).is_none() {
                    self.variables.insert(key.to_string(), value.clone());
                }
            }
        }
        Ok(Value::Nil)
    }

    /// Runs a command by the local shell, as Ruby's backticks do: what it writes counts, and whether it failed is only
    /// said. Gives back its output and how it ended, if that is worth a word.
    pub(super) fn command(&self, command: &str) -> Outcome<(String, String)> {
        let output = Command::new("sh")
            .args(["-c", command])
            .envs(self.variables.iter().map(|(name, value)| (name, value.expose())))
            .current_dir(self.around.root)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output();
        match output {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let ended = match (output.status.success(), text.is_empty()) {
                    (true, false) => String::new(),
                    (true, true) => ", which wrote nothing".to_string(),
                    (false, _) => format!(", which failed ({})", output.status),
                };
                Ok((text, ended))
            }
            Err(error) => raised(format!("the command cannot be run: {error}")),
        }
    }
}

/// `File.join`: one slash between the parts.
fn joined(parts: &[Value]) -> String {
    let mut path = String::new();
    for (n, part) in parts.iter().enumerate() {
        let text = part.to_text();
        if n > 0 {
            path.truncate(path.trim_end_matches('/').len());
            path.push('/');
        }
        path.push_str(if n > 0 { text.trim_start_matches('/') } else { &text });
    }
    path
}

/// A path without `.` and `..`.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
}

fn yaml(text: &str, name: &str) -> Outcome<Value> {
    match crate::config::yaml::parse(&super::Rendered::plain(text), name) {
        Ok(parsed) => Ok(Value::from_yaml(&parsed.root)),
        Err(problem) => raised(problem.to_string().replace('\n', ": ")),
    }
}
