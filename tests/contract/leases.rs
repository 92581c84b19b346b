//! Leases.

use super::{World, eventually};
use windlass::effect::{LeaseError, LeaseRequest};
use windlass::fleet::Holder;

fn request(world: &dyn World, suffix: &str, what: &str) -> LeaseRequest {
    let holder = Holder {
        actor: "alice@laptop".to_string(),
        run: "01JGZ3V8Q4N5X6Y7Z8A9B0C1D2".parse().expect("a run id"),
        what: what.to_string(),
        since: "2026-01-05T09:00:00Z".parse().expect("a timestamp"),
    };
    LeaseRequest { dir: format!("{}/{}{suffix}", world.scratch(), world.name()), holder, kamal_lock: None }
}

pub(crate) async fn a_lease_is_exclusive_and_names_its_holder(world: &dyn World) {
    let (node, other) = (world.node().await, world.node().await);
    let first = request(world, "", "deploy v1");
    assert_eq!(other.host.lease_holder(&first.dir).await.unwrap(), None, "free, and no such directory yet");
    let lease = node.host.lease(&first).await.unwrap();
    lease.check().expect("it is held");
    let second = other.host.lease(&request(world, "", "deploy v2")).await.map(|_| ());
    assert_eq!(second, Err(LeaseError::Held(Some(first.holder.clone()))));
    assert_eq!(other.host.lease_holder(&first.dir).await.unwrap(), Some(Some(first.holder)));
    lease.check().expect("a second try does not take it away");
    lease.release().await.unwrap();
}

pub(crate) async fn a_released_lease_can_be_taken(world: &dyn World) {
    let (node, other) = (world.node().await, world.node().await);
    let wanted = request(world, "", "deploy v1");
    node.host.lease(&wanted).await.unwrap().release().await.unwrap();
    assert_eq!(other.host.lease_holder(&wanted.dir).await.unwrap(), None, "release waits until it is free");
    let second = other.host.lease(&wanted).await.expect("free at once");
    second.check().unwrap();
    second.release().await.unwrap();
}

pub(crate) async fn a_dropped_lease_becomes_free(world: &dyn World) {
    let (node, other) = (world.node().await, world.node().await);
    let wanted = request(world, "", "deploy v1");
    drop(node.host.lease(&wanted).await.unwrap());
    let free = async || other.host.lease_holder(&wanted.dir).await.unwrap().is_none().then_some(());
    eventually("a dropped lease becomes free", free).await;
    other.host.lease(&wanted).await.unwrap().release().await.unwrap();
}

pub(crate) async fn leases_of_two_directories_are_two(world: &dyn World) {
    let node = world.node().await;
    let one = node.host.lease(&request(world, "a", "deploy")).await.unwrap();
    let two = node.host.lease(&request(world, "b", "prune")).await.unwrap();
    one.release().await.unwrap();
    two.check().expect("the other one stays");
    two.release().await.unwrap();
}

pub(crate) async fn kamals_lock_is_held_along(world: &dyn World) {
    let node = world.node().await;
    let name = format!(".kamal/lock-{}", world.name());
    let lock = format!("{}/{name}", node.host.probe().await.unwrap().home);
    let wanted = LeaseRequest { kamal_lock: Some(name), ..request(world, "", "deploy") };
    let files = async || node.host.read_dirs(std::slice::from_ref(&lock)).await.unwrap().remove(0);
    let lease = node.host.lease(&wanted).await.expect("nobody holds Kamal's lock");
    assert!(!files().await.is_empty(), "Kamal finds its lock taken");
    lease.release().await.unwrap();
    assert!(files().await.is_empty(), "and given back");

    node.host.make_dir(&lock).await.unwrap();
    node.host.write(&format!("{lock}/details"), b"TG9ja2VkIGJ5OiBCb2I=", 0o644).await.unwrap();
    let refused = node.host.lease(&wanted).await.map(|_| ());
    assert!(matches!(refused, Err(LeaseError::HeldByKamal(_))), "{refused:?}");
    assert_eq!(files().await.len(), 1, "its lock is left alone");
    assert_eq!(node.host.lease_holder(&wanted.dir).await.unwrap(), None, "and ours is not taken");
}
