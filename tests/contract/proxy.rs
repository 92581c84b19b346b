//! The proxy: gate, switch, drain.

use super::{World, created, eventually, inspect, plan, pulled};
use std::time::Duration;
use windlass::effect::{Backend, Node, Probe, ProxyError, Target};
use windlass::fleet::{BackendName, ServerRole, State};
use windlass::name::{ContainerId, ImageRef};
use windlass::secret::Secret;
use windlass::spec::{EdgeFile, HttpCheck, Maintenance, RestartPolicy, Route};

fn backend(world: &dyn World) -> Backend {
    let service = world.name().parse().expect("a service name");
    let role = "web".parse().expect("a role name");
    let route = Route {
        hosts: vec![format!("{}.example.com", world.name())],
        path_prefixes: vec!["/".to_string()],
        strip_path_prefix: false,
        app_port: 80,
        check: HttpCheck::default(),
        response_timeout: 30,
        forward_headers: false,
        tls: None,
        limits: Default::default(),
    };
    Backend {
        name: BackendName::new(&service, &role, None),
        service,
        role,
        destination: None,
        route,
        edge: Default::default(),
    }
}

/// A host whose proxy runs and knows an empty backend.
async fn routed(world: &dyn World) -> (Node, BackendName) {
    let node = world.node().await;
    node.engine.create_network(super::NETWORK).await.unwrap();
    node.proxy.boot(&world.proxy_settings()).await.expect("the proxy boots");
    let backend = backend(world);
    node.proxy.set_route(&backend).await.expect("a route can be set");
    (node, backend.name)
}

/// A started container as the proxy reaches it.
async fn started(world: &dyn World, node: &Node, image: &ImageRef, suffix: &str) -> Target {
    let reference = pulled(world, node, image).await;
    let container = plan(&format!("{}-{suffix}", world.name()), &reference);
    let id = node.engine.create(&container).await.unwrap();
    node.engine.start(&id).await.unwrap();
    let address =
        inspect(node, &id).await.addresses.get(super::NETWORK).cloned().expect("a running one has an address");
    Target { container: id, address, port: 80 }
}

async fn check(node: &Node, backend: &BackendName, target: &Target) -> Probe {
    node.proxy.check(backend, target).await.expect("a loaded container can be checked")
}

/// Loads a container and waits until it passes the gate.
async fn loaded(node: &Node, backend: &BackendName, target: &Target) {
    node.proxy.load(backend, target).await.unwrap();
    eventually("the container passes the gate", async || check(node, backend, target).await.healthy.then_some(()))
        .await;
}

async fn active(node: &Node, backend: &BackendName) -> (Option<ContainerId>, Option<ContainerId>) {
    let state = node.proxy.observe().await.unwrap();
    let backend = state.backends.get(backend).expect("the backend is known");
    (backend.active().cloned(), backend.file_active.clone())
}

pub(crate) async fn no_proxy_is_an_empty_state(world: &dyn World) {
    let state = world.node().await.proxy.observe().await.expect("no proxy is not an error");
    assert_eq!((state.container, state.backends.len(), state.unreadable), (None, 0, None));
}

pub(crate) async fn boot_and_set_route_are_idempotent(world: &dyn World) {
    let (node, name) = routed(world).await;
    let before = node.proxy.observe().await.unwrap();
    assert!(before.container.as_ref().is_some_and(|container| container.running), "{before:?}");
    assert_eq!(before.backends[&name].route, backend(world).route);
    assert_eq!(active(&node, &name).await, (None, None));
    node.proxy.boot(&world.proxy_settings()).await.unwrap();
    node.proxy.set_route(&backend(world)).await.unwrap();
    let after = node.proxy.observe().await.unwrap();
    assert_eq!(after.container.map(|c| c.id), before.container.map(|c| c.id));
    let mut changed = backend(world);
    changed.route.response_timeout = 60;
    node.proxy.set_route(&changed).await.unwrap();
    assert_eq!(node.proxy.observe().await.unwrap().backends[&name].route.response_timeout, 60);
}

pub(crate) async fn a_healthy_container_passes_the_gate(world: &dyn World) {
    let (node, backend) = routed(world).await;
    let target = started(world, &node, &world.healthy_image(), "a").await;
    loaded(&node, &backend, &target).await;
    let probe = check(&node, &backend, &target).await;
    assert_eq!(probe.role, ServerRole::Drain, "loaded is not serving");
    assert!(probe.answer.starts_with("L7OK"), "{probe:?}");
    assert_eq!(active(&node, &backend).await, (None, None));
}

/// Waits for an answer that has this beginning; the container must not be healthy at any look.
async fn refused(node: &Node, backend: &BackendName, target: &Target, answer: &str) {
    let look = async || {
        let probe = check(node, backend, target).await;
        assert!(!probe.healthy, "{probe:?}");
        probe.answer.starts_with(answer).then_some(())
    };
    eventually(&format!("the check answers {answer}"), look).await;
}

pub(crate) async fn an_unhealthy_one_does_not(world: &dyn World) {
    let (node, backend) = routed(world).await;
    let target = started(world, &node, &world.unhealthy_image(), "a").await;
    node.proxy.load(&backend, &target).await.unwrap();
    refused(&node, &backend, &target, "L7STS/503").await;
}

pub(crate) async fn a_crashing_one_does_not(world: &dyn World) {
    let (node, backend) = routed(world).await;
    let target = started(world, &node, &world.crashing_image(), "a").await;
    node.proxy.load(&backend, &target).await.unwrap();
    refused(&node, &backend, &target, "L4").await;
}

pub(crate) async fn switch_moves_and_refuses_what_moved(world: &dyn World) {
    let (node, backend) = routed(world).await;
    let a = started(world, &node, &world.healthy_image(), "a").await;
    let b = started(world, &node, &world.healthy_image(), "b").await;
    loaded(&node, &backend, &a).await;
    node.proxy.switch(&backend, None, &a).await.expect("nothing serves, as expected");
    assert_eq!(active(&node, &backend).await, (Some(a.container.clone()), Some(a.container.clone())));
    assert_eq!(check(&node, &backend, &a).await.role, ServerRole::Ready);

    loaded(&node, &backend, &b).await;
    let moved = node.proxy.switch(&backend, None, &b).await;
    assert!(matches!(moved, Err(ProxyError::Moved { .. })), "{moved:?}");
    let moved = node.proxy.switch(&backend, Some(&b.container), &a).await;
    assert!(moved.is_ok(), "it serves already: {moved:?}");
    assert_eq!(active(&node, &backend).await.0, Some(a.container.clone()), "a refusal changes nothing");

    node.proxy.switch(&backend, Some(&a.container), &b).await.unwrap();
    node.proxy.switch(&backend, Some(&a.container), &b).await.expect("again is fine");
    assert_eq!(active(&node, &backend).await, (Some(b.container.clone()), Some(b.container.clone())));
    assert_eq!(check(&node, &backend, &a).await.role, ServerRole::Drain);
}

pub(crate) async fn a_suspended_route_serves_nobody_and_comes_back(world: &dyn World) {
    let (node, backend) = routed(world).await;
    let a = started(world, &node, &world.healthy_image(), "a").await;
    let b = started(world, &node, &world.healthy_image(), "b").await;
    loaded(&node, &backend, &a).await;
    node.proxy.switch(&backend, None, &a).await.unwrap();
    let moved = node.proxy.suspend(&backend, &b.container).await.unwrap_err();
    assert!(matches!(moved, ProxyError::Moved { .. }), "{moved}");
    assert_eq!(active(&node, &backend).await, (Some(a.container.clone()), Some(a.container.clone())));
    for _ in 0..2 {
        node.proxy.suspend(&backend, &a.container).await.expect("what serves can be taken out, and once is enough");
        assert_eq!(active(&node, &backend).await, (None, None));
    }
    assert_eq!(node.proxy.in_flight(&backend, &a.container).await.unwrap(), 0);
    // It is still loaded: the way back is a switch.
    node.proxy.switch(&backend, None, &a).await.unwrap();
    assert_eq!(active(&node, &backend).await, (Some(a.container.clone()), Some(a.container.clone())));
    node.proxy.suspend(&backend, &a.container).await.unwrap();
    node.proxy.unload(&backend, &a.container).await.expect("what serves nobody can be unloaded");
    loaded(&node, &backend, &a).await;
    assert_eq!(active(&node, &backend).await, (None, None), "loaded again is not serving");
}

pub(crate) async fn the_old_one_drains_and_unloads(world: &dyn World) {
    let (node, backend) = routed(world).await;
    let a = started(world, &node, &world.healthy_image(), "a").await;
    let b = started(world, &node, &world.healthy_image(), "b").await;
    for (from, to) in [(None, &a), (Some(&a.container), &b)] {
        loaded(&node, &backend, to).await;
        node.proxy.switch(&backend, from, to).await.unwrap();
    }
    let idle = async || (node.proxy.in_flight(&backend, &a.container).await.unwrap() == 0).then_some(());
    eventually("the old one has no requests in flight", idle).await;
    assert!(node.proxy.unload(&backend, &b.container).await.is_err(), "what serves is not unloaded");
    node.proxy.unload(&backend, &a.container).await.unwrap();
    node.proxy.unload(&backend, &a.container).await.expect("again is fine");
    let state = node.proxy.observe().await.unwrap();
    let holders = state.backends[&backend].servers.iter().filter_map(|server| server.container.clone());
    assert_eq!(holders.collect::<Vec<_>>(), std::slice::from_ref(&b.container));
}

pub(crate) async fn a_slot_forgets_its_previous_occupant(world: &dyn World) {
    let (node, backend) = routed(world).await;
    let a = started(world, &node, &world.healthy_image(), "a").await;
    let b = started(world, &node, &world.healthy_image(), "b").await;
    for (from, to) in [(None, &a), (Some(&a.container), &b)] {
        loaded(&node, &backend, to).await;
        node.proxy.switch(&backend, from, to).await.unwrap();
    }
    node.proxy.unload(&backend, &a.container).await.unwrap();
    let bad = started(world, &node, &world.unhealthy_image(), "c").await;
    node.proxy.load(&backend, &bad).await.unwrap();
    refused(&node, &backend, &bad, "L7STS/503").await;
}

pub(crate) async fn a_removed_route_is_gone(world: &dyn World) {
    let (node, backend) = routed(world).await;
    node.proxy.remove_route(&backend).await.unwrap();
    assert!(!node.proxy.observe().await.unwrap().backends.contains_key(&backend));
    node.proxy.remove_route(&backend).await.expect("again is fine");
}

pub(crate) async fn a_removed_route_can_still_be_asked_what_is_in_flight(world: &dyn World) {
    let (node, backend) = routed(world).await;
    let a = started(world, &node, &world.healthy_image(), "a").await;
    loaded(&node, &backend, &a).await;
    node.proxy.switch(&backend, None, &a).await.unwrap();
    node.proxy.remove_route(&backend).await.unwrap();
    let idle = async || (node.proxy.in_flight(&backend, &a.container).await.unwrap() == 0).then_some(());
    eventually("nothing is in flight to what is no longer routed to", idle).await;
}

/// A page and its digest.
const PAGE: (&str, &str) = ("<p>closed</p>", "9a2d9a67a7ae7ad4d56a0ad2b7c3e1b8a2a4d2b7c1a4bbd1d5a1a9f6a3c4e5f6");

pub(crate) async fn an_edge_needs_its_files_and_survives_what_follows(world: &dyn World) {
    let (node, name) = routed(world).await;
    let a = started(world, &node, &world.healthy_image(), "a").await;
    loaded(&node, &name, &a).await;
    node.proxy.switch(&name, None, &a).await.unwrap();
    let mut closed = backend(world);
    let since = jiff::Timestamp::UNIX_EPOCH;
    closed.edge.maintenance = Some(Maintenance { page: PAGE.1.to_string(), message: None, since });
    let refused = node.proxy.set_route(&closed).await;
    assert!(matches!(refused, Err(ProxyError::Refused(_))), "its page is not there: {refused:?}");
    assert!(node.proxy.observe().await.unwrap().backends[&name].edge.is_empty());
    let page = EdgeFile::page(PAGE.1);
    node.proxy.put_file(&name, &page, &Secret::new(PAGE.0.to_string())).await.unwrap();
    node.proxy.set_route(&closed).await.unwrap();
    // What is in use is never removed.
    node.proxy.forget_files(&name, std::slice::from_ref(&page)).await.unwrap();
    let b = started(world, &node, &world.healthy_image(), "b").await;
    loaded(&node, &name, &b).await;
    node.proxy.switch(&name, Some(&a.container), &b).await.unwrap();
    assert_eq!(node.proxy.observe().await.unwrap().backends[&name].edge, closed.edge);
    node.proxy.set_route(&backend(world)).await.unwrap();
    assert_eq!(active(&node, &name).await.0, Some(b.container));
    node.proxy.forget_files(&name, std::slice::from_ref(&page)).await.unwrap();
    node.proxy.forget_files(&name, std::slice::from_ref(&page)).await.expect("again is fine");
    let refused = node.proxy.set_route(&closed).await;
    assert!(matches!(refused, Err(ProxyError::Refused(_))), "its page is gone: {refused:?}");
}

pub(crate) async fn https_needs_a_certificate(world: &dyn World) {
    let (node, name) = routed(world).await;
    let mut wanted = backend(world);
    let secret = |text: &str| text.to_string();
    wanted.route.tls =
        Some(windlass::spec::Tls { certificate_pem: secret("CERT"), private_key_pem: secret("KEY"), redirect: true });
    let refused = node.proxy.set_route(&wanted).await;
    assert!(matches!(refused, Err(ProxyError::Refused(_))), "{refused:?}");
    assert_eq!(node.proxy.observe().await.unwrap().backends[&name].route.tls, None);
}

pub(crate) async fn a_replaced_proxy_routes_as_before(world: &dyn World) {
    let (node, name) = routed(world).await;
    let a = started(world, &node, &world.healthy_image(), "a").await;
    loaded(&node, &name, &a).await;
    node.proxy.switch(&name, None, &a).await.unwrap();
    let before = node.proxy.observe().await.unwrap().container.expect("it has a container");
    let mut settings = world.proxy_settings();
    assert_eq!(before.settings, Some(settings.digest()));
    settings.options.log_max_size = Some("1m".to_string());
    let gap = node.proxy.replace(&settings, Duration::from_secs(1)).await.expect("it is replaced");
    assert!(gap > Duration::ZERO, "nothing answered for a moment");
    let after = node.proxy.observe().await.unwrap().container.expect("it has a container");
    assert!(after.running && after.id != before.id, "{after:?}");
    assert_eq!(after.settings, Some(settings.digest()));
    assert_eq!(active(&node, &name).await, (Some(a.container.clone()), Some(a.container)));
}

pub(crate) async fn a_removed_proxy_comes_back_or_forgets(world: &dyn World) {
    let (node, name) = routed(world).await;
    node.proxy.remove(true).await.unwrap();
    node.proxy.remove(true).await.expect("again is fine");
    let state = node.proxy.observe().await.unwrap();
    assert!(state.container.is_none() && state.backends.contains_key(&name), "{state:?}");
    node.proxy.boot(&world.proxy_settings()).await.unwrap();
    assert_eq!(active(&node, &name).await, (None, None));
    node.proxy.remove(false).await.unwrap();
    let state = node.proxy.observe().await.unwrap();
    assert_eq!((state.container, state.backends.len(), state.unreadable), (None, 0, None));
}

/// The only route of its host, which gets it from a proxy that stood by.
pub(crate) async fn a_proxy_stands_by_and_routes_from_its_start(world: &dyn World) {
    let node = world.node().await;
    node.engine.create_network(super::NETWORK).await.unwrap();
    let target = started(world, &node, &world.healthy_image(), "a").await;
    healthy_by_itself(world, &node, &target).await;
    let backend = backend(world);
    let routes = [(backend.clone(), target.clone())];
    let deadline = std::time::Duration::from_secs(20);
    let id = node.proxy.stand_by(&world.proxy_settings(), &routes, deadline).await.expect("it stands by");
    let container = inspect(&node, &id).await;
    assert_eq!((container.state, container.restart), (State::Created, RestartPolicy::No));
    assert_eq!(active(&node, &backend.name).await, (Some(target.container.clone()), Some(target.container.clone())));
    node.engine.start(&id).await.expect("its ports are free");
    let routed = async || {
        let state = node.proxy.observe().await.ok()?;
        let server = state.backends.get(&backend.name)?.servers.iter().find(|s| s.role == ServerRole::Ready)?.clone();
        (server.container == Some(target.container.clone()) && server.healthy == Some(true)).then_some(())
    };
    eventually("the proxy routes to what it stood by for", routed).await;
    assert!(node.proxy.stand_by(&world.proxy_settings(), &routes, deadline).await.is_err(), "it runs");
    assert!(node.proxy.stand_down(std::slice::from_ref(&backend.name)).await.is_err(), "it runs");
    node.engine.stop(&id, Some(1)).await.unwrap();
    node.proxy.stand_down(std::slice::from_ref(&backend.name)).await.expect("it does not run");
    let state = node.proxy.observe().await.unwrap();
    assert!(state.container.is_none() && !state.backends.contains_key(&backend.name), "{state:?}");
    node.proxy.stand_down(&[]).await.expect("there is nothing of it");
}

pub(crate) async fn what_is_unhealthy_fails_the_trial(world: &dyn World) {
    let node = world.node().await;
    node.engine.create_network(super::NETWORK).await.unwrap();
    let target = started(world, &node, &world.unhealthy_image(), "a").await;
    let backend = backend(world);
    let routes = [(backend.clone(), target)];
    let deadline = std::time::Duration::from_secs(4);
    let error = node.proxy.stand_by(&world.proxy_settings(), &routes, deadline).await.expect_err("it answers 503");
    assert!(error.to_string().contains("health check"), "{error}");
    let state = node.proxy.observe().await.unwrap();
    assert!(state.container.is_none(), "no container is made for it: {state:?}");
    node.proxy.stand_down(&[backend.name]).await.unwrap();
    assert!(node.proxy.observe().await.unwrap().backends.is_empty());
}

/// Until it answers by itself, so that the trial's deadline is about the proxy alone.
async fn healthy_by_itself(world: &dyn World, node: &Node, target: &Target) {
    let passed = async || {
        let container = inspect(node, &target.container).await;
        let old = container.started_at?.as_millisecond() + 1000;
        let probe = node.host.probe().await.ok()?;
        (probe.unix_time * 1000 > old).then_some(())
    };
    eventually(&format!("{} has run for a second", world.name()), passed).await;
}
