use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

fn key(text: &str) -> PublicKey {
    text.parse().unwrap()
}

/// Writes the lines to a file and asks about `web1` on the port.
fn ask(lines: &str, port: u16, presented: &str) -> Result<(), SshError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    std::fs::write(&file, lines).unwrap();
    KnownHosts::read("web1", port, &[file], false).unwrap().check(&key(presented))
}

fn changed_line(result: Result<(), SshError>) -> usize {
    match result {
        Err(SshError::HostKeyChanged { line, .. }) => line,
        other => panic!("expected a changed key, got {other:?}"),
    }
}

#[test]
fn plain_tabs_leading_space_and_comments() {
    ask(&format!("# c\n\n  web1,10.0.0.1\t{} a comment\n", A.replace(' ', "\t")), 22, A).unwrap();
    ask(&format!("WEB1 {A}\r\n"), 22, A).unwrap();
}

#[test]
fn a_bad_line_is_skipped_and_later_ones_count() {
    let lines = format!("web1 ssh-ed25519 nonsense\nweb1\n@odd web1 {A}\nweb1 {A}\n");
    ask(&lines, 22, A).unwrap();
}

#[test]
fn one_matching_key_of_several_is_enough() {
    ask(&format!("web1 {B}\nweb1 {A}\n"), 22, A).unwrap();
}

#[test]
fn a_changed_key_names_its_line() {
    assert_eq!(changed_line(ask(&format!("db {A}\nweb1 {B}\n"), 22, A)), 2);
}

#[test]
fn hashed_names() {
    let hash = |name: &str| {
        let salt = b"0123456789abcdefghij";
        let mut mac = Hmac::<Sha1>::new_from_slice(salt).unwrap();
        mac.update(name.as_bytes());
        format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(mac.finalize().into_bytes()))
    };
    ask(&format!("{} {A}\n", hash("web1")), 22, A).unwrap();
    ask(&format!("{} {A}\n", hash("[web1]:2222")), 2222, A).unwrap();
    assert!(matches!(ask(&format!("{} {A}\n", hash("web2")), 22, A), Err(SshError::HostKeyUnknown { .. })));
    assert_eq!(changed_line(ask(&format!("{} {B}\n", hash("web1")), 22, A)), 1);
}

#[test]
fn ports() {
    ask(&format!("[web1]:2222 {A}\n"), 2222, A).unwrap();
    assert!(matches!(ask(&format!("[web1]:2222 {A}\n"), 22, A), Err(SshError::HostKeyUnknown { .. })));
    // Like OpenSSH: a key of the bare name vouches for another port, but is no rival there.
    ask(&format!("web1 {A}\n"), 2222, A).unwrap();
    assert!(matches!(ask(&format!("web1 {B}\n"), 2222, A), Err(SshError::HostKeyUnknown { .. })));
}

#[test]
fn a_revoked_key_is_refused_even_when_also_trusted() {
    let lines = format!("web1 {A}\n@revoked * {A}\n");
    match ask(&lines, 22, A) {
        Err(SshError::HostKeyRevoked { line: 2, .. }) => {}
        other => panic!("expected revoked at line 2, got {other:?}"),
    }
}

#[test]
fn an_authority_does_not_vouch_for_a_plain_key() {
    match ask(&format!("@cert-authority web* {A}\n"), 22, A) {
        Err(SshError::HostKeyUnknown { note, .. }) => assert!(note.contains("certificate authority"), "{note}"),
        other => panic!("expected unknown, got {other:?}"),
    }
}

#[test]
fn the_message_has_fingerprint_and_commands() {
    let error = ask("", 2222, A).unwrap_err();
    let message = format!("{error}\n{}", error.hint().unwrap());
    assert!(message.contains("SHA256:"), "{message}");
    assert!(message.contains("ssh-keyscan -t ed25519 -p 2222 web1 >> "), "{message}");
    assert!(message.contains("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"), "{message}");
}

#[test]
fn known_kinds_of_key_are_asked_for_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    std::fs::write(&file, format!("web1 {ECDSA}\n")).unwrap();
    let known = KnownHosts::read("web1", 22, &[file], false).unwrap();
    let ordered = known.order(&russh::Preferred::DEFAULT.key);
    assert_eq!(ordered.len(), russh::Preferred::DEFAULT.key.len() - 1, "all but RSA with SHA-1");
    assert_eq!(ordered[0].to_string(), "ecdsa-sha2-nistp256");
}

#[test]
fn enrolling_appends_and_never_rewrites() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("new/known_hosts");
    let read = |port| KnownHosts::read("web1", port, std::slice::from_ref(&file), true).unwrap();
    read(2222).check(&key(A)).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("[web1]:2222 {A}\n"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    std::fs::write(&file, "# torn").unwrap();
    read(22).check(&key(A)).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("# torn\nweb1 {A}\n"));
    assert_eq!(changed_line(read(22).check(&key(B))), 2);
    assert!(matches!(read(22).check(&key(ECDSA)), Err(SshError::HostKeyUnknown { .. })), "known by another kind");
}
