//! What a run brings along for the hosts' proxies: certificates from the secrets, pages from the project's directory.

use crate::certificate;
use crate::cli::Failure;
use crate::cli::pages::{self, Pages};
use crate::cli::project::Values;
use crate::config::Config;
use crate::name::RoleName;
use crate::plan::WantedEdge;
use crate::secret::Secret;
use crate::spec::{EdgeFile, Tls};
use std::collections::BTreeMap;

/// What each role's proxy is to have, and the contents.
#[derive(Default)]
pub(crate) struct Front {
    /// By role.
    pub(crate) roles: BTreeMap<RoleName, WantedEdge>,
    /// By digest.
    pub(crate) files: BTreeMap<EdgeFile, Secret<String>>,
    /// What is worth saying about them.
    pub(crate) notes: Vec<String>,
}

impl Front {
    /// For a deploy: the certificates and the error pages of all roles with a proxy.
    pub(crate) fn of_deploy(config: &Config, values: &Values) -> Result<Self, Failure> {
        let mut front = Self::certificates(config, values)?;
        let pages = match &config.error_pages {
            Some(dir) if config.roles.iter().any(|r| r.spec.route.is_some()) => pages::read(dir)?,
            _ => Pages::default(),
        };
        for role in config.roles.iter().filter(|r| r.spec.route.is_some()) {
            let wanted = front.roles.entry(role.name.clone()).or_default();
            wanted.pages = Some(pages.shown());
        }
        front.files.extend(pages.contents());
        front.notes.extend(pages.notes);
        Ok(front)
    }

    /// The certificates only; pages stay as they are.
    pub(crate) fn certificates(config: &Config, values: &Values) -> Result<Self, Failure> {
        let mut front = Self::default();
        for role in &config.roles {
            let Some(tls) = role.spec.route.as_ref().and_then(|route| route.tls.as_ref()) else { continue };
            let pair = pair(&role.name, tls, values)?;
            front.files.insert(EdgeFile::certificate(&pair.certificate.sha256), pair.pem);
            let wanted = WantedEdge { certificate: Some(pair.certificate), notes: pair.notes, ..WantedEdge::default() };
            front.roles.insert(role.name.clone(), wanted);
        }
        Ok(front)
    }
}

fn pair(role: &RoleName, tls: &Tls, values: &Values) -> Result<certificate::Pair, Failure> {
    let named = |name: &str| {
        let missing = || Failure::config(format!("secret `{name}` has no value")).hint("add it to the secrets file");
        values.values.get(name).ok_or_else(missing)
    };
    let (certificate, key) = (named(&tls.certificate_pem)?, named(&tls.private_key_pem)?);
    certificate::read((&tls.certificate_pem, certificate), (&tls.private_key_pem, key))
        .map_err(|e| Failure::config(format!("proxy/ssl of role {role}: {}", e.message)).hint(e.hint))
}
