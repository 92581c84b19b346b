//! A project's configuration files to a [`Config`].

use super::erb::{self, Surroundings, World};
use super::node::{Map, Node, Value};
use super::overlay::{self, OWN_KEY};
use super::problem::{Place, Problem, Problems};
use super::resolve::{self, Setting};
use super::types::Config;
use super::{source, yaml};
use crate::name::Destination;
use std::path::{Path, PathBuf};

/// Where a configuration is and what its tags may see.
pub struct Request<'a> {
    /// The project's directory, absolute; relative paths of the configuration begin here.
    pub root: &'a Path,
    /// The configuration file, relative to the root or absolute (`-c`).
    pub file: &'a Path,
    /// `-d`.
    pub destination: Option<&'a str>,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// The default of `-c`.
pub const DEFAULT_FILE: &str = "config/deploy.yml";

/// Loads a configuration: everything that is wrong with it is said at once.
pub fn load(request: &Request) -> Result<Config, Problems> {
    let destination = request.destination.map(destination).transpose()?;
    let env = |key: &str| match (key, request.destination) {
        ("KAMAL_DESTINATION", Some(destination)) => Some(destination.to_string()),
        _ => (request.env)(key),
    };
    let mut reading = Reading {
        request,
        world: World::new(Surroundings { env: &env, docker_arch: Surroundings::own_arch(), root: request.root }),
        warnings: Vec::new(),
    };
    let (tree, at) = reading.tree()?;
    if required_destination(&tree) && destination.is_none() {
        let at = tree.get("require_destination").map_or(at, |e| e.key_at.clone());
        let problem = Problem::new(&at, "", "You must specify a destination");
        return Err(problem.hint(known_destinations(request)).into());
    }
    let home = (request.env)("HOME").map(PathBuf::from);
    let setting = Setting { root: request.root, home: home.as_deref(), destination: destination.as_ref() };
    let mut config = resolve::resolve(&tree, &at, &setting, reading.warnings)?;
    config.variables = reading.world.into_variables();
    Ok(config)
}

/// The files of a configuration while they are read.
struct Reading<'a> {
    request: &'a Request<'a>,
    world: World<'a>,
    warnings: Vec<Problem>,
}

impl Reading<'_> {
    /// The file with its destination and `x-windlass` laid over it.
    fn tree(&mut self) -> Result<(Map, Place), Problems> {
        let base = self.file(self.request.file);
        let root = match self.request.destination {
            None => base?,
            Some(name) => {
                let over = self.file(&destination_file(self.request.file, name));
                match (base, over) {
                    (Ok(base), Ok(over)) => overlay::merge(base, over),
                    (Err(mut base), Err(over)) => {
                        base.0.extend(over.0);
                        return Err(base);
                    }
                    (Err(problems), _) | (_, Err(problems)) => return Err(problems),
                }
            }
        };
        let at = Place::file(&root.at.file);
        let Value::Map(map) = root.value else { return Err(not_a_mapping(&root).into()) };
        if let Some(own) = map.get(OWN_KEY).filter(|own| own.value.map().is_none()) {
            let problem = Problem::new(&own.value.at, OWN_KEY, "should be a hash");
            return Err(problem.hint("give it keys, or remove it").into());
        }
        Ok((overlay::lift_own(map), at))
    }

    /// One file as a tree; it is a mapping.
    fn file(&mut self, path: &Path) -> Result<Node, Problems> {
        let (full, name) = (self.request.root.join(path), path.display().to_string());
        if full.symlink_metadata().is_err() {
            return Err(not_found(self.request, path, &full).into());
        }
        let rendered = erb::render(&source::read(&full, &name)?, &name, &mut self.world)?;
        let parsed = yaml::parse(&rendered, &name)?;
        self.warnings.extend(rendered.warnings);
        self.warnings.extend(parsed.warnings);
        match parsed.root.value {
            Value::Map(_) => Ok(parsed.root),
            _ => Err(not_a_mapping(&parsed.root).into()),
        }
    }
}

fn not_found(request: &Request, path: &Path, full: &Path) -> Problem {
    let at = Place::file(&path.display().to_string());
    let problem = Problem::new(&at, "", format!("Configuration file not found in {}", full.display()));
    match path == request.file {
        true => problem.hint("`windlass init` writes an example"),
        false => problem.hint(known_destinations(request)),
    }
}

fn not_a_mapping(root: &Node) -> Problem {
    let at = Place::file(&root.at.file);
    match root.value {
        Value::Null => Problem::new(&at, "", "is empty").hint("`windlass init` writes an example"),
        _ => Problem::new(&root.at, "", format!("should be a hash at the top level: it is {}", root.kind()))
            .hint("begin with `service: my-app`"),
    }
}

fn destination(text: &str) -> Result<Destination, Problems> {
    text.parse().map_err(|error: crate::name::InvalidName| {
        Problem::new(&Place::file("-d"), "", error.to_string()).hint("a destination is the D of deploy.D.yml").into()
    })
}

/// `config/deploy.yml` and `staging` make `config/deploy.staging.yml`.
fn destination_file(base: &Path, destination: &str) -> PathBuf {
    base.with_extension(format!("{destination}.yml"))
}

fn required_destination(tree: &Map) -> bool {
    tree.get("require_destination").is_some_and(|e| e.value.value == Value::Bool(true))
}

/// Which destinations have a file, for a hint.
fn known_destinations(request: &Request) -> String {
    let base = request.root.join(request.file);
    let stem = base.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_string();
    let entries = base.parent().and_then(|dir| std::fs::read_dir(dir).ok());
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter_map(|n| Some(n.strip_prefix(&stem)?.strip_prefix('.')?.strip_suffix(".yml")?.to_string()))
        .collect();
    names.sort();
    match names.is_empty() {
        true => format!("no destination has a file: write {}", destination_file(request.file, "NAME").display()),
        false => format!("destinations: {} (-d NAME)", names.join(", ")),
    }
}
