//! The resolved configuration for people and machines to read: names of secrets, never their values.

use super::types::{
    BootLimit, Config, Credential, HostAddress, KeySource, NotActedOn, Registry, Retain, SshProxy, VerbKind,
};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

impl Config {
    /// Everything that the configuration came to. A password that is written in the file shows as `[secret]`.
    pub fn redacted(&self) -> Value {
        let hosts = self.hosts.iter().map(|(name, at)| (name.to_string(), address(at)));
        let roles = self.roles.iter().map(|role| {
            let value = json!({ "hosts": role.hosts, "spec": role.spec });
            (role.name.to_string(), value)
        });
        json!({
            "service": self.service,
            "destination": self.destination,
            "repository": self.repository,
            "registry": registry(&self.registry),
            "primary_role": self.primary_role,
            "roles": roles.collect::<Map<_, _>>(),
            "hosts": hosts.collect::<Map<_, _>>(),
            "accessory_hosts": self.accessory_hosts,
            "ssh": {
                "keys": texts(&self.ssh.keys),
                "key_data": self.ssh.key_data.iter().map(key_source).collect::<Vec<_>>(),
                "keys_only": self.ssh.keys_only.unwrap_or(false),
                "accept_new": self.ssh.accept_new.unwrap_or(false),
                "known_hosts": texts(&self.ssh.known_hosts),
                "docker_socket": self.ssh.docker_socket,
                "config": self.ssh.config.as_ref().map(|files| texts(files)),
                "proxy": self.ssh.proxy.as_ref().map(proxy),
                "max_concurrent_starts": self.ssh.max_concurrent_starts,
                "dns_retries": self.ssh.dns_retries,
            },
            "proxy": {
                "image": self.proxy.image,
                "http_port": self.proxy.http_port,
                "https_port": self.proxy.https_port,
                "options": self.proxy.options,
            },
            "error_pages": self.error_pages.as_ref().map(|path| path.display().to_string()),
            "boot": {
                "limit": self.boot.limit.map(limit),
                "wait": self.boot.wait.as_secs(),
                "parallel_roles": self.boot.parallel_roles,
            },
            "retain": retain(&self.retain),
            "role_retain": self.role_retain.iter().map(|(role, it)| (role.to_string(), retain(it))).collect::<Map<_, _>>(),
            "deploy_timeout": self.deploy_timeout.as_secs(),
            "drain_timeout": self.drain_timeout.as_secs(),
            "hooks_path": self.hooks_path.display().to_string(),
            "secrets_files": texts(&self.secrets_files),
            "secrets": self.secret_names(),
            "not_acted_on": self.not_acted_on.iter().map(not_acted_on).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }

    /// What the hosts' shells have to expand before containers can be made.
    pub fn shell_sources(&self) -> std::collections::BTreeSet<String> {
        self.roles.iter().flat_map(|role| role.spec.shell_sources()).collect()
    }

    /// The names of the secrets that hold private keys (`ssh.key_data`): every command that connects needs them.
    pub fn key_secrets(&self) -> Vec<&str> {
        let named = self.ssh.key_data.iter().filter_map(|source| match source {
            KeySource::Secret(name) => Some(name.as_str()),
            KeySource::Inline(_) => None,
        });
        named.collect()
    }

    /// The names of the secrets that hold certificates and their keys, sorted.
    pub fn certificate_secrets(&self) -> std::collections::BTreeSet<&str> {
        let all = self.roles.iter().filter_map(|role| role.spec.route.as_ref()?.tls.as_ref());
        all.flat_map(|tls| [tls.certificate_pem.as_str(), tls.private_key_pem.as_str()]).collect()
    }

    /// The names of all secrets that a deploy needs, sorted: those of the roles' environments, of their certificates,
    /// and of the registry.
    pub fn secret_names(&self) -> Vec<&str> {
        let specs = self.roles.iter().map(|role| &role.spec);
        let envs = specs.flat_map(|spec| std::iter::once(&spec.env).chain(spec.env_tags.values()));
        let of_registry =
            [&self.registry.username, &self.registry.password].into_iter().flatten().filter_map(|c| match c {
                Credential::Secret(name) => Some(name),
                Credential::Literal(_) => None,
            });
        let names: std::collections::BTreeSet<&str> =
            envs.flat_map(|env| env.secret.values()).chain(of_registry).map(String::as_str).collect();
        let names = names.union(&self.certificate_secrets()).copied().collect::<std::collections::BTreeSet<_>>();
        names.into_iter().collect()
    }
}

fn texts(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|p| p.display().to_string()).collect()
}

fn retain(retain: &Retain) -> Value {
    let age = humantime::format_duration(retain.age).to_string();
    json!({ "age": age, "at_least": retain.at_least, "at_most": retain.at_most })
}

/// With the defaults, which the SSH configuration may replace when it comes to connecting.
fn address(at: &HostAddress) -> Value {
    json!({ "address": at.address, "port": at.port.unwrap_or(22), "user": at.user.as_deref().unwrap_or("root") })
}

fn proxy(proxy: &SshProxy) -> Value {
    match proxy {
        SshProxy::Jump(hops) => json!({ "jump": hops.iter().map(address).collect::<Vec<_>>() }),
        SshProxy::Command(command) => json!({ "command": command }),
    }
}

fn key_source(source: &KeySource) -> Value {
    match source {
        KeySource::Secret(name) => json!([name]),
        KeySource::Inline(_) => json!("[secret]"),
    }
}

fn limit(limit: BootLimit) -> Value {
    match limit {
        BootLimit::Hosts(n) => json!(n),
        BootLimit::Percent(n) => json!(format!("{n}%")),
    }
}

fn registry(registry: &Registry) -> Value {
    json!({
        "server": registry.server,
        "username": credential(registry.username.as_ref()),
        "password": credential(registry.password.as_ref()),
    })
}

fn credential(credential: Option<&Credential>) -> Value {
    match credential {
        None => Value::Null,
        Some(Credential::Literal(_)) => json!("[secret]"),
        Some(Credential::Secret(name)) => json!([name]),
    }
}

fn not_acted_on(key: &NotActedOn) -> Value {
    let verbs: Vec<_> = key.verbs.iter().map(|v| verb(*v)).collect();
    json!({ "key": key.key, "location": key.location, "reason": key.reason, "verbs": verbs })
}

fn verb(verb: VerbKind) -> &'static str {
    match verb {
        VerbKind::Setup => "setup",
        VerbKind::Deploy => "deploy",
        VerbKind::Rollback => "rollback",
        VerbKind::Prune => "prune",
        VerbKind::Connect => "connect",
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing;

    #[test]
    fn the_resolved_configuration_holds_names_of_secrets_and_no_values() {
        let config = testing::config(
            "servers: [h]\nregistry: {server: r.example.com, username: u5er, password: hunter2}\nenv: {secret: ['DB:DB_URL']}\n",
        );
        let shown = config.redacted();
        assert_eq!(shown["registry"]["password"], "[secret]");
        assert_eq!(shown["secrets"], serde_json::json!(["DB_URL"]));
        assert_eq!(shown["roles"]["web"]["spec"]["env"]["secret"]["DB"], "DB_URL");
        let text = shown.to_string() + &format!("{config:?}");
        assert!(!text.contains("hunter2") && !text.contains("u5er"), "{text}");
    }
}
