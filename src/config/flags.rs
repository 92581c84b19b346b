//! A role's `options`: docker's flags, typed. A flag that is not understood is named, never passed on or dropped.

use super::flag_rare::{self, IDLE, RARE, REFUSED};
use super::flag_values as values;
use super::node::Value;
use super::problem::{nearest, printable};
use super::reader::{Field, Findings};
use super::types::VerbKind;
use crate::spec::{ContainerOptions, Healthcheck, RestartPolicy};
use std::collections::BTreeMap;

/// What `options` come to; some flags belong to other fields of a role.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub(super) options: ContainerOptions,
    pub(super) restart: Option<RestartPolicy>,
    pub(super) volumes: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) log_driver: Option<String>,
    pub(super) log_options: BTreeMap<String, String>,
    pub(super) stop_timeout: Option<u32>,
}

/// The flags that windlass understands.
pub(super) const UNDERSTOOD: &[&str] = &[
    "add-host",
    "cap-add",
    "cap-drop",
    "cpu-shares",
    "cpus",
    "cpuset-cpus",
    "device",
    "dns",
    "dns-search",
    "entrypoint",
    "group-add",
    "health-cmd",
    "health-interval",
    "health-retries",
    "health-start-interval",
    "health-start-period",
    "health-timeout",
    "hostname",
    "init",
    "interactive",
    "ipc",
    "label",
    "log-driver",
    "log-opt",
    "memory",
    "memory-reservation",
    "memory-swap",
    "mount",
    "net",
    "net-alias",
    "network",
    "network-alias",
    "no-healthcheck",
    "oom-score-adj",
    "pid",
    "pids-limit",
    "privileged",
    "publish",
    "read-only",
    "restart",
    "runtime",
    "security-opt",
    "shm-size",
    "stop-signal",
    "stop-timeout",
    "sysctl",
    "tmpfs",
    "tty",
    "ulimit",
    "user",
    "userns",
    "volume",
    "workdir",
];

/// Networks that are a way to have none of one's own.
const MODES: &[&str] = &["host", "none", "bridge", "default"];

/// Reads `options` of the role (or accessory) `owner`.
pub(super) fn resolve(field: &Field, owner: &str, found: &mut Findings) -> Flags {
    let mut flags = Flags::default();
    let Some(section) = field.section(found) else { return flags };
    for (flag, value) in section.entries() {
        if matches!(flag, "network" | "net") && value.node.text().is_some_and(|t| MODES.contains(&t.as_str())) {
            let reason = format!(
                "docker's flag --{flag} of {owner}: containers join the network `kamal`, which excludes this one"
            );
            found.not_yet(&value, &[VerbKind::Setup, VerbKind::Deploy], reason);
        } else if UNDERSTOOD.contains(&flag) {
            set(&mut flags, flag, &value, found);
        } else if RARE.contains(&flag) {
            flag_rare::set(&mut flags.options.rare, flag, &value, found);
        } else if IDLE.contains(&flag) {
            let reason = format!("docker's flag --{flag} is about its command line: it has no effect here");
            found.not_yet(&value, &[], reason);
        } else if let Some((_, instead)) = REFUSED.iter().find(|(name, _)| *name == flag) {
            let reason = format!("docker's flag --{flag} of {owner} cannot be followed: {instead}");
            found.not_yet(&value, &[VerbKind::Setup, VerbKind::Deploy], reason);
        } else {
            let message = format!("docker has no flag --{} (options of {owner})", printable(flag));
            match nearest(flag, UNDERSTOOD.iter().chain(RARE).copied()) {
                Some(near) => value.wrong_hint(message, format!("did you mean `{near}`?"), found),
                None => value.wrong_hint(message, "see the flags in docker run's documentation", found),
            }
        }
    }
    if flags.options.memory.is_some_and(|bytes| bytes < 6 << 20) {
        section.wrong(
            "memory should be at least 6m (Docker's minimum)",
            "a number without a unit counts bytes: write 512m",
            found,
        );
    }
    flags
}

/// One value, or each of a list.
pub(super) fn each<T>(
    value: &Field,
    found: &mut Findings,
    parse: impl Fn(&str) -> Result<T, values::Expected>,
) -> Vec<T> {
    let items = if let Value::Seq(_) = value.node.value { value.items() } else { vec![value.clone()] };
    items.iter().filter_map(|item| single(item, found, &parse)).collect()
}

pub(super) fn single<T>(
    value: &Field,
    found: &mut Findings,
    parse: impl Fn(&str) -> Result<T, values::Expected>,
) -> Option<T> {
    let text = value.string(found)?;
    super::expansion::check(value, &text, super::expansion::Quoting::Flag, found);
    match parse(&text) {
        Ok(parsed) => Some(parsed),
        Err(expected) => {
            let base_60 = matches!(value.node.value, Value::Int(n) if n > 65_535);
            let hint = if base_60 {
                "YAML reads a:b as a number of base 60: put it in quotes"
            } else {
                "see docker run's documentation"
            };
            value.wrong_hint(format!("should be {expected}"), hint, found);
            None
        }
    }
}

pub(super) fn text(text: &str) -> Result<String, values::Expected> {
    if text.trim().is_empty() { Err("a text that is not empty") } else { Ok(text.to_string()) }
}

fn boolean(text: &str) -> Result<bool, values::Expected> {
    values::flag(text).ok_or("true or false")
}

pub(super) fn integer(text: &str) -> Result<i64, values::Expected> {
    text.parse().map_err(|_| "an integer")
}

fn count(text: &str) -> Result<u32, values::Expected> {
    text.parse().map_err(|_| "a number not below 0")
}

fn bytes_or_unlimited(text: &str) -> Result<i64, values::Expected> {
    if text == "-1" { Ok(-1) } else { values::bytes(text) }
}

pub(super) fn pair(text: &str) -> Result<(String, String), values::Expected> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() { Err("key=value") } else { Ok((key.to_string(), value.to_string())) }
}

fn tmpfs(text: &str) -> Result<(String, String), values::Expected> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    if path.starts_with('/') { Ok((path.to_string(), options.to_string())) } else { Err("an absolute path[:options]") }
}

fn set(flags: &mut Flags, flag: &str, value: &Field, found: &mut Findings) {
    let o = &mut flags.options;
    match flag {
        "memory" => o.memory = single(value, found, values::bytes),
        "memory-reservation" => o.memory_reservation = single(value, found, values::bytes),
        "memory-swap" => o.memory_swap = single(value, found, bytes_or_unlimited),
        "shm-size" => o.shm_size = single(value, found, values::bytes),
        "cpus" => o.nano_cpus = single(value, found, values::nano_cpus),
        "cpu-shares" => o.cpu_shares = single(value, found, integer),
        "pids-limit" => o.pids_limit = single(value, found, integer),
        "oom-score-adj" => o.oom_score_adj = single(value, found, integer),
        "cpuset-cpus" => o.cpuset_cpus = single(value, found, text),
        "hostname" => o.hostname = single(value, found, text),
        "user" => o.user = single(value, found, text),
        "workdir" => o.workdir = single(value, found, text),
        "entrypoint" => o.entrypoint = single(value, found, text),
        "ipc" => o.ipc = single(value, found, text),
        "pid" => o.pid = single(value, found, text),
        "userns" => o.userns = single(value, found, text),
        "runtime" => o.runtime = single(value, found, text),
        "stop-signal" => o.stop_signal = single(value, found, text),
        "init" => o.init = single(value, found, boolean),
        "tty" => o.tty = single(value, found, boolean).unwrap_or(false),
        "interactive" => o.interactive = single(value, found, boolean).unwrap_or(false),
        "privileged" => o.privileged = single(value, found, boolean).unwrap_or(false),
        "read-only" => o.read_only = single(value, found, boolean).unwrap_or(false),
        "publish" => o.publish = each(value, found, values::publish).into_iter().flatten().collect(),
        "add-host" => o.add_host = each(value, found, values::add_host),
        "network-alias" | "net-alias" => o.network_alias = each(value, found, text),
        "network" | "net" => o.network = each(value, found, values::network),
        "dns" => o.dns = each(value, found, text),
        "dns-search" => o.dns_search = each(value, found, text),
        "device" => o.device = each(value, found, text),
        "cap-add" => o.cap_add = each(value, found, text),
        "cap-drop" => o.cap_drop = each(value, found, text),
        "security-opt" => o.security_opt = each(value, found, text),
        "group-add" => o.group_add = each(value, found, text),
        "mount" => o.mount = each(value, found, values::mount),
        "ulimit" => o.ulimit = each(value, found, values::ulimit),
        "tmpfs" => o.tmpfs = each(value, found, tmpfs).into_iter().collect(),
        "sysctl" => o.sysctl = each(value, found, pair).into_iter().collect(),
        "restart" => flags.restart = restart(value, found),
        "volume" => flags.volumes = super::volumes::resolve(value, found),
        "label" => flags.labels = each(value, found, pair).into_iter().collect(),
        "log-driver" => flags.log_driver = single(value, found, text),
        "log-opt" => flags.log_options = each(value, found, pair).into_iter().collect(),
        "stop-timeout" => flags.stop_timeout = single(value, found, count),
        _ => health(o.health.get_or_insert_default(), flag, value, found),
    }
}

fn health(health: &mut Healthcheck, flag: &str, value: &Field, found: &mut Findings) {
    match flag {
        "health-cmd" => health.command = single(value, found, text),
        "health-interval" => health.interval_ms = single(value, found, values::milliseconds),
        "health-timeout" => health.timeout_ms = single(value, found, values::milliseconds),
        "health-start-period" => health.start_period_ms = single(value, found, values::milliseconds),
        "health-start-interval" => health.start_interval_ms = single(value, found, values::milliseconds),
        "health-retries" => health.retries = single(value, found, count),
        _ => health.disabled = single(value, found, boolean).unwrap_or(false),
    }
}

/// A restart policy. An unquoted `no` is a boolean to YAML, which is what Kamal's message is about.
pub(super) fn restart(value: &Field, found: &mut Findings) -> Option<RestartPolicy> {
    match &value.node.value {
        Value::String(text) => match text.parse() {
            Ok(policy) => return Some(policy),
            Err(message) => value.wrong(message, found),
        },
        _ => value.wrong("should be a string. Use \"no\" to disable restarts", found),
    }
    None
}
