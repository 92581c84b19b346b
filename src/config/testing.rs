//! Configurations for tests, from text.

use super::{Config, Problems, Request, load};
use std::path::Path;

/// What every test configuration needs unless it says so itself.
const BASE: &[(&str, &str)] = &[("service:", "service: app\n"), ("image:", "image: team/app\n")];

/// Loads `text`, completed by a service and an image, as `config/deploy.yml` of an empty project.
pub(super) fn try_config(text: &str) -> Result<Config, Problems> {
    let missing = BASE.iter().filter(|(key, _)| !text.lines().any(|l| l.starts_with(key))).map(|(_, line)| *line);
    let text: String = std::iter::once(text).chain(missing).collect::<Vec<_>>().join("");
    project(&[("config/deploy.yml", &text)], None)
}

/// The same for a text that must be right.
pub(super) fn config(text: &str) -> Config {
    try_config(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Loads a project of several files.
pub(super) fn project(files: &[(&str, &str)], destination: Option<&str>) -> Result<Config, Problems> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    load_in(dir.path(), Path::new("config/deploy.yml"), destination)
}

/// Loads a file of a directory.
pub(super) fn load_in(root: &Path, file: &Path, destination: Option<&str>) -> Result<Config, Problems> {
    let env = |name: &str| (name == "HOME").then(|| "/home/me".to_string());
    load(&Request { root, file, destination, env: &env })
}
