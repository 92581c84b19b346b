//! Networks, volumes, and what engine and host tell about themselves.

use super::World;
use std::collections::BTreeMap;

pub(crate) async fn a_network_is_made_once(world: &dyn World) {
    let node = world.node().await;
    let name = world.name();
    assert!(!node.engine.networks().await.unwrap().contains(&name));
    node.engine.create_network(&name).await.unwrap();
    node.engine.create_network(&name).await.expect("one of that name is fine");
    assert!(node.engine.networks().await.unwrap().contains(&name));
}

pub(crate) async fn a_volume_keeps_its_labels(world: &dyn World) {
    let node = world.node().await;
    let name = world.name();
    assert_eq!(node.engine.volume(&name).await.unwrap(), None);
    let labels = |value: &str| BTreeMap::from([("windlass.home".to_string(), value.to_string())]);
    node.engine.create_volume(&name, &labels("/root/.windlass")).await.unwrap();
    node.engine.create_volume(&name, &labels("/elsewhere")).await.expect("one that exists is fine");
    let volume = node.engine.volume(&name).await.unwrap().expect("it was made");
    assert_eq!((volume.name, volume.labels), (name, labels("/root/.windlass")));
}

pub(crate) async fn the_engine_tells_its_version(world: &dyn World) {
    let info = world.node().await.engine.info().await.unwrap();
    assert!(info.version.split('.').count() >= 2 && info.api_version.starts_with("1."), "{info:?}");
    assert!(!info.arch.is_empty() && info.root_dir.starts_with('/'), "{info:?}");
}

pub(crate) async fn the_host_tells_about_itself(world: &dyn World) {
    let probe = world.node().await.host.probe().await.unwrap();
    assert!(probe.home.starts_with('/'), "{probe:?}");
    assert!(probe.missing_commands.is_empty(), "{probe:?}");
    assert!(probe.disk.is_some_and(|disk| disk.free > 0 && disk.free <= disk.total), "{probe:?}");
    assert!(probe.unix_time > 1_700_000_000, "{probe:?}");
}
