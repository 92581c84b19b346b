//! One container takes the proxy's place, or none.

use crate::world::{World, backend};
use std::sync::atomic::Ordering;
use std::time::Duration;
use windlass::effect::{Backend, Proxy, ProxyError};

const GRACE: Duration = Duration::from_secs(2);

async fn id(world: &World) -> String {
    world.proxy.observe().await.unwrap().container.expect("a container").id.to_string()
}

fn names(world: &World) -> Vec<String> {
    let text = world.engine.made_from();
    let mut names: Vec<_> = ["windlass-proxy\"", "windlass-proxy-before\""]
        .iter()
        .filter(|n| text.contains(&format!("name: \"{n}")))
        .map(|n| n.trim_end_matches('"').to_string())
        .collect();
    names.sort();
    names
}

async fn demo() -> (World, Backend) {
    let route = backend("demo", &["demo"], &["/"]);
    let (world, app) = World::serving(&route, "v1").await;
    std::mem::forget(app);
    (world, route)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_proxy_routes_as_before_and_the_gap_is_measured() {
    let (mut world, route) = demo().await;
    let before = id(&world).await;
    assert_eq!(world.proxy.observe().await.unwrap().container.unwrap().settings, Some(world.settings.digest()));
    world.settings.options.log_max_size = Some("1m".to_string());
    let gap = world.proxy.replace(&world.settings, GRACE).await.unwrap();
    assert!(gap > Duration::ZERO && gap < Duration::from_secs(10), "{gap:?}");
    assert_ne!(id(&world).await, before);
    let now = world.proxy.observe().await.unwrap();
    assert_eq!(now.container.unwrap().settings, Some(world.settings.digest()));
    assert!(now.backends[&route.name].active().is_some());
    assert_eq!(world.who("demo", "/").await, "v1");
    assert_eq!(names(&world), ["windlass-proxy"], "nothing stands by any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_start_leaves_the_one_before() {
    let (mut world, _route) = demo().await;
    world.settings.options.metrics_port = Some(1);
    world.engine.fail_next_proxy.store(true, Ordering::Relaxed);
    let error = world.proxy.replace(&world.settings, GRACE).await.unwrap_err();
    assert!(error.to_string().contains("no such device; the proxy runs as before"), "{error}");
    assert_eq!(world.who("demo", "/").await, "v1");
    assert_eq!(names(&world), ["windlass-proxy"]);
    assert!(!std::path::Path::new(&format!("{}/05-metrics.cfg", world.conf)).exists(), "the files are as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_new_one_could_not_read_never_stops_the_old_one() {
    let (world, route) = demo().await;
    let before = id(&world).await;
    let good = world.read(&route);
    std::fs::write(world.file(&route), format!("{good}  no-such-directive\n")).unwrap();
    let error = world.proxy.replace(&world.settings, GRACE).await.unwrap_err();
    assert!(matches!(&error, ProxyError::Refused(words) if words.contains("no-such-directive")), "{error}");
    assert_eq!(id(&world).await, before);
    assert_eq!(world.who("demo", "/").await, "v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_proxy_comes_back_with_its_files_or_forgets_everything() {
    let (world, mut route) = demo().await;
    let made = crate::certificate::Made::new(&["demo"]);
    world.certify(&mut route, &made).await.unwrap();
    route.route.tls.as_mut().unwrap().redirect = false;
    world.proxy.set_route(&route).await.unwrap();
    world.proxy.remove(true).await.unwrap();
    world.proxy.remove(true).await.expect("again is fine");
    assert!(world.proxy.observe().await.unwrap().container.is_none());
    world.proxy.boot(&world.settings).await.unwrap();
    assert_eq!(world.who("demo", "/").await, "v1");
    world.proxy.remove(false).await.unwrap();
    assert!(world.edge_files().is_empty(), "a key was left behind: {:?}", world.edge_files());
    assert_eq!(std::fs::read_dir(&world.conf).unwrap().count(), 0);
    world.proxy.boot(&world.settings).await.unwrap();
    assert_eq!(world.who("demo", "/").await, "404");
}
