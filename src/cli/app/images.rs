//! `windlass app images`.

use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::{Failure, output};
use crate::config::VerbKind;
use crate::fleet::{HostFacts, Image};
use crate::name::HostName;
use crate::render::images::{Images, Row};
use clap::Args;

/// List the service's images on the hosts
///
/// Lists the images of the configuration's repository on every host in scope, with their tags, size and age, and how
/// many containers were made from each. `windlass prune` removes those that nothing needs.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  windlass app images\n  windlass app images --json")]
pub(super) struct ImagesArgs {}

pub(super) async fn run(global: Global, _: &ImagesArgs) -> Result<(), Failure> {
    let session = Session::open(global, VerbKind::Connect)?;
    let (_, fleet) = session.read().await?;
    let repository = session.project.config.repository.to_string();
    let ours = |image: &&Image| {
        let of = |reference: &String| {
            let rest = reference.strip_prefix(&repository);
            rest.is_some_and(|rest| rest.starts_with([':', '@']))
        };
        image.tags.iter().chain(&image.digests).any(of)
    };
    let row = |host: &HostName, facts: &HostFacts, image: &Image| {
        let used = facts.all_containers.iter().filter(|c| c.image_id.as_ref() == Some(&image.id)).count();
        Row::new(host, image, used)
    };
    let rows = fleet
        .reachable()
        .flat_map(|(host, facts)| facts.images.iter().filter(ours).map(move |image| row(host, facts, image)));
    let view = Images { schema: 1, images: rows.collect(), unreachable: super::unreachable(&fleet) };
    match session.global.json {
        true => output::json(&view)?,
        false => output::print(&view.table(session.clock.now())),
    }
    session.answered(&fleet)
}
