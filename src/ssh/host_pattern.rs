//! Host patterns of known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

use hmac::{Hmac, Mac};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use sha1::Sha1;

/// The name under which known_hosts keeps a host: `host` on port 22, else `[host]:port`; lower case.
pub(super) fn known_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Whether an entry speaks about `name`. One negated pattern that matches excludes the whole entry.
pub(super) fn matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => hashed(salt, name).is_some_and(|h| h == *hash),
        HostPatterns::Patterns(list) => {
            let mut found = false;
            for pattern in list {
                match pattern.strip_prefix('!') {
                    Some(negated) if glob(negated, name) => return false,
                    Some(_) => {}
                    None => found |= glob(pattern, name),
                }
            }
            found
        }
    }
}

/// HMAC-SHA1 of the name under the salt, as `ssh-keygen -H` writes it.
fn hashed(salt: &[u8], name: &str) -> Option<[u8; 20]> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

/// A pattern in any case against a name in lower case.
fn glob(pattern: &str, name: &str) -> bool {
    wildcard(&pattern.to_ascii_lowercase(), name)
}

/// `*` is any run of characters, `?` any one; everything else (`[` too) is itself.
/// Linear in practice: only the last `*` is ever tried again.
pub(super) fn wildcard(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    p = at + 1;
                    n = taken + 1;
                    star = Some((at, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("web1", "web1", true),
            ("WEB1", "web1", true),
            ("web1", "web10", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("web?", "web1", true),
            ("web?", "web", false),
            ("*", "", true),
            ("[web1]:2222", "[web1]:2222", true),
            ("[*]:2222", "[web1]:2222", true),
            ("[web1]:2222", "w", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_negation_excludes_the_entry_wherever_it_stands() {
        let list = |t: &str| t.parse::<HostPatterns>().unwrap();
        assert!(matches(&list("*.example.com,!db.example.com"), "web.example.com"));
        assert!(!matches(&list("*.example.com,!db.example.com"), "db.example.com"));
        assert!(!matches(&list("!db.example.com,*.example.com"), "db.example.com"));
        assert!(!matches(&list("!db.example.com"), "web.example.com"));
    }

    #[test]
    fn names_with_ports() {
        assert_eq!(known_name("Web1", 22), "web1");
        assert_eq!(known_name("web1", 2222), "[web1]:2222");
        assert_eq!(known_name("fd00::1", 22), "fd00::1");
        assert_eq!(known_name("fd00::1", 2222), "[fd00::1]:2222");
    }
}
