//! Docker's `run` flags, back from what they came to.

use crate::spec::{ContainerOptions, Healthcheck, Mount, PublishedPort, RoleSpec};
use serde_json::{Map, Value, json};

/// The flags of a role, volumes and restart policy included.
pub(super) fn options(spec: &RoleSpec) -> Map<String, Value> {
    let o = &spec.options;
    let mut out = Map::new();
    let mut set = |flag: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| _ = out.insert(flag.to_string(), value));
    };
    let numbers = [
        ("memory", o.memory),
        ("memory-reservation", o.memory_reservation),
        ("memory-swap", o.memory_swap),
        ("shm-size", o.shm_size),
        ("cpu-shares", o.cpu_shares),
        ("pids-limit", o.pids_limit),
        ("oom-score-adj", o.oom_score_adj),
    ];
    numbers.into_iter().for_each(|(flag, value)| set(flag, value.map(|n| json!(n))));
    set("cpus", o.nano_cpus.map(|nano| json!(cpus(nano))));
    for (flag, value) in texts(o) {
        set(flag, value.as_ref().map(|text| json!(text)));
    }
    for (flag, list) in lists(o) {
        set(flag, (!list.is_empty()).then(|| json!(list)));
    }
    for (flag, on) in
        [("tty", o.tty), ("interactive", o.interactive), ("privileged", o.privileged), ("read-only", o.read_only)]
    {
        set(flag, on.then_some(Value::Bool(true)));
    }
    set("init", o.init.map(Value::Bool));
    set("volume", (!spec.volumes.is_empty()).then(|| json!(spec.volumes)));
    set("restart", Some(json!(spec.restart.to_string())));
    o.health.iter().flat_map(health).for_each(|(flag, value)| set(flag, Some(value)));
    out
}

fn texts(o: &ContainerOptions) -> [(&'static str, &Option<String>); 10] {
    [
        ("cpuset-cpus", &o.cpuset_cpus),
        ("hostname", &o.hostname),
        ("user", &o.user),
        ("workdir", &o.workdir),
        ("entrypoint", &o.entrypoint),
        ("ipc", &o.ipc),
        ("pid", &o.pid),
        ("userns", &o.userns),
        ("runtime", &o.runtime),
        ("stop-signal", &o.stop_signal),
    ]
}

fn lists(o: &ContainerOptions) -> [(&'static str, Vec<String>); 14] {
    let path = |(path, options): (&String, &String)| {
        if options.is_empty() { path.clone() } else { format!("{path}:{options}") }
    };
    [
        ("publish", o.publish.iter().map(publish).collect()),
        ("add-host", o.add_host.clone()),
        ("network-alias", o.network_alias.clone()),
        ("dns", o.dns.clone()),
        ("dns-search", o.dns_search.clone()),
        ("device", o.device.clone()),
        ("cap-add", o.cap_add.clone()),
        ("cap-drop", o.cap_drop.clone()),
        ("security-opt", o.security_opt.clone()),
        ("group-add", o.group_add.clone()),
        ("mount", o.mount.iter().map(mount).collect()),
        ("ulimit", o.ulimit.iter().map(|u| format!("{}={}:{}", u.name, u.soft, u.hard)).collect()),
        ("tmpfs", o.tmpfs.iter().map(path).collect()),
        ("sysctl", o.sysctl.iter().map(|(key, value)| format!("{key}={value}")).collect()),
    ]
}

/// Billionths as a decimal number, exactly.
fn cpus(nano: i64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn publish(port: &PublishedPort) -> String {
    let address = match &port.host_ip {
        Some(ip) if ip.contains(':') => format!("[{ip}]:"),
        Some(ip) => format!("{ip}:"),
        None => String::new(),
    };
    let host = match port.host_port {
        Some(host) => format!("{host}:"),
        None if address.is_empty() => String::new(),
        None => ":".to_string(),
    };
    format!("{address}{host}{}/{}", port.container_port, port.protocol)
}

fn mount(mount: &Mount) -> String {
    let source = mount.source.as_ref().map(|source| format!(",source={source}")).unwrap_or_default();
    let mode = if mount.read_only { ",readonly" } else { "" };
    format!("type={}{source},target={}{mode}", mount.kind, mount.target)
}

fn health(health: &Healthcheck) -> Vec<(&'static str, Value)> {
    let time = |flag, millis: Option<u64>| millis.map(|millis| (flag, json!(format!("{millis}ms"))));
    let all = [
        health.command.as_ref().map(|command| ("health-cmd", json!(command))),
        time("health-interval", health.interval_ms),
        time("health-timeout", health.timeout_ms),
        time("health-start-period", health.start_period_ms),
        health.retries.map(|n| ("health-retries", json!(n))),
        health.disabled.then_some(("no-healthcheck", Value::Bool(true))),
    ];
    all.into_iter().flatten().collect()
}
