//! Kamal's own fixtures, and what Kamal 2.12.0 makes of them (`tests/fixtures/kamal-configs`).

use crate::config::{BootLimit, Config, Role, testing};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kamal-configs")
}

fn expectations() -> Vec<(String, Value)> {
    let mut all: Vec<_> = std::fs::read_dir(directory().join("expected"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_string(), json)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_string()).collect()
}

fn hosts<'a>(roles: impl IntoIterator<Item = &'a Role>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = roles.into_iter().flat_map(|r| &r.hosts).map(|h| h.name.to_string());
    names.filter(|n| seen.insert(n.clone())).collect()
}

fn check_hosts(config: &Config, expected: &Value) {
    let mut by_name: Vec<&Role> = config.roles.iter().collect();
    by_name.sort_by(|a, b| a.name.cmp(&b.name));
    let app = hosts(by_name);
    let mut all = app.clone();
    all.extend(config.accessory_hosts.iter().map(|h| h.to_string()).filter(|h| !app.contains(h)));
    assert_eq!(all, texts(&expected["all"]));
    assert_eq!(app, texts(&expected["app"]));
    assert_eq!(hosts(&config.roles), texts(&expected["app_in_boot_order"]));
    let reached: BTreeSet<_> = config.hosts.keys().map(|h| h.to_string()).collect();
    assert_eq!(reached, app.into_iter().collect());
}

fn check_settings(config: &Config, expected: &Value) {
    let kamal = expected["retain_containers"].as_u64().unwrap();
    let written = config.retain.at_least as u64;
    assert!(written == kamal || (written == 1 && kamal == 5), "retain_containers: {written}, {kamal} in Kamal");
    assert_eq!(config.deploy_timeout.as_secs(), expected["deploy_timeout"].as_u64().unwrap());
    assert_eq!(config.drain_timeout.as_secs(), expected["drain_timeout"].as_u64().unwrap());
    for role in &config.roles {
        assert_eq!(u64::from(role.spec.readiness_delay), expected["readiness_delay"].as_u64().unwrap());
    }
    let boot = &expected["boot"];
    let limit = match config.boot.limit {
        None => Value::Null,
        Some(BootLimit::Hosts(n)) => n.into(),
        Some(BootLimit::Percent(n)) => format!("{n}%").into(),
    };
    assert_eq!(limit, boot["limit"]);
    assert_eq!(config.boot.wait.as_secs(), boot["wait"].as_u64().unwrap_or(0));
    assert_eq!(config.boot.parallel_roles, boot["parallel_roles"].as_bool().unwrap_or(false));
    for address in config.hosts.values() {
        assert_eq!(address.user.as_deref().unwrap_or("root"), expected["ssh"]["user"].as_str().unwrap());
        assert_eq!(u64::from(address.port.unwrap_or(22)), expected["ssh"]["port"].as_u64().unwrap());
    }
}

fn check_role(config: &Config, role: &Role, expected: &Value) {
    let listed: Vec<_> = role.hosts.iter().map(|h| h.name.to_string()).collect();
    assert_eq!(listed, texts(&expected["hosts"]));
    assert_eq!(role.name == config.primary_role, expected["primary"].as_bool().unwrap());
    let cmd = expected["cmd"].as_str().and_then(shlex::split);
    assert_eq!(role.spec.command, cmd);
    assert_eq!(role.spec.restart.to_string(), expected["restart"].as_str().unwrap());
    let destination = config.destination.as_ref().map(|d| format!("-{d}")).unwrap_or_default();
    let prefix = format!("{}-{}{destination}", config.service, role.name);
    assert_eq!(prefix, expected["container_prefix"].as_str().unwrap());
    let mut labels = expected["labels"].as_object().unwrap().clone();
    labels.retain(|key, _| !["service", "role", "destination"].contains(&key.as_str()));
    assert_eq!(serde_json::to_value(&role.spec.labels).unwrap(), Value::Object(labels));
    let mut volumes = texts(&expected["volumes"]);
    let is_assets = |v: &String| v.contains("/assets/volumes/");
    let assets = volumes.iter().find(|v| is_assets(v)).and_then(|v| v.split(':').nth(1).map(str::to_string));
    assert_eq!(role.spec.asset_path, assets);
    volumes.retain(|v| !is_assets(v));
    assert_eq!(role.spec.volumes, volumes);
    check_log(role, &texts(&expected["log_args"]));
    assert_eq!(role.spec.route.is_some(), expected["proxied"].as_bool().unwrap());
    if let Some(route) = &role.spec.route {
        check_route(route, &expected["proxy"]);
    }
    for host in &role.hosts {
        let on_host = &expected["per_host"][host.name.as_str()];
        let tags = on_host.get("tags").map(texts).unwrap_or_default();
        assert_eq!(host.tags, tags);
        let env = role.spec.env_for(&host.tags);
        assert_eq!(serde_json::to_value(&env.clear).unwrap(), on_host["clear_env"]);
        let written: BTreeSet<String> = texts(&on_host["secret_env"]).into_iter().collect();
        let names = env.secret.iter().map(|(k, v)| if k == v { k.clone() } else { format!("{k}:{v}") });
        assert_eq!(names.collect::<BTreeSet<_>>(), written);
    }
}

fn check_log(role: &Role, expected: &[String]) {
    let driver = role.spec.logging.driver.iter().flat_map(|d| ["--log-driver".to_string(), d.clone()]);
    let options = role.spec.logging.options.iter().flat_map(|(k, v)| ["--log-opt".to_string(), format!("{k}={v}")]);
    let ours: BTreeSet<String> = driver.chain(options).collect();
    assert_eq!(ours, expected.iter().cloned().collect());
}

fn check_route(route: &crate::spec::Route, expected: &Value) {
    assert_eq!(u64::from(route.app_port), expected["app_port"].as_u64().unwrap());
    let options = &expected["options"];
    let listed = |key: &str| match &options[key] {
        Value::Array(_) => texts(&options[key]),
        Value::String(one) => vec![one.clone()],
        _ => Vec::new(),
    };
    assert_eq!(route.hosts, listed("host"));
    let prefixes = listed("path-prefix");
    assert_eq!(route.path_prefixes, if prefixes.is_empty() { vec!["/".to_string()] } else { prefixes });
    let seconds =
        |key: &str, default: u32| options[key].as_str().map_or(default, |t| t.trim_end_matches('s').parse().unwrap());
    assert_eq!(route.check.interval, seconds("health-check-interval", 1));
    assert_eq!(route.check.timeout, seconds("health-check-timeout", 5));
    assert_eq!(route.check.path, options["health-check-path"].as_str().unwrap_or("/up"));
    assert_eq!(route.response_timeout, seconds("target-timeout", 30));
}

#[test]
fn kamals_fixtures_resolve_as_in_kamal() {
    let (mut resolved, mut rejected) = (0, Vec::new());
    for (name, expected) in expectations() {
        let fixture = expected["fixture"].as_str().unwrap();
        let result = testing::load_in(&directory(), Path::new(fixture), expected["destination"].as_str());
        println!("checking {name}");
        if let Some(error) = expected.get("error") {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(error["message"].as_str().unwrap()), "{name}: {message}");
            rejected.push(name);
            continue;
        }
        let config = result.unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        assert_eq!(config.service.as_str(), expected["service"].as_str().unwrap());
        let image = expected["image"].as_str().unwrap();
        assert_eq!(format!("{}:999", config.repository), image, "{name}");
        let server = expected["config"]["registry"]["server"].as_str().map(|s| format!("{s}/")).unwrap_or_default();
        assert_eq!(
            config.repository.as_str(),
            server
                + expected["repository"]
                    .as_str()
                    .unwrap()
                    .trim_start_matches(&format!("{}/", config.registry.server.clone().unwrap_or_default()))
        );
        assert_eq!(config.primary_role.as_str(), expected["primary_role"].as_str().unwrap());
        assert_eq!(config.roles[0].hosts[0].name.as_str(), expected["primary_host"].as_str().unwrap());
        check_hosts(&config, &expected["hosts"]);
        check_settings(&config, &expected["settings"]);
        let roles = expected["roles"].as_object().unwrap();
        assert_eq!(config.roles.len(), roles.len());
        for role in &config.roles {
            check_role(&config, role, &roles[role.name.as_str()]);
        }
        resolved += 1;
    }
    assert_eq!(rejected, ["deploy_for_dest", "deploy_for_required_dest", "deploy_with_proxy_run_config_conflicts"]);
    assert!(resolved >= 31, "{resolved}");
}
