//! The container that a command gets of its own: made, and gone again whatever happens.

use super::exec::Asked;
use crate::cli::process::Place;
use crate::cli::retained;
use crate::cli::session::Session;
use crate::config::Config;
use crate::effect::Node;
use crate::fleet::Fleet;
use crate::history::History;
use crate::mask::Masker;
use crate::name::ContainerId;
use crate::plan::{self, IDENTITY, OneOff, OneOffRequest};
use crate::secret::Secret;
use std::collections::BTreeMap;

/// A container that was created for a command.
pub(super) struct Made {
    node: Node,
    pub(super) id: ContainerId,
    pub(super) name: String,
}

impl Made {
    /// Removes one that never ran. The engine does that with one that ended.
    pub(super) async fn discard(&mut self) {
        // A start that failed may have removed it.
        let _ = self.node.engine.remove(&self.id).await;
    }

    /// Asks it to end, and kills it after its own time; the engine then removes it.
    pub(super) async fn stop(&mut self) {
        if let Err(error) = self.node.engine.stop(&self.id, None).await {
            tracing::debug!(container = %self.name, %error, "the container of the command was gone already");
        }
    }
}

/// Decides what the command runs in.
pub(super) fn plan(
    config: &Config,
    history: &History,
    fleet: &Fleet,
    place: &Place,
    asked: &Asked,
) -> Result<OneOff, String> {
    let facts = fleet.facts(&place.host).ok_or("it did not answer")?;
    let role = place.role.as_ref().ok_or("no role")?;
    let suffix: [u8; 3] = rand::random();
    let request = OneOffRequest {
        words: asked.words.clone(),
        input: asked.input,
        terminal: asked.terminal,
        suffix: hex::encode(suffix),
    };
    plan::one_off(config, history, (&place.host, facts), role, &request).map_err(|refusal| {
        let hints: String = refusal.hints.iter().map(|hint| format!(" ({hint})")).collect();
        format!("{}{hints}", refusal.message)
    })
}

/// Creates it with the environment of the container that it is like. Values go along in the creation and nowhere else.
pub(super) async fn create(
    session: &Session,
    node: &Node,
    one_off: OneOff,
    over: &BTreeMap<String, Secret<String>>,
) -> Result<(Made, Masker), String> {
    let OneOff { like, mut container, .. } = one_off;
    let failed = |error: crate::effect::EngineError| error.to_string();
    let original = node.engine.inspect(&like).await.map_err(failed)?;
    let secrets = retained::of_container(node, &original, &session.project.secret_variables()).await.map_err(failed)?;
    let mut environment = node.engine.environment(&like).await.map_err(failed)?;
    environment.retain(|name, _| !IDENTITY.contains(&name.as_str()));
    environment.extend(over.iter().map(|(name, value)| (name.clone(), value.clone())));
    container.env = environment;
    let id = node.engine.create(&container).await.map_err(failed)?;
    Ok((Made { node: node.clone(), id, name: container.name }, Masker::new(&secrets)))
}
