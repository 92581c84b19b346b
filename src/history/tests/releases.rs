use crate::fleet::{Holder, Image, LeaseState, State};
use crate::history::testing::{Ends, World, at, container, image, name, run};
use crate::history::{Availability, History, Status};
use crate::name::HostName;
use crate::release::{Fact, Outcome, ReleaseKind};
use crate::spec::PublishedPort;

fn shown(history: &History) -> Vec<(String, String, Status)> {
    history.releases.iter().map(|r| (r.label(), r.version.to_string(), r.status)).collect()
}

fn rows(history: &History) -> String {
    shown(history)
        .iter()
        .map(|(label, version, status)| format!("{label}={version}:{status:?}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_rollback_is_a_release_of_its_own_with_the_old_content() {
    let mut world = World::new(&["h1", "h2"], &["web", "worker"]);
    let first = world.deploy("a", Ends::Well);
    world.deploy("b", Ends::Well);
    world.rollback(None, Ends::Well).unwrap();
    let history = world.history();
    assert_eq!(rows(&history), "v1=a:Stable v2=b:RolledBack v3=a:Current");
    assert_eq!(history.releases[2].content, Some(first));
    assert_eq!(history.releases[2].running.len(), 2);
    assert_eq!(history.next_number(), 4);
    let host: HostName = name("h2");
    assert!(matches!(history.releases[0].availability(&host, &name("worker")), Some(Availability::Serving(_))));
    assert!(matches!(history.releases[1].availability(&host, &name("worker")), Some(Availability::Restart(_))));
}

#[test]
fn a_reverted_rollback_leaves_its_target_and_not_what_serves_again() {
    let mut world = World::new(&["h1", "h2"], &["web"]);
    world.deploy("a", Ends::Well);
    world.deploy("b", Ends::Well);
    world.rollback(None, Ends::Reverted).unwrap();
    let history = world.history();
    assert_eq!(rows(&history), "v1=a:RolledBack v2=b:Current v3=a:Failed");
    assert!(!history.releases[1].left);
    assert_eq!(world.default_target(), None, "it just failed to come back");
    world.deploy("c", Ends::Well);
    assert_eq!(world.default_target().as_deref(), Some("v2"));
}

#[test]
fn failed_and_interrupted_runs_are_not_stable() {
    let mut world = World::new(&["h1", "h2"], &["web"]);
    world.deploy("a", Ends::Well);
    world.deploy("b", Ends::Reverted);
    let killed = world.deploy("c", Ends::Killed);
    assert_eq!(rows(&world.history()), "v1=a:Current v2=b:Failed v3=c:Current");
    let holder = Holder { actor: "ann".into(), run: killed, what: "deploy v3".into(), since: at(0) };
    world.hosts.get_mut(&name::<HostName>("h2")).unwrap().lease = LeaseState::Held(Some(holder));
    assert_eq!(world.history().releases[2].status, Status::Running);
    world.hosts.get_mut(&name::<HostName>("h2")).unwrap().lease = LeaseState::Free;
    world.rollback(None, Ends::Well).unwrap();
    assert_eq!(rows(&world.history()), "v1=a:Stable v2=b:Failed v3=c:Interrupted v4=a:Current");
}

#[test]
fn one_host_that_says_otherwise_makes_a_success_unstable() {
    let mut world = World::new(&["h1", "h2", "h3"], &["web"]);
    let first = world.deploy("a", Ends::Well);
    assert!(world.history().releases[0].stable);
    world.write(&name("h2"), &first, Fact::Outcome { outcome: Outcome::Unverified, reason: None });
    assert!(!world.history().releases[0].stable);
}

#[test]
fn numbers_taken_twice_behind_a_partition_are_twins() {
    let mut one = World::new(&["h1"], &["web"]);
    one.deploy("a", Ends::Well);
    let mut other = World::new(&["h2"], &["web"]);
    other.runs = 1;
    other.deploy("b", Ends::Well);
    one.hosts.append(&mut other.hosts);
    let history = one.history();
    assert_eq!(history.releases.iter().map(|r| r.label()).collect::<Vec<_>>(), ["v1", "v1.2"]);
    assert_eq!(history.next_number(), 2);
}

#[test]
fn containers_of_kamal_are_one_unnumbered_release_a_version() {
    let mut world = World::new(&["h1", "h2"], &["web", "worker"]);
    for (h, host) in world.hosts.values_mut().enumerate() {
        for (n, (version, role)) in [("a", "web"), ("a", "worker"), ("b", "web"), ("b", "worker")].iter().enumerate() {
            let mut made = container((h * 10 + n) as u64, role, version, None, n as i64);
            if *version == "a" {
                made.state = State::Exited { code: 143, oom: false };
            }
            host.containers.push(made);
        }
        let mut never = container(99, "web", "c", None, 50);
        never.state = State::Created;
        host.containers.push(never);
    }
    let history = world.history();
    assert_eq!(rows(&history), "a=a:Unrecorded b=b:Current", "what never started is no release");
    assert!(history.releases[1].stable && !history.releases[0].stable);
    assert_eq!(history.releases[0].kind, ReleaseKind::Adopted);
    let named = world.history();
    assert_eq!(named.resolve(Some("a"), &world.scope()).unwrap().release.label(), "a");
    assert_eq!(world.default_target(), None);
    world.deploy("c", Ends::Well);
    assert_eq!(world.default_target().as_deref(), None, "stopped containers of Kamal are never a default");
}

#[test]
fn an_adopted_release_is_a_default_target() {
    let mut world = World::new(&["h1"], &["web"]);
    let host: HostName = name("h1");
    world.hosts.get_mut(&host).unwrap().containers.push(container(9, "web", "k", None, 1));
    let adopted = world.deploy("x", Ends::Well);
    // The same record as if windlass had found `k` serving before that deploy.
    let facts = world.hosts.get_mut(&host).unwrap();
    let mut record = (*facts.records[&adopted]).clone();
    (record.kind, record.version, record.run, record.number) = (ReleaseKind::Adopted, name("k"), run(0), 0);
    record.roles.values_mut().for_each(|r| (r.spec, r.fingerprint) = (None, None));
    facts.records.insert(run(0), std::sync::Arc::new(record));
    assert_eq!(rows(&world.history()), "v0=k:Stable v1=x:Current");
    assert_eq!(world.default_target().as_deref(), Some("v0"));
}

#[test]
fn what_can_be_brought_back_and_how() {
    let mut world = World::new(&["h1"], &["web"]);
    let host: HostName = name("h1");
    world.deploy("a", Ends::Well);
    world.deploy("b", Ends::Well);
    let said = |world: &World| world.history().releases[0].available[&host][&name("web")].clone();
    let edit = |world: &World, change: &dyn Fn(&mut crate::fleet::HostFacts)| {
        let mut world = world.clone();
        change(world.hosts.get_mut(&host).unwrap());
        said(&world)
    };
    let port = |n| PublishedPort { host_ip: None, host_port: Some(n), container_port: 80, protocol: "tcp".into() };
    assert!(matches!(said(&world), Availability::Restart(_)));
    let networks = edit(&world, &|f| f.networks.clear());
    assert!(matches!(&networks, Availability::Remake { why, .. } if why.contains("network kamal")), "{networks:?}");
    let own_port = edit(&world, &|f| f.containers.iter_mut().for_each(|c| c.ports = vec![port(8080)]));
    assert!(matches!(own_port, Availability::Restart(_)), "the outgoing one gives its port back: {own_port:?}");
    let taken = edit(&world, &|f| {
        f.containers[0].ports = vec![port(8080)];
        f.listening.insert(8080, Some("nginx (pid 812)".to_string()));
    });
    assert!(matches!(&taken, Availability::Missing { why } if why.contains("port 8080")), "{taken:?}");
    let gone = edit(&world, &|f| _ = f.containers.remove(0));
    assert!(matches!(&gone, Availability::Missing { why } if why.contains("secrets (KEY)")), "{gone:?}");
    let plain = |f: &mut crate::fleet::HostFacts| {
        f.containers.remove(0);
        let roles = f.records.values_mut().flat_map(|r| std::sync::Arc::make_mut(r).roles.values_mut());
        roles.filter_map(|r| r.spec.as_mut()).for_each(|spec| spec.env.secret.clear());
    };
    assert_eq!(edit(&world, &plain), Availability::FromRecord);
    let no_image = edit(&world, &|f| {
        plain(f);
        let moved = Image { digests: image("b").digests, ..image("a") };
        f.images = vec![moved];
    });
    assert!(matches!(&no_image, Availability::Missing { why } if why.contains("image acme/app:a")), "{no_image:?}");
}

#[test]
fn the_same_build_again_is_the_same_content_unless_a_secret_may_differ() {
    let mut world = World::new(&["h1"], &["web"]);
    world.deploy("a", Ends::Well);
    world.deploy("b", Ends::Well);
    world.deploy("a", Ends::Well);
    assert_eq!(world.default_target().as_deref(), Some("v2"));
    world.rollback(Some("b"), Ends::Well).unwrap();
    // v4 has the content of v2; v3 is left; v1 has another secret than v3 and is older.
    assert_eq!(world.default_target().as_deref(), Some("v1"));
    let facts = world.hosts.values_mut().next().unwrap();
    let print = facts.records[&run(1)].roles.values().next().unwrap().fingerprint.clone();
    std::sync::Arc::make_mut(facts.records.get_mut(&run(3)).unwrap())
        .roles
        .values_mut()
        .for_each(|r| r.fingerprint = print.clone());
    assert_eq!(world.default_target(), None, "v1 is the same build as v3, which was left");
}
