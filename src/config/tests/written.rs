//! A configuration that is written back and read again is the same.

use crate::config::{Config, WritableRole, deploy_yml, docs, testing};

fn written(config: &Config) -> String {
    let role = |r: &'_ crate::config::Role| (r.name.clone(), r.hosts.clone(), r.spec.clone());
    let roles: Vec<_> = config.roles.iter().map(role).collect();
    let writable: Vec<_> = roles.iter().map(|(name, hosts, spec)| WritableRole { name, hosts, spec }).collect();
    deploy_yml(&config.service, &config.repository, &writable)
}

fn assert_same(config: &Config, name: &str) {
    if config.roles.is_empty() || config.roles.iter().any(|role| role.hosts.is_empty()) {
        return;
    }
    let text = written(config);
    let again = testing::project(&[("config/deploy.yml", &text)], None);
    let again = again.unwrap_or_else(|problems| panic!("{name}: {problems}\n{text}"));
    let mut expected = config.roles.clone();
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    let mut found = again.roles.clone();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!((found, &again.repository), (expected, &config.repository), "{name}:\n{text}");
    assert_eq!(written(&again), text, "{name}: writing it again says the same");
}

#[test]
fn every_documented_configuration_survives() {
    let mut count = 0;
    for section in docs::SECTIONS {
        for example in docs::examples(section) {
            assert_same(&testing::project(&[("config/deploy.yml", example)], None).unwrap(), section.name);
            count += 1;
        }
    }
    assert!(count > 10, "only {count} examples were read");
}

#[test]
fn flags_tags_and_texts_that_yaml_would_misread_survive() {
    let config = testing::config(
        r#"servers:
  web:
    hosts: [a, {b: [blue, "no"]}, {c: blue}]
    cmd: "sh -c 'echo \"two words\"; exec serve'"
    env: {clear: {ZONE: "no", TIME: "12:30", ZERO: "007", LINES: "a\nb", EMPTY: ""}, secret: [KEY, "DB:DB_URL"]}
    labels: {team: "1_000"}
    logging: {driver: journald, options: {tag: "x"}}
    stop_timeout: 7
    proxy: {host: "a.example.com,b.example.com", path_prefix: /api, app_port: 3000, healthcheck: {path: /ok, interval: 2}}
    options:
      memory: 512m
      cpus: 1.5
      publish: ["8080:80", "127.0.0.1:53:53/udp"]
      add-host: ["host.docker.internal:host-gateway"]
      mount: ["type=tmpfs,target=/t", "type=bind,source=/a,target=/b,readonly"]
      tmpfs: ["/run:size=1m"]
      ulimit: ["nofile=65536:65536"]
      sysctl: ["net.core.somaxconn=1024"]
      health-cmd: "true"
      health-interval: 1m
      health-retries: 3
      read-only: true
      init: true
      restart: "no"
  jobs:
    hosts: [a]
env: {tags: {blue: {COLOR: blue}, "no": {clear: {X: "1"}, secret: [T]}}}
volumes: ["data:/data:ro"]
readiness_delay: 3
"#,
    );
    assert_eq!(config.roles.len(), 2);
    assert_same(&config, "every flag");
}

#[test]
fn a_service_without_web_keeps_its_primary_role() {
    let config = testing::config("servers: {app: {hosts: [a]}, jobs: [b]}\nprimary_role: app\n");
    assert!(written(&config).contains("primary_role: app\n"));
    assert_same(&config, "primary role");
}
