//! What the proxy answers by itself: error pages, maintenance, limits, metrics.

use crate::certificate::{Made, trusting};
use crate::client::Client;
use crate::world::{World, backend};
use windlass::effect::{Backend, Engine, Proxy, ProxyError};
use windlass::spec::{LONGEST_PAGE, Maintenance};

/// What somebody could write into a message: none of it may become a directive.
const MESSAGE: &str = "it's \"x\" \\ ${HOME} $(id) #\n  http-request deny\r\nglobal {{ header }} %[src]";

async fn close(world: &World, route: &mut Backend, page: &str) {
    let page = world.put_page(route, page).await;
    let (message, since) = (Some(MESSAGE.repeat(40)), jiff::Timestamp::UNIX_EPOCH);
    route.edge.maintenance = Some(Maintenance { page, message, since });
    world.proxy.set_route(route).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_services_own_page_is_shown_when_no_server_answers() {
    let world = World::start().await;
    let (mut own, other) = (backend("own", &["own"], &["/"]), backend("other", &["other"], &["/"]));
    let longest = "<p>gone</p>".to_string() + &"x".repeat(LONGEST_PAGE - 11);
    let page = world.put_page(&own, &longest).await;
    own.edge.pages.insert(503, page);
    for route in [&own, &other] {
        world.proxy.set_route(route).await.unwrap();
    }
    let answer = world.get("own", "/").await;
    assert!(answer.status == 503 && answer.head.contains("content-type: text/html; charset=utf-8"), "{}", answer.head);
    assert_eq!(answer.body.len(), LONGEST_PAGE);
    let answer = world.get("other", "/").await;
    assert!(answer.status == 503 && !answer.body.contains("gone"), "{}", answer.body);
    assert_eq!(world.state(&own).await.edge, own.edge);
    let text = world.read(&own);
    assert!(text.starts_with("# windlass {\"schema\":2,"), "an older windlass would drop the page: {text}");
    assert!(world.read(&other).starts_with("# windlass {\"schema\":1,"), "an older windlass understands it");
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_lasts_over_a_release_and_a_restart() {
    let mut route = backend("demo", &["demo"], &["/"]);
    let (world, v1) = World::serving(&route, "v1").await;
    close(&world, &mut route, "<p>back soon</p>").await;
    let closed = async || {
        let answer = world.get("demo", "/").await;
        assert!(answer.head.contains("retry-after: 60") && answer.head.contains("cache-control: no-store"));
        (answer.status, answer.body)
    };
    let expected = (503, "<p>back soon</p>".to_string());
    assert_eq!(closed().await, expected);
    let v2 = world.app("v2").await;
    world.release(&route, Some(&v1), &v2).await;
    assert_eq!(closed().await, expected);
    let id = world.proxy.observe().await.unwrap().container.unwrap().id;
    world.engine.stop(&id, None).await.unwrap();
    world.proxy.boot(&world.settings).await.unwrap();
    assert_eq!(closed().await, expected);
    route.edge.maintenance = None;
    world.proxy.set_route(&route).await.unwrap();
    assert_eq!(world.who("demo", "/").await, "v2");
}

/// When the drain is over the application gets no request any more, not even from a client that had a connection.
#[tokio::test(flavor = "multi_thread")]
async fn maintenance_finishes_what_is_on_its_way_and_nothing_more() {
    let mut route = backend("demo", &["demo"], &["/"]);
    let (world, app) = World::serving(&route, "v1").await;
    let mut idle = Client::new(&world.address);
    assert_eq!(idle.get("demo", "/", "").await.unwrap().status, 200);
    let address = world.address.clone();
    let slow = tokio::spawn(async move { Client::new(&address).get("demo", "/slow", "").await });
    let name = &route.name.clone();
    world.wait("the slow request", async || world.proxy.in_flight(name, &app.id).await.unwrap() > 0).await;
    close(&world, &mut route, "<p>closed</p>").await;
    assert_eq!(world.get("demo", "/").await.status, 503, "a new client");
    assert_eq!(slow.await.unwrap().unwrap().status, 200, "what was on its way is answered");
    drop(idle);
    world.wait("the drain", async || world.proxy.in_flight(name, &app.id).await.unwrap() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_limited() {
    let mut route = backend("demo", &["demo.example.com"], &["/"]);
    route.route.limits.request = Some(1000);
    let (world, _app) = World::serving(&route, "demo").await;
    let made = Made::new(&["demo.example.com"]);
    world.certify(&mut route, &made).await.unwrap();
    route.route.tls.as_mut().unwrap().redirect = false;
    world.proxy.set_route(&route).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: demo.example.com\r\n";
    let sized = |n: usize| format!("{head}Content-Length: {n}\r\n\r\n{}", "x".repeat(n));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    for (request, status) in [(sized(1000), 200), (sized(1001), 413), (chunked, 411), (sized(0), 200)] {
        let answer = Client::new(&world.address).send("demo.example.com", &request).await.unwrap();
        assert_eq!(answer.status, status, "{}", &request[..80]);
    }
    assert_eq!(world.who("demo.example.com", "/").await, "demo", "without a body");
    // By HTTP/2 a body may come without a word on its length.
    let client = Client::tls(&world.tls_address, &trusting(&[&made], &["h2"]));
    let stream = client.connect("demo.example.com").await.unwrap();
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    for method in ["POST", "GET"] {
        let request = http::Request::builder().method(method).uri("https://demo.example.com/").body(()).unwrap();
        let (answer, mut body) = requests.send_request(request, false).unwrap();
        body.send_data(vec![b'x'; 10].into(), false).unwrap();
        assert_eq!(answer.await.unwrap().status().as_u16(), 411, "{method}");
    }
    let request = http::Request::get("https://demo.example.com/").body(()).unwrap();
    let (answer, _) = requests.send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status().as_u16(), 200);
    connection.abort();
    // Responses.
    route.route.limits = windlass::spec::BodyLimits { request: None, response: Some(4000) };
    world.proxy.set_route(&route).await.unwrap();
    assert_eq!(world.get("demo.example.com", "/").await.status, 200);
    assert_eq!(world.get("demo.example.com", "/big").await.status, 502);
    let head_request = "HEAD /big HTTP/1.1\r\nHost: demo.example.com\r\n\r\n";
    let answer = Client::new(&world.address).send("demo.example.com", head_request).await.unwrap();
    assert_eq!(answer.status, 200, "a HEAD has no body");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_there_while_they_are_asked_for() {
    let mut world = World::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    world.settings.options.metrics_port = Some(port);
    world.proxy.boot(&world.settings).await.unwrap();
    let route = backend("demo", &["demo"], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    let app = world.app("v1").await;
    world.release(&route, None, &app).await;
    assert_eq!(world.who("demo", "/").await, "v1");
    let metrics = async |path: &str| {
        let answer = Client::new(&format!("127.0.0.1:{port}")).get("x", path, "Connection: close\r\n").await;
        answer.map_err(|error| error.contains("content-length"))
    };
    // The exporter sends chunks, which the test's client only names.
    assert!(matches!(metrics("/metrics").await, Err(true)), "an answer in chunks");
    assert_eq!(metrics("/").await.unwrap().status, 404);
    world.settings.options.metrics_port = None;
    world.proxy.replace(&world.settings, std::time::Duration::from_secs(1)).await.unwrap();
    assert!(matches!(metrics("/metrics").await, Err(false)), "nothing listens any more");
    assert_eq!(world.who("demo", "/").await, "v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_there_is_refused() {
    let mut route = backend("demo", &["demo"], &["/"]);
    let (world, _app) = World::serving(&route, "v1").await;
    route.edge.pages.insert(503, "ab".repeat(32));
    let error = world.proxy.set_route(&route).await.unwrap_err();
    assert!(matches!(error, ProxyError::Refused(_)), "{error}");
    assert_eq!(world.who("demo", "/").await, "v1");
}
