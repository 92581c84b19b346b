//! Slots, the gate, the switch, the drain: and the traps of each.

use crate::world::{World, backend};
use std::time::{Duration, Instant};
use windlass::effect::{Proxy, ProxyError};
use windlass::fleet::ServerRole;

/// Trap 2: a reused slot shows the last answer of its previous occupant for a moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_was_healthy_does_not_let_a_dead_image_pass() {
    let world = World::start().await;
    let route = backend("demo", &[], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    let (serving, good, dead) = (world.app("v1").await, world.app("v2").await, world.app("v3").await);
    dead.fail_checks();
    world.release(&route, None, &serving).await;
    for _ in 0..3 {
        world.proxy.load(&route.name, &good.target()).await.unwrap();
        world.gate(&route, &good).await;
        let slot = world.slot(&route, &good).await;
        world.proxy.unload(&route.name, &good.id).await.unwrap();
        world.proxy.load(&route.name, &dead.target()).await.unwrap();
        assert_eq!(world.slot(&route, &dead).await, slot, "the same slot is used again");
        let until = Instant::now() + Duration::from_millis(1500);
        let mut answer = String::new();
        while Instant::now() < until {
            let probe = world.probe(&route, &dead).await;
            assert!(!probe.healthy, "{probe:?}");
            answer = probe.answer;
        }
        assert!(answer.starts_with("L7STS/503"), "{answer}");
        world.proxy.unload(&route.name, &dead.id).await.unwrap();
    }
    assert_eq!(world.who("x", "/").await, "v1");
}

/// Traps 1 and 3: a slot is known by its container's id, never by what was in it before or by an address alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_follows_its_own_container_only() {
    let world = World::start().await;
    let route = backend("demo", &[], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    let mut previous = world.app("v0").await;
    world.release(&route, None, &previous).await;
    for name in ["v1", "v2", "v3", "v4", "v5", "v6"] {
        let next = world.app(name).await;
        world.release(&route, Some(&previous), &next).await;
        world.proxy.unload(&route.name, &previous.id).await.unwrap();
        // The old container is removed: its name is gone.
        world.dns.remove(previous.id.short());
        assert_eq!(world.who("x", "/").await, name);
        previous = next;
    }
    // The name of what serves is not answered for a while: a dead DNS takes nothing away.
    world.dns.remove(previous.id.short());
    let before = world.dns.asked(previous.id.short());
    world.wait("six more questions for the name", async || world.dns.asked(previous.id.short()) > before + 6).await;
    assert_eq!(world.who("x", "/").await, "v6");
    // It is restarted under another address, the same port.
    let moved = std::net::Ipv4Addr::new(127, 0, 78, 1);
    let twin = tokio::net::TcpListener::bind((moved, previous.target().port)).await.unwrap();
    world.dns.set(previous.id.short(), moved);
    let address = format!("{moved}:{}", previous.target().port);
    let follows = async || {
        let state = world.state(&route).await;
        state.servers.iter().any(|s| s.role == ServerRole::Ready && s.address.as_deref() == Some(&address))
    };
    world.wait("the slot to follow its container", follows).await;
    drop(twin);
}

/// Trap 6: the last server stays routed while its health page fails, and that is seen.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_server_stays_routed_when_its_check_fails() {
    let world = World::start().await;
    let (route, app) = (backend("demo", &[], &["/"]), world.app("v1").await);
    world.proxy.set_route(&route).await.unwrap();
    world.release(&route, None, &app).await;
    app.fail_checks();
    let failing = async || world.state(&route).await.servers.iter().any(|s| s.healthy == Some(false));
    world.wait("the check to fail", failing).await;
    let down = async || world.engine.output().contains("s1 is DOWN");
    world.wait("the server to be down", down).await;
    for _ in 0..20 {
        assert_eq!(world.who("x", "/").await, "v1");
    }
    let state = world.state(&route).await;
    assert_eq!(state.active(), Some(&app.id));
    assert!(state.servers[0].check.starts_with("L7STS/503"), "{state:?}");
    // The way out of it: a healthy release.
    let better = world.app("v2").await;
    world.release(&route, Some(&app), &better).await;
    assert_eq!(world.who("x", "/").await, "v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_happens_once_and_only_from_what_serves() {
    let world = World::start().await;
    let route = backend("demo", &[], &["/"]);
    let other = backend("other", &["other.example.com"], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    world.proxy.set_route(&other).await.unwrap();
    let (v1, v2, v3) = (world.app("v1").await, world.app("v2").await, world.app("v3").await);
    let apart = world.app("apart").await;
    world.release(&other, None, &apart).await;
    let others = world.read(&other);
    world.release(&route, None, &v1).await;
    world.release(&route, Some(&v1), &v2).await;
    world.proxy.switch(&route.name, Some(&v1.id), &v2.target()).await.expect("it already serves");
    let before = world.read(&route);
    let error = world.proxy.switch(&route.name, Some(&v1.id), &v3.target()).await.unwrap_err();
    assert!(matches!(&error, ProxyError::Moved { found, .. } if found == v2.id.short()), "{error}");
    let error = world.proxy.switch(&route.name, None, &v3.target()).await.unwrap_err();
    assert!(matches!(error, ProxyError::Moved { .. }), "{error}");
    assert_eq!(world.read(&route), before);
    assert_eq!((world.read(&other), world.who("other.example.com", "/").await), (others, "apart".to_string()));
    let error = world.proxy.unload(&route.name, &v2.id).await.unwrap_err();
    assert!(error.to_string().contains("still gets the requests"), "{error}");
    let state = world.state(&route).await;
    assert_eq!((state.active(), state.file_active.as_ref()), (Some(&v2.id), Some(&v2.id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_switch_is_finished_by_the_next() {
    let world = World::start().await;
    let route = backend("demo", &[], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    let (v1, v2) = (world.app("v1").await, world.app("v2").await);
    world.release(&route, None, &v1).await;
    let old = world.read(&route);
    world.release(&route, Some(&v1), &v2).await;
    // As a run leaves it that dies between the file and the running proxy.
    std::fs::write(world.file(&route), old).unwrap();
    let state = world.state(&route).await;
    assert_eq!((state.active(), state.file_active.as_ref()), (Some(&v2.id), Some(&v1.id)));
    // Another service's change of routes would make the file true: it is refused, by name.
    let error = world.proxy.set_route(&backend("other", &["o"], &["/"])).await.unwrap_err().to_string();
    assert!(error.contains("demo-web routes to") && error.contains("deploy that service first"), "{error}");
    assert_eq!(world.who("x", "/").await, "v2");
    world.proxy.switch(&route.name, Some(&v2.id), &v2.target()).await.unwrap();
    assert_eq!(world.state(&route).await.file_active.as_ref(), Some(&v2.id));
    world.proxy.set_route(&backend("other", &["o"], &["/"])).await.unwrap();
    assert_eq!(world.who("x", "/").await, "v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_counted_across_a_switch_and_a_reload() {
    let world = World::start().await;
    let route = backend("demo", &[], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    let (v1, v2) = (world.app("v1").await, world.app("v2").await);
    world.release(&route, None, &v1).await;
    world.proxy.load(&route.name, &v2.target()).await.unwrap();
    world.gate(&route, &v2).await;
    let count = async || world.proxy.in_flight(&route.name, &v1.id).await.unwrap();
    assert_eq!(count().await, 0);
    let (slow, ()) = tokio::join!(world.get("x", "/slow"), async {
        world.wait("the request to arrive", async || count().await == 1).await;
        world.proxy.switch(&route.name, Some(&v1.id), &v2.target()).await.unwrap();
        assert_eq!(count().await, 1);
        world.proxy.set_route(&backend("other", &["other"], &["/"])).await.unwrap();
        assert_eq!(count().await, 1, "the older worker still has it");
    });
    assert!(slow.status == 200 && slow.body.starts_with("v1"), "{}", slow.head);
    world.wait("the count to be 0", async || count().await == 0).await;
    assert_eq!(world.who("x", "/").await, "v2");
}

/// A reload knows the files only: what another run has loaded is lost, and its gate loads it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_container_survives_a_reload_by_another_service() {
    let world = World::start().await;
    let route = backend("demo", &[], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    let (v1, v2) = (world.app("v1").await, world.app("v2").await);
    world.release(&route, None, &v1).await;
    world.proxy.load(&route.name, &v2.target()).await.unwrap();
    world.gate(&route, &v2).await;
    world.proxy.set_route(&backend("other", &["other"], &["/"])).await.unwrap();
    world.proxy.switch(&route.name, Some(&v1.id), &v2.target()).await.unwrap();
    assert_eq!(world.who("x", "/").await, "v2");
    world.proxy.set_route(&backend("third", &["third"], &["/"])).await.unwrap();
    assert_eq!(world.who("x", "/").await, "v2");
}

/// Idle clients of an older worker come back with one more request, and it goes where that worker routes: a container
/// has not drained while one lives.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_worker_with_an_idle_client_counts() {
    let world = World::start().await;
    let route = backend("demo", &[], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    let (v1, v2) = (world.app("v1").await, world.app("v2").await);
    world.release(&route, None, &v1).await;
    let mut idle = crate::client::Client::new(&world.address);
    assert!(idle.get("x", "/", "").await.unwrap().body.starts_with("v1"));
    world.proxy.set_route(&backend("other", &["other"], &["/"])).await.unwrap();
    world.release(&route, Some(&v1), &v2).await;
    let count = async || world.proxy.in_flight(&route.name, &v1.id).await.unwrap();
    assert_eq!(count().await, 1, "the idle client may still come");
    let answer = idle.get("x", "/", "").await.unwrap();
    assert!(answer.body.starts_with("v1") && answer.head.contains("connection: close"), "{}", answer.head);
    world.wait("the older worker to end", async || count().await == 0).await;
    assert!(idle.get("x", "/", "").await.unwrap().body.starts_with("v2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_left_by_dead_runs_are_used_again() {
    let world = World::start().await;
    let route = backend("demo", &[], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    let serving = world.app("v0").await;
    world.release(&route, None, &serving).await;
    for name in ["v1", "v2", "v3", "v4", "v5"] {
        let app = world.app(name).await;
        world.proxy.load(&route.name, &app.target()).await.unwrap();
        world.gate(&route, &app).await;
    }
    assert_eq!(world.who("x", "/").await, "v0");
    let mut bad = serving.target();
    bad.address = "1.2.3.4; show info".to_string();
    let error = world.proxy.load(&route.name, &bad).await.unwrap_err().to_string();
    assert!(error.contains("no usable address"), "{error}");
}
