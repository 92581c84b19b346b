//! `volumes` of the root and `options: volume:` of a role.

use super::expansion::{self, Quoting};
use super::flag_values;
use super::node::Value;
use super::reader::{Field, Findings};

/// A list of volumes, or a single one.
pub(super) fn resolve(field: &Field, found: &mut Findings) -> Vec<String> {
    let items = if let Value::Seq(_) = field.node.value { field.items() } else { vec![field.clone()] };
    items.iter().filter_map(|item| one(item, found)).collect()
}

fn one(field: &Field, found: &mut Findings) -> Option<String> {
    let text = field.string(found)?;
    let before = found.not_acted_on.len();
    expansion::check(field, &text, Quoting::Bare, found);
    if found.not_acted_on.len() == before
        && crate::spec::volume_source(&text).is_none()
        && let Err(expected) = flag_values::volume(&text)
    {
        field.wrong_hint(
            format!("should be {expected}"),
            "write an absolute path of the host, or name a volume",
            found,
        );
        return None;
    }
    Some(text)
}
