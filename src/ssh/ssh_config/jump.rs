//! `ProxyJump`: `[user@]host[:port]` or `ssh://…`, several with commas.

/// A host on the way, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// Login, if written.
    pub user: Option<String>,
    /// Host; its own lines of the configuration apply.
    pub host: String,
    /// Port, if written.
    pub port: Option<u16>,
}

/// The hosts in the order in which they are passed; none: what is wrong with the text.
pub(super) fn parse(text: &str) -> Result<Vec<Jump>, String> {
    text.split(',').map(|one| jump(one.trim())).collect()
}

fn jump(text: &str) -> Result<Jump, String> {
    let wrong = || format!("`{text}` is no jump host: expected [user@]host[:port]");
    let text = text.strip_prefix("ssh://").map_or(text, |rest| rest.trim_end_matches('/'));
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) if !user.is_empty() => (Some(user.to_string()), rest),
        Some(_) => return Err(wrong()),
        None => (None, text),
    };
    let (host, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, after)) => (host, Some(after.strip_prefix(':').ok_or_else(wrong)?)),
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (rest, None),
        },
    };
    let port = port.map(|p| p.parse().ok().filter(|p| *p > 0).ok_or_else(wrong)).transpose()?;
    if host.is_empty() || host.starts_with('-') || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    Ok(Jump { user, host: host.to_string(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let jump =
            |user: Option<&str>, host: &str, port| Jump { user: user.map(str::to_string), host: host.into(), port };
        assert_eq!(
            parse("a, me@b:2222,ssh://c@[::1]:22/,fd00::1").unwrap(),
            [
                jump(None, "a", None),
                jump(Some("me"), "b", Some(2222)),
                jump(Some("c"), "::1", Some(22)),
                jump(None, "fd00::1", None)
            ]
        );
        for wrong in ["", "a,", "@b", "b:0", "b:x", "-oProxyCommand=x", "[::1]22"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
