//! Under load: not one request may fail.

use crate::client::Hammer;
use crate::world::{World, backend};
use windlass::effect::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_switches_and_five_reloads_lose_no_request() {
    let world = World::start().await;
    let route = backend("demo", &["demo.example.com"], &["/"]);
    world.proxy.set_route(&route).await.unwrap();
    let (v1, v2) = (world.app("v1").await, world.app("v2").await);
    world.release(&route, None, &v1).await;
    let hammer = Hammer::start(&world.address, "demo.example.com", 20);
    let (mut from, mut to) = (&v1, &v2);
    let mut slowest = std::time::Duration::ZERO;
    for round in 0..50_u8 {
        world.proxy.load(&route.name, &to.target()).await.unwrap();
        world.gate(&route, to).await;
        let begun = std::time::Instant::now();
        world.proxy.switch(&route.name, Some(&from.id), &to.target()).await.unwrap();
        slowest = slowest.max(begun.elapsed());
        let before = hammer.done();
        world.wait("traffic", async || hammer.done() > before + 100).await;
        if round % 10 == 9 {
            world.proxy.set_route(&backend(&format!("other{round}"), &[&format!("o{round}")], &["/"])).await.unwrap();
        }
        let (name, drained) = (&route.name, &from.id);
        world.wait("the drain", async || world.proxy.in_flight(name, drained).await.unwrap() == 0).await;
        // Every fifth time out of its slot and in again: that takes a check's interval.
        if round % 5 == 4 {
            world.proxy.unload(&route.name, &from.id).await.unwrap();
        }
        (from, to) = (to, from);
    }
    let (requests, failures) = hammer.finish().await;
    println!("{requests} requests, slowest switch {slowest:?}");
    assert!(requests > 5000, "{requests} requests are no load");
    assert_eq!(failures, Vec::<String>::new(), "of {requests} requests");
}
