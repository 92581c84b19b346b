//! Where a lease lives: on a session of the connection that it is for, or, where sshd has too few sessions (MaxSessions),
//! on a connection of its own.
//!
//! A lease takes a session for as long as it is held, and commands need one as well. What makes the lease safe is that
//! silence ends the connection over which changes are made. A lease beside that connection is told the process of its
//! sshd and ends both.

use super::connect::Connection;
use super::error::SshError;
use bytes::Bytes;
use russh::Channel;
use russh::client::Msg;
use std::sync::Arc;

/// A session for a lease.
pub(super) struct Place {
    pub(super) channel: Channel<Msg>,
    /// The connection it is on.
    pub(super) owner: Arc<Connection>,
    /// The sshd of the connection that the lease is for, where that is another one.
    pub(super) fenced: Option<u32>,
}

/// Asks for one session more than the lease needs, in the same round trip: commands must not be left without any.
pub(super) async fn find(connection: &Arc<Connection>) -> Result<Place, SshError> {
    let (first, second) = tokio::join!(connection.session(), connection.session());
    match (first, second) {
        (Ok(channel), Ok(spare)) => {
            give_back(spare).await;
            Ok(Place { channel, owner: connection.clone(), fenced: None })
        }
        (Err(e @ SshError::ConnectionLost(_)), _) | (_, Err(e @ SshError::ConnectionLost(_))) => Err(e),
        (first, second) => {
            for channel in [first, second].into_iter().flatten() {
                give_back(channel).await;
            }
            beside(connection).await
        }
    }
}

async fn beside(connection: &Arc<Connection>) -> Result<Place, SshError> {
    connection.narrow();
    let fenced = sshd_process(connection).await?;
    let few = |e: SshError| SshError::ChannelRefused {
        what: "a session for the lease".to_string(),
        reason: format!("it allows too few a connection (MaxSessions), and a further connection cannot be had: {e}"),
    };
    let owner = connection.another().await.map_err(few)?;
    let channel = owner.session().await.map_err(few)?;
    Ok(Place { channel, owner, fenced: Some(fenced) })
}

/// The process whose end is the end of the connection.
async fn sshd_process(connection: &Arc<Connection>) -> Result<u32, SshError> {
    let what = "ask for the connection's process";
    let output = connection.script(what, "echo \"@sshd $PPID\"", &[], Bytes::new()).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let process = text.lines().find_map(|line| line.strip_prefix("@sshd ")?.trim().parse().ok());
    process.ok_or_else(|| SshError::BadAnswer { what: what.to_string(), reason: "no process".to_string() })
}

async fn give_back(channel: Channel<Msg>) {
    // A dropped channel stays open on the host.
    let _ = channel.close().await;
}
