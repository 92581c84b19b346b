//! From resolved roles back to a deploy.yml that loads: what `releases show --yaml` prints.

use crate::config::write_options;
use crate::config::write_yaml;
use crate::name::{Repository, RoleName, ServiceName};
use crate::spec::{Env, RoleHost, RoleSpec, Route};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One role to be written.
#[derive(Debug, Clone, Copy)]
pub struct WritableRole<'a> {
    /// Name.
    pub name: &'a RoleName,
    /// Its hosts.
    pub hosts: &'a [RoleHost],
    /// What its containers are made from.
    pub spec: &'a RoleSpec,
}

/// A configuration whose roles come to exactly these when it is read. What is no part of a role (logins, the registry's
/// credentials, timeouts, what is kept) is not in it.
pub fn deploy_yml(service: &ServiceName, repository: &Repository, roles: &[WritableRole<'_>]) -> String {
    let mut root = Map::new();
    root.insert("service".to_string(), json!(service));
    root.insert("image".to_string(), json!(repository));
    let primary = primary(roles);
    if let Some(primary) = primary.filter(|name| name.as_str() != "web") {
        root.insert("primary_role".to_string(), json!(primary));
    }
    if let Some(delay) = roles.first().map(|role| role.spec.readiness_delay) {
        root.insert("readiness_delay".to_string(), json!(delay));
    }
    let servers = roles.iter().map(|it| (it.name.to_string(), role(it))).collect();
    root.insert("servers".to_string(), Value::Object(servers));
    let tags: BTreeMap<&String, &Env> = roles.iter().flat_map(|role| &role.spec.env_tags).collect();
    if !tags.is_empty() {
        let tags = tags.into_iter().map(|(tag, it)| (tag.clone(), env(it).unwrap_or_else(|| json!({ "clear": {} }))));
        root.insert("env".to_string(), json!({ "tags": tags.collect::<Map<_, _>>() }));
    }
    write_yaml::text(&Value::Object(root))
}

/// `web` where there is one, else the first role with a proxy, else the first.
fn primary<'a>(roles: &[WritableRole<'a>]) -> Option<&'a RoleName> {
    let web = roles.iter().find(|role| role.name.as_str() == "web");
    let proxied = roles.iter().find(|role| role.spec.route.is_some());
    web.or(proxied).or(roles.first()).map(|role| role.name)
}

fn role(role: &WritableRole<'_>) -> Value {
    let spec = role.spec;
    let mut out = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| _ = out.insert(key.to_string(), value));
    };
    set("hosts", Some(role.hosts.iter().map(host).collect()));
    let command = spec
        .command
        .as_ref()
        .map(|words| json!(shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))));
    set("cmd", command);
    set("proxy", Some(spec.route.as_ref().map_or(Value::Bool(false), proxy)));
    set("env", env(&spec.env));
    set("labels", (!spec.labels.is_empty()).then(|| json!(spec.labels)));
    set("logging", Some(logging(spec)));
    set("asset_path", spec.asset_path.as_ref().map(|path| json!(path)));
    set("stop_timeout", spec.stop_timeout.map(|seconds| json!(seconds)));
    set("options", Some(Value::Object(write_options::options(spec))));
    Value::Object(out)
}

fn host(host: &RoleHost) -> Value {
    match host.tags.as_slice() {
        [] => json!(host.name),
        tags => Value::Object(Map::from_iter([(host.name.to_string(), json!(tags))])),
    }
}

fn env(env: &Env) -> Option<Value> {
    let secret: Vec<_> = env
        .secret
        .iter()
        .map(|(name, secret)| if name == secret { name.clone() } else { format!("{name}:{secret}") })
        .collect();
    let mut out = Map::new();
    if !env.clear.is_empty() {
        out.insert("clear".to_string(), json!(env.clear));
    }
    if !secret.is_empty() {
        out.insert("secret".to_string(), json!(secret));
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

fn logging(spec: &RoleSpec) -> Value {
    let mut out = Map::new();
    if let Some(driver) = &spec.logging.driver {
        out.insert("driver".to_string(), json!(driver));
    }
    if !spec.logging.options.is_empty() {
        out.insert("options".to_string(), json!(spec.logging.options));
    }
    Value::Object(out)
}

fn proxy(route: &Route) -> Value {
    let mut out = Map::new();
    if !route.hosts.is_empty() {
        out.insert("hosts".to_string(), json!(route.hosts));
    }
    out.insert("path_prefixes".to_string(), json!(route.path_prefixes));
    out.insert("strip_path_prefix".to_string(), json!(route.strip_path_prefix));
    out.insert("app_port".to_string(), json!(route.app_port));
    let check = &route.check;
    let check = json!({ "path": check.path, "interval": check.interval, "timeout": check.timeout });
    out.insert("healthcheck".to_string(), check);
    out.insert("response_timeout".to_string(), json!(route.response_timeout));
    out.insert("forward_headers".to_string(), json!(route.forward_headers));
    if let Some(tls) = &route.tls {
        let names = json!({ "certificate_pem": tls.certificate_pem, "private_key_pem": tls.private_key_pem });
        out.insert("ssl".to_string(), names);
        out.insert("ssl_redirect".to_string(), json!(tls.redirect));
    }
    if !route.limits.is_none() {
        let limits = [("max_request_body", route.limits.request), ("max_response_body", route.limits.response)];
        let limits = limits.into_iter().filter_map(|(key, bytes)| Some((key.to_string(), json!(bytes?))));
        out.insert("buffering".to_string(), Value::Object(limits.collect()));
    }
    Value::Object(out)
}
