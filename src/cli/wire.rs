//! Adapters to traits: the one place that decides that hosts, engines, proxies and time are real.

use crate::cli::project::environment;
use crate::cli::session::Session;
use crate::cli::{Failure, passphrase};
use crate::effect::{Clock, Connector};
use crate::fleet::Holder;
use crate::real::{Operator, RealConnector, SystemClock};
use std::path::PathBuf;
use std::sync::Arc;

/// This machine's clock.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

/// Connects to the hosts of the session's configuration.
pub(crate) fn connector(session: &Session) -> Result<Arc<dyn Connector>, Failure> {
    let home = environment("HOME")
        .filter(|home| !home.is_empty())
        .ok_or_else(|| Failure::config("HOME is not set, and without it there is no ~/.ssh to find keys in"))?;
    let agent = environment("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).map(PathBuf::from);
    let holder = Holder {
        actor: session.project.actor.clone(),
        run: session.run.clone(),
        what: "a change of the proxy".to_string(),
        since: session.at,
    };
    let config = &session.project.config;
    let operator = Operator {
        home: PathBuf::from(home),
        login: whoami::username().unwrap_or_else(|_| "unknown".to_string()),
        agent,
        secrets: session.secrets.only(&config.key_secrets()),
    };
    Ok(Arc::new(RealConnector::new(
        config,
        operator,
        passphrase::person(&session.cancel),
        session.clock.clone(),
        holder,
    )))
}
