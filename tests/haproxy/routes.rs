//! Host names, paths, headers; and changes of them.

use crate::client::Client;
use crate::world::{World, backend};
use windlass::effect::{Proxy, ProxyError};

#[tokio::test(flavor = "multi_thread")]
async fn requests_find_the_most_specific_route() {
    let world = World::start().await;
    assert!(world.proxy.observe().await.unwrap().backends.is_empty());
    assert_eq!(world.who("nobody.example.com", "/").await, "404");
    let routes = [
        (backend("any", &[], &["/"]), world.app("any").await),
        (backend("demo", &["demo.example.com"], &["/"]), world.app("demo").await),
        (backend("api", &["demo.example.com"], &["/api", "/api/v2"]), world.app("api").await),
        (backend("wild", &["*.example.com"], &["/"]), world.app("wild").await),
    ];
    for (route, app) in &routes {
        world.proxy.set_route(route).await.unwrap();
        world.release(route, None, app).await;
    }
    for (host, path, expected) in [
        ("demo.example.com", "/", "demo"),
        ("DEMO.Example.com:8080", "/x", "demo"),
        ("demo.example.com.", "/x", "demo"),
        ("demo.example.com", "/api", "api"),
        ("demo.example.com", "/api/x?y=1", "api"),
        ("demo.example.com", "/apix", "demo"),
        ("other.example.com", "/api", "wild"),
        ("a.b.example.com", "/", "any"),
        ("example.com", "/", "any"),
        ("127.0.0.1", "/", "any"),
    ] {
        assert_eq!(world.who(host, path).await, expected, "{host}{path}");
    }
    for (path, seen) in
        [("/api", "GET / "), ("/api/", "GET / "), ("/api/x?y=/api", "GET /x?y=/api "), ("/api/v2/z", "GET /z ")]
    {
        let answer = world.get("demo.example.com", path).await;
        assert!(answer.body.contains(seen), "{path}: {}", answer.body);
    }
    world.proxy.remove_route(&routes[1].0.name).await.unwrap();
    assert_eq!(world.who("demo.example.com", "/").await, "wild");
    assert_eq!(world.who("demo.example.com", "/api").await, "api");
    world.proxy.remove_route(&routes[1].0.name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_headers_are_replaced_unless_they_are_to_be_passed_on() {
    let world = World::start().await;
    let mut route = backend("demo", &[], &["/"]);
    let app = world.app("demo").await;
    world.proxy.set_route(&route).await.unwrap();
    world.release(&route, None, &app).await;
    let sent =
        "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=9.9.9.9\r\n";
    let body = Client::new(&world.address).get("demo", "/", sent).await.unwrap().body.to_lowercase();
    assert!(!body.contains("9.9.9.9") && !body.contains("evil"), "{body}");
    assert!(body.contains("x-forwarded-for: 127.0.0.1"), "{body}");
    assert!(body.contains("x-forwarded-proto: http\r") && body.contains("x-forwarded-host: demo"), "{body}");
    assert!(body.contains("x-request-start: t=1"), "{body}");
    route.route.forward_headers = true;
    world.proxy.set_route(&route).await.unwrap();
    let body = Client::new(&world.address).get("demo", "/", sent).await.unwrap().body.to_lowercase();
    assert!(body.contains("x-forwarded-for: 9.9.9.9") && body.contains("x-forwarded-for: 127.0.0.1"), "{body}");
    assert!(body.contains("x-forwarded-proto: https") && body.contains("x-forwarded-host: evil"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_cannot_have_the_same_requests() {
    let world = World::start().await;
    let (one, app) = (backend("one", &["a.example.com", "b.example.com"], &["/"]), world.app("one").await);
    world.proxy.set_route(&one).await.unwrap();
    world.release(&one, None, &app).await;
    let error = world.proxy.set_route(&backend("two", &["B.example.com"], &["/"])).await.unwrap_err();
    let ProxyError::Refused(words) = error else { panic!("{error}") };
    assert!(words.contains("b.example.com") && words.contains("service one"), "{words}");
    assert_eq!(world.proxy.observe().await.unwrap().backends.len(), 1);
    for bad in ["a b", "x'", "x\nglobal", "$(x)", "a.*.com"] {
        let error = world.proxy.set_route(&backend("two", &[bad], &["/"])).await.unwrap_err();
        assert!(matches!(error, ProxyError::Refused(_)), "{bad:?}: {error}");
        let error = world.proxy.set_route(&backend("two", &[], &[&format!("/{bad}'")])).await.unwrap_err();
        assert!(matches!(error, ProxyError::Refused(_)), "{bad:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_what_is_set_does_nothing() {
    let world = World::start().await;
    let route = backend("demo", &["demo.example.com"], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    let checks = || world.engine.created.lock().unwrap().iter().filter(|n| *n == "windlass-proxy-check").count();
    assert_eq!(checks(), 1);
    world.proxy.set_route(&route).await.unwrap();
    world.proxy.boot(&world.settings).await.unwrap();
    assert_eq!(checks(), 1);
    assert_eq!(world.engine.created.lock().unwrap().len(), 2, "the proxy and one check");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_broken_by_hand_is_named_and_takes_nobody_down() {
    let world = World::start().await;
    let (one, app) = (backend("one", &["one.example.com"], &["/"]), world.app("one").await);
    let (two, other) = (backend("two", &["two.example.com"], &["/"]), world.app("two").await);
    for (route, app) in [(&one, &app), (&two, &other)] {
        world.proxy.set_route(route).await.unwrap();
        world.release(route, None, app).await;
    }
    let good = world.read(&one);
    // Its body: HAProxy's own words.
    std::fs::write(world.file(&one), format!("{good}  no-such-directive\n")).unwrap();
    let three = backend("three", &["three.example.com"], &["/"]);
    let error = world.proxy.set_route(&three).await.unwrap_err();
    assert!(matches!(error, ProxyError::Refused(_)), "{error}");
    assert!(error.to_string().contains("20-one-web.cfg") && error.to_string().contains("no-such-directive"), "{error}");
    // Its first line.
    std::fs::write(world.file(&one), good.replacen("{\"schema\":1", "{\"schema\":1,,", 1)).unwrap();
    let error = world.proxy.set_route(&three).await.unwrap_err();
    assert!(matches!(error, ProxyError::Refused(_)), "{error}");
    assert!(error.to_string().contains("20-one-web.cfg: line 1"), "{error}");
    let state = world.proxy.observe().await.unwrap();
    assert!(state.unreadable.is_some_and(|u| u.contains("20-one-web.cfg")));
    assert_eq!(state.backends.keys().map(|k| k.as_str()).collect::<Vec<_>>(), ["two-web"]);
    assert_eq!(
        (world.who("one.example.com", "/").await, world.who("two.example.com", "/").await),
        ("one".into(), "two".into())
    );
    // Its own service repairs it, from what the proxy routes to.
    world.proxy.set_route(&one).await.unwrap();
    assert_eq!(world.read(&one), good);
    world.proxy.set_route(&three).await.unwrap();
    assert_eq!(
        (world.who("one.example.com", "/").await, world.who("two.example.com", "/").await),
        ("one".into(), "two".into())
    );
    // A newer windlass.
    std::fs::write(world.file(&one), good.replacen("\"schema\":1", "\"schema\":9", 1)).unwrap();
    let error = world.proxy.remove_route(&three.name).await.unwrap_err().to_string();
    assert!(error.contains("newer windlass"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_proxy_routes_as_its_files_say() {
    let world = World::start().await;
    let (route, app) = (backend("demo", &[], &["/"]), world.app("v1").await);
    world.proxy.set_route(&route).await.unwrap();
    world.release(&route, None, &app).await;
    let id = world.proxy.observe().await.unwrap().container.unwrap().id;
    windlass::effect::Engine::stop(world.engine.as_ref(), &id, None).await.unwrap();
    let state = world.proxy.observe().await.unwrap();
    assert!(!state.container.unwrap().running);
    assert_eq!(state.backends[&route.name].active(), Some(&app.id));
    let before = world.read(&route);
    let other = world.app("v2").await;
    let error = world.proxy.switch(&route.name, Some(&app.id), &other.target()).await.unwrap_err();
    assert!(matches!(error, ProxyError::NotRunning(_)), "{error}");
    assert_eq!(world.read(&route), before, "nothing that is not routed is written");
    world.proxy.boot(&world.settings).await.unwrap();
    assert_eq!(world.who("x", "/").await, "v1");
    assert_eq!(world.state(&route).await.active(), Some(&app.id));
}
