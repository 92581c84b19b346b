//! Plans as a reviewer reads them, and the checker that distrusts them.

mod deploy;
mod expansions;
mod mutations;
mod rollback;
mod start_stop;

use crate::config::{Boot, Config, HostAddress, ProxyRun, Registry, Retain, Role, RoleHost, Ssh};
use crate::fleet::Fleet;
use crate::history::Help;
use crate::history::testing::{World, at, digest, name, spec};
use crate::name::RunId;
use crate::plan::{DeployRequest, Plan, Request, RollbackRequest, Scope, StageKind, Strategy, check, describe};
use crate::release::FingerprintKey;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// A configuration for all hosts and roles of a test world; `web` has a proxy.
pub(super) fn config(world: &World) -> Config {
    let hosts: Vec<_> = world.hosts.keys().map(|h| RoleHost { name: h.clone(), tags: Vec::new() }).collect();
    let role = |role: &crate::name::RoleName| {
        let mut spec = spec();
        spec.route = (role.as_str() == "web").then(|| crate::history::testing::backend(None).route);
        Role { name: role.clone(), hosts: hosts.clone(), spec }
    };
    let address = |h: &crate::name::HostName| HostAddress { address: h.to_string(), port: None, user: None };
    Config {
        service: name("app"),
        destination: None,
        repository: name("acme/app"),
        registry: Registry::default(),
        primary_role: world.roles[0].clone(),
        roles: world.roles.iter().map(role).collect(),
        hosts: world.hosts.keys().map(|h| (h.clone(), address(h))).collect(),
        ssh: Ssh::default(),
        proxy: ProxyRun {
            image: "haproxy:3.2".to_string(),
            http_port: 80,
            https_port: 443,
            options: Default::default(),
        },
        boot: Boot::default(),
        retain: Retain { age: Duration::from_secs(3 * 86_400), at_least: 1, at_most: None },
        role_retain: BTreeMap::new(),
        deploy_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(30),
        error_pages: None,
        hooks_path: "/hooks".into(),
        secrets_files: Vec::new(),
        accessory_hosts: Vec::new(),
        variables: Default::default(),
        aliases: BTreeMap::new(),
        not_acted_on: Vec::new(),
        notes: Vec::new(),
    }
}

/// The run of the next command: later than all that the world has seen.
fn next_run(world: &World) -> RunId {
    crate::history::testing::run(1_000_000 + world.runs)
}

pub(super) fn request(world: &World) -> Request {
    Request {
        run: next_run(world),
        actor: "ann@laptop".to_string(),
        at: at(world.now),
        message: None,
        label: None,
        scope: Scope { hosts: world.hosts.keys().cloned().collect(), roles: world.roles.iter().cloned().collect() },
        skip_unreachable: false,
        secrets: BTreeMap::from([("KEY".to_string(), Secret::new("s1".to_string()))]),
        key: FingerprintKey::new(vec![1; 32]).unwrap(),
        edge: BTreeMap::new(),
    }
}

pub(super) fn deploy_request(world: &World, version: &str) -> DeployRequest {
    DeployRequest {
        request: request(world),
        version: name(version),
        image: name(&format!("acme/app:{version}")),
        digest: Some(digest(version)),
        copy: false,
        setup: false,
    }
}

pub(super) fn rollback_request(world: &World, target: Option<&str>) -> RollbackRequest {
    RollbackRequest {
        request: request(world),
        target: target.map(str::to_string),
        current_config: false,
        strategy: Strategy::Together,
        help: Help::default(),
    }
}

/// The world as it is after `setup`: state recorded, proxy running, key written.
pub(super) fn ready(world: &World) -> Fleet {
    let mut fleet = world.fleet();
    for state in fleet.hosts.values_mut() {
        let crate::fleet::HostState::Up(facts) = state else { continue };
        facts.home.own = "/root/.windlass".to_string();
        facts.home.recorded = Some("/root/.windlass".to_string());
        facts.key = FingerprintKey::new(vec![1; 32]);
        facts.proxy.container = Some(crate::fleet::ProxyContainer {
            id: name(&"f".repeat(64)),
            running: true,
            image: "haproxy:3.2".to_string(),
            image_id: None,
            settings: None,
            host_ports: vec![80, 443],
        });
    }
    fleet
}

/// A plan, a line a step, undos indented below.
pub(super) fn text(plan: &Plan) -> String {
    let mut out = String::new();
    for stage in &plan.stages {
        let kind = match stage.kind {
            StageKind::Prepare => "prepare",
            StageKind::Change => "change",
            StageKind::Retire => "retire",
            StageKind::Retain => "retain",
            StageKind::Prune => "prune",
        };
        for lane in &stage.lanes {
            writeln!(out, "{kind} {}", lane.host).unwrap();
            for step in &lane.steps {
                writeln!(out, "  {}", describe(&step.action)).unwrap();
                for undo in &step.undo {
                    writeln!(out, "      undo: {}", describe(undo)).unwrap();
                }
            }
        }
    }
    out
}

/// A plan that may run.
pub(super) fn sound(plan: Plan) -> Plan {
    assert_eq!(check(&plan), [], "{}", text(&plan));
    plan
}
