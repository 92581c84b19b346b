//! `config/deploy.yml` of a test's project, built piece by piece.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;
use std::fmt::Write;

use super::lab::{Host, Lab};

#[derive(Debug, Clone)]
pub struct Config {
    service: String,
    hosts: Vec<Host>,
    /// Name, names of its hosts, further lines.
    roles: Vec<(String, Vec<String>, String)>,
    host_tags: BTreeMap<String, String>,
    clear: BTreeMap<String, String>,
    secret: Vec<String>,
    tags: BTreeMap<String, BTreeMap<String, String>>,
    key: String,
    known_hosts: String,
    registry: (String, String),
    haproxy_image: String,
    deploy_timeout: u32,
    drain_timeout: u32,
    domain: String,
    proxy_lines: String,
    extra: String,
}

impl Config {
    /// The role `web` on all of `hosts`, the lab's registry with login, a gate of 6 s and a drain of up to 8 s.
    pub fn new(service: &str, lab: &Lab, hosts: &[Host]) -> Self {
        let (server, username, _) = lab.auth_registry();
        Self {
            service: service.to_owned(),
            hosts: hosts.to_vec(),
            roles: vec![("web".to_owned(), hosts.iter().map(|host| host.name.clone()).collect(), String::new())],
            host_tags: BTreeMap::new(),
            clear: BTreeMap::new(),
            secret: Vec::new(),
            tags: BTreeMap::new(),
            key: lab.key_ed25519().display().to_string(),
            known_hosts: lab.known_hosts().display().to_string(),
            registry: (server, username),
            haproxy_image: lab.haproxy_image(),
            deploy_timeout: 6,
            drain_timeout: 8,
            domain: format!("{service}.example.com"),
            proxy_lines: String::new(),
            extra: String::new(),
        }
    }

    /// A role; one of the same name is replaced. `lines` are YAML of the role: `cmd: app worker`, `proxy: false`.
    pub fn role(mut self, name: &str, hosts: &[&str], lines: &str) -> Self {
        self.roles.retain(|role| role.0 != name);
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        self.roles.push((name.to_owned(), hosts, lines.to_owned()));
        self
    }

    /// A clear variable of all containers.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.clear.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A variable whose value is the secret of the same name, or `VARIABLE:SECRET`.
    pub fn secret(mut self, name: &str) -> Self {
        self.secret.push(name.to_owned());
        self
    }

    /// A clear variable on one host only (by a tag of that host).
    pub fn env_on(mut self, host: &str, name: &str, value: &str) -> Self {
        let tag = format!("only-{host}");
        self.tags.entry(tag.clone()).or_default().insert(name.to_owned(), value.to_owned());
        self.host_tags.insert(host.to_owned(), tag);
        self
    }

    /// Seconds: how long the gate waits, and how long a drain may take.
    pub fn timeouts(mut self, deploy: u32, drain: u32) -> Self {
        (self.deploy_timeout, self.drain_timeout) = (deploy, drain);
        self
    }

    /// Lines of YAML below `proxy:`, without indentation.
    pub fn proxy(mut self, lines: &str) -> Self {
        self.proxy_lines = lines.to_owned();
        self
    }

    /// Lines of YAML at the top level, such as `retain_containers: 3`.
    pub fn extra(mut self, lines: &str) -> Self {
        let _ = writeln!(self.extra, "{lines}");
        self
    }

    pub fn yaml(&self) -> String {
        let (server, username) = &self.registry;
        let Self { service, key, known_hosts, haproxy_image, deploy_timeout, drain_timeout, domain, .. } = self;
        format!(
            "service: {service}\nimage: {service}\nservers:\n{servers}\
             registry:\n  server: {server}\n  username: {username}\n  password: [REGISTRY_PASSWORD]\n\
             ssh:\n  keys: [{key}]\n  keys_only: true\n  known_hosts: [{known_hosts}]\n\
             proxy:\n  host: {domain}\n  run:\n    image: {haproxy_image}\n{proxy}\
             env:\n{env}\
             deploy_timeout: {deploy_timeout}\ndrain_timeout: {drain_timeout}\n{extra}",
            servers = self.servers(),
            proxy = indented(2, &self.proxy_lines),
            env = indented(2, &self.environment()),
            extra = self.extra,
        )
    }

    fn servers(&self) -> String {
        let role = |(name, hosts, lines): &(String, Vec<String>, String)| {
            let hosts: String = hosts.iter().map(|host| format!("      - {}\n", self.server(host))).collect();
            format!("  {name}:\n    hosts:\n{hosts}{}", indented(4, lines))
        };
        self.roles.iter().map(role).collect()
    }

    fn server(&self, name: &str) -> String {
        let host = self.hosts.iter().find(|host| host.name == name);
        let host = host.unwrap_or_else(|| panic!("the project has no {name}"));
        let server = if host.user == "root" { host.address.clone() } else { format!("{}@{}", host.user, host.address) };
        match self.host_tags.get(name) {
            Some(tag) => format!("{server}: {tag}"),
            None => server,
        }
    }

    fn environment(&self) -> String {
        let mut text = format!("clear:\n{}", variables(2, &self.clear));
        if self.clear.is_empty() {
            text = "clear: {}\n".to_owned();
        }
        if !self.secret.is_empty() {
            let _ = writeln!(text, "secret: [{}]", self.secret.join(", "));
        }
        if !self.tags.is_empty() {
            text.push_str("tags:\n");
        }
        for (tag, clear) in &self.tags {
            let _ = write!(text, "  {tag}:\n    clear:\n{}", variables(6, clear));
        }
        text
    }
}

fn variables(indentation: usize, variables: &BTreeMap<String, String>) -> String {
    let lines = variables.iter().map(|(name, value)| format!("{:indentation$}{name}: {value:?}\n", ""));
    lines.collect()
}

fn indented(spaces: usize, lines: &str) -> String {
    lines.lines().map(|line| format!("{:spaces$}{line}\n", "")).collect()
}
