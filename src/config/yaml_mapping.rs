//! One mapping while it is read: its keys are unique, and a repetition or an overriding merge is said.

use super::node::{Entry, Map};
use super::problem::{Place, Problem, printable};
use std::collections::HashMap;

/// A mapping while it is read.
#[derive(Default)]
pub(super) struct Mapping {
    pub(super) map: Map,
    /// Key → its position, and where it was written if it stands in this mapping itself (not merged in).
    index: HashMap<String, (usize, Option<Place>)>,
}

impl Mapping {
    /// A key that stands here. The last one wins, as in Kamal, but a repetition is said.
    pub(super) fn set(&mut self, entry: Entry, warnings: &mut Vec<Problem>) {
        let at = entry.key_at.clone();
        if let Some((_, Some(first))) = self.index.get(&entry.key) {
            let key = printable(&entry.key);
            let message =
                format!("the key `{key}` is already on line {}; the later one (line {}) wins", first.line, at.line);
            warnings.push(Problem::new(&at, "", message).hint("remove one of them"));
        }
        self.put(entry, Some(at));
    }

    /// A key that `<<` brings. It overrides one above it, as in Psych, which is said.
    pub(super) fn merge(&mut self, entry: Entry, merge_at: &Place, warnings: &mut Vec<Problem>) {
        if let Some((_, Some(first))) = self.index.get(&entry.key) {
            let key = printable(&entry.key);
            let message =
                format!("`<<` stands below the key `{key}` (line {}) and overrides it, as in Kamal", first.line);
            warnings.push(Problem::new(merge_at, "", message).hint("put `<<` first if the key is meant to win"));
        }
        self.put(entry, None);
    }

    fn put(&mut self, entry: Entry, at: Option<Place>) {
        match self.index.get_mut(&entry.key) {
            Some((position, place)) => {
                *place = at;
                self.map.0[*position] = entry;
            }
            None => {
                self.index.insert(entry.key.clone(), (self.map.0.len(), at));
                self.map.0.push(entry);
            }
        }
    }
}
