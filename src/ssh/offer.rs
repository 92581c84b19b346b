//! Offering one key after the other, and what sshd makes of it.

use super::error::SshError;
use super::settings::Endpoint;
use super::signer::{SignError, Signer};
use super::watcher::{Fate, Watcher};
use russh::client::{AuthResult, Handle};
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use std::time::Duration;

/// For one key: two round trips.
const KEY_DEADLINE: Duration = Duration::from_secs(15);
/// For a key whose use somebody may have to confirm or unlock. sshd waits for two minutes (LoginGraceTime).
const PERSON_DEADLINE: Duration = Duration::from_secs(100);

/// What is offered, with a name for people.
pub(super) struct Offer {
    name: String,
    what: Offered,
}

enum Offered {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

impl Offer {
    pub(super) fn key(name: String, key: PublicKey) -> Self {
        Self { name, what: Offered::Key(key) }
    }

    pub(super) fn certificate(name: String, certificate: Certificate) -> Self {
        Self { name, what: Offered::Certificate(Box::new(certificate)) }
    }

    fn algorithm(&self) -> Algorithm {
        match &self.what {
            Offered::Key(key) => key.algorithm(),
            Offered::Certificate(certificate) => certificate.public_key().algorithm(),
        }
    }

    /// Distinct for a key and for each certificate of it: sshd judges them apart.
    fn identity(&self) -> String {
        match &self.what {
            Offered::Key(key) => key.fingerprint(HashAlg::Sha256).to_string(),
            Offered::Certificate(c) => {
                format!("{} {} {}", c.public_key().fingerprint(HashAlg::Sha256), c.serial(), c.key_id())
            }
        }
    }
}

/// How one offer ended.
enum Outcome {
    Accepted,
    /// Try the next key.
    Refused(String),
    /// No further attempt can succeed; the hint says why.
    Over(String, String),
}

/// All offers of one login.
pub(super) struct Attempt<'a> {
    handle: &'a mut Handle<Watcher>,
    endpoint: &'a Endpoint,
    fate: &'a Fate,
    pub(super) tried: Vec<String>,
    offered: Vec<String>,
    hint: Option<String>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(handle: &'a mut Handle<Watcher>, endpoint: &'a Endpoint, fate: &'a Fate) -> Self {
        Self { handle, endpoint, fate, tried: Vec::new(), offered: Vec::new(), hint: None }
    }

    /// Notes a key that cannot be offered.
    pub(super) fn refused(&mut self, name: &str, why: &str) -> Result<bool, SshError> {
        self.tried.push(format!("{name}: {why}"));
        Ok(false)
    }

    /// Offers it, unless the same was offered before; true once accepted.
    pub(super) async fn offer(&mut self, offer: Offer, mut signer: Signer<'_>) -> Result<bool, SshError> {
        let identity = offer.identity();
        if self.offered.contains(&identity) {
            return Ok(false);
        }
        self.offered.push(identity);
        let hash = self.rsa_hash(&offer.algorithm()).await;
        let deadline = if matches!(signer, Signer::Key(_)) { KEY_DEADLINE } else { PERSON_DEADLINE };
        let user = self.endpoint.user.clone();
        let call = async {
            match offer.what {
                Offered::Key(key) => self.handle.authenticate_publickey_with(user, key, hash, &mut signer).await,
                Offered::Certificate(c) => self.handle.authenticate_certificate_with(user, *c, hash, &mut signer).await,
            }
        };
        let outcome = match tokio::time::timeout(deadline, call).await {
            Ok(Ok(result)) => self.judge(result),
            Ok(Err(SignError::Refused(why))) => Outcome::Refused(why),
            Ok(Err(SignError::Gone)) => self.over("connection closed"),
            Err(_) => self.over(&format!("no answer within {} s", deadline.as_secs())),
        };
        self.note(offer.name, outcome).await
    }

    /// SHA-1 signatures are refused by every sshd of today; other algorithms have no choice of hash.
    async fn rsa_hash(&mut self, algorithm: &Algorithm) -> Option<HashAlg> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return None;
        }
        match self.handle.best_supported_rsa_hash().await {
            Ok(Some(best)) => best,
            // The server did not say; every one since OpenSSH 7.2 knows this one.
            Ok(None) | Err(_) => Some(HashAlg::Sha256),
        }
    }

    fn judge(&self, result: AuthResult) -> Outcome {
        let (left, partial) = match result {
            AuthResult::Success => return Outcome::Accepted,
            AuthResult::Failure { remaining_methods, partial_success } => (remaining_methods, partial_success),
        };
        if self.handle.is_closed() || left.is_empty() {
            return self.over("refused, and sshd ended the connection");
        }
        if partial {
            let hint = format!("the host wants a second factor ({}); windlass logs in with keys only", names(&left));
            return Outcome::Over("accepted, but not enough".to_string(), hint);
        }
        match no_keys(&left) {
            Some(hint) => Outcome::Over("refused".to_string(), hint),
            None => Outcome::Refused("refused".to_string()),
        }
    }

    fn over(&self, what: &str) -> Outcome {
        let said = self.fate.reason().unwrap_or_else(|| "connection closed".to_string());
        let hint = format!(
            "sshd ended the login ({said}). It counts refused keys (MaxAuthTries, usually 6): \
             name the right one in ssh.keys and set ssh.keys_only: true"
        );
        Outcome::Over(what.to_string(), hint)
    }

    async fn note(&mut self, what: String, outcome: Outcome) -> Result<bool, SshError> {
        match outcome {
            Outcome::Accepted => Ok(true),
            Outcome::Refused(why) => self.refused(&what, &why),
            Outcome::Over(why, hint) => {
                self.tried.push(format!("{what}: {why}"));
                self.hint = Some(hint);
                Err(self.failure().await)
            }
        }
    }

    /// The error with everything that was tried.
    pub(super) async fn failure(&mut self) -> SshError {
        let Endpoint { host, port, user } = self.endpoint;
        if self.offered.is_empty() && self.hint.is_none() {
            self.hint = self.ask_what_it_takes().await;
        }
        SshError::AuthFailed {
            user: user.clone(),
            tried: std::mem::take(&mut self.tried),
            hint: self.hint.take().unwrap_or_else(|| {
                format!(
                    "install a public key with: ssh-copy-id -p {port} {user}@{host}; or name a private key in ssh.keys"
                )
            }),
        }
    }

    /// Without an offer sshd has not said yet whether it takes keys at all.
    async fn ask_what_it_takes(&mut self) -> Option<String> {
        let call = self.handle.authenticate_none(self.endpoint.user.clone());
        match tokio::time::timeout(KEY_DEADLINE, call).await {
            Ok(Ok(AuthResult::Failure { remaining_methods, .. })) => no_keys(&remaining_methods),
            _ => None,
        }
    }
}

/// What to say where keys are of no use.
fn no_keys(methods: &MethodSet) -> Option<String> {
    let useless = !methods.is_empty() && !methods.contains(&MethodKind::PublicKey);
    useless.then(|| {
        format!(
            "the host takes no keys for this user, only: {}. windlass logs in with keys or certificates, never with a \
             password: set PubkeyAuthentication yes in sshd_config there",
            names(methods)
        )
    })
}

fn names(methods: &MethodSet) -> String {
    methods.iter().map(<&str>::from).collect::<Vec<_>>().join(", ")
}
