//! Rules that hold between the proxies of several roles and accessories.

use super::accessories::Accessory;
use super::node::{Node, Value};
use super::problem::{Place, Problem};
use super::proxy::Ssl;
use super::reader::{Field, Findings};
use super::role::Resolved;
use super::servers::WrittenRole;
use super::types::{ProxyRun, VerbKind};
use crate::name::HostName;

/// Checks the rules and gives back how the proxy runs.
pub(super) fn check(
    roles: &[WrittenRole],
    resolved: &[Resolved],
    accessories: &[Accessory],
    found: &mut Findings,
) -> ProxyRun {
    let pairs: Vec<_> = roles.iter().zip(resolved).collect();
    certificates(&pairs, found);
    same_run_on_a_host(&pairs, accessories, found);
    same_route_on_a_host(&pairs, found);
    one_run(&pairs, found)
}

/// Automatic certificates need a single host, and a name belongs to one role.
fn certificates(pairs: &[(&WrittenRole, &Resolved)], found: &mut Findings) {
    let mut names: Vec<(&str, &WrittenRole)> = Vec::new();
    for (role, resolved) in pairs.iter().filter(|(_, r)| r.ssl != Ssl::Off) {
        let servers = role.hosts.len();
        if resolved.ssl == Ssl::Automatic && servers > 1 {
            let message = format!(
                "SSL is only supported on a single server unless you provide custom certificates, found {servers} servers for role {}",
                role.name
            );
            found.problems.push(
                Problem::new(&role.at, "", message).hint("name certificate_pem and private_key_pem below `ssl:`"),
            );
        }
        for name in resolved.spec.route.iter().flat_map(|r| &r.hosts) {
            if names.iter().any(|(n, other)| n == name && other.name != role.name) {
                let message = format!("Different roles can't share the same host for SSL: {name}");
                found.problems.push(Problem::new(&role.at, "", message).hint("give each role its own host name"));
            }
            names.push((name, role));
        }
    }
}

fn same_run_on_a_host(pairs: &[(&WrittenRole, &Resolved)], accessories: &[Accessory], found: &mut Findings) {
    let of_roles = pairs.iter().filter_map(|(role, r)| {
        let (run, _) = r.run.as_ref()?;
        Some((role.hosts.iter().map(|h| h.name.clone()).collect::<Vec<_>>(), run))
    });
    let of_accessories = accessories.iter().filter_map(|a| Some((a.hosts.clone(), a.run.as_ref()?.node)));
    let mut first: std::collections::BTreeMap<HostName, &Node> = Default::default();
    for (hosts, run) in of_roles.chain(of_accessories) {
        for host in hosts {
            match first.get(&host) {
                Some(other) if !same(other, run) => {
                    let message = format!("Conflicting proxy run configurations for host {host}");
                    let hint = format!("the other one is at {}: make them equal", other.at);
                    found.problems.push(Problem::new(&run.at, "", message).hint(hint));
                }
                Some(_) => {}
                None => drop(first.insert(host, run)),
            }
        }
    }
}

/// Two roles on one host cannot answer for the same name and path: which one would get a request?
fn same_route_on_a_host(pairs: &[(&WrittenRole, &Resolved)], found: &mut Findings) {
    for (i, (role, resolved)) in pairs.iter().enumerate() {
        let Some(route) = &resolved.spec.route else { continue };
        for (other, other_resolved) in &pairs[i + 1..] {
            let Some(other_route) = &other_resolved.spec.route else { continue };
            let shared = role.hosts.iter().find(|h| other.hosts.iter().any(|o| o.name == h.name));
            let names = (route.hosts.is_empty() && other_route.hosts.is_empty())
                || route.hosts.iter().any(|h| other_route.hosts.contains(h));
            let paths = route.path_prefixes.iter().any(|p| other_route.path_prefixes.contains(p));
            if let (Some(host), true, true) = (shared, names, paths) {
                let reason = format!(
                    "roles {} and {} on host {} take the same requests: give each its own proxy host or path_prefix",
                    role.name, other.name, host.name
                );
                let node = Node { value: Value::Null, at: other.at.clone() };
                let verbs = [VerbKind::Setup, VerbKind::Deploy, VerbKind::Rollback];
                found.not_yet(&Field { node: &node, path: format!("{}/proxy", other.path) }, &verbs, reason);
            }
        }
    }
}

/// The fleet has one way to run the proxy: a host with another one is named.
fn one_run(pairs: &[(&WrittenRole, &Resolved)], found: &mut Findings) -> ProxyRun {
    let mut runs = pairs.iter().filter(|(_, r)| r.spec.route.is_some());
    let of = |r: &Resolved| r.run.as_ref().map(|(_, run)| run.clone()).unwrap_or_default();
    let Some((_, first)) = runs.next() else { return ProxyRun::default() };
    let first = of(first);
    for (role, other) in runs.filter(|(_, r)| of(r) != first) {
        let at: &Place = other.run.as_ref().map_or(&role.at, |(node, _)| &node.at);
        let node = Node { value: Value::Null, at: at.clone() };
        let verbs = [VerbKind::Setup, VerbKind::Deploy, VerbKind::Rollback];
        let reason = "windlass runs the proxy in the same way on all hosts: move `run` to the root's `proxy`";
        found.not_yet(&Field { node: &node, path: format!("{}/proxy/run", role.path) }, &verbs, reason);
    }
    first
}

/// Whether two trees say the same, wherever and in whichever order they are written.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Map(a), Value::Map(b)) => {
            a.0.len() == b.0.len() && a.0.iter().all(|e| b.get(&e.key).is_some_and(|o| same(&e.value, &o.value)))
        }
        (Value::Seq(a), Value::Seq(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) => a == b,
    }
}
