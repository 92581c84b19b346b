//! Which image a deploy means: the version, and what the registry says the tag is.

use crate::cli::git::{self, Head};
use crate::cli::project::environment;
use crate::cli::session::Session;
use crate::cli::{Failure, Kind};
use crate::effect::{EngineError, EngineErrorKind, RegistryLogin};
use crate::name::{Digest, ImageRef, Repository, Version};
use crate::observe::Connections;
use futures::future::join_all;

/// What the user asked to deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What the build is called.
    pub(crate) version: Version,
    /// What the registry is asked for.
    pub(crate) source: ImageRef,
    /// Worth saying with the plan.
    pub(crate) notes: Vec<String>,
}

impl Wanted {
    /// The name under which hosts hold the image: `repository:version`.
    pub(crate) fn name(&self) -> ImageRef {
        ImageRef { repository: self.source.repository.clone(), tag: Some(self.version.clone()), digest: None }
    }
}

/// The version is `--version`, else the tag of `--image`, else `VERSION`, else the git commit.
pub(crate) fn wanted(
    version: Option<&Version>,
    image: Option<&ImageRef>,
    repository: &Repository,
    dir: &std::path::Path,
) -> Result<Wanted, Failure> {
    choose(version, image, repository, environment("VERSION").as_deref(), || git::head(dir))
}

fn choose(
    version: Option<&Version>,
    image: Option<&ImageRef>,
    repository: &Repository,
    variable: Option<&str>,
    head: impl FnOnce() -> Option<Head>,
) -> Result<Wanted, Failure> {
    let tag = image.and_then(|image| image.tag.clone());
    let mut notes = Vec::new();
    let version = match (version.cloned().or(tag), variable.filter(|v| !v.is_empty())) {
        (Some(version), _) => version,
        (None, _) if image.is_some() => {
            return Err(Failure::usage("this --image has no tag to call the release by").hint("add --version V"));
        }
        (None, Some(text)) => {
            text.parse().map_err(|error| Failure::usage(format!("the environment's VERSION: {error}")))?
        }
        (None, None) => {
            let head = head().ok_or_else(no_version)?;
            if head.dirty {
                notes.push("the working copy has changes that are not in the commit that is deployed".to_string());
            }
            head.sha.parse().map_err(|error| Failure::usage(format!("{error}")))?
        }
    };
    let plain = || ImageRef { repository: repository.clone(), tag: Some(version.clone()), digest: None };
    Ok(Wanted { source: image.cloned().unwrap_or_else(plain), version, notes })
}

fn no_version() -> Failure {
    Failure::usage("which version? This is no git repository with a commit, and VERSION is not set")
        .hint("say `windlass deploy --version V`")
}

/// What the tag means now, asked once through the first host's engine. `None` with a note when no registry says so
/// and every host holds the image already.
pub(crate) async fn resolve(
    session: &Session,
    connections: &Connections,
    wanted: &Wanted,
    login: Option<&RegistryLogin>,
) -> Result<(Option<Digest>, Vec<String>), Failure> {
    let Some(node) = connections.nodes.values().next() else { return Ok((None, Vec::new())) };
    let error = match session.unless_cancelled(node.engine.resolve(&wanted.source, login)).await? {
        Ok(resolved) => return Ok((Some(resolved.digest), Vec::new())),
        Err(error) => error,
    };
    let falls_back = matches!(error.kind, EngineErrorKind::ImageNotFound | EngineErrorKind::Registry);
    if falls_back && lacking(session, connections, &wanted.name()).await?.is_empty() {
        let note =
            format!("no registry vouches for {} ({}); every host holds it already", wanted.name(), error.message);
        return Ok((None, vec![note]));
    }
    Err(unresolved(session, wanted, &error))
}

/// The hosts in scope that do not hold the image.
async fn lacking(session: &Session, connections: &Connections, image: &ImageRef) -> Result<Vec<String>, Failure> {
    let reference = image.to_string();
    let in_scope = connections.nodes.iter().filter(|(host, _)| session.scope.hosts.contains(host));
    let asked = in_scope.map(|(host, node)| async { (host.to_string(), node.engine.image(&reference).await) });
    let answers = session.unless_cancelled(join_all(asked)).await?;
    Ok(answers.into_iter().filter(|(_, answer)| !matches!(answer, Ok(Some(_)))).map(|(host, _)| host).collect())
}

fn unresolved(session: &Session, wanted: &Wanted, error: &EngineError) -> Failure {
    let failure = Failure::new(Kind::Refused, format!("{}: {}; nothing was changed", wanted.source, error.message));
    match error.kind {
        EngineErrorKind::ImageNotFound => failure
            .hint("build and push it first")
            .hint(format!("for example: docker build -t {image} . && docker push {image}", image = wanted.name())),
        EngineErrorKind::RegistryAuth => {
            let files = &session.project.config.secrets_files;
            let file = files.last().map_or_else(|| ".windlass/secrets".to_string(), |f| f.display().to_string());
            failure.hint(format!("check registry.username and registry.password, and their values in {file}"))
        }
        EngineErrorKind::Registry => failure.hint("a host that holds the image already would not need the registry"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(
        version: Option<&str>,
        image: Option<&str>,
        variable: Option<&str>,
        head: Option<Head>,
    ) -> Result<Wanted, Failure> {
        let (version, image) = (version.map(|v| v.parse().unwrap()), image.map(|i| i.parse().unwrap()));
        choose(version.as_ref(), image.as_ref(), &"r.example.com/shop".parse().unwrap(), variable, || head)
    }

    #[test]
    fn the_flag_wins_over_the_variable_and_the_commit() {
        let head = || Some(Head { sha: "a".repeat(40), dirty: true });
        let wanted = pick(Some("v1"), None, Some("v2"), head()).unwrap();
        assert_eq!(wanted.source.to_string(), "r.example.com/shop:v1");
        assert_eq!(pick(None, None, Some("v2"), head()).unwrap().version.as_str(), "v2");
        let from_git = pick(None, None, Some(""), head()).unwrap();
        assert_eq!((from_git.version.as_str().len(), from_git.notes.len()), (40, 1));
        assert_eq!(pick(None, None, None, None).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn an_image_of_another_name_keeps_its_repository() {
        let wanted = pick(None, Some("other.example.com/x:v9"), Some("v2"), None).unwrap();
        assert_eq!(wanted.name().to_string(), "other.example.com/x:v9");
        let digest = format!("other.example.com/x@sha256:{}", "a".repeat(64));
        assert_eq!(pick(None, Some(&digest), None, None).unwrap_err().kind, Kind::Usage);
        let named = pick(Some("v3"), Some(&digest), None, None).unwrap();
        assert_eq!(
            (named.name().to_string(), named.source.to_string()),
            ("other.example.com/x:v3".to_string(), digest)
        );
    }
}
