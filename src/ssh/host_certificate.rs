//! Host certificates (PROTOCOL.certkeys): whether one is good for a host.

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

/// Why a certificate that `authority` should have signed does not prove that this is `host`; none if it does.
///
/// A certificate without names is good for any host, as in OpenSSH 9. Names are compared whole: they are no patterns.
pub(super) fn fault(certificate: &Certificate, authority: &PublicKey, host: &str, now: u64) -> Option<String> {
    if certificate.cert_type() != CertType::Host {
        return Some("it is a user's certificate".to_string());
    }
    if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None }) {
        return Some("its authority signed it with SHA-1".to_string());
    }
    if !certificate.critical_options().is_empty() {
        return Some("it has critical options, and host certificates know none".to_string());
    }
    if now < certificate.valid_after() {
        return Some("it is not valid yet (is the clock right?)".to_string());
    }
    if now >= certificate.valid_before() {
        return Some("it has expired".to_string());
    }
    let names = certificate.valid_principals();
    if !names.is_empty() && !names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return Some(format!("it is for {}, not for {host}", super::watcher::printable(&names.join(", "))));
    }
    let fingerprint = authority.fingerprint(HashAlg::Sha256);
    certificate.validate_at(now, [&fingerprint]).err().map(|_| "its signature is wrong".to_string())
}
