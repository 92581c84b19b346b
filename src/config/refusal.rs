//! Which keys stop a verb because they are not acted on yet.

use super::types::{Config, NotActedOn, VerbKind};

impl Config {
    /// The keys because of which a verb must refuse before it touches anything. A verb that connects to hosts is also
    /// stopped by keys about connecting; every [`VerbKind`] does.
    pub fn refusals(&self, verb: VerbKind) -> Vec<&NotActedOn> {
        let stops = |key: &&NotActedOn| key.verbs.contains(&verb) || key.verbs.contains(&VerbKind::Connect);
        self.not_acted_on.iter().filter(stops).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{VerbKind, testing};

    #[test]
    fn a_verb_is_stopped_by_its_own_keys_and_by_those_about_connecting() {
        let config = testing::config("servers: [h]\nasset_path: /a\naliases: {a: b}\nssh: {proxy: j}\n");
        let keys = |verb| config.refusals(verb).iter().map(|n| n.key.as_str()).collect::<Vec<_>>();
        assert_eq!(keys(VerbKind::Connect), ["ssh/proxy"]);
        assert_eq!(keys(VerbKind::Prune), ["ssh/proxy"]);
        assert_eq!(keys(VerbKind::Deploy), ["ssh/proxy", "asset_path"]);
    }
}
