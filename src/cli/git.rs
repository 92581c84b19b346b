//! What the project's git repository says: the version to deploy, and who deploys.

use std::path::Path;
use std::process::{Command, Stdio};

/// The commit that is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its full sha.
    pub(crate) sha: String,
    /// Whether tracked files differ from it.
    pub(crate) dirty: bool,
}

/// The commit that is checked out in `dir`, if that is a git repository with one.
pub(crate) fn head(dir: &Path) -> Option<Head> {
    let sha = git(dir, &["rev-parse", "--verify", "HEAD"])?;
    let dirty = git(dir, &["status", "--porcelain", "--untracked-files=no"]).is_some_and(|out| !out.is_empty());
    Some(Head { sha, dirty })
}

/// A value of git's configuration.
pub(crate) fn config(dir: &Path, key: &str) -> Option<String> {
    git(dir, &["config", "--get", key]).filter(|value| !value.is_empty())
}

/// Whether `dir` is inside a working copy.
pub(crate) fn is_repository(dir: &Path) -> bool {
    git(dir, &["rev-parse", "--is-inside-work-tree"]).as_deref() == Some("true")
}

fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    let output = command.arg("-C").arg(dir).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}
