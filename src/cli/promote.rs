//! `windlass deploy --from staging`: what another destination runs, by digest.

use crate::cli::Failure;
use crate::cli::image::Wanted;
use crate::cli::releases::{history, named};
use crate::cli::releases_diff::title;
use crate::cli::session::Session;
use crate::config::VerbKind;
use crate::fleet::Fleet;
use crate::history::{History, Release};
use crate::name::{Destination, Digest, ImageRef, Repository};
use std::str::FromStr;

/// Where to take a release from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// `None`: the configuration without a destination.
    destination: Option<Destination>,
    /// Which release; `None`: what serves.
    release: Option<String>,
}

impl FromStr for Source {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (destination, release) = text.split_once(':').map_or((text, None), |(d, r)| (d, Some(r.to_string())));
        if release.as_deref() == Some("") {
            return Err("a release should follow the colon, such as staging:v12".to_string());
        }
        let destination = match destination {
            "_" => None,
            name => Some(name.parse::<Destination>().map_err(|error| error.to_string())?),
        };
        Ok(Self { destination, release })
    }
}

/// What is to be deployed: the other destination's version, by its digest. Its message is taken where none was given.
pub(crate) async fn wanted(
    session: &Session,
    source: &Source,
    message: &mut Option<String>,
) -> Result<Wanted, Failure> {
    if source.destination == session.project.config.destination {
        return Err(
            Failure::usage("--from names the destination that is deployed to").hint("add `-d` with the other one")
        );
    }
    let name = source.destination.as_ref().map_or_else(|| "no destination".to_string(), ToString::to_string);
    let mut global = session.global.clone();
    global.destination = source.destination.as_ref().map(ToString::to_string);
    (global.hosts, global.roles) = (None, None);
    let other = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = other.read().await?;
    // A release that is named is the same wherever it is read; what serves has to be asked for everywhere.
    let away = fleet.unreachable().next().filter(|_| source.release.is_none() || fleet.reachable().next().is_none());
    if let Some((host, why)) = away {
        return Err(Failure::refused(format!("{name}: {host}: {}; what runs there is not certain", why.message))
            .hint("name a release of it, which any of its hosts knows: --from DESTINATION:RELEASE"));
    }
    found(session, &other, &fleet, source, &name, message)
}

fn found(
    session: &Session,
    other: &Session,
    fleet: &Fleet,
    source: &Source,
    name: &str,
    message: &mut Option<String>,
) -> Result<Wanted, Failure> {
    let history = history(&other.project.config, fleet);
    let release = match &source.release {
        Some(text) => named(&history, text)?,
        None => serving(&history, name)?,
    };
    let repository = release.image.as_ref().map_or(&other.project.config.repository, |image| &image.repository);
    let digest = release.digest.clone().or_else(|| pulled(release, fleet, repository));
    let digest = digest.ok_or_else(|| {
        Failure::refused(format!(
            "{} of {name} was not pulled from a registry: no digest says what it is",
            title(release)
        ))
        .hint("deploy it by its version: --version V")
    })?;
    if message.is_none() {
        message.clone_from(&release.message);
    }
    let mut notes = vec![format!("exactly what {} of {name} is: sha256:{}", title(release), digest.short())];
    if *repository != session.project.config.repository {
        notes.push(format!(
            "its image is in {repository}, not in this destination's {}",
            session.project.config.repository
        ));
    }
    let source = ImageRef { repository: repository.clone(), tag: None, digest: Some(digest) };
    Ok(Wanted { version: release.version.clone(), source, notes })
}

/// What serves everywhere there. Of a fleet that serves several releases nobody knows which one was meant.
fn serving<'h>(history: &'h History, name: &str) -> Result<&'h Release, Failure> {
    let serving: Vec<&Release> = history.releases.iter().filter(|r| !r.running.is_empty()).collect();
    let Some(newest) = serving.last() else {
        return Err(
            Failure::refused(format!("nothing serves in {name}")).hint("name a release: --from DESTINATION:RELEASE")
        );
    };
    match serving.iter().all(|release| history.same_content(release, newest)) {
        true => Ok(newest),
        false => {
            let all: Vec<_> = serving.iter().map(|r| title(r)).collect();
            Err(Failure::refused(format!("{name} serves several releases: {}", all.join(", ")))
                .hint("name one: --from DESTINATION:RELEASE"))
        }
    }
}

/// What a registry called the image of a container that was found serving (made by Kamal, say).
fn pulled(release: &Release, fleet: &Fleet, repository: &Repository) -> Option<Digest> {
    let (host, roles) = release.available.iter().next()?;
    let facts = fleet.facts(host)?;
    let id = roles.values().find_map(|available| available.container())?;
    let container = facts.containers.iter().find(|container| &container.id == id)?;
    let image = facts.images.iter().find(|image| image.id == container.image_id)?;
    let names = image.digests.iter().filter_map(|name| name.parse::<ImageRef>().ok());
    names.filter(|name| &name.repository == repository).find_map(|name| name.digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_destination_and_perhaps_a_release() {
        let parse = |text: &str| text.parse::<Source>();
        let source = |d: Option<&str>, r: Option<&str>| Source {
            destination: d.map(|d| d.parse().unwrap()),
            release: r.map(str::to_string),
        };
        assert_eq!(parse("staging").unwrap(), source(Some("staging"), None));
        assert_eq!(parse("staging:v12").unwrap(), source(Some("staging"), Some("v12")));
        assert_eq!(parse("_:v12").unwrap(), source(None, Some("v12")));
        assert!(parse("staging:").is_err() && parse("no way").is_err());
    }
}
