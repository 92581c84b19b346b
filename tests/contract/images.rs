//! Images: pulled by digest, tagged by hand, removed with care.

use super::{World, assert_kind, created, pulled};
use futures::StreamExt;
use windlass::effect::{EngineErrorKind, Node};
use windlass::name::ImageRef;

async fn by_digest(world: &dyn World, node: &Node, image: &ImageRef) -> ImageRef {
    let resolved = node.engine.resolve(image, world.login().as_ref()).await.unwrap();
    ImageRef { tag: None, digest: Some(resolved.digest), ..image.clone() }
}

async fn pull(world: &dyn World, node: &Node, image: &ImageRef) -> ImageRef {
    let image = by_digest(world, node, image).await;
    let (progress, mut heard) = tokio::sync::mpsc::unbounded_channel();
    node.engine.pull(&image, world.login().as_ref(), progress).await.unwrap();
    assert!(heard.recv().await.is_some(), "a pull reports its progress");
    image
}

pub(crate) async fn a_pulled_image_has_a_digest_and_no_tag(world: &dyn World) {
    let node = world.node().await;
    let tagged = world.unhealthy_image();
    assert_eq!(node.engine.image(&tagged.to_string()).await.unwrap(), None, "the host begins without it");
    let image = pull(world, &node, &tagged).await;
    let found = node.engine.image(&image.to_string()).await.unwrap().expect("it is there by its digest");
    assert_eq!(found.digests, [image.to_string()]);
    assert!(found.tags.is_empty(), "{:?}", found.tags);
    assert_eq!(node.engine.image(&tagged.to_string()).await.unwrap(), None);
    assert_eq!(node.engine.image(found.id.as_str()).await.unwrap().map(|i| i.id), Some(found.id.clone()));
    assert!(node.engine.images().await.unwrap().iter().any(|other| other.id == found.id));
}

pub(crate) async fn a_tag_can_be_given_and_taken(world: &dyn World) {
    let node = world.node().await;
    let first = pull(world, &node, &world.healthy_image()).await.to_string();
    let tag = |tag: &str| ImageRef { tag: Some(tag.parse().unwrap()), ..world.healthy_image() };
    let (one, two) = (tag(&format!("{}1", world.name())), tag(&format!("{}2", world.name())));
    node.engine.tag(&first, &one).await.unwrap();
    node.engine.tag(&one.to_string(), &two).await.unwrap();
    let found = node.engine.image(&two.to_string()).await.unwrap().unwrap();
    assert!(found.tags.contains(&one.to_string()) && found.tags.contains(&two.to_string()), "{:?}", found.tags);
    node.engine.remove_image(&one.to_string()).await.unwrap();
    assert_eq!(node.engine.image(&one.to_string()).await.unwrap(), None);
    assert!(node.engine.image(&two.to_string()).await.unwrap().is_some(), "the other tag keeps the image");
    node.engine.remove_image(&one.to_string()).await.expect("removing one that is gone is fine");
    assert_kind(node.engine.tag(&one.to_string(), &two).await, EngineErrorKind::NotFound);
    let other = pull(world, &node, &world.unhealthy_image()).await.to_string();
    node.engine.tag(&other, &two).await.unwrap();
    let moved = node.engine.image(&two.to_string()).await.unwrap().unwrap();
    assert_ne!(moved.id, found.id, "a tag names one image");
    node.engine.remove_image(&two.to_string()).await.unwrap();
}

pub(crate) async fn an_image_in_use_stays(world: &dyn World) {
    let node = world.node().await;
    let (id, _) = created(world, &node, &world.healthy_image()).await;
    let reference = world.healthy_image().to_string();
    let image = node.engine.image(&reference).await.unwrap().unwrap();
    assert_kind(node.engine.remove_image(&reference).await, EngineErrorKind::Conflict);
    assert_kind(node.engine.remove_image(image.id.as_str()).await, EngineErrorKind::Conflict);
    node.engine.remove(&id).await.unwrap();
    node.engine.remove_image(&reference).await.unwrap();
    assert_eq!(node.engine.image(image.id.as_str()).await.unwrap(), None, "its last tag takes its digest along");
}

pub(crate) async fn a_missing_tag_is_image_not_found(world: &dyn World) {
    let node = world.node().await;
    let login = world.login();
    assert_kind(node.engine.resolve(&world.missing_image(), login.as_ref()).await, EngineErrorKind::ImageNotFound);
    let digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    let missing = ImageRef { tag: None, digest: Some(digest), ..world.missing_image() };
    let (progress, _heard) = tokio::sync::mpsc::unbounded_channel();
    assert_kind(node.engine.pull(&missing, login.as_ref(), progress).await, EngineErrorKind::ImageNotFound);
    let (a, b) =
        (by_digest(world, &node, &world.healthy_image()).await, by_digest(world, &node, &world.healthy_image()).await);
    assert_eq!(a, b, "a tag means the same twice");
}

pub(crate) async fn a_host_without_the_image_says_so(world: &dyn World) {
    let node = world.node().await;
    let missing = super::plan(&world.name(), &world.missing_image().to_string());
    assert_kind(node.engine.create(&missing).await, EngineErrorKind::NotFound);
    pulled(world, &node, &world.healthy_image()).await;
    node.engine.create(&super::plan(&world.name(), &world.healthy_image().to_string())).await.unwrap();
}

pub(crate) async fn a_saved_image_can_be_loaded(world: &dyn World) {
    let node = world.node().await;
    let reference = pulled(world, &node, &world.unhealthy_image()).await;
    let id = node.engine.image(&reference).await.unwrap().expect("it was pulled").id;
    let archive = node.engine.save(id.as_str()).await.unwrap();
    let pieces: Vec<_> = archive.map(|piece| piece.expect("a piece of the archive")).collect().await;
    node.engine.remove_image(&reference).await.unwrap();
    assert_eq!(node.engine.image(id.as_str()).await.unwrap(), None, "it is gone");

    let all: Vec<u8> = pieces.iter().flatten().copied().collect();
    let half = bytes::Bytes::copy_from_slice(&all[..all.len() / 2]);
    let cut = futures::stream::iter([Ok(half)]).boxed();
    assert_kind(node.engine.load(cut).await, EngineErrorKind::Other);
    assert_eq!(node.engine.image(id.as_str()).await.unwrap(), None, "half an archive is no image");

    for _ in 0..2 {
        node.engine.load(futures::stream::iter(pieces.clone().into_iter().map(Ok)).boxed()).await.unwrap();
        let found = node.engine.image(id.as_str()).await.unwrap().expect("it is there again");
        assert_eq!((found.id.clone(), found.tags, found.digests), (id.clone(), vec![], vec![]), "by its id alone");
    }
    node.engine.tag(id.as_str(), &world.unhealthy_image()).await.unwrap();
    node.engine.create(&super::plan(&world.name(), &reference)).await.expect("a container can be made of it");
}

pub(crate) async fn an_image_that_is_not_there_cannot_be_saved(world: &dyn World) {
    let node = world.node().await;
    let missing = node.engine.save(&world.missing_image().to_string()).await.map(|_| "an archive");
    assert_kind(missing, EngineErrorKind::NotFound);
}

pub(crate) async fn a_load_whose_source_fails_is_an_error(world: &dyn World) {
    let node = world.node().await;
    let reference = pulled(world, &node, &world.unhealthy_image()).await;
    let id = node.engine.image(&reference).await.unwrap().expect("it was pulled").id;
    let lost = std::io::Error::other("it broke");
    let archive = node.engine.save(id.as_str()).await.unwrap();
    let broken = archive.take(1).chain(futures::stream::iter([Err(lost)])).boxed();
    assert!(node.engine.load(broken).await.is_err(), "what broke off is not taken for whole");
}
