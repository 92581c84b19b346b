//! Logging in with keys: those that are named, then the agent's, then the default identities.
//!
//! sshd ends the connection after MaxAuthTries (6) refused keys, so no key is offered twice and the likeliest go first.

use super::agent::{self, Agent};
use super::error::SshError;
use super::key_file::{self, KeyFile, Loaded};
use super::offer::{Attempt, Offer};
use super::passphrase::Unlocker;
use super::settings::{Endpoint, Settings};
use super::signer::Signer;
use super::watcher::{Fate, Watcher};
use russh::client::Handle;
use russh::keys::Certificate;
use russh::keys::agent::AgentIdentity;
use std::path::PathBuf;

/// Logs in, or says what was tried.
pub(super) async fn login(
    handle: &mut Handle<Watcher>,
    endpoint: &Endpoint,
    settings: &Settings,
    unlocker: &Unlocker,
    fate: &Fate,
) -> Result<(), SshError> {
    let mut about_agent = Vec::new();
    let (agent, identities) = agent::open(settings.agent.as_deref(), handle, &mut about_agent).await;
    let mut login =
        Login { attempt: Attempt::new(handle, endpoint, fate), unlocker, agent, identities, certificates: Vec::new() };
    login.read_certificates(&settings.certificates);
    if login.key_data(settings).await? || login.key_files(&settings.keys, true).await? {
        return Ok(());
    }
    let named = !settings.keys.is_empty() || !settings.key_data.is_empty();
    if !settings.keys_only {
        login.attempt.tried.append(&mut about_agent);
        if login.agent_keys().await? {
            return Ok(());
        }
    }
    if !named && login.key_files(&settings.default_identities, false).await? {
        return Ok(());
    }
    Err(login.attempt.failure().await)
}

/// The state of one login.
struct Login<'a> {
    attempt: Attempt<'a>,
    unlocker: &'a Unlocker,
    agent: Option<Agent>,
    identities: Vec<AgentIdentity>,
    /// Of CertificateFile, with where each is from.
    certificates: Vec<(String, Certificate)>,
}

impl Login<'_> {
    fn read_certificates(&mut self, files: &[PathBuf]) {
        for file in files {
            let name = file.display().to_string();
            match key_file::certificate(file) {
                Ok(certificate) => self.certificates.push((name, certificate)),
                Err(reason) => self.attempt.tried.push(format!("{name}: {reason}")),
            }
        }
    }

    async fn key_data(&mut self, settings: &Settings) -> Result<bool, SshError> {
        for key in &settings.key_data {
            if self.key(&key.name, Loaded::from_text(&key.text), None, true).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn key_files(&mut self, files: &[PathBuf], named: bool) -> Result<bool, SshError> {
        for path in files {
            let file = KeyFile::load(path).await;
            if self.key(&path.display().to_string(), file.loaded, file.certificate, named).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Offers the key's certificates and then the key itself; true once one is accepted.
    async fn key(
        &mut self,
        name: &str,
        loaded: Loaded,
        beside: Option<Certificate>,
        named: bool,
    ) -> Result<bool, SshError> {
        match &loaded {
            Loaded::Missing if !named => return Ok(false),
            Loaded::Missing => return self.attempt.refused(name, "no such file"),
            Loaded::Unreadable(reason) => return self.attempt.refused(name, reason),
            _ => {}
        }
        let public = match loaded.public() {
            Some(public) => public,
            // An old format without a `.pub` beside: its owner has to unlock it before it can even be offered.
            None => match &loaded {
                Loaded::Locked(_, text) => match self.unlocker.unlock(name, text).await {
                    Ok(key) => key.public_key().clone(),
                    Err(reason) => return self.attempt.refused(name, &locked(&reason, name)),
                },
                _ => return Ok(false),
            },
        };
        let mine = |c: &Certificate| c.public_key() == public.key_data();
        let named_ones = self.certificates.iter().filter(|(_, c)| mine(c)).cloned();
        let beside = beside.filter(mine).map(|c| (format!("{name}-cert.pub"), c));
        let mut offers: Vec<_> = named_ones.chain(beside).map(|(n, c)| Offer::certificate(n, c)).collect();
        offers.push(Offer::key(name.to_string(), public.clone()));
        let held = self.identities.iter().find(|i| i.public_key().key_data() == public.key_data()).cloned();
        for offer in offers {
            let signer = match (&loaded, held.clone(), self.agent.as_mut()) {
                (Loaded::Key(key), _, _) => Signer::Key(key.clone()),
                (_, Some(identity), Some(agent)) => Signer::Agent(agent, plain(identity)),
                (Loaded::Locked(_, text), _, _) if self.unlocker.can_ask() => {
                    Signer::Locked(self.unlocker, name.to_string(), text.clone())
                }
                (Loaded::Locked(..), _, _) => {
                    return self.attempt.refused(name, &locked("there is no terminal to ask for it on", name));
                }
                _ => return self.attempt.refused(name, "only its public half is here, and the agent does not hold it"),
            };
            if self.attempt.offer(offer, signer).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Offers the agent's keys; true once one is accepted.
    async fn agent_keys(&mut self) -> Result<bool, SshError> {
        let Some(agent) = self.agent.as_mut() else { return Ok(false) };
        for identity in &self.identities {
            let held = identity.public_key();
            let named = self.certificates.iter().filter(|(_, c)| c.public_key() == held.key_data()).cloned();
            for (name, certificate) in named {
                let signer = Signer::Agent(agent, plain(identity.clone()));
                if self.attempt.offer(Offer::certificate(name, certificate), signer).await? {
                    return Ok(true);
                }
            }
            let name = format!("agent key {}", agent::describe(identity));
            let offer = match identity {
                AgentIdentity::PublicKey { key, .. } => Offer::key(name, key.clone()),
                AgentIdentity::Certificate { certificate, .. } => Offer::certificate(name, certificate.clone()),
            };
            if self.attempt.offer(offer, Signer::Agent(agent, Box::new(identity.clone()))).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The key alone: the agent may not hold the certificate that is offered.
fn plain(identity: AgentIdentity) -> Box<AgentIdentity> {
    let comment = identity.comment().to_string();
    Box::new(AgentIdentity::PublicKey { key: identity.public_key().into_owned(), comment })
}

fn locked(reason: &str, name: &str) -> String {
    format!("protected by a passphrase and not in the agent; {reason}: run ssh-add {name}")
}
