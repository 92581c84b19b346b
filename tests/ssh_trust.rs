//! Which hosts are trusted: host certificates, revoked keys, patterns, against a real OpenSSH server.

mod support;

use std::path::Path;
use support::sshd::{Sshd, certify, keygen};
use windlass::ssh::{Connection, Settings, SshError};

/// A server with a certificate for its key of this kind.
fn certified(kind: &'static str, ca_kind: &'static str, args: &'static [&'static str]) -> Sshd {
    Sshd::prepared("HostKey {dir}/own\nHostCertificate {dir}/own-cert.pub", move |dir: &Path| {
        keygen(&dir.join("ca"), ca_kind, "");
        keygen(&dir.join("other_ca"), ca_kind, "");
        keygen(&dir.join("own"), kind, "");
        let all = [&["-h", "-I", "host-1"], args].concat();
        certify(&dir.join("ca"), &all, &dir.join("own"));
    })
}

fn public(sshd: &Sshd, key: &str) -> String {
    std::fs::read_to_string(sshd.path(&format!("{key}.pub"))).unwrap()
}

async fn with_known(sshd: &Sshd, lines: &str) -> Result<(), SshError> {
    open(sshd, lines, sshd.settings()).await
}

async fn open(sshd: &Sshd, lines: &str, settings: Settings) -> Result<(), SshError> {
    let file = sshd.path("trusted");
    std::fs::write(&file, lines).unwrap();
    Connection::open(&sshd.endpoint(), &Settings { known_hosts: vec![file], ..settings }).await.map(drop)
}

#[tokio::test]
async fn host_certificates_of_every_kind() {
    for (kind, ca) in [("ed25519", "ed25519"), ("ecdsa", "ecdsa"), ("rsa", "rsa"), ("ed25519", "rsa")] {
        let sshd = certified(kind, ca, &["-n", "127.0.0.1,web1"]);
        let lines = format!("@cert-authority 10.*,127.0.0.* {}", public(&sshd, "ca"));
        with_known(&sshd, &lines).await.unwrap_or_else(|e| panic!("{kind} signed by {ca}: {e}"));
        // With the port in the pattern, as known_hosts has it for other ports than 22.
        let lines = format!("@cert-authority [*]:{} {}", sshd.port, public(&sshd, "ca"));
        with_known(&sshd, &lines).await.unwrap();
    }
}

#[tokio::test]
async fn an_authority_for_other_hosts_or_another_authority_vouches_for_nothing() {
    let sshd = certified("ed25519", "ed25519", &["-n", "127.0.0.1"]);
    // Both names by which it is looked up, with the port and without.
    let negated = format!("@cert-authority *,!127.0.0.1,![127.0.0.1]:{} {}", sshd.port, public(&sshd, "ca"));
    let error = with_known(&sshd, &negated).await.unwrap_err();
    assert!(matches!(error, SshError::HostKeyUnknown { .. }), "{error}");
    let error = with_known(&sshd, &format!("@cert-authority * {}", public(&sshd, "other_ca"))).await.unwrap_err();
    assert!(
        error.to_string().contains("a certificate authority for it at ") && error.to_string().contains("did not sign")
    );
    // A key that is trusted as it is needs no certificate.
    let lines =
        format!("@cert-authority * {}[127.0.0.1]:{} {}", public(&sshd, "other_ca"), sshd.port, public(&sshd, "own"));
    with_known(&sshd, &lines).await.unwrap();
    // An unknown authority is not enrolled as a new key would be.
    let settings = Settings { accept_new: true, ..sshd.settings() };
    let lines = format!("@cert-authority * {}", public(&sshd, "other_ca"));
    assert!(matches!(open(&sshd, &lines, settings).await, Err(SshError::HostKeyUnknown { .. })));
}

#[tokio::test]
async fn certificates_that_are_not_good_here_and_now() {
    let cases: [(&'static [&'static str], &str); 3] = [
        (&["-n", "web1,web2"], "it is for web1, web2, not for 127.0.0.1"),
        (&["-n", "127.0.0.1", "-V", "20200101:20200102"], "it has expired"),
        (&["-n", "127.0.0.1", "-V", "20900101:20900102"], "it is not valid yet"),
    ];
    for (args, expected) in cases {
        let sshd = certified("ed25519", "ed25519", args);
        let error = with_known(&sshd, &format!("@cert-authority * {}", public(&sshd, "ca"))).await.unwrap_err();
        assert!(matches!(error, SshError::HostCertificate { .. }), "{error}");
        assert!(error.to_string().contains(expected) && error.to_string().contains("(\"host-1\")"), "{error}");
    }
    // A name by which the host is known there.
    let sshd = certified("ed25519", "ed25519", &["-n", "web1"]);
    let settings = Settings { host_key_alias: Some("web1".to_string()), ..sshd.settings() };
    open(&sshd, &format!("@cert-authority web? {}", public(&sshd, "ca")), settings).await.unwrap();
}

#[tokio::test]
async fn a_revoked_authority_and_a_revoked_key() {
    let sshd = certified("ed25519", "ed25519", &["-n", "127.0.0.1"]);
    for revoked in ["ca", "own"] {
        let lines = format!("@cert-authority * {}@revoked * {}", public(&sshd, "ca"), public(&sshd, revoked));
        let error = with_known(&sshd, &lines).await.unwrap_err();
        assert!(matches!(error, SshError::HostKeyRevoked { line: 2, .. }), "{revoked}: {error}");
    }
}

#[tokio::test]
async fn hashed_names_and_host_key_alias() {
    let sshd = Sshd::start();
    let file = sshd.path("hashed");
    std::fs::write(&file, sshd.known_line("host_ed25519")).unwrap();
    let hashed = std::process::Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file).output().unwrap();
    assert!(hashed.status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    let settings = Settings { known_hosts: vec![file], ..sshd.settings() };
    Connection::open(&sshd.endpoint(), &settings).await.unwrap();
    let alias = format!("web1 {}", public(&sshd, "host_ed25519"));
    let settings = Settings { host_key_alias: Some("web1".to_string()), ..sshd.settings() };
    open(&sshd, &alias, settings).await.unwrap();
    assert!(matches!(with_known(&sshd, &alias).await, Err(SshError::HostKeyUnknown { .. })));
}

#[tokio::test]
async fn an_rsa_host_key_alone() {
    let sshd = Sshd::prepared("HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256\nHostKey {dir}/own", |dir| {
        keygen(&dir.join("own"), "rsa", "");
    });
    with_known(&sshd, &format!("[127.0.0.1]:{} {}", sshd.port, public(&sshd, "own"))).await.unwrap();
}

#[tokio::test]
async fn nothing_is_remembered_in_dev_null() {
    let sshd = Sshd::start();
    let settings = Settings { known_hosts: vec!["/dev/null".into()], accept_new: true, ..sshd.settings() };
    Connection::open(&sshd.endpoint(), &settings).await.unwrap();
}
