//! Certificates with their keys, as people put them into secrets: read, checked against each other, and brought into the
//! one form that the proxy reads.
//!
//! rustls's provider (ring) judges whether a key belongs to a certificate and x509-parser reads what is in it; both are
//! the field's standard, and neither is asked to trust anything here.

use crate::secret::Secret;
use crate::spec::Certificate;
use base64::Engine as _;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::Digest;
use thiserror::Error;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// A certificate with its key.
#[derive(Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: Certificate,
    /// The chain and the key as PEM, for one file.
    pub pem: Secret<String>,
    /// What is worth knowing about it.
    pub notes: Vec<String>,
}

/// Why two secrets are no certificate with its key. Never holds any of either.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CertificateError {
    /// What is wrong, naming the secret.
    pub message: String,
    /// What to do.
    pub hint: String,
}

fn error(message: String, hint: &str) -> CertificateError {
    CertificateError { message, hint: hint.to_string() }
}

/// A secret: its name, and its value.
pub type Named<'a> = (&'a str, &'a Secret<String>);

/// Reads a certificate with its chain, and its key.
///
/// # Errors
/// When one is not PEM, the key is encrypted, or the key belongs to another certificate.
pub fn read(certificate: Named, key: Named) -> Result<Pair, CertificateError> {
    let chain = chain(certificate)?;
    let secret_key = private_key(key)?;
    same_key(certificate.0, key.0, &chain, &secret_key)?;
    let leaf = chain.first().ok_or_else(|| no_certificate(certificate))?;
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|e| error(format!("secret `{}`: its certificate cannot be read: {e}", certificate.0), PEM_HINT))?;
    let not_before = timestamp(certificate.0, parsed.validity().not_before.timestamp())?;
    let not_after = timestamp(certificate.0, parsed.validity().not_after.timestamp())?;
    let mut notes = Vec::new();
    if chain.len() == 1 && parsed.issuer() != parsed.subject() {
        notes.push(format!(
            "secret `{}` has no intermediate certificate: clients that do not know the issuer will not accept it",
            certificate.0
        ));
    }
    let mut digest = sha2::Sha256::new();
    chain.iter().for_each(|der| digest.update(der));
    let names = names(&parsed);
    let certificate = Certificate { sha256: hex::encode(digest.finalize()), names, not_before, not_after };
    Ok(Pair { certificate, pem: together(&chain, &secret_key), notes })
}

const PEM_HINT: &str = "it should hold the lines from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, the server's own \
                        certificate first, for example with `NAME=$(cat fullchain.pem)`";
const KEY_HINT: &str = "it should hold the lines from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----, for example with \
                        `NAME=$(cat privkey.pem)`";

fn no_certificate((name, value): Named) -> CertificateError {
    let escaped = value.expose().contains("\\n");
    let hint = if escaped { "its line breaks are written as \\n: they must be line breaks" } else { PEM_HINT };
    error(format!("secret `{name}` holds no certificate"), hint)
}

fn chain(named: Named) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(named.1.expose().as_bytes()).collect();
    match parsed {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        // What a parser says of it could quote it.
        _ => Err(no_certificate(named)),
    }
}

fn private_key((name, value): Named) -> Result<PrivateKeyDer<'static>, CertificateError> {
    if value.expose().contains("ENCRYPTED") {
        let hint = "the proxy starts without anybody to ask: decrypt it with `openssl pkey -in key.pem`, and keep it in the secrets";
        return Err(error(format!("secret `{name}`: the key is encrypted with a passphrase"), hint));
    }
    PrivateKeyDer::from_pem_slice(value.expose().as_bytes())
        .map_err(|_| error(format!("secret `{name}` holds no private key"), KEY_HINT))
}

/// The key belongs to the first certificate. A kind of key that cannot be judged here is judged by the proxy, before
/// anything changes.
fn same_key(
    certificate: &str,
    key: &str,
    chain: &[CertificateDer<'static>],
    secret_key: &PrivateKeyDer<'static>,
) -> Result<(), CertificateError> {
    let Ok(signing) = rustls::crypto::ring::sign::any_supported_type(secret_key) else { return Ok(()) };
    let matches = |der: &CertificateDer<'static>| {
        let pair = rustls::sign::CertifiedKey::new(vec![der.clone()], signing.clone());
        !matches!(pair.keys_match(), Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)))
    };
    match chain.iter().position(matches) {
        Some(0) => Ok(()),
        Some(n) => Err(error(
            format!("secret `{key}` is the key of certificate {} in secret `{certificate}`, not of the first", n + 1),
            "put the server's own certificate first, then its issuers",
        )),
        None => Err(error(
            format!("the key in secret `{key}` does not belong to the certificate in secret `{certificate}`"),
            "take both from the same renewal; nothing was changed",
        )),
    }
}

fn timestamp(name: &str, seconds: i64) -> Result<Timestamp, CertificateError> {
    let wrong = |_| error(format!("secret `{name}`: its certificate has no usable dates"), PEM_HINT);
    Timestamp::from_second(seconds).map_err(wrong)
}

/// Alternative names; without any the common name, which only old clients look at.
fn names(certificate: &X509Certificate) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let all = alternative.iter().flat_map(|extension| &extension.value.general_names);
    let mut names: Vec<String> = all
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_string()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect();
    if alternative.is_none() {
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.map(str::to_string));
    }
    // They end up in terminals and in files of hosts.
    names.iter_mut().for_each(|name| *name = name.chars().filter(|c| c.is_ascii_graphic()).take(253).collect());
    names
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
    v4.or(v6).ok().map(|ip| ip.to_string())
}

/// One PEM file, without whatever else stood in the secrets.
fn together(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'static>) -> Secret<String> {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    // Large enough from the start, so that no copy of the key is left behind by growing.
    let mut text =
        String::with_capacity(1024 + 2 * key.secret_der().len() + 2 * chain.iter().map(|c| c.len()).sum::<usize>());
    chain.iter().for_each(|der| block(&mut text, "CERTIFICATE", der));
    block(&mut text, label, key.secret_der());
    Secret::new(text)
}

fn block(text: &mut String, label: &str, der: &[u8]) {
    // 48 bytes are 64 characters.
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in der.chunks(48) {
        base64::engine::general_purpose::STANDARD.encode_string(line, text);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> (Secret<String>, Secret<String>) {
        let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        (Secret::new(made.cert.pem()), Secret::new(made.signing_key.serialize_pem()))
    }

    #[test]
    fn a_pair_is_read_and_made_one_file() {
        let (certificate, key) = made(&["a.example.com", "*.demo.io"]);
        let pair = read(("CERT", &certificate), ("KEY", &key)).unwrap();
        assert_eq!(pair.certificate.names, ["a.example.com", "*.demo.io"]);
        assert!(pair.certificate.not_before < pair.certificate.not_after);
        assert_eq!(pair.notes, Vec::<String>::new(), "it is its own issuer");
        // What was made is read again, from one secret for both.
        let again = read(("CERT", &pair.pem), ("KEY", &pair.pem)).unwrap();
        assert_eq!(again.certificate, pair.certificate);
        assert_eq!(again.pem, pair.pem);
        assert!(!format!("{pair:?}").contains("PRIVATE"), "{pair:?}");
    }

    #[test]
    fn what_is_no_pair_is_refused_by_the_secrets_names() {
        let ((certificate, key), (other, other_key)) = (made(&["a"]), made(&["b"]));
        let refused = |certificate: &Secret<String>, key: &Secret<String>| {
            let error = read(("CERT", certificate), ("KEY", key)).unwrap_err();
            assert!(!error.to_string().contains("MI") && !error.hint.contains("MI"), "{error}");
            error.message
        };
        let no = |text: &str| Secret::new(text.to_string());
        assert!(
            refused(&certificate, &other_key).contains("`KEY` does not belong to the certificate in secret `CERT`")
        );
        assert!(refused(&no("nonsense"), &key).contains("`CERT` holds no certificate"));
        assert!(refused(&certificate, &no("")).contains("`KEY` holds no private key"));
        assert!(refused(&certificate, &certificate).contains("`KEY` holds no private key"));
        let encrypted = no("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n");
        assert!(refused(&certificate, &encrypted).contains("encrypted with a passphrase"));
        let wrong_order = no(&format!("{}{}", other.expose(), certificate.expose()));
        assert!(refused(&wrong_order, &key).contains("certificate 2"));
        let one_line = no(&certificate.expose().replace('\n', "\\n"));
        let error = read(("CERT", &one_line), ("KEY", &key)).unwrap_err();
        assert!(error.hint.contains("must be line breaks"), "{error:?}");
    }
}
