//! Logging in with keys: those of the configuration, then the agent's, then the default identities.
//!
//! sshd ends the connection after MaxAuthTries (6) refused keys, so no key is offered twice and the likeliest go first.

use super::agent::{self, Agent};
use super::error::SshError;
use super::key_file::{KeyFile, Loaded};
use super::settings::{Endpoint, Settings};
use super::watcher::{Fate, Watcher};
use russh::MethodKind;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg};
use std::time::Duration;

/// For one key from a file: two round trips.
const KEY_DEADLINE: Duration = Duration::from_secs(15);
/// For one key of the agent: it may ask its user to confirm.
const AGENT_DEADLINE: Duration = Duration::from_secs(60);

/// How one attempt ended.
enum Outcome {
    Accepted,
    /// Try the next key.
    Refused(String),
    /// No further attempt can succeed; the hint says why.
    Over(String, String),
}

/// Logs in, or says what was tried.
pub(super) async fn login(
    handle: &mut Handle<Watcher>,
    endpoint: &Endpoint,
    settings: &Settings,
    fate: &Fate,
) -> Result<(), SshError> {
    let mut attempt = Attempt { handle, endpoint, fate, tried: Vec::new(), offered: Vec::new(), hint: None };
    let mut about_agent = Vec::new();
    let (mut agent, mut identities) = agent::open(settings.agent.as_deref(), attempt.handle, &mut about_agent).await;
    if attempt.key_files(&settings.keys, true, &mut agent, &identities).await? {
        return Ok(());
    }
    if settings.keys_only {
        return Err(attempt.failure());
    }
    attempt.tried.append(&mut about_agent);
    identities.retain(|i| !attempt.was_offered(i));
    if let Some(agent) = agent.as_mut()
        && attempt.agent_keys(agent, &identities).await?
    {
        return Ok(());
    }
    if settings.keys.is_empty()
        && attempt.key_files(&settings.default_identities, false, &mut agent, &identities).await?
    {
        return Ok(());
    }
    Err(attempt.failure())
}

/// The state of one login.
struct Attempt<'a> {
    handle: &'a mut Handle<Watcher>,
    endpoint: &'a Endpoint,
    fate: &'a Fate,
    tried: Vec<String>,
    offered: Vec<String>,
    hint: Option<String>,
}

impl Attempt<'_> {
    /// Offers key files; true once one is accepted.
    async fn key_files(
        &mut self,
        files: &[std::path::PathBuf],
        named: bool,
        agent: &mut Option<Agent>,
        identities: &[AgentIdentity],
    ) -> Result<bool, SshError> {
        for path in files {
            let file = KeyFile::load(path).await;
            let outcome = match file.loaded {
                Loaded::Missing if !named => continue,
                Loaded::Missing => Outcome::Refused("no such file".to_string()),
                Loaded::Unreadable(reason) => Outcome::Refused(reason),
                Loaded::Key(_) | Loaded::Encrypted(Some(_)) if !self.offer(&file.fingerprint()) => continue,
                Loaded::Key(key) => {
                    let hash = self.rsa_hash(&key.algorithm()).await;
                    let user = self.endpoint.user.clone();
                    let call = self.handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(key, hash));
                    match tokio::time::timeout(KEY_DEADLINE, call).await {
                        Ok(Ok(result)) => self.judge(result),
                        Ok(Err(e)) => self.over(&e.to_string()),
                        Err(_) => self.over("no answer within 15 s"),
                    }
                }
                Loaded::Encrypted(public) => {
                    let fingerprint = public.map(|k| k.fingerprint(HashAlg::Sha256).to_string());
                    let held = identities.iter().find(|i| Some(agent::fingerprint(i)) == fingerprint);
                    match (agent.as_mut(), held) {
                        (Some(agent), Some(identity)) => self.sign_with_agent(agent, identity).await,
                        _ => Outcome::Refused(format!(
                            "protected by a passphrase and not in the agent: run ssh-add {}",
                            path.display()
                        )),
                    }
                }
            };
            if self.note(path.display().to_string(), outcome)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Offers the agent's keys; true once one is accepted.
    async fn agent_keys(&mut self, agent: &mut Agent, identities: &[AgentIdentity]) -> Result<bool, SshError> {
        for identity in identities {
            if !self.offer(&agent::offer_name(identity)) {
                continue;
            }
            let outcome = self.sign_with_agent(agent, identity).await;
            if self.note(format!("agent key {}", agent::describe(identity)), outcome)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn sign_with_agent(&mut self, agent: &mut Agent, identity: &AgentIdentity) -> Outcome {
        let hash = self.rsa_hash(&identity.public_key().algorithm()).await;
        let user = self.endpoint.user.clone();
        let call = async {
            match identity {
                AgentIdentity::PublicKey { key, .. } => {
                    self.handle.authenticate_publickey_with(user, key.clone(), hash, agent).await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    self.handle.authenticate_certificate_with(user, certificate.clone(), hash, agent).await
                }
            }
        };
        match tokio::time::timeout(AGENT_DEADLINE, call).await {
            Ok(Ok(result)) => self.judge(result),
            Ok(Err(russh::AgentAuthError::Key(e))) => Outcome::Refused(format!("the agent did not sign: {e}")),
            Ok(Err(russh::AgentAuthError::Send(_))) => self.over("connection closed"),
            Err(_) => self.over("the agent did not answer within 60 s"),
        }
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
        let names = left.iter().map(<&str>::from).collect::<Vec<_>>().join(", ");
        if partial {
            let hint = format!("the host wants a second factor ({names}); windlass logs in with keys only");
            return Outcome::Over("accepted, but not enough".to_string(), hint);
        }
        if !left.contains(&MethodKind::PublicKey) {
            let hint = format!("the host takes no keys for this user, only: {names}; see sshd_config there");
            return Outcome::Over("refused".to_string(), hint);
        }
        Outcome::Refused("refused".to_string())
    }

    fn over(&self, what: &str) -> Outcome {
        let said = self.fate.reason().unwrap_or_else(|| "connection closed".to_string());
        let hint = format!(
            "sshd ended the login ({said}). It counts refused keys (MaxAuthTries, usually 6): \
             name the right one in ssh.keys and set ssh.keys_only: true"
        );
        Outcome::Over(what.to_string(), hint)
    }

    /// False when this key was offered before.
    fn offer(&mut self, name: &str) -> bool {
        let new = !self.offered.iter().any(|o| o == name);
        if new {
            self.offered.push(name.to_string());
        }
        new
    }

    fn was_offered(&self, identity: &AgentIdentity) -> bool {
        self.offered.contains(&agent::offer_name(identity))
    }

    fn note(&mut self, what: String, outcome: Outcome) -> Result<bool, SshError> {
        match outcome {
            Outcome::Accepted => Ok(true),
            Outcome::Refused(why) => {
                self.tried.push(format!("{what}: {why}"));
                Ok(false)
            }
            Outcome::Over(why, hint) => {
                self.tried.push(format!("{what}: {why}"));
                self.hint = Some(hint);
                Err(self.failure())
            }
        }
    }

    fn failure(&mut self) -> SshError {
        let Endpoint { host, port, user } = self.endpoint;
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
}
