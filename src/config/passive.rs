//! Sections that are checked as Kamal checks them and change nothing that windlass does yet.

use super::Problem;
use super::node::Value;
use super::reader::{Field, Findings, Section};

/// Checks `builder`, `output`, `hooks_output`, `minimum_version` and `run_directory`.
pub(super) fn check(root: &Section, found: &mut Findings) {
    let mut section = |key: &str, read: fn(&Field, &mut Findings), reason: &str| {
        if let Some(field) = root.get(key) {
            read(&field, found);
            found.not_yet(&field, &[], reason);
        }
    };
    section("builder", builder, "windlass does not build: build and push the image first");
    section("output", output, "windlass writes its progress to the terminal and to the hosts' journals only");
    section("hooks_output", hooks_output, "use -v or -q");
    section("minimum_version", |f, found| drop(f.string(found)), "this is about Kamal's version");
    section("run_directory", |f, found| drop(f.string(found)), "it has no effect, in Kamal neither");
}

fn builder(field: &Field, found: &mut Findings) {
    let Some(section) = field.known_section("builder", found) else { return };
    let arches = match section.get("arch") {
        Some(arch) => arch.one_or_more(found),
        None => {
            section.wrong("Builder arch not set", "add `arch: amd64`", found);
            Vec::new()
        }
    };
    for key in ["context", "dockerfile", "target", "ssh", "driver", "provenance", "remote"] {
        section.get(key).map(|f| f.string(found));
    }
    section.get("sbom").map(|f| f.string(found));
    // any values: they go to the build, as text
    section.get("args").and_then(|f| f.section(found));
    section.get("secrets").map(|f| f.strings(found));
    if let Some(local) = section.get("local")
        && local.boolean(found) == Some(false)
        && section.get("remote").is_none()
    {
        section.wrong("Cannot disable local builds, no remote is set", "set `remote:` or remove `local: false`", found);
    }
    if let Some(cache) = section.get("cache").and_then(|f| f.known_section("builder/cache", found)) {
        cache.entries().for_each(|(_, f)| drop(f.string(found)));
        let kind = cache.get("type").and_then(|f| f.node.text());
        if let Some(kind) = kind.filter(|k| !matches!(k.as_str(), "gha" | "registry")) {
            section.wrong(
                format!("Invalid cache type: {}", super::problem::printable(&kind)),
                "gha or registry",
                found,
            );
        }
    }
    if let Some(pack) = section.get("pack").and_then(|f| f.known_section("builder/pack", found)) {
        pack.get("builder").map(|f| f.string(found));
        pack.get("buildpacks").map(|f| f.strings(found));
        if arches.len() > 1 {
            section.wrong("buildpacks only support building for one arch", "keep one `arch`", found);
        }
    }
}

fn output(field: &Field, found: &mut Findings) {
    let Some(section) = field.known_section("output", found) else { return };
    for (key, pattern, inner) in [("otel", "output/otel", "endpoint"), ("file", "output/file", "path")] {
        let settings = section.get(key).and_then(|f| f.known_section(pattern, found));
        settings.and_then(|s| s.get(inner)).map(|f| f.string(found));
    }
}

fn hooks_output(field: &Field, found: &mut Findings) {
    let level = |field: &Field, hook: Option<&str>, found: &mut Findings| {
        let Some(text) = field.string(found) else { return };
        if !matches!(text.as_str(), "quiet" | "verbose") {
            let text = super::problem::printable(&text);
            let hook = hook.map(|h| format!(" for hook '{}'", super::problem::printable(h))).unwrap_or_default();
            let message = format!("Invalid hooks_output '{text}'{hook}, must be one of: quiet, verbose");
            found.problems.push(Problem::new(&field.node.at, &field.path, message));
        }
    };
    match &field.node.value {
        Value::Map(_) => {
            for (hook, field) in field.as_section().iter().flat_map(Section::entries) {
                level(&field, Some(hook), found);
            }
        }
        _ => level(field, None, found),
    }
}
