//! A container to be created, as the engine wants it.

use super::create_rare as rare;
use crate::effect::NewContainer;
use crate::spec::{ContainerOptions, Healthcheck, PublishedPort, RestartPolicy};
use bollard::models::{
    ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
    NetworkingConfig, PortBinding, PortMap, ResourcesUlimits, RestartPolicy as Policy, RestartPolicyNameEnum,
};
use std::collections::{BTreeMap, HashMap};

/// What `docker create` sends for the same flags.
pub(super) fn create_body(new: &NewContainer) -> ContainerCreateBody {
    let options = &new.options;
    // A path alone is an anonymous volume; anything else goes to the engine as it is.
    let (binds, anonymous): (Vec<_>, Vec<_>) = new.volumes.iter().cloned().partition(|v| v.contains(':'));
    ContainerCreateBody {
        image: Some(new.image.clone()),
        hostname: options.hostname.clone().or_else(|| new.hostname.clone()),
        user: options.user.clone(),
        working_dir: options.workdir.clone(),
        entrypoint: options.entrypoint.clone().map(|e| vec![e]),
        cmd: new.command.clone(),
        env: Some(new.env.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect()),
        labels: Some(map(&new.labels)),
        tty: Some(options.tty),
        open_stdin: Some(options.interactive),
        attach_stdin: Some(new.one_off && options.interactive),
        stdin_once: Some(new.one_off && options.interactive),
        stop_signal: options.stop_signal.clone(),
        stop_timeout: new.stop_timeout.map(i64::from),
        volumes: some(anonymous),
        domainname: options.rare.domainname.clone(),
        exposed_ports: some(options.publish.iter().map(inside).chain(options.rare.expose.iter().cloned()).collect()),
        healthcheck: options.health.as_ref().map(health),
        host_config: Some(host_config(new, binds)),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(new.network.clone(), rare::endpoint(options))])),
        }),
        ..Default::default()
    }
}

fn host_config(new: &NewContainer, binds: Vec<String>) -> HostConfig {
    let o = &new.options;
    HostConfig {
        network_mode: Some(new.network.clone()),
        binds: some(binds),
        mounts: some(mounts(o)),
        port_bindings: some_map(port_bindings(&o.publish)),
        restart_policy: Some(restart_policy(new.restart)),
        auto_remove: Some(new.one_off),
        log_config: Some(HostConfigLogConfig {
            typ: Some(new.logging.driver.clone().unwrap_or_default()),
            config: Some(map(&new.logging.options)),
        }),
        memory: o.memory,
        memory_reservation: o.memory_reservation,
        memory_swap: o.memory_swap,
        nano_cpus: o.nano_cpus,
        cpu_shares: o.cpu_shares,
        cpuset_cpus: o.cpuset_cpus.clone(),
        pids_limit: o.pids_limit,
        shm_size: o.shm_size,
        extra_hosts: some(o.add_host.clone()),
        dns: some(o.dns.clone()),
        dns_search: some(o.dns_search.clone()),
        init: o.init,
        privileged: Some(o.privileged),
        readonly_rootfs: Some(o.read_only),
        tmpfs: some_map(map(&o.tmpfs)),
        devices: some(o.device.iter().map(|d| device(d)).collect()),
        cap_add: some(o.cap_add.clone()),
        cap_drop: some(o.cap_drop.clone()),
        security_opt: some(o.security_opt.clone()),
        group_add: some(o.group_add.clone()),
        sysctls: some_map(map(&o.sysctl)),
        ulimits: some(ulimits(o)),
        ipc_mode: o.ipc.clone(),
        pid_mode: o.pid.clone(),
        userns_mode: o.userns.clone(),
        runtime: o.runtime.clone(),
        oom_score_adj: o.oom_score_adj,
        ..rare::host_config(&o.rare)
    }
}

/// A policy in the engine's words.
pub(super) fn restart_policy(policy: RestartPolicy) -> Policy {
    let (name, retries) = match policy {
        RestartPolicy::No => (RestartPolicyNameEnum::NO, None),
        RestartPolicy::Always => (RestartPolicyNameEnum::ALWAYS, None),
        RestartPolicy::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        RestartPolicy::OnFailure(retries) => (RestartPolicyNameEnum::ON_FAILURE, retries.map(i64::from)),
    };
    Policy { name: Some(name), maximum_retry_count: retries }
}

fn health(check: &Healthcheck) -> HealthConfig {
    let nanoseconds = |ms: Option<u64>| ms.map(|ms| i64::try_from(ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX));
    let test = match (&check.command, check.disabled) {
        (_, true) => Some(vec!["NONE".to_string()]),
        (Some(command), false) => Some(vec!["CMD-SHELL".to_string(), command.clone()]),
        (None, false) => None,
    };
    HealthConfig {
        test,
        interval: nanoseconds(check.interval_ms),
        timeout: nanoseconds(check.timeout_ms),
        start_period: nanoseconds(check.start_period_ms),
        retries: check.retries.map(i64::from),
        start_interval: nanoseconds(check.start_interval_ms),
    }
}

fn inside(port: &PublishedPort) -> String {
    format!("{}/{}", port.container_port, port.protocol)
}

fn port_bindings(ports: &[PublishedPort]) -> PortMap {
    let mut bindings = PortMap::new();
    for port in ports {
        let binding = PortBinding {
            host_ip: port.host_ip.clone(),
            host_port: Some(port.host_port.map(|p| p.to_string()).unwrap_or_default()),
        };
        bindings.entry(inside(port)).or_default().get_or_insert_default().push(binding);
    }
    bindings
}

fn mounts(options: &ContainerOptions) -> Vec<Mount> {
    let kind = |kind: &str| match kind {
        "bind" => MountType::BIND,
        "tmpfs" => MountType::TMPFS,
        _ => MountType::VOLUME,
    };
    let mount = |m: &crate::spec::Mount| Mount {
        typ: Some(kind(&m.kind)),
        source: m.source.clone(),
        target: Some(m.target.clone()),
        read_only: Some(m.read_only),
        ..rare::mount(m)
    };
    options.mount.iter().map(mount).collect()
}

fn ulimits(options: &ContainerOptions) -> Vec<ResourcesUlimits> {
    let limit = |u: &crate::spec::Ulimit| ResourcesUlimits {
        name: Some(u.name.clone()),
        soft: Some(u.soft),
        hard: Some(u.hard),
    };
    options.ulimit.iter().map(limit).collect()
}

/// `host[:container[:rwm]]`.
fn device(text: &str) -> DeviceMapping {
    let mut parts = text.split(':');
    let host = parts.next().unwrap_or_default().to_string();
    let container = parts.next().map(str::to_string).unwrap_or_else(|| host.clone());
    let permissions = parts.next().unwrap_or("rwm").to_string();
    DeviceMapping {
        path_on_host: Some(host),
        path_in_container: Some(container),
        cgroup_permissions: Some(permissions),
    }
}

pub(super) fn map(from: &BTreeMap<String, String>) -> HashMap<String, String> {
    from.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub(super) fn some_map<V>(map: HashMap<String, V>) -> Option<HashMap<String, V>> {
    (!map.is_empty()).then_some(map)
}
