//! What the hosts' shells make of words of the configuration. The only part of looking at a host that runs what a
//! configuration says, and therefore only done for commands that need it.

use crate::effect::Node;
use crate::fleet::{Fleet, HostState, Unreachable};
use crate::observe::Connections;
use futures::future::join_all;
use std::collections::BTreeSet;

/// Asks every reachable host, all at once, and adds the answers to its facts. A host that does not answer is unreachable.
pub async fn expand(connections: &Connections, sources: &BTreeSet<String>, fleet: &mut Fleet) {
    if sources.is_empty() {
        return;
    }
    let sources: Vec<String> = sources.iter().cloned().collect();
    let asked = connections.nodes.iter().map(|(name, node)| {
        let sources = &sources;
        async move { (name, ask(node, sources).await) }
    });
    for (name, answer) in join_all(asked).await {
        match (fleet.hosts.get_mut(name), answer) {
            (Some(HostState::Up(facts)), Ok(words)) => {
                let pairs = sources.iter().cloned().zip(words);
                facts.expansions = pairs.filter_map(|(source, words)| Some((source, words?))).collect();
            }
            (Some(state @ HostState::Up(_)), Err(message)) => {
                *state = HostState::Unreachable(Unreachable { message, hint: None });
            }
            _ => {}
        }
    }
}

async fn ask(node: &Node, sources: &[String]) -> Result<Vec<Option<Vec<String>>>, String> {
    node.host.expand(sources).await.map_err(|error| error.to_string())
}
