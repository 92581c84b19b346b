//! The SSH agent: its keys, and signing with them.

use super::watcher::Watcher;
use russh::client::Handle;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Error, HashAlg};
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// A connection to the agent.
pub(super) type Agent = AgentClient<UnixStream>;

/// Listing keys needs no confirmation; an agent that takes longer hangs.
const LIST_DEADLINE: Duration = Duration::from_secs(5);

/// Connects to the agent and lists its keys; what goes wrong is noted and leaves no keys.
pub(super) async fn open(
    socket: Option<&Path>,
    handle: &Handle<Watcher>,
    tried: &mut Vec<String>,
) -> (Option<Agent>, Vec<AgentIdentity>) {
    let Some(socket) = socket else {
        tried.push("agent: none (SSH_AUTH_SOCK is not set)".to_string());
        return (None, Vec::new());
    };
    let work = async {
        let mut agent = Agent::connect_uds(socket).await?;
        if let Some(binding) = handle.agent_session_binding() {
            // Old agents do not know it; keys restricted to certain hosts then stay hidden.
            let _ = agent.bind_session(binding, false).await;
        }
        let identities = agent.request_identities().await?;
        Ok::<_, Error>((agent, identities))
    };
    match tokio::time::timeout(LIST_DEADLINE, work).await {
        Ok(Ok((agent, identities))) => {
            if identities.is_empty() {
                tried.push("agent: it holds no keys".to_string());
            }
            (Some(agent), identities)
        }
        Ok(Err(e)) => {
            tried.push(format!("agent at {}: {e}", socket.display()));
            (None, Vec::new())
        }
        Err(_) => {
            tried.push(format!("agent at {}: no answer within 5 s", socket.display()));
            (None, Vec::new())
        }
    }
}

/// SHA256 fingerprint of the key.
fn fingerprint(identity: &AgentIdentity) -> String {
    identity.public_key().fingerprint(HashAlg::Sha256).to_string()
}

/// For people.
pub(super) fn describe(identity: &AgentIdentity) -> String {
    let certificate = if matches!(identity, AgentIdentity::Certificate { .. }) { " certificate" } else { "" };
    format!("{}{certificate} ({})", fingerprint(identity), identity.comment())
}
