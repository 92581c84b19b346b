//! `labels` of the root and of roles.

use super::expansion::{self, Quoting};
use super::reader::{Field, Findings};
use super::types::VerbKind;
use std::collections::BTreeMap;

const RESERVED: [&str; 3] = ["destination", "role", "service"];

/// Reports a label that identifies containers.
pub(super) fn not_reserved(key: &str, field: &Field, found: &mut Findings) {
    if RESERVED.contains(&key) {
        let message = "invalid label. destination, role, and service are reserved labels";
        field.wrong_hint(message, "choose another name", found);
    } else if key.starts_with("windlass.") {
        field.wrong_hint("invalid label. windlass.* are reserved labels", "choose another name", found);
    }
}

/// The root's labels with the role's on top.
pub(super) fn resolve(root: Option<Field>, role: Option<Field>, found: &mut Findings) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, text, field) in root.map(|f| f.string_map(found)).unwrap_or_default() {
        expansion::check(&field, &text, Quoting::Quoted, found);
        if RESERVED.contains(&key) {
            let reason = "windlass finds its containers by this label: it keeps its own value";
            found.not_yet(&field, &[VerbKind::Setup, VerbKind::Deploy], reason);
            continue;
        }
        not_reserved(key, &field, found);
        labels.insert(key.to_string(), text);
    }
    for (key, text, field) in role.map(|f| f.string_map(found)).unwrap_or_default() {
        expansion::check(&field, &text, Quoting::Quoted, found);
        not_reserved(key, &field, found);
        labels.insert(key.to_string(), text);
    }
    labels
}
