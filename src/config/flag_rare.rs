//! The flags of `docker run` that few use, and those that nobody can use here.

use super::flag_values::{self as values, Expected};
use super::flags::{each, integer, pair, single, text};
use super::reader::{Field, Findings};
use crate::spec::{DeviceRate, Gpus, RareOptions};

/// The rare flags that windlass understands.
pub(super) const RARE: &[&str] = &[
    "annotation",
    "blkio-weight",
    "blkio-weight-device",
    "cgroup-parent",
    "cgroupns",
    "cpu-period",
    "cpu-quota",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cpuset-mems",
    "device-cgroup-rule",
    "device-read-bps",
    "device-read-iops",
    "device-write-bps",
    "device-write-iops",
    "dns-opt",
    "dns-option",
    "domainname",
    "expose",
    "gpus",
    "ip",
    "ip6",
    "link",
    "link-local-ip",
    "mac-address",
    "memory-swappiness",
    "oom-kill-disable",
    "publish-all",
    "storage-opt",
    "uts",
    "volume-driver",
    "volumes-from",
];

/// Flags that only say how the command line itself behaves: without effect here, and worth a note.
pub(super) const IDLE: &[&str] = &["detach", "disable-content-trust", "quiet", "sig-proxy"];

/// Flags that cannot mean what they say here, and what to do instead.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("attach", "nobody is attached to a container that is deployed: remove it"),
    ("cidfile", "the containers are listed by `windlass status`: remove it"),
    ("detach-keys", "nobody is attached to a container that is deployed: remove it"),
    ("env", "write it below `env:` of the role"),
    ("env-file", "write the variables below `env:` of the role, secret ones in the secrets file"),
    ("isolation", "it is for Windows: remove it"),
    ("kernel-memory", "Docker has given it up: use `memory`"),
    ("label-file", "write them below `labels:` of the role"),
    ("name", "windlass names the containers: remove it"),
    ("platform", "push the image for the hosts' own platform: remove it"),
    ("pull", "each deploy pulls exactly the image that it was asked for: remove it"),
    ("rm", "a container that stopped is kept to roll back to; `windlass prune` removes it"),
    ("use-api-socket", "mount the socket by `volumes:` if the application really needs it"),
];

/// Sets one of [`RARE`].
pub(super) fn set(rare: &mut RareOptions, flag: &str, value: &Field, found: &mut Findings) {
    match flag {
        "annotation" => rare.annotation = each(value, found, pair).into_iter().collect(),
        "blkio-weight" => rare.blkio_weight = single(value, found, weight),
        "blkio-weight-device" => rare.blkio_weight_device = each(value, found, |t| rate(t, integer)),
        "cgroup-parent" => rare.cgroup_parent = single(value, found, text),
        "cgroupns" => rare.cgroupns = single(value, found, cgroupns),
        "cpu-period" => rare.cpu_period = single(value, found, integer),
        "cpu-quota" => rare.cpu_quota = single(value, found, integer),
        "cpu-rt-period" => rare.cpu_rt_period = single(value, found, integer),
        "cpu-rt-runtime" => rare.cpu_rt_runtime = single(value, found, integer),
        "cpuset-mems" => rare.cpuset_mems = single(value, found, text),
        "device-cgroup-rule" => rare.device_cgroup_rule = each(value, found, text),
        "device-read-bps" => rare.device_read_bps = each(value, found, |t| rate(t, values::bytes)),
        "device-write-bps" => rare.device_write_bps = each(value, found, |t| rate(t, values::bytes)),
        "device-read-iops" => rare.device_read_iops = each(value, found, |t| rate(t, integer)),
        "device-write-iops" => rare.device_write_iops = each(value, found, |t| rate(t, integer)),
        "dns-opt" | "dns-option" => rare.dns_option = each(value, found, text),
        "domainname" => rare.domainname = single(value, found, text),
        "expose" => rare.expose = each(value, found, expose).into_iter().flatten().collect(),
        "gpus" => rare.gpus = each(value, found, gpus),
        "ip" => rare.ip = single(value, found, address),
        "ip6" => rare.ip6 = single(value, found, address),
        "link" => rare.link = each(value, found, text),
        "link-local-ip" => rare.link_local_ip = each(value, found, address),
        "mac-address" => rare.mac_address = single(value, found, text),
        "memory-swappiness" => rare.memory_swappiness = single(value, found, integer),
        "oom-kill-disable" => rare.oom_kill_disable = single(value, found, switch),
        "publish-all" => rare.publish_all = single(value, found, switch).unwrap_or(false),
        "storage-opt" => rare.storage_opt = each(value, found, pair).into_iter().collect(),
        "uts" => rare.uts = single(value, found, text),
        "volume-driver" => rare.volume_driver = single(value, found, text),
        _ => rare.volumes_from = each(value, found, text),
    }
}

fn switch(text: &str) -> Result<bool, Expected> {
    values::flag(text).ok_or("true or false")
}

fn weight(text: &str) -> Result<u16, Expected> {
    text.parse().ok().filter(|w| (10..=1000).contains(w)).ok_or("a number from 10 to 1000")
}

fn cgroupns(text: &str) -> Result<String, Expected> {
    if matches!(text, "host" | "private") { Ok(text.to_string()) } else { Err("host or private") }
}

fn address(text: &str) -> Result<String, Expected> {
    text.parse::<std::net::IpAddr>().map(|ip| ip.to_string()).map_err(|_| "an IP address")
}

/// `/dev/sda:1mb`.
fn rate(text: &str, number: impl Fn(&str) -> Result<i64, Expected>) -> Result<DeviceRate, Expected> {
    const EXPECTED: Expected = "device:limit, such as /dev/sda:1mb";
    let (path, limit) = text.rsplit_once(':').filter(|(path, _)| path.starts_with('/')).ok_or(EXPECTED)?;
    Ok(DeviceRate { path: path.to_string(), rate: number(limit).map_err(|_| EXPECTED)? })
}

/// `8080`, `8080/udp`, `8000-8002`.
fn expose(text: &str) -> Result<Vec<String>, Expected> {
    let ports = values::publish(text).map_err(|_| "a port[/tcp|udp|sctp]")?;
    Ok(ports.iter().map(|p| format!("{}/{}", p.container_port, p.protocol)).collect())
}

/// `all`, a number, or `device=…,driver=…,capabilities=…`.
fn gpus(text: &str) -> Result<Gpus, Expected> {
    const EXPECTED: Expected = "all, a number, or device=…[,driver=…][,capabilities=…]";
    let mut gpus = Gpus {
        count: None,
        devices: Vec::new(),
        driver: None,
        capabilities: vec!["gpu".into()],
        options: Default::default(),
    };
    let count = |text: &str| match text {
        "all" => Ok(-1),
        number => number.parse::<i64>().ok().filter(|n| *n > 0).ok_or(EXPECTED),
    };
    for part in values::comma_separated(text).ok_or(EXPECTED)? {
        match part.split_once('=') {
            None => gpus.count = Some(count(&part)?),
            Some(("count", number)) => gpus.count = Some(count(number)?),
            Some(("device", names)) => gpus.devices = names.split(',').map(str::to_string).collect(),
            Some(("driver", name)) => gpus.driver = Some(name.to_string()),
            Some(("capabilities", names)) => gpus.capabilities.extend(names.split(',').map(str::to_string)),
            Some(("options", pairs)) => {
                gpus.options
                    .extend(pairs.split(',').filter_map(|p| p.split_once('=')).map(|(k, v)| (k.into(), v.into())));
            }
            Some(_) => return Err(EXPECTED),
        }
    }
    gpus.capabilities.dedup();
    match (gpus.count, gpus.devices.is_empty()) {
        (Some(_), false) => Err(EXPECTED),
        (None, true) => Ok(Gpus { count: Some(1), ..gpus }),
        _ => Ok(gpus),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_as_docker_reads_them() {
        assert_eq!(gpus("all").map(|g| g.count), Ok(Some(-1)));
        let named = gpus("\"device=0,1\",driver=nvidia,\"capabilities=compute,utility\"").unwrap();
        assert_eq!((named.count, named.devices, named.capabilities.len()), (None, vec!["0".into(), "1".into()], 3));
        for bad in ["", "none", "0", "all,device=1", "x=y"] {
            assert!(gpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_ports_and_addresses() {
        assert_eq!(rate("/dev/sda:1mb", values::bytes).map(|r| r.rate), Ok(1 << 20));
        assert!(rate("sda:1", integer).is_err() && rate("/dev/sda", integer).is_err());
        assert_eq!(expose("8000-8001/udp"), Ok(vec!["8000/udp".into(), "8001/udp".into()]));
        assert!(address("h").is_err() && weight("5").is_err() && cgroupns("x").is_err());
    }
}
