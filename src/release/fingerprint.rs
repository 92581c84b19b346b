//! What a container was made from, in one label: so that drift, and a change of nothing but a secret, can be seen
//! without any value leaving the engine.

use crate::name::Digest;
use crate::secret::Secret;
use crate::spec::{Env, RoleSpec};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// `<spec>` and, for each secret variable, `+NAME=<print>`: the value of the label `windlass.spec`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint {
    /// First 16 hex digits of the SHA-256 of the host-independent specification and the image's digest.
    pub spec: String,
    /// Variable → first 8 hex digits of the HMAC-SHA-256 of its value.
    pub secrets: BTreeMap<String, String>,
}

/// The random key of a service's secret prints, shared by its hosts (file `key`, mode 0600).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FingerprintKey(Secret<Vec<u8>>);

impl FingerprintKey {
    /// Length of a key in bytes.
    pub const LEN: usize = 32;

    /// A key from its 32 bytes; `None` for any other length.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == Self::LEN).then(|| Self(Secret::new(bytes)))
    }

    /// The bytes, for the file on a host.
    pub fn bytes(&self) -> &[u8] {
        self.0.expose()
    }

    /// The prints of these variables' values.
    pub fn prints(&self, values: &BTreeMap<String, Secret<String>>) -> BTreeMap<String, String> {
        values.iter().map(|(variable, value)| (variable.clone(), self.print(variable, value.expose()))).collect()
    }

    fn print(&self, variable: &str, value: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose())
            .unwrap_or_else(|_| unreachable!("HMAC takes any key length"));
        mac.update(variable.as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        hex::encode(&mac.finalize().into_bytes()[..4])
    }
}

impl Fingerprint {
    /// The fingerprint of a role's containers on hosts that carry `tags`.
    ///
    /// `image` is the digest that identifies the image; `env` the environment on that host; `values` the secret values
    /// by the secret's name. A secret without a value is left out (the caller refuses such a run by its name).
    pub fn of(
        spec: &RoleSpec,
        image: &Digest,
        env: &Env,
        values: &BTreeMap<String, Secret<String>>,
        key: &FingerprintKey,
    ) -> Self {
        let mut hash = Sha256::new();
        // serde_json writes struct fields in declaration order and BTreeMaps sorted: the text is canonical.
        hash.update(serde_json::to_vec(&(spec, image, env)).unwrap_or_else(|_| unreachable!("a spec is plain data")));
        let secrets = env
            .secret
            .iter()
            .filter_map(|(variable, name)| Some((variable.clone(), key.print(variable, values.get(name)?.expose()))))
            .collect();
        Self { spec: hex::encode(&hash.finalize()[..8]), secrets }
    }

    /// The variables whose secret value differs between two fingerprints (also those that only one has).
    pub fn changed_secrets(&self, other: &Self) -> Vec<String> {
        let names: std::collections::BTreeSet<_> = self.secrets.keys().chain(other.secrets.keys()).collect();
        names.into_iter().filter(|n| self.secrets.get(*n) != other.secrets.get(*n)).cloned().collect()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spec)?;
        self.secrets.iter().try_for_each(|(name, print)| write!(f, "+{name}={print}"))
    }
}

impl FromStr for Fingerprint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("`{}` is not a windlass.spec label", text.escape_debug());
        let mut parts = text.split('+');
        let spec =
            parts.next().filter(|s| s.len() == 16 && s.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(invalid)?;
        let secrets = parts
            .map(|part| part.split_once('=').map(|(n, p)| (n.to_string(), p.to_string())).ok_or_else(invalid))
            .collect::<Result<_, _>>()?;
        Ok(Self { spec: spec.to_string(), secrets })
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_depends_on_key_variable_and_value_and_survives_the_label() {
        let key = FingerprintKey::new(vec![7; 32]).unwrap();
        let other = FingerprintKey::new(vec![8; 32]).unwrap();
        assert_ne!(key.print("A", "x"), other.print("A", "x"));
        assert_ne!(key.print("A", "x"), key.print("B", "x"));
        assert_ne!(key.print("A", "x"), key.print("A", "y"));
        let print =
            Fingerprint { spec: "0123456789abcdef".into(), secrets: [("A".into(), key.print("A", "x"))].into() };
        assert_eq!(print.to_string().parse::<Fingerprint>().unwrap(), print);
        assert!("nonsense".parse::<Fingerprint>().is_err());
    }
}
