//! The validated names that everything else is built from.
//!
//! Each is a newtype that can only be made by parsing, so a value of the type is a valid one everywhere. They are
//! harmless in a shell word, a file name, a label and an HAProxy identifier where the documentation says so.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Why a text is not a valid name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{value}` is not a valid {kind}: expected {expected}")]
pub struct InvalidName {
    /// What it was meant to be, in the user's words.
    pub kind: &'static str,
    /// The rule in words.
    pub expected: &'static str,
    /// The text as given, cut to a printable length.
    pub value: String,
}

impl InvalidName {
    fn new(kind: &'static str, expected: &'static str, value: &str) -> Self {
        let value = value.chars().take(80).flat_map(char::escape_debug).collect();
        Self { kind, expected, value }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_string())) } else { Err(InvalidName::new($kind, $expected, text)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

fn is_word(text: &str, extra: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

fn is_label(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
    let number = text.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(allowed) && !number
}

fn starts_alphanumeric(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

name!(
    /// A service: `^[A-Za-z0-9_-]+$` (Kamal's rule, matched over the whole text).
    ServiceName, "service name", "letters, digits, hyphens and underscores only", |t| is_word(t, "-_")
);
name!(
    /// A role of a service, such as `web`.
    RoleName, "role name", "letters, digits, hyphens, underscores and dots, starting with a letter or digit",
    |t| is_word(t, "-_.") && starts_alphanumeric(t)
);
name!(
    /// A destination, such as `staging`.
    Destination, "destination", "letters, digits, hyphens, underscores and dots, starting with a letter or digit",
    |t| is_word(t, "-_.") && starts_alphanumeric(t)
);
name!(
    /// A host as the user writes it and as the fleet knows it: a DNS name or an IP address (IPv6 without brackets).
    HostName, "host", "a DNS name or an IP address",
    |t| is_word(t, "-_.:") && t.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':')
);
name!(
    /// What the user calls a build: a git sha or any image tag (Docker's rule for tags).
    Version, "version", "an image tag: letters, digits, `_`, `.` and `-`, at most 128, not starting with `.` or `-`",
    |t| is_word(t, "-_.") && !t.starts_with(['.', '-'])
);
name!(
    /// What people call one release of a service. Never what could be read as a number of one (`v41`, `@41`).
    Label, "label", "lower-case letters, digits, `_`, `.` and `-`, at most 64, starting with a letter, not like v41",
    is_label
);
name!(
    /// A container's id in full: 64 hex digits.
    ContainerId, "container id", "64 hex digits",
    |t| t.len() == 64 && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);
name!(
    /// A content digest, `sha256:` and 64 hex digits. Of an index or manifest (pulled) or of an image (its id).
    Digest, "digest", "`sha256:` and 64 hex digits",
    |t| t.strip_prefix("sha256:").is_some_and(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
);
name!(
    /// The identity of one run (deploy, rollback, prune …): a ULID, so that runs sort by the time they began.
    RunId, "run id", "a ULID: 26 characters", |t| t.parse::<ulid::Ulid>().is_ok()
);
name!(
    /// An image repository with its registry but without tag or digest: `registry.example.com:5000/team/app`.
    Repository, "image repository", "[registry[:port]/]path in lower case, without tag or digest", is_repository
);

impl ContainerId {
    /// The first 12 digits: what people see, and the DNS name that Docker gives the container on its networks.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl Digest {
    /// The first 12 hex digits, for tables.
    pub fn short(&self) -> &str {
        &self.0["sha256:".len()..][..12]
    }
}

impl Version {
    /// For tables: a full git sha is cut to 7 digits, anything else stays.
    pub fn short(&self) -> &str {
        let is_sha = self.0.len() == 40 && self.0.bytes().all(|b| b.is_ascii_hexdigit());
        if is_sha { &self.0[..7] } else { &self.0 }
    }
}

impl Repository {
    /// The registry's host (and port), or `None` for Docker's default registry.
    pub fn registry(&self) -> Option<&str> {
        let (first, _) = self.0.split_once('/')?;
        (first.contains(['.', ':']) || first == "localhost").then_some(first)
    }
}

fn is_repository(text: &str) -> bool {
    let component = |c: &str| {
        !c.is_empty()
            && c.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
            && c.starts_with(|c: char| c.is_ascii_alphanumeric())
            && c.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let host = |h: &str| {
        let (name, port) = h.split_once(':').unwrap_or((h, "0"));
        is_word(name, "-.") && port.parse::<u16>().is_ok()
    };
    let mut parts = text.split('/');
    let Some(first) = parts.next() else { return false };
    let rest: Vec<_> = parts.collect();
    let first_ok = if rest.is_empty() { component(first) } else { component(first) || host(first) };
    text.len() <= 255 && first_ok && rest.into_iter().all(component)
}

/// Where an image is found: a repository and a tag, a digest, or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    /// Repository with its registry.
    pub repository: Repository,
    /// The tag, if any.
    pub tag: Option<Version>,
    /// The digest, if any. With both, the digest decides.
    pub digest: Option<Digest>,
}

impl FromStr for ImageRef {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        let after_path = name.rfind('/').map_or(0, |i| i + 1);
        let (repository, tag) = match name[after_path..].rfind(':') {
            Some(i) => (&name[..after_path + i], Some(name[after_path + i + 1..].parse()?)),
            None => (name, None),
        };
        Ok(Self { repository: repository.parse()?, tag, digest })
    }
}

impl TryFrom<String> for ImageRef {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> String {
        image.to_string()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_a_shell_or_a_path_could_misread() {
        for bad in ["", "a b", "a;b", "$(x)", "a\nb", "../x", "a/b", "é"] {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad:?}");
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
            assert!(bad.parse::<RoleName>().is_err(), "{bad:?}");
        }
        assert!("..".parse::<Destination>().is_err());
        assert!("fe80::1".parse::<HostName>().is_ok());
    }

    #[test]
    fn image_references_split_at_the_right_colon() {
        let image: ImageRef = "localhost:5000/team/app:v1".parse().unwrap();
        assert_eq!(image.repository.as_str(), "localhost:5000/team/app");
        assert_eq!(image.repository.registry(), Some("localhost:5000"));
        assert_eq!(image.tag.as_ref().map(Version::as_str), Some("v1"));
        let bare: ImageRef = "team/app".parse().unwrap();
        assert_eq!((bare.repository.registry(), bare.tag), (None, None));
        let digest = format!("app@sha256:{}", "a".repeat(64));
        assert_eq!(digest.parse::<ImageRef>().unwrap().to_string(), digest);
        assert!("App:v1".parse::<ImageRef>().is_err());
        assert!("app:".parse::<ImageRef>().is_err());
    }

    #[test]
    fn a_name_is_valid_or_does_not_deserialize() {
        assert!(serde_json::from_str::<Version>("\"v1\"").is_ok());
        assert!(serde_json::from_str::<Version>("\"-v1\"").is_err());
    }
}
