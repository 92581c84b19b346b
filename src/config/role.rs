//! One role: the root's settings with its own on top.

use super::expansion::{self, Quoting};
use super::flags::{self, Flags};
use super::node::{Node, Value};
use super::overlay;
use super::proxy::{self, Ssl};
use super::proxy_run;
use super::reader::{Field, Findings, Section};
use super::servers::WrittenRole;
use super::types::ProxyRun;
use super::{asset_path, env, labels, settings, volumes};
use crate::spec::{Env, RestartPolicy, RoleSpec, Route};
use std::collections::BTreeMap;

/// What all roles share.
#[derive(Debug)]
pub(super) struct Shared {
    env: Env,
    tags: BTreeMap<String, Env>,
    volumes: Vec<String>,
    asset_path: Option<String>,
    stop_timeout: Option<u32>,
    readiness_delay: u32,
}

impl Shared {
    /// Reads the root's part.
    pub(super) fn read(root: &Section, found: &mut Findings) -> Self {
        let (env, tags) = root.get("env").map(|f| env::root(&f, found)).unwrap_or_default();
        let listed = root.get("volumes").map(|f| f.list(found)).unwrap_or_default();
        // Checked once here, so that a root proxy is checked even if no role uses it.
        if let Some(section) = root.get("proxy").and_then(|f| f.section(found)) {
            let mut alone = Findings::default();
            proxy::resolve(&section, &mut alone);
            found.problems.append(&mut alone.problems);
        }
        Self {
            env,
            tags,
            volumes: listed.iter().flat_map(|f| volumes::resolve(f, found)).collect(),
            asset_path: root.get("asset_path").and_then(|f| asset_path::resolve(&f, found)),
            stop_timeout: root.get("stop_timeout").and_then(|f| f.seconds(0, found)),
            readiness_delay: settings::seconds(root, "readiness_delay", 0, 7, found),
        }
    }
}

/// A role's specification, and what the rules across roles need to know.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) spec: RoleSpec,
    pub(super) ssl: Ssl,
    /// The role's `proxy.run` with its tree, for proxied roles that have one.
    pub(super) run: Option<(Node, ProxyRun)>,
}

/// Resolves one role.
pub(super) fn resolve(
    role: &WrittenRole,
    primary: bool,
    root: &Section,
    shared: &Shared,
    found: &mut Findings,
) -> Resolved {
    let own = |key: &str| role.section.as_ref().and_then(|s| s.get(key));
    let flags = own("options").map(|f| flags::resolve(&f, &format!("role {}", role.name), found)).unwrap_or_default();
    let proxied = proxied(role, primary, root, found);
    let (env, env_tags) = environment(role, own("env"), shared, found);
    let mut labels = labels::resolve(root.get("labels"), own("labels"), found);
    let mut logging = settings::logging(root.get("logging"), own("logging"), found);
    if let Some(driver) = flags.log_driver {
        logging.driver = Some(driver);
    }
    logging.options.extend(flags.log_options);
    labels.extend(flags.labels);
    // Checked once for the root: a role without a proxy has none, and one of its own wins.
    let own_assets = own("asset_path").map(|f| asset_path::resolve(&f, found));
    let asset_path = own_assets.unwrap_or_else(|| shared.asset_path.clone()).filter(|_| proxied.is_some());
    let Flags { options, restart, volumes, stop_timeout, .. } =
        Flags { labels: BTreeMap::new(), log_options: BTreeMap::new(), log_driver: None, ..flags };
    let (ssl, run, route) = match proxied {
        Some((resolved, run)) => (resolved.ssl, run, Some(resolved.route)),
        None => (Ssl::Off, None, None::<Route>),
    };
    let spec = RoleSpec {
        command: own("cmd").and_then(|f| command(&f, found)),
        env,
        env_tags,
        labels,
        volumes: shared.volumes.iter().cloned().chain(volumes).collect(),
        asset_path,
        options,
        logging,
        restart: restart.unwrap_or(RestartPolicy::UnlessStopped),
        stop_timeout: own("stop_timeout").and_then(|f| f.seconds(0, found)).or(stop_timeout).or(shared.stop_timeout),
        route,
        readiness_delay: shared.readiness_delay,
    };
    Resolved { spec, ssl, run }
}

/// The root's environment with the role's on top, and what its hosts' tags add.
fn environment(
    role: &WrittenRole,
    own: Option<Field>,
    shared: &Shared,
    found: &mut Findings,
) -> (Env, BTreeMap<String, Env>) {
    let own = own.map(|f| env::inner(&f, found)).unwrap_or_default();
    let carried = |tag: &str| role.hosts.iter().any(|h| h.tags.iter().any(|t| t == tag));
    let tags =
        shared.tags.iter().filter(|(tag, _)| carried(tag)).map(|(tag, env)| (tag.clone(), env.clone())).collect();
    (shared.env.merged(&own), tags)
}

/// The words of `cmd`, split as a shell would.
fn command(field: &Field, found: &mut Findings) -> Option<Vec<String>> {
    let text = field.string(found)?;
    expansion::check(field, &text, Quoting::Command, found);
    match shlex::split(&text) {
        Some(words) if words.is_empty() => None,
        Some(words) => Some(words),
        None => {
            field.wrong_hint("a quote is not closed", "close it, or put a backslash before it", found);
            None
        }
    }
}

type WithRun = (proxy::Proxied, Option<(Node, ProxyRun)>);

/// The role's proxy: the primary role has one unless `false`, the others have one if they say so.
fn proxied(role: &WrittenRole, primary: bool, root: &Section, found: &mut Findings) -> Option<WithRun> {
    let own = role.section.as_ref().and_then(|s| s.get("proxy"));
    let base = root.get("proxy").map(|f| f.node.clone()).filter(|n| n.map().is_some());
    let empty = || Node { value: Value::Map(Default::default()), at: role.at.clone() };
    let (merged, path) = match own.as_ref().map(|f| (&f.node.value, f)) {
        None if !primary => return None,
        Some((Value::Bool(false), _)) => return None,
        None | Some((Value::Bool(true), _)) => (base.unwrap_or_else(empty), "proxy".to_string()),
        Some((Value::Map(_), field)) => {
            // As in Kamal, a role's own part must be right by itself.
            let mut alone = Findings::default();
            field.as_section().iter().for_each(|s| drop(proxy::resolve(s, &mut alone)));
            found.problems.append(&mut alone.problems);
            (overlay::merge(base.unwrap_or_else(empty), field.node.clone()), field.path.clone())
        }
        Some((_, field)) => {
            field.wrong_hint("should be a boolean or a hash", format!("it is {}", field.node.kind()), found);
            return None;
        }
    };
    let field = Field { node: &merged, path };
    let section = field.as_section()?;
    let resolved = proxy::resolve(&section, found);
    let run = section.get("run").map(|run| (run.node.clone(), proxy_run::run_settings(&run, &mut Findings::default())));
    Some((resolved, run))
}
