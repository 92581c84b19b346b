//! `asset_path`: `directory[:options]`, of the root or of a role.

use super::reader::{Field, Findings};

/// The directory. Kamal mounts a directory of the host there and gives the options to that mount.
pub(super) fn resolve(field: &Field, found: &mut Findings) -> Option<String> {
    let text = field.string(found)?;
    let (path, options) = match text.split_once(':') {
        Some((path, options)) => (path, Some(options)),
        None => (text.as_str(), None),
    };
    let plain =
        path.starts_with('/') && !path.split('/').any(|part| part == "..") && !path.trim_matches('/').is_empty();
    if !plain {
        field.wrong_hint(
            "should be an absolute path inside the image",
            "write the directory that holds the assets, such as /rails/public/assets",
            found,
        );
        return None;
    }
    if options.is_some_and(|o| !o.is_empty()) {
        found.not_yet(field, &[], "each container has a volume of its own there, to which these options do not apply");
    }
    Some(format!("/{}", path.trim_matches('/')))
}
