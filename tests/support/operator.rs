//! A person at the simulator: connects, takes leases, observes, plans and runs, as the command line does.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use windlass::config::{Boot, Config, HostAddress, ProxyRun, Registry, Retain, Role, RoleHost, Ssh};
use windlass::effect::{Clock, Connector};
use windlass::event::Event;
use windlass::execute::{LeasePlan, Leases, NoHooks, Run, RunReport};
use windlass::fleet::{Fleet, Holder};
use windlass::history::{Help, History};
use windlass::name::{HostName, RoleName};
use windlass::observe::{self, Connections};
use windlass::plan::{
    self, DeployRequest, MarkRequest, Marking, Plan, ProxyRequest, ProxyWork, PruneRequest, Refusal, RemoveRequest,
    Request, RestartRequest, RollbackRequest, Scope, Strategy, WantedEdge,
};
use windlass::release::FingerprintKey;
use windlass::secret::Secret;
use windlass::sim::{ImageBehaviour, SimFleet};
use windlass::spec::{ContainerOptions, EdgeFile, Env, HttpCheck, Logging, RestartPolicy, RoleSpec, Route};

/// Parses a name of any kind.
pub fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

pub struct Operator {
    pub world: SimFleet,
    pub config: Config,
    pub secrets: BTreeMap<String, Secret<String>>,
    /// Certificates and pages by role, and their contents.
    pub edge: BTreeMap<RoleName, WantedEdge>,
    pub files: BTreeMap<EdgeFile, Secret<String>>,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub cancel: CancellationToken,
    /// Ctrl-C at the first event that this is true of.
    pub interrupt_at: Option<fn(&Event) -> bool>,
    /// Changes the plan before it is carried out, as a planner with a fault would.
    pub tamper: Option<fn(&mut Plan)>,
    /// What `--hosts` leaves.
    pub only: Option<Vec<&'static str>>,
    /// What `--roles` leaves.
    pub only_roles: Option<Vec<&'static str>>,
    runs: Mutex<u64>,
}

/// How a command ended.
#[derive(Debug)]
pub enum Ended {
    Refused(Refusal),
    NothingToDo,
    Ran(Box<RunReport>),
}

impl Ended {
    #[track_caller]
    pub fn report(self) -> RunReport {
        match self {
            Self::Ran(report) => *report,
            other => panic!("it did not run: {other:?}"),
        }
    }

    #[track_caller]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            other => panic!("it was not refused: {other:?}"),
        }
    }
}

/// Roles as `name`, or `name!` for one without a proxy.
pub fn config(hosts: &[&str], roles: &[&str]) -> Config {
    let role_hosts: Vec<_> = hosts.iter().map(|h| RoleHost { name: name(h), tags: Vec::new() }).collect();
    let role = |text: &&str| {
        let proxied = !text.ends_with('!');
        Role { name: name(text.trim_end_matches('!')), hosts: role_hosts.clone(), spec: spec(proxied) }
    };
    let address = |h: &&str| (name(h), HostAddress { address: h.to_string(), port: None, user: None });
    Config {
        service: name("app"),
        destination: None,
        repository: name("registry.example.com/app"),
        registry: Registry::default(),
        primary_role: name(roles[0].trim_end_matches('!')),
        roles: roles.iter().map(role).collect(),
        hosts: hosts.iter().map(address).collect(),
        accessory_hosts: Vec::new(),
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
        hooks_path: "/nowhere".into(),
        secrets_files: Vec::new(),
        variables: Default::default(),
        aliases: BTreeMap::new(),
        not_acted_on: Vec::new(),
        notes: Vec::new(),
    }
}

fn spec(proxied: bool) -> RoleSpec {
    let route = Route {
        hosts: vec!["app.example.com".to_string()],
        path_prefixes: vec!["/".to_string()],
        strip_path_prefix: true,
        app_port: 80,
        check: HttpCheck::default(),
        response_timeout: 30,
        forward_headers: false,
        tls: None,
        limits: Default::default(),
    };
    RoleSpec {
        command: None,
        env: Env {
            clear: [("COLOR".to_string(), "blue".to_string())].into(),
            secret: [("KEY".to_string(), "KEY".to_string())].into(),
        },
        env_tags: BTreeMap::new(),
        labels: BTreeMap::new(),
        volumes: Vec::new(),
        asset_path: None,
        options: ContainerOptions::default(),
        logging: Logging::default(),
        restart: RestartPolicy::UnlessStopped,
        stop_timeout: None,
        route: proxied.then_some(route),
        readiness_delay: 7,
    }
}

/// The repository of the service's images.
pub const APP: &str = "registry.example.com/app";

/// An operator of hosts that run nothing yet, and a registry with healthy and with bad releases.
pub fn operator(hosts: &[&str], roles: &[&str]) -> Operator {
    let crashing = ImageBehaviour::crashing(Duration::from_millis(300), 3).printing(["key=s1", "bye"]);
    let world = SimFleet::new()
        .hosts(hosts.iter().copied())
        .registry_image("haproxy", "3.2", ImageBehaviour::healthy())
        .registry_image(APP, "v1", ImageBehaviour::healthy())
        .registry_image(APP, "v2", ImageBehaviour::healthy())
        .registry_image(APP, "v3", ImageBehaviour::healthy())
        .registry_image(APP, "bad", ImageBehaviour::never_healthy())
        .registry_image(APP, "crash", crashing);
    Operator::new(world, config(hosts, roles))
}

impl Operator {
    /// Asks every host: each role in the configuration serves this version there.
    pub async fn assert_serves(&self, version: &str) {
        let serving = self.serving().await;
        assert_eq!(serving.len(), self.config.hosts.len() * self.config.roles.len(), "{serving:?}");
        assert!(serving.values().all(|v| v.as_deref() == Some(version)), "not {version} everywhere: {serving:?}");
    }

    pub fn new(world: SimFleet, config: Config) -> Self {
        Self {
            world,
            config,
            secrets: BTreeMap::from([("KEY".to_string(), Secret::new("s1".to_string()))]),
            edge: BTreeMap::new(),
            files: BTreeMap::new(),
            events: Arc::default(),
            cancel: CancellationToken::new(),
            interrupt_at: None,
            tamper: None,
            only: None,
            only_roles: None,
            runs: Mutex::new(0),
        }
    }

    fn request(&self) -> Request {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        *runs += 1;
        let clock = self.world.clock();
        let millis = u64::try_from(clock.now().as_millisecond()).unwrap_or_default();
        let run = ulid::Ulid::from_parts(millis, u128::from(*runs) << 32).to_string();
        Request {
            run: name(&run),
            actor: "ann@laptop".to_string(),
            at: clock.now(),
            message: None,
            label: None,
            scope: Scope {
                hosts: match &self.only {
                    Some(only) => only.iter().map(|h| name(h)).collect(),
                    None => self.config.hosts.keys().cloned().collect(),
                },
                roles: match &self.only_roles {
                    Some(only) => only.iter().map(|r| name(r)).collect(),
                    None => self.config.roles.iter().map(|r| r.name.clone()).collect(),
                },
            },
            skip_unreachable: false,
            secrets: self.secrets.clone(),
            key: FingerprintKey::new(vec![7; 32]).unwrap(),
            edge: self.edge.clone(),
        }
    }

    pub async fn connect(&self) -> Connections {
        let hosts: Vec<HostName> = self.config.hosts.keys().cloned().collect();
        let connector: Arc<dyn Connector> = self.world.connector();
        observe::connect(&*connector, &hosts, &*self.world.clock(), &|_: Event| {}).await
    }

    pub async fn fleet(&self) -> Fleet {
        observe::observe(&self.connect().await, &self.config.service, None, &*self.world.clock()).await
    }

    pub async fn history(&self) -> History {
        let hosts = |r: &Role| (r.name.clone(), r.hosts.iter().map(|h| h.name.clone()).collect());
        let roles: BTreeMap<RoleName, Vec<HostName>> = self.config.roles.iter().map(hosts).collect();
        History::of(&self.fleet().await, &self.config.service, None, &roles)
    }

    async fn carry_out(&self, request: Request, plan: impl FnOnce(&Fleet, Request) -> Result<Plan, Refusal>) -> Ended {
        let connections = self.connect().await;
        let clock = self.world.clock();
        let fleet = observe::observe(&connections, &self.config.service, None, &*clock).await;
        let dirs = fleet
            .reachable()
            .map(|(h, facts)| (h.clone(), facts.home.of_service(&self.config.service, None)))
            .collect();
        let holder = Holder {
            actor: request.actor.clone(),
            run: request.run.clone(),
            what: "a test".to_string(),
            since: clock.now(),
        };
        let wanted = LeasePlan { dirs, holder, kamal_lock: ".kamal/lock-app".to_string(), wait: None };
        let leases = Leases::acquire(&connections.nodes, &wanted, &*clock, &|_: Event| {}).await;
        let leases = Arc::new(leases.unwrap_or_else(|e| panic!("lease: {e}")));
        let fleet = observe::observe(&connections, &self.config.service, None, &*clock).await;
        let (secrets, key) = (request.secrets.clone(), request.key.clone());
        let mut plan = match plan(&fleet, request) {
            Err(refusal) => return Ended::Refused(refusal),
            Ok(plan) if plan.is_empty() => return Ended::NothingToDo,
            Ok(plan) => plan,
        };
        if let Some(tamper) = self.tamper {
            tamper(&mut plan);
        }
        assert_eq!(plan::check(&plan), [], "{}", text(&plan));
        let events = self.events.clone();
        let (interrupt, interrupt_at) = (self.cancel.clone(), self.interrupt_at);
        let run = Run {
            plan,
            nodes: connections.nodes.clone(),
            bulk: self.connect().await.nodes,
            leases: leases.clone(),
            secrets,
            login: None,
            key,
            files: self.files.clone(),
            clock,
            masker: windlass::mask::Masker::new(self.secrets.values()),
            sink: Arc::new(move |event: Event| {
                if interrupt_at.is_some_and(|at| at(&event)) {
                    interrupt.cancel();
                }
                events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }),
            hooks: Arc::new(NoHooks),
            cancel: self.cancel.child_token(),
        };
        let report = run.go().await;
        if let Ok(leases) = Arc::try_unwrap(leases).map_err(|_| "shared") {
            assert_eq!(leases.release().await, []);
        }
        Ended::Ran(Box::new(report))
    }

    pub async fn deploy(&self, version: &str) -> Ended {
        self.deploy_with(version, false).await
    }

    /// A deploy, with `--copy` or without.
    pub async fn deploy_with(&self, version: &str, copy: bool) -> Ended {
        let tag = format!("registry.example.com/app:{version}");
        let connections = self.connect().await;
        let engine = connections.nodes.values().next().map(|node| node.engine.clone());
        let digest = match engine {
            Some(engine) => engine.resolve(&name(&tag), None).await.ok().map(|r| r.digest),
            None => None,
        };
        self.carry_out(self.request(), |fleet, request| {
            let request =
                DeployRequest { request, version: name(version), image: name(&tag), digest, copy, setup: false };
            plan::deploy(&self.config, fleet, &request)
        })
        .await
    }

    pub async fn rollback(&self, target: Option<&str>) -> Ended {
        self.rollback_with(target, false).await
    }

    pub async fn rollback_with(&self, target: Option<&str>, current_config: bool) -> Ended {
        self.rollback_as(target, |request| request.current_config = current_config).await
    }

    /// A rollback with its options.
    pub async fn rollback_as(&self, target: Option<&str>, options: impl Fn(&mut RollbackRequest)) -> Ended {
        self.carry_out(self.request(), |fleet, request| {
            let mut request = RollbackRequest {
                request,
                target: target.map(str::to_string),
                current_config: false,
                strategy: Strategy::Together,
                help: Help::default(),
            };
            options(&mut request);
            plan::rollback(&self.config, fleet, &request)
        })
        .await
    }

    pub async fn restart(&self, force: bool, secrets: bool) -> Ended {
        self.carry_out(self.request(), |fleet, request| {
            plan::restart(&self.config, fleet, &RestartRequest { request, force, secrets })
        })
        .await
    }

    /// `windlass proxy …`, `windlass app maintenance|live`.
    pub async fn proxy(&self, work: ProxyWork) -> Ended {
        self.carry_out(self.request(), |fleet, request| {
            plan::proxy(&self.config, fleet, &ProxyRequest { request, work })
        })
        .await
    }

    pub async fn stop(&self) -> Ended {
        self.carry_out(self.request(), |fleet, request| plan::stop(&self.config, fleet, &request)).await
    }

    pub async fn stop_stale(&self) -> Ended {
        self.carry_out(self.request(), |fleet, request| plan::stop_stale(&self.config, fleet, &request)).await
    }

    pub async fn start(&self) -> Ended {
        self.carry_out(self.request(), |fleet, request| plan::start(&self.config, fleet, &request)).await
    }

    pub async fn take_over(&self) -> Ended {
        self.carry_out(self.request(), |fleet, request| plan::take_over(&self.config, fleet, &request)).await
    }

    pub async fn hand_back(&self) -> Ended {
        self.carry_out(self.request(), |fleet, request| plan::hand_back(&self.config, fleet, &request)).await
    }

    pub async fn prune(&self) -> Ended {
        self.carry_out(self.request(), |fleet, request| {
            let now = fleet.reachable().map(|(h, _)| (h.clone(), request.at)).collect();
            plan::prune(&self.config, fleet, &PruneRequest { request, now }).map(|(plan, _)| plan)
        })
        .await
    }

    /// `windlass releases label`, `pin` or `unpin`.
    pub async fn mark(&self, target: &str, marking: Marking) -> Ended {
        self.carry_out(self.request(), |fleet, request| {
            plan::mark(&self.config, fleet, &MarkRequest { request, target: target.to_string(), marking })
        })
        .await
    }

    /// `windlass releases rm`.
    pub async fn remove(&self, target: &str) -> Ended {
        self.carry_out(self.request(), |fleet, request| {
            plan::remove(&self.config, fleet, &RemoveRequest { request, target: target.to_string() })
        })
        .await
    }

    /// The versions that serve, by host and role.
    pub async fn serving(&self) -> BTreeMap<(String, String), Option<String>> {
        let fleet = self.fleet().await;
        let mut serving = BTreeMap::new();
        for (host, facts) in fleet.reachable() {
            for role in &self.config.roles {
                let found = windlass::history::serving(facts, &self.config.service, None, &role.name);
                let version = found.filter(|c| c.state.is_running()).and_then(|c| c.version()).map(|v| v.to_string());
                serving.insert((host.to_string(), role.name.to_string()), version);
            }
        }
        serving
    }

    #[track_caller]
    pub fn assert_no_gap(&self) {
        let gaps = self.world.all_gaps();
        assert!(gaps.is_empty(), "requests would have failed: {gaps:?}");
    }
}

/// A plan, a line a step.
pub fn text(plan: &Plan) -> String {
    let steps = plan.steps().map(|(id, host, step)| format!("{} {host}: {}", id.stage, plan::describe(&step.action)));
    steps.collect::<Vec<_>>().join("\n")
}
