//! `docs/configuration.md` names every key of the examples in `config/`.

use crate::config::docs;

#[test]
fn every_key_is_in_the_reference() {
    let page = include_str!("../../../docs/configuration.md");
    let sections = [
        "",
        "servers/*",
        "proxy",
        "proxy/healthcheck",
        "proxy/ssl",
        "proxy/buffering",
        "proxy/logging",
        "proxy/run",
        "ssh",
        "sshkit",
        "registry",
        "boot",
        "logging",
        "builder",
        "builder/cache",
        "builder/pack",
        "output",
        "output/otel",
        "output/file",
        "accessories/*",
        "accessories/*/files/*",
    ];
    let missing: Vec<String> = sections
        .iter()
        .flat_map(|section| docs::keys(section).into_iter().map(move |key| (section, key)))
        // an example writes a host of `servers` as a key, for its tag
        .filter(|(_, key)| !key.starts_with(|c: char| c.is_ascii_digit()) && !page.contains(&format!("`{key}`")))
        .map(|(section, key)| format!("{section}/{key}"))
        .collect();
    assert_eq!(missing, [] as [String; 0], "keys that docs/configuration.md does not name");
}
