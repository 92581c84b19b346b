//! HTTPS with certificates of the user's own.

use crate::certificate::{Made, trusting};
use crate::client::{Client, Hammer};
use crate::world::{World, backend};
use windlass::effect::{Proxy, ProxyError};
use windlass::secret::Secret;
use windlass::spec::EdgeFile;

const HOST: &str = "demo.example.com";

#[tokio::test(flavor = "multi_thread")]
async fn https_is_answered_and_http_is_sent_there() {
    let mut route = backend("demo", &[HOST], &["/"]);
    let (world, _app) = World::serving(&route, "demo").await;
    let made = Made::new(&[HOST]);
    world.certify(&mut route, &made).await.unwrap();
    let mut client = Client::tls(&world.tls_address, &trusting(&[&made], &[]));
    let sent = "X-Forwarded-Proto: http\r\nX-Forwarded-For: 9.9.9.9\r\n";
    let body = client.get(HOST, "/x", sent).await.unwrap().body.to_lowercase();
    assert!(body.starts_with("demo\n") && body.contains("x-forwarded-proto: https\r"), "{body}");
    assert!(body.contains("x-forwarded-for: 127.0.0.1") && !body.contains("9.9.9.9"), "{body}");
    assert!(body.contains(&format!("x-forwarded-host: {HOST}")), "{body}");
    for (asked, told) in [(HOST, HOST), ("DEMO.example.com:8080", "DEMO.example.com")] {
        let answer = world.get(asked, "/a/b?c=d&e=%2F").await;
        assert_eq!(answer.status, 301, "{}", answer.head);
        let location = format!("location: https://{}/a/b?c=d&e=%2f\r", told.to_lowercase());
        assert!(answer.head.contains(&location), "{}", answer.head);
    }
    route.route.tls.as_mut().unwrap().redirect = false;
    world.proxy.set_route(&route).await.unwrap();
    assert_eq!(world.who(HOST, "/").await, "demo");
    // It survives a restart, and no key is anywhere but in its file.
    let id = world.proxy.observe().await.unwrap().container.unwrap().id;
    windlass::effect::Engine::stop(world.engine.as_ref(), &id, None).await.unwrap();
    world.proxy.boot(&world.settings).await.unwrap();
    let mut client = Client::tls(&world.tls_address, &trusting(&[&made], &[]));
    assert_eq!(client.get(HOST, "/", "").await.unwrap().status, 200);
    let key_line = made.pem.expose().lines().rev().nth(1).unwrap();
    let elsewhere = world.engine.output() + &world.engine.made_from() + &world.read(&route);
    assert!(!elsewhere.contains(key_line) && !elsewhere.contains("PRIVATE"), "{elsewhere}");
    assert!(world.edge_files().iter().all(|(_, mode)| *mode == 0o600), "{:?}", world.edge_files());
    // Off again: the certificate stays, out of use.
    route.route.tls = None;
    world.proxy.set_route(&route).await.unwrap();
    assert!(Client::tls(&world.tls_address, &trusting(&[&made], &[])).get(HOST, "/", "").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_offered_and_spoken() {
    let mut route = backend("demo", &[HOST], &["/"]);
    let (world, _app) = World::serving(&route, "demo").await;
    let made = Made::new(&[HOST]);
    world.certify(&mut route, &made).await.unwrap();
    let client = Client::tls(&world.tls_address, &trusting(&[&made], &["h2"]));
    let (mut requests, connection) = h2::client::handshake(client.connect(HOST).await.unwrap()).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get(format!("https://{HOST}/two")).body(()).unwrap();
    let (answer, _) = requests.send_request(request, true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
    let body = answer.into_body().data().await.unwrap().unwrap();
    assert!(body.starts_with(b"demo\nGET /two "), "{body:?}");
    drop(requests);
    connection.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_under_load_loses_no_request() {
    let mut route = backend("demo", &[HOST], &["/"]);
    let (world, _app) = World::serving(&route, "demo").await;
    let made: Vec<Made> = (0..5).map(|_| Made::new(&[HOST])).collect();
    world.certify(&mut route, &made[0]).await.unwrap();
    let everyone = trusting(&made.iter().collect::<Vec<_>>(), &[]);
    let hammer = Hammer::start_tls(&world.tls_address, HOST, 8, &everyone);
    for pair in made.windows(2) {
        let before = hammer.done();
        world.wait("traffic", async || hammer.done() > before + 50).await;
        world.certify(&mut route, &pair[1]).await.unwrap();
        let mut only_new = Client::tls(&world.tls_address, &trusting(&[&pair[1]], &[]));
        assert_eq!(only_new.get(HOST, "/", "").await.map(|a| a.status), Ok(200));
        let mut only_old = Client::tls(&world.tls_address, &trusting(&[&pair[0]], &[]));
        assert!(only_old.get(HOST, "/", "").await.is_err(), "the old one is still shown");
        let old = EdgeFile::certificate(&pair[0].certificate.sha256);
        let new = EdgeFile::certificate(&pair[1].certificate.sha256);
        world.proxy.forget_files(&route.name, &[old, new]).await.unwrap();
        let files: Vec<String> = world.edge_files().into_iter().map(|(name, _)| name).collect();
        assert!(files.len() == 2 && files.iter().filter(|f| f.ends_with(".pem")).count() == 1, "{files:?}");
    }
    let (requests, failures) = hammer.finish().await;
    println!("{requests} requests over 4 renewals");
    assert!(requests > 400, "{requests} requests are no load");
    assert_eq!(failures, Vec::<String>::new(), "of {requests} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_answered_with_its_own_services_certificate() {
    let world = World::start().await;
    // Both certificates are for both names, and the first in the alphabet would win by its names alone.
    let (old, new) = (Made::new(&["*.example.com"]), Made::new(&["*.example.com"]));
    let mut one = backend("aaa", &["a.example.com"], &["/"]);
    let mut two = backend("zzz", &["z.example.com", "*.example.com"], &["/"]);
    world.certify(&mut one, &old).await.unwrap();
    world.certify(&mut two, &new).await.unwrap();
    let is = async |host: &str, made: &Made| {
        let mut client = Client::tls(&world.tls_address, &trusting(&[made], &[]));
        client.get(host, "/", "").await.is_ok_and(|answer| answer.status == 503)
    };
    assert!(is("a.example.com", &old).await && !is("a.example.com", &new).await);
    for host in ["z.example.com", "other.example.com"] {
        assert!(is(host, &new).await && !is(host, &old).await, "{host}");
    }
    world.proxy.remove_route(&two.name).await.unwrap();
    assert!(is("a.example.com", &old).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_haproxy_does_not_accept_changes_nothing() {
    let mut route = backend("demo", &[HOST], &["/"]);
    let (world, _app) = World::serving(&route, "demo").await;
    let good = Made::new(&[HOST]);
    world.certify(&mut route, &good).await.unwrap();
    let (file, frontend) = (world.read(&route), std::fs::read_to_string(format!("{}/10-frontend.cfg", world.conf)));
    // The key of another certificate, and no certificate at all.
    let (mut mixed, other) = (Made::new(&[HOST]), Made::new(&[HOST]));
    let key = other.pem.expose().find("-----BEGIN PRIVATE").unwrap();
    let own = mixed.pem.expose().find("-----BEGIN PRIVATE").unwrap();
    mixed.pem = Secret::new(mixed.pem.expose()[..own].to_string() + &other.pem.expose()[key..]);
    let mut nonsense = Made::new(&[HOST]);
    nonsense.pem = Secret::new("nonsense".to_string());
    for bad in [&mixed, &nonsense] {
        let error = world.certify(&mut route.clone(), bad).await.unwrap_err();
        assert!(matches!(&error, ProxyError::Refused(words) if words.contains(".pem")), "{error}");
        assert!(!error.to_string().contains("BEGIN"), "{error}");
    }
    // Without one, and with a digest that is none.
    let mut without = route.clone();
    without.edge.certificate = None;
    assert!(matches!(world.proxy.set_route(&without).await, Err(ProxyError::Refused(_))));
    let mut path = route.clone();
    path.edge.certificate.as_mut().unwrap().sha256 = "../../../etc/passwd".to_string();
    assert!(matches!(world.proxy.set_route(&path).await, Err(ProxyError::Refused(_))));
    assert_eq!(world.read(&route), file);
    assert_eq!(std::fs::read_to_string(format!("{}/10-frontend.cfg", world.conf)).ok(), frontend.ok());
    let mut client = Client::tls(&world.tls_address, &trusting(&[&good], &[]));
    assert_eq!(client.get(HOST, "/", "").await.unwrap().status, 200);
}
