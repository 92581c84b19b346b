//! The project in the working directory: its configuration and its secrets.

use crate::cli::args::Global;
use crate::cli::{Failure, actor};
use crate::config::{self, Config, Credential, Problem, Problems, Secrets, filter};
use crate::effect::RegistryLogin;
use crate::name::{HostName, Repository};
use crate::plan::Scope;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A project whose configuration is valid.
pub(crate) struct Project {
    /// The working directory.
    pub(crate) root: PathBuf,
    /// The configuration.
    pub(crate) config: Config,
    /// Who is at work.
    pub(crate) actor: String,
}

pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        match problems.0.as_slice() {
            [one] => {
                let bare = Problem { hint: None, ..one.clone() };
                let failure = Failure::config(bare.to_string());
                one.hint.iter().fold(failure, |failure, hint| failure.hint(hint))
            }
            many => Failure::config(format!("{} problems in the configuration:\n{problems}", many.len())),
        }
    }
}

impl Project {
    /// Reads the configuration. Secrets are not touched.
    pub(crate) fn load(global: &Global) -> Result<Self, Failure> {
        let root = std::env::current_dir()
            .map_err(|error| Failure::config(format!("the working directory cannot be used: {error}")))?;
        let request = config::Request {
            root: &root,
            file: &global.config_file,
            destination: global.destination.as_deref(),
            env: &environment,
        };
        let config = config::load(&request)?;
        let actor = actor::actor(&root);
        Ok(Self { root, config, actor })
    }

    /// What `--hosts`, `--roles` and `--tag` leave.
    pub(crate) fn scope(&self, global: &Global) -> Result<Scope, Failure> {
        let selected = filter::select(&self.config, global.hosts.as_deref(), global.roles.as_deref())
            .and_then(|selected| filter::tagged(&self.config, selected, global.tag.as_deref()))
            .map_err(|error| Failure::usage(error.to_string()))?;
        let hosts = selected.iter().flat_map(|s| s.hosts.iter().cloned()).collect();
        Ok(Scope { hosts, roles: selected.into_iter().map(|s| s.role).collect() })
    }

    /// All hosts of the service, in name order.
    pub(crate) fn hosts(&self) -> Vec<HostName> {
        let hosts: std::collections::BTreeSet<_> =
            self.config.roles.iter().flat_map(|role| role.hosts.iter().map(|h| h.name.clone())).collect();
        hosts.into_iter().collect()
    }

    /// Reads the secrets files and checks that every named secret has a value.
    pub(crate) fn secrets(&self, names: &[&str]) -> Result<Values, Failure> {
        if names.is_empty() {
            return Ok(Values::default());
        }
        let variable = |name: &str| {
            let set = self.config.variables.get(name).map(|value| value.expose().clone());
            set.or_else(|| environment(name))
        };
        let secrets = Secrets::load(&self.config.secrets_files, &self.root, &variable)?;
        secrets.check(names.iter().copied())?;
        let values = secrets.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        let warnings = secrets.warnings.iter().map(ToString::to_string).collect();
        Ok(Values { values, warnings })
    }

    /// The names of the secrets that containers need; the registry's are not among them.
    pub(crate) fn container_secrets(&self) -> Vec<String> {
        let specs = self.config.roles.iter().map(|role| &role.spec);
        let envs = specs.flat_map(|spec| std::iter::once(&spec.env).chain(spec.env_tags.values()));
        let names: std::collections::BTreeSet<_> = envs.flat_map(|env| env.secret.values().cloned()).collect();
        names.into_iter().collect()
    }

    /// Variables of the containers whose values are secret.
    pub(crate) fn secret_variables(&self) -> std::collections::BTreeSet<String> {
        let specs = self.config.roles.iter().map(|role| &role.spec);
        let envs = specs.flat_map(|spec| std::iter::once(&spec.env).chain(spec.env_tags.values()));
        envs.flat_map(|env| env.secret.keys().cloned()).collect()
    }

    /// The registry's credentials, for an image of that registry only.
    pub(crate) fn login(&self, repository: &Repository, values: &Values) -> Option<RegistryLogin> {
        let registry = &self.config.registry;
        let same = registry.server.as_deref() == repository.registry();
        let (username, password) = (registry.username.as_ref()?, registry.password.as_ref()?);
        let (username, password) = (values.of(username)?, values.of(password)?);
        same.then(|| RegistryLogin { server: registry.server.clone(), username, password })
    }
}

/// Secret values by name.
#[derive(Default)]
pub(crate) struct Values {
    /// Name → value.
    pub(crate) values: BTreeMap<String, Secret<String>>,
    /// Lines of the files that could not be read.
    pub(crate) warnings: Vec<String>,
}

impl Values {
    fn of(&self, credential: &Credential) -> Option<Secret<String>> {
        match credential {
            Credential::Literal(value) => Some(value.clone()),
            Credential::Secret(name) => self.values.get(name).cloned(),
        }
    }

    /// The named ones.
    pub(crate) fn only(&self, names: &[&str]) -> BTreeMap<String, Secret<String>> {
        let named = |name: &&str| Some((name.to_string(), self.values.get(*name)?.clone()));
        names.iter().filter_map(named).collect()
    }
}
