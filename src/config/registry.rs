//! `image` and `registry`: where images are, and who may pull them.

use super::node::Value;
use super::reader::{Field, Findings, Section};
use super::types::{Credential, Registry, VerbKind};
use crate::name::Repository;
use crate::secret::Secret;

/// Reads the root's `registry`.
pub(super) fn resolve(root: &Section, found: &mut Findings) -> Registry {
    let Some(field) = root.get("registry") else { return Registry::default() };
    let registry = section(&field, found);
    if let (true, Some(server)) = (is_local(&registry), field.as_section().and_then(|s| s.get("server"))) {
        let reason = "Kamal runs a registry on this machine and tunnels it to the hosts; windlass does not do so yet: name a registry that the hosts reach";
        found.not_yet(&server, &[VerbKind::Setup, VerbKind::Deploy], reason);
    }
    registry
}

/// Reads a `registry` section, of the root or of an accessory.
pub(super) fn section(field: &Field, found: &mut Findings) -> Registry {
    let Some(section) = field.known_section("registry", found) else { return Registry::default() };
    let mut registry = Registry {
        server: section.get("server").and_then(|f| f.string(found)).filter(|s| !s.trim().is_empty()),
        ..Registry::default()
    };
    registry.username = credential(&section, "username", found);
    registry.password = credential(&section, "password", found);
    if !is_local(&registry) {
        for key in ["username", "password"].into_iter().filter(|key| section.get(key).is_none()) {
            let problem = super::Problem::new(&section.at, super::reader::join(&section.path, key), "is required");
            let hint = format!(
                "write `{key}: [SECRET_NAME]`; to pull without a login, remove `{}` and put the registry's host in front of `image`",
                section.path
            );
            found.problems.push(problem.hint(hint));
        }
    }
    registry
}

fn is_local(registry: &Registry) -> bool {
    registry.server.as_deref().is_some_and(|s| s == "localhost" || s.starts_with("localhost:"))
}

/// A text, or a list with one name of a secret. The value is never part of a message.
fn credential(section: &Section, key: &str, found: &mut Findings) -> Option<Credential> {
    let field = section.get(key)?;
    match &field.node.value {
        Value::String(text) => return Some(Credential::Literal(Secret::new(text.clone()))),
        Value::Seq(items) => {
            if let [super::node::Node { value: Value::String(name), .. }] = items.as_slice() {
                return field.secret_name(name, found).map(Credential::Secret);
            }
        }
        _ => {}
    }
    let hint = "write a text in quotes, or [SECRET_NAME]";
    field.wrong_hint("should be a string or an array with one string (for secret lookup)", hint, found);
    None
}

/// The image's repository with the registry's server in front.
pub(super) fn repository(root: &Section, registry: &Registry, found: &mut Findings) -> Option<Repository> {
    let (image, field) = match root.get("image") {
        Some(field) => (field.string(found)?, field),
        None => match root.get("service").filter(|_| is_local(registry)) {
            Some(field) => (field.node.text()?, field),
            None => {
                root.wrong(
                    "Missing required configuration for image",
                    "add `image: user/app`, without registry and tag",
                    found,
                );
                return None;
            }
        },
    };
    let full = match &registry.server {
        Some(server) => format!("{}/{image}", server.trim_end_matches('/')),
        None => image,
    };
    match full.parse() {
        Ok(repository) => Some(repository),
        Err(error) => {
            let tag = full.rsplit('/').next().is_some_and(|last| last.contains(':') || last.contains('@'));
            let hint = if tag {
                "leave out the tag: each deploy chooses its own"
            } else {
                "write user/app, and the registry's host as `registry: server:`"
            };
            field.wrong_hint(error.to_string(), hint, found);
            None
        }
    }
}
