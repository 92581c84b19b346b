//! How a role of a release can be brought back on a host.

use crate::fleet::{Container, State};
use crate::history::content::Content;
use crate::history::view::View;
use crate::history::{Availability, Release};
use crate::name::{ContainerId, RoleName};
use crate::release::ReleaseRecord;
use crate::spec::{PublishedPort, RoleSpec};
use std::collections::BTreeSet;

/// Why a container cannot simply be started.
enum Obstacle {
    /// A new container made like it would start.
    Remake(String),
    /// Nothing that publishes its ports would start.
    Port(String),
}

/// How `role` of a release with this content can be brought back. `record` describes the content: the release's own
/// record or, for a rollback, one further down its chain.
pub(super) fn availability(
    view: &View<'_>,
    release: &Release,
    content: &Content,
    role: &RoleName,
    record: Option<&ReleaseRecord>,
) -> Availability {
    let is_candidate = |c: &&Container| c.state != State::Other("removing".to_string());
    let of_content = view.containers.iter().filter(|a| &a.role == role && a.contents.contains(content));
    let candidates: Vec<_> = of_content.map(|a| a.container).filter(is_candidate).collect();
    if let Some(serving) = view.serving.get(role).filter(|s| candidates.iter().any(|c| c.id == s.id)) {
        return Availability::Serving(serving.id.clone());
    }
    let own = |c: &Container| release.run.is_some() && c.created_by() == release.run;
    let judged = candidates.into_iter().map(|c| (obstacle(view, c, role), c));
    let best = judged.min_by(|(a, x), (b, y)| {
        let newest = (own(y), y.created_at, &y.id).cmp(&(own(x), x.created_at, &x.id));
        rank(a).cmp(&rank(b)).then(newest)
    });
    match best {
        Some((None, container)) => Availability::Restart(container.id.clone()),
        Some((Some(Obstacle::Remake(why)), container)) => remake(view, container, why),
        Some((Some(Obstacle::Port(why)), _)) => Availability::Missing { why },
        None => from_record(view, role, record),
    }
}

fn remake(view: &View<'_>, container: &Container, why: String) -> Availability {
    if view.facts.images.iter().any(|image| image.id == container.image_id) {
        Availability::Remake { from: container.id.clone(), why }
    } else {
        let why = format!("{why}, and its image {} is gone too", container.image);
        Availability::Missing { why }
    }
}

/// The least trouble first.
fn rank(obstacle: &Option<Obstacle>) -> u8 {
    match obstacle {
        None => 0,
        Some(Obstacle::Remake(_)) => 1,
        Some(Obstacle::Port(_)) => 2,
    }
}

fn obstacle(view: &View<'_>, container: &Container, role: &RoleName) -> Option<Obstacle> {
    if let Some(why) = held_port(view, &container.ports, Some(&container.id), role) {
        return Some(Obstacle::Port(why));
    }
    if let State::Other(word) = &container.state {
        return Some(Obstacle::Remake(format!("its container {} is {word}", container.name)));
    }
    let networks = &view.facts.networks;
    let is_there = |n: &&String| networks.contains(*n) || ["bridge", "host", "none", "default"].contains(&n.as_str());
    let gone = container.networks.iter().find(|n| !is_there(n))?;
    Some(Obstacle::Remake(format!("the network {gone} of its container {} is gone", container.name)))
}

/// Who holds one of these ports, other than the container itself or the one that serves the role (which stops first).
pub(super) fn held_port(
    view: &View<'_>,
    ports: &[PublishedPort],
    own: Option<&ContainerId>,
    role: &RoleName,
) -> Option<String> {
    let outgoing = view.serving.get(role).map(|c| &c.id);
    ports.iter().find_map(|published| {
        let port = published.host_port?;
        let mut holders = view.facts.all_containers.iter().filter(|c| c.running && c.host_ports.contains(&port));
        let mut held = false;
        let foreign = holders.find(|c| {
            held = true;
            Some(&c.id) != own && Some(&c.id) != outgoing
        });
        let listening = view.facts.listening.get(&port).filter(|_| published.protocol == "tcp");
        match foreign {
            Some(holder) => Some(format!("port {port} is held by the container {}", holder.name)),
            None if held => None,
            None => listening.map(|by| {
                let by = by.as_deref().unwrap_or("a process that this login may not see");
                format!("port {port} is held by {by}, outside of Docker")
            }),
        }
    })
}

fn from_record(view: &View<'_>, role: &RoleName, record: Option<&ReleaseRecord>) -> Availability {
    let missing = |why: String| Availability::Missing { why };
    let Some(record) = record else {
        return missing("it has no container here, and no record says how to make one".to_string());
    };
    let released = record.roles.get(role);
    let gone = match released.map(|r| r.hosts.iter().any(|h| &h.name == view.name)) {
        Some(true) => "its container is gone",
        _ => "it was not sent to this host",
    };
    let Some(spec) = released.and_then(|r| r.spec.as_ref()) else {
        return missing(format!("{gone}, and its record does not say how to make one"));
    };
    if !has_image(view, record) {
        return missing(format!("{gone}, and so is the image {}", record.image));
    }
    let secrets = secrets(spec);
    if !secrets.is_empty() {
        return missing(format!("{gone}, and only a container holds its secrets ({})", secrets.join(", ")));
    }
    match held_port(view, &spec.options.publish, None, role) {
        Some(why) => missing(why),
        None => Availability::FromRecord,
    }
}

/// By digest if the record has one: a tag may lead elsewhere by now.
fn has_image(view: &View<'_>, record: &ReleaseRecord) -> bool {
    match (&record.digest, &record.image.tag) {
        (Some(digest), _) => view.digests.contains(digest.as_str()),
        (None, Some(tag)) => view.tags.contains(format!("{}:{tag}", record.image.repository).as_str()),
        (None, None) => false,
    }
}

fn secrets(spec: &RoleSpec) -> Vec<&str> {
    let envs = std::iter::once(&spec.env).chain(spec.env_tags.values());
    let names: BTreeSet<&str> = envs.flat_map(|env| env.secret.keys()).map(String::as_str).collect();
    names.into_iter().collect()
}
