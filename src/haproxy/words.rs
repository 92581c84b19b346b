//! What may stand in HAProxy's configuration. The configuration room validates its values; here nothing is believed,
//! since a quote or a newline would be a directive of its own.

/// A host name in lower case, perhaps with `*.` in front.
pub(super) fn host_word(host: &str) -> Result<String, String> {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let rest = name.strip_prefix("*.").unwrap_or(&name);
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
    if rest.is_empty() || rest.len() > 253 || !rest.chars().all(good) || rest.starts_with('.') {
        return Err(format!("`{}` is not a host name", host.escape_debug()));
    }
    Ok(name)
}

/// A path as RFC 3986 has it (`pchar` and `/`, without the quote), with `query` also `?`.
pub(super) fn path_word(path: &str, query: bool) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&()*+,;=:@/".contains(c) || (query && c == '?');
    if !path.starts_with('/') || path.len() > 1024 || !path.chars().all(good) {
        return Err(format!(
            "`{}` is not a path: expected `/`, then letters, digits and -._~%!$&()*+,;=:@/",
            path.escape_debug()
        ));
    }
    Ok(path.to_string())
}

/// A regular expression that matches a text literally.
pub(super) fn literal(text: &str) -> String {
    let special = |c: char| !c.is_ascii_alphanumeric() && !"/-_~%!&,;=:@".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Seconds for a timer of HAProxy: at least one, at most 24 days (it refuses more than 2^31 ms).
pub(super) fn seconds(value: u32) -> u32 {
    value.clamp(1, 24 * 24 * 3600)
}
