//! Who signs a login: the agent, a key that was read, or one that a person unlocks once sshd has accepted it.

use super::agent::Agent;
use super::key_file::KeyText;
use super::passphrase::Unlocker;
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::{self, Signature};
use russh::keys::{HashAlg, PrivateKey};
use russh::{AgentAuthError, SendError};
use std::sync::Arc;

/// Signs one login.
pub(super) enum Signer<'a> {
    /// With this identity of the agent, whatever certificate it is for.
    Agent(&'a mut Agent, Box<AgentIdentity>),
    Key(Arc<PrivateKey>),
    Locked(&'a Unlocker, String, KeyText),
}

/// Why a login was not signed.
pub(super) enum SignError {
    /// The connection is gone.
    Gone,
    /// The reason.
    Refused(String),
}

impl From<SendError> for SignError {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl russh::Signer for Signer<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let key = match self {
            Self::Agent(agent, identity) => {
                return russh::Signer::auth_sign(*agent, identity, hash, to_sign).await.map_err(|e| match e {
                    AgentAuthError::Send(_) => SignError::Gone,
                    AgentAuthError::Key(e) => SignError::Refused(format!("the agent did not sign: {e}")),
                });
            }
            Self::Key(key) => key.clone(),
            Self::Locked(unlocker, name, text) => unlocker.unlock(name, text).await.map_err(SignError::Refused)?,
        };
        sign(&key, hash, to_sign).map_err(|e| SignError::Refused(format!("it cannot sign: {e}")))
    }
}

/// The signed text with the signature after it, as one string of the protocol.
fn sign(key: &PrivateKey, hash: Option<HashAlg>, mut text: Vec<u8>) -> ssh_key::Result<Vec<u8>> {
    let failed = |_| ssh_key::Error::Crypto;
    let signature: Signature = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(&text).map_err(failed)?,
        pair => pair.try_sign(&text).map_err(failed)?,
    };
    let mut encoded = Vec::new();
    signature.encode(&mut encoded)?;
    encoded.encode(&mut text)?;
    Ok(text)
}
