//! Host keys against known_hosts files: which keys are trusted for a host, and enrolling a first one.
//!
//! russh's own helper knows neither patterns, negation, markers nor tabs, and fails on a line it cannot read.

use super::error::SshError;
use super::host_certificate;
use super::host_pattern::{known_name, matches};
use super::watcher::printable;
use russh::keys::ssh_key::known_hosts::{Entry, Marker};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// One line that speaks about a host.
#[derive(Debug, Clone)]
struct Known {
    file: PathBuf,
    line: usize,
    marker: Option<Marker>,
    key: PublicKey,
    /// Found under the name without the port (OpenSSH then takes a matching key, and nothing else, from it).
    portless: bool,
}

/// What the files say about one host and port. Read before connecting: it decides the order of algorithms.
#[derive(Debug, Clone)]
pub struct KnownHosts {
    host: String,
    port: u16,
    known: Vec<Known>,
    files: Vec<PathBuf>,
    accept_new: bool,
}

impl KnownHosts {
    /// Reads the files, in their order. A missing file is an empty one, a line that cannot be read is skipped.
    ///
    /// # Errors
    /// A file that exists and cannot be read: it might hold a revoked key.
    pub fn read(host: &str, port: u16, files: &[PathBuf], accept_new: bool) -> Result<Self, SshError> {
        let mut known = Vec::new();
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => collect(&String::from_utf8_lossy(&bytes), file, host, port, &mut known),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(file_error("read", file, &e)),
            }
        }
        Ok(Self { host: host.to_string(), port, known, files: files.to_vec(), accept_new })
    }

    /// Host key algorithms with those first that known_hosts has a key for, so that the host presents one that can be
    /// checked. RSA with SHA-1 is never among them.
    pub fn order(&self, defaults: &[Algorithm]) -> Vec<Algorithm> {
        let held = |a: &Algorithm| self.trusted().any(|k| same_kind(&k.key.algorithm(), a));
        let (first, rest): (Vec<_>, Vec<_>) = defaults.iter().filter(|a| !is_sha1(a)).cloned().partition(held);
        first.into_iter().chain(rest).collect()
    }

    /// The algorithms for which a certificate is asked for: none unless known_hosts trusts an authority for this host.
    pub fn certificates(&self, defaults: &[Algorithm]) -> Vec<Algorithm> {
        match self.authorities().next() {
            Some(_) => defaults.iter().filter(|a| !is_sha1(a)).cloned().collect(),
            None => Vec::new(),
        }
    }

    /// Decides about the key that the host presents; enrols it where that was asked for.
    ///
    /// # Errors
    /// Revoked, changed, or unknown; each names the file and line or the command that enrols.
    pub fn check(&self, key: &PublicKey) -> Result<(), SshError> {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let same = |k: &&Known| k.key.key_data() == key.key_data();
        self.not_revoked(key.key_data())?;
        if self.trusted().any(|k| same(&k)) {
            return Ok(());
        }
        let rival = |k: &&Known| !k.portless && same_kind(&k.key.algorithm(), &key.algorithm());
        if let Some(k) = self.trusted().find(rival) {
            return Err(SshError::HostKeyChanged {
                algorithm: key.algorithm().to_string(),
                fingerprint,
                file: k.file.clone(),
                line: k.line,
                enrol: self.enrol_hint(key),
            });
        }
        let note = self.note();
        // A host that is known by another kind of key and suddenly has none of those is not "new".
        if self.accept_new && note.is_empty() {
            return self.enrol(key);
        }
        Err(SshError::HostKeyUnknown {
            algorithm: key.algorithm().to_string(),
            fingerprint,
            note,
            enrol: self.enrol_hint(key),
        })
    }

    /// Decides about the certificate that the host presents. One that no trusted authority vouches for is judged like the
    /// plain key in it, as in OpenSSH.
    ///
    /// # Errors
    /// A revoked authority or key, a certificate that is not valid for this host now, and all of [`KnownHosts::check`].
    pub fn check_certificate(&self, certificate: &Certificate, now: u64) -> Result<(), SshError> {
        self.not_revoked(certificate.signature_key())?;
        self.not_revoked(certificate.public_key())?;
        let signed_by = |k: &&Known| k.key.key_data() == certificate.signature_key();
        let plain = || self.check(&PublicKey::from(certificate.public_key().clone()));
        let Some(authority) = self.authorities().find(signed_by) else {
            return plain();
        };
        match host_certificate::fault(certificate, &authority.key, &self.host, now) {
            None => Ok(()),
            Some(_) if plain().is_ok() => Ok(()),
            Some(reason) => Err(SshError::HostCertificate { key_id: printable(certificate.key_id()), reason }),
        }
    }

    fn not_revoked(&self, key: &KeyData) -> Result<(), SshError> {
        let revoked = self.known.iter().filter(|k| k.marker == Some(Marker::Revoked));
        match revoked.into_iter().find(|k| k.key.key_data() == key) {
            Some(k) => Err(SshError::HostKeyRevoked {
                fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
                file: k.file.clone(),
                line: k.line,
            }),
            None => Ok(()),
        }
    }

    /// Entries that vouch for certificates.
    fn authorities(&self) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(|k| k.marker == Some(Marker::CertAuthority))
    }

    /// Entries that vouch for a key as it is.
    fn trusted(&self) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(|k| k.marker.is_none())
    }

    /// What else is known about the host, for the message about an unknown key.
    fn note(&self) -> String {
        let at = |k: &Known| format!("{}:{}", k.file.display(), k.line);
        if let Some(k) = self.trusted().find(|k| !k.portless) {
            return format!(" (known_hosts has only a key of another kind, {}, at {})", k.key.algorithm(), at(k));
        }
        match self.authorities().next() {
            Some(k) => {
                format!(" (known_hosts has a certificate authority for it at {}, which did not sign this key)", at(k))
            }
            None => String::new(),
        }
    }

    fn enrol_hint(&self, key: &PublicKey) -> String {
        let kind = kind_name(&key.algorithm());
        let file = self.files.first().map(|f| shell_path(f)).unwrap_or_else(|| "~/.ssh/known_hosts".into());
        format!(
            "Compare it with what the host itself says: ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub\n\
             If it is the same, enrol it: ssh-keyscan -t {kind} -p {} {} >> {file}",
            self.port, self.host
        )
    }

    /// Appends one line in one write. Never rewrites the file; it is made with mode 0600 if missing.
    fn enrol(&self, key: &PublicKey) -> Result<(), SshError> {
        let Some(file) = self.files.first().filter(|f| *f != Path::new("/dev/null")) else {
            return Ok(());
        };
        let mut plain = PublicKey::from(key.key_data().clone());
        plain.set_comment("");
        let fail = |e: &std::io::Error| file_error("enrol the key in", file, e);
        let text = plain.to_openssh().map_err(|e| fail(&std::io::Error::other(e.to_string())))?;
        let line = format!("{} {}\n", known_name(&self.host, self.port), text.trim());
        append_line(file, &line).map_err(|e| fail(&e))
    }
}

/// Adds a whole line, after a newline when the file's last line lacks one.
fn append_line(file: &Path, line: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        options.mode(0o600);
        if let Some(dir) = file.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
    }
    let mut handle = options.open(file)?;
    let torn = handle.seek(SeekFrom::End(0))? > 0 && {
        handle.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        handle.read_exact(&mut last)?;
        last != *b"\n"
    };
    let text = if torn { format!("\n{line}") } else { line.to_string() };
    handle.write_all(text.as_bytes())?;
    handle.sync_all()
}

fn collect(text: &str, file: &Path, host: &str, port: u16, known: &mut Vec<Known>) {
    let (name, bare) = (known_name(host, port), known_name(host, 22));
    for (index, line) in text.lines().enumerate() {
        // The parser of ssh-key splits at one space; files also have tabs, runs of them, and leading ones.
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Ok(entry) = line.parse::<Entry>() else {
            continue;
        };
        let exact = matches(entry.host_patterns(), &name);
        if exact || matches(entry.host_patterns(), &bare) {
            known.push(Known {
                file: file.to_path_buf(),
                line: index + 1,
                marker: entry.marker().copied(),
                key: entry.public_key().clone(),
                portless: !exact,
            });
        }
    }
}

/// OpenSSH since 8.8 makes no such signature any more.
fn is_sha1(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Rsa { hash: None })
}

/// RSA is one kind of key, whatever hash it signs with.
fn same_kind(a: &Algorithm, b: &Algorithm) -> bool {
    matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })) || a == b
}

/// The name that ssh-keyscan -t and sshd's key files use.
fn kind_name(algorithm: &Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ed25519 => "ed25519",
        Algorithm::Ecdsa { .. } => "ecdsa",
        _ => "rsa",
    }
}

fn shell_path(path: &Path) -> String {
    let text = path.to_string_lossy().into_owned();
    shlex::try_quote(&text).map(|q| q.into_owned()).unwrap_or(text)
}

fn file_error(action: &'static str, file: &Path, e: &std::io::Error) -> SshError {
    SshError::KnownHostsFile { action, file: file.to_path_buf(), reason: e.to_string() }
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
