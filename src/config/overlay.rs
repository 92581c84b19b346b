//! Laying one file over another, as Kamal does with a destination: mappings merge, everything else replaces.

use super::node::{Entry, Map, Node, Value};

/// The deep merge of `over` into `base`. Every value keeps the place where it was written.
pub fn merge(base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (Value::Map(below), Value::Map(above)) => Node { value: Value::Map(merge_maps(below, above)), at: base.at },
        (_, value) => Node { value, at: over.at },
    }
}

/// The same for mappings. Keys of `base` keep their order; new ones follow.
pub fn merge_maps(mut base: Map, over: Map) -> Map {
    for entry in over.0 {
        if let Some(old) = base.0.iter_mut().find(|e| e.key == entry.key) {
            let below = std::mem::replace(&mut old.value, Node { value: Value::Null, at: entry.key_at.clone() });
            old.value = merge(below, entry.value);
            old.key_at = entry.key_at;
        } else {
            base.0.push(entry);
        }
    }
    base
}

/// windlass's own root key, laid over the whole file and removed from it, so that one file serves Kamal too.
pub const OWN_KEY: &str = "x-windlass";

/// Lays `x-windlass` over the rest of a root mapping (of the file and its destination, already merged). There, and only
/// there, a key without a value takes the key out: the way round a key of Kamal's that windlass does not act on.
pub fn lift_own(mut root: Map) -> Map {
    match root.remove(OWN_KEY).map(|entry| entry.value) {
        Some(Node { value: Value::Map(own), .. }) => override_map(root, own),
        _ => root,
    }
}

fn override_map(mut base: Map, own: Map) -> Map {
    for entry in own.0 {
        if entry.value.value == Value::Null {
            base.remove(&entry.key);
            continue;
        }
        let below = base.0.iter_mut().find(|e| e.key == entry.key);
        match (below, entry) {
            (
                Some(Entry { value: Node { value: Value::Map(below), .. }, .. }),
                Entry { value: Node { value: Value::Map(above), .. }, .. },
            ) => {
                *below = override_map(std::mem::take(below), above);
            }
            (_, entry) => drop(base.set(entry)),
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::erb::Rendered;
    use crate::config::yaml;

    fn tree(text: &str, file: &str) -> Node {
        yaml::parse(&Rendered::plain(text), file).unwrap().root
    }

    #[test]
    fn mappings_merge_and_the_rest_replaces() {
        let base = tree("a: {x: 1, y: 2}\nlist: [1, 2]\ngone: 1\nkept: 1", "base");
        let over = tree("a: {y: 3, z: 4}\nlist: [9]\ngone: null\nnew: 1", "over");
        let merged = merge(base, over);
        let map = merged.map().unwrap();
        let keys: Vec<_> = map.0.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["a", "list", "gone", "kept", "new"]);
        let a = map.get("a").unwrap().value.map().unwrap();
        let values: Vec<_> =
            a.0.iter().map(|e| (e.key.as_str(), e.value.text().unwrap(), e.value.at.to_string())).collect();
        assert_eq!(
            values,
            [
                ("x", "1".into(), "base:1".into()),
                ("y", "3".into(), "over:1".into()),
                ("z", "4".into(), "over:1".into())
            ]
        );
        assert_eq!(map.get("gone").unwrap().value.value, Value::Null);
        assert_eq!(map.get("list").unwrap().value.at.to_string(), "over:2");
    }

    #[test]
    fn own_keys_lie_over_everything() {
        let root = tree("proxy: {host: a}\nx-windlass: {proxy: {run: {image: haproxy}}}", "f").map().unwrap().clone();
        let lifted = lift_own(root);
        assert!(lifted.get(OWN_KEY).is_none());
        let proxy = lifted.get("proxy").unwrap().value.map().unwrap();
        assert!(proxy.get("host").is_some() && proxy.get("run").is_some());
    }
}
