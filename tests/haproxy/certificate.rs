//! Certificates made for a test, and clients that trust them.

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use windlass::secret::Secret;
use windlass::spec::Certificate;

pub(crate) struct Made {
    pub(crate) certificate: Certificate,
    /// Chain and key.
    pub(crate) pem: Secret<String>,
    der: CertificateDer<'static>,
}

impl Made {
    pub(crate) fn new(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let (certificate, key) = (Secret::new(made.cert.pem()), Secret::new(made.signing_key.serialize_pem()));
        let pair = windlass::certificate::read(("CERT", &certificate), ("KEY", &key)).expect("a pair");
        Self { certificate: pair.certificate, pem: pair.pem, der: made.cert.der().clone() }
    }
}

/// A client that trusts these certificates and no others, and speaks these protocols.
pub(crate) fn trusting(made: &[&Made], protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for one in made {
        roots.add(one.der.clone()).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    // Every connection shows which certificate is in force.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}
