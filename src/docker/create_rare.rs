//! The rare flags of a container to be created, as the engine wants them.

use super::create::{map, some, some_map};
use crate::spec::{ContainerOptions, DeviceRate, Gpus, Mount, RareOptions};
use bollard::models::{
    DeviceRequest, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigCgroupnsModeEnum, Mount as Wire,
    MountBindOptions, MountBindOptionsPropagationEnum as Propagation, MountTmpfsOptions, MountVolumeOptions,
    MountVolumeOptionsDriverConfig, ResourcesBlkioWeightDevice, ThrottleDevice,
};

/// How the container joins the shared network.
pub(super) fn endpoint(options: &ContainerOptions) -> EndpointSettings {
    let rare = &options.rare;
    let addresses = EndpointIpamConfig {
        ipv4_address: rare.ip.clone(),
        ipv6_address: rare.ip6.clone(),
        link_local_ips: some(rare.link_local_ip.clone()),
    };
    EndpointSettings {
        aliases: some(options.network_alias.clone()),
        links: some(rare.link.clone()),
        mac_address: rare.mac_address.clone(),
        ipam_config: (addresses != EndpointIpamConfig::default()).then_some(addresses),
        ..Default::default()
    }
}

/// What the rare flags say of the host's side; everything else is as if not said.
pub(super) fn host_config(rare: &RareOptions) -> HostConfig {
    HostConfig {
        annotations: some_map(map(&rare.annotation)),
        blkio_weight: rare.blkio_weight,
        blkio_weight_device: some(rare.blkio_weight_device.iter().map(weight).collect()),
        blkio_device_read_bps: some(rates(&rare.device_read_bps)),
        blkio_device_read_iops: some(rates(&rare.device_read_iops)),
        blkio_device_write_bps: some(rates(&rare.device_write_bps)),
        blkio_device_write_iops: some(rates(&rare.device_write_iops)),
        cgroup_parent: rare.cgroup_parent.clone(),
        cgroupns_mode: rare.cgroupns.as_deref().map(|mode| match mode {
            "host" => HostConfigCgroupnsModeEnum::HOST,
            _ => HostConfigCgroupnsModeEnum::PRIVATE,
        }),
        cpu_period: rare.cpu_period,
        cpu_quota: rare.cpu_quota,
        cpu_realtime_period: rare.cpu_rt_period,
        cpu_realtime_runtime: rare.cpu_rt_runtime,
        cpuset_mems: rare.cpuset_mems.clone(),
        device_cgroup_rules: some(rare.device_cgroup_rule.clone()),
        device_requests: some(rare.gpus.iter().map(gpus).collect()),
        dns_options: some(rare.dns_option.clone()),
        memory_swappiness: rare.memory_swappiness,
        oom_kill_disable: rare.oom_kill_disable,
        publish_all_ports: rare.publish_all.then_some(true),
        storage_opt: some_map(map(&rare.storage_opt)),
        uts_mode: rare.uts.clone(),
        volume_driver: rare.volume_driver.clone(),
        volumes_from: some(rare.volumes_from.clone()),
        ..Default::default()
    }
}

fn weight(device: &DeviceRate) -> ResourcesBlkioWeightDevice {
    ResourcesBlkioWeightDevice { path: Some(device.path.clone()), weight: usize::try_from(device.rate).ok() }
}

fn rates(devices: &[DeviceRate]) -> Vec<ThrottleDevice> {
    devices.iter().map(|d| ThrottleDevice { path: Some(d.path.clone()), rate: Some(d.rate) }).collect()
}

fn gpus(gpus: &Gpus) -> DeviceRequest {
    DeviceRequest {
        driver: gpus.driver.clone(),
        count: gpus.count,
        device_ids: some(gpus.devices.clone()),
        capabilities: Some(vec![gpus.capabilities.clone()]),
        options: some_map(map(&gpus.options)),
    }
}

/// The fields of a mount that depend on its kind.
pub(super) fn mount(mount: &Mount) -> Wire {
    let bind = MountBindOptions {
        propagation: mount.propagation.as_deref().and_then(|p| p.parse::<Propagation>().ok()),
        non_recursive: mount.non_recursive.then_some(true),
        ..Default::default()
    };
    let driver =
        MountVolumeOptionsDriverConfig { name: mount.driver.clone(), options: some_map(map(&mount.driver_options)) };
    let volume = MountVolumeOptions {
        no_copy: mount.no_copy.then_some(true),
        labels: some_map(map(&mount.labels)),
        driver_config: (driver != MountVolumeOptionsDriverConfig::default()).then_some(driver),
        subpath: mount.subpath.clone(),
    };
    let tmpfs = MountTmpfsOptions { size_bytes: mount.tmpfs_size, mode: mount.tmpfs_mode, ..Default::default() };
    Wire {
        bind_options: (bind != MountBindOptions::default()).then_some(bind),
        volume_options: (volume != MountVolumeOptions::default()).then_some(volume),
        tmpfs_options: (tmpfs != MountTmpfsOptions::default()).then_some(tmpfs),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_nothing_sent() {
        assert_eq!(host_config(&RareOptions::default()), HostConfig::default());
        assert_eq!(endpoint(&ContainerOptions::default()), EndpointSettings::default());
        assert_eq!(mount(&Mount::default()), Wire::default());
    }

    #[test]
    fn rare_flags_reach_the_engine() {
        let gpu = Gpus {
            count: Some(-1),
            devices: Vec::new(),
            driver: None,
            capabilities: vec!["gpu".into()],
            options: Default::default(),
        };
        let rare = RareOptions {
            gpus: vec![gpu],
            cgroupns: Some("host".into()),
            device_read_bps: vec![DeviceRate { path: "/dev/sda".into(), rate: 1 }],
            ip: Some("10.0.0.9".into()),
            ..RareOptions::default()
        };
        let sent = serde_json::to_value(host_config(&rare)).unwrap();
        assert_eq!(sent["DeviceRequests"][0]["Capabilities"], serde_json::json!([["gpu"]]));
        assert_eq!(
            (sent["DeviceRequests"][0]["Count"].as_i64(), sent["CgroupnsMode"].as_str()),
            (Some(-1), Some("host"))
        );
        assert_eq!(sent["BlkioDeviceReadBps"][0]["Rate"], 1);
        let options = ContainerOptions { rare, ..ContainerOptions::default() };
        assert_eq!(serde_json::to_value(endpoint(&options)).unwrap()["IPAMConfig"]["IPv4Address"], "10.0.0.9");
        let nfs = Mount { driver: Some("local".into()), propagation: Some("rslave".into()), ..Mount::default() };
        let sent = serde_json::to_value(mount(&nfs)).unwrap();
        assert_eq!(
            (&sent["VolumeOptions"]["DriverConfig"]["Name"], &sent["BindOptions"]["Propagation"]),
            (&"local".into(), &"rslave".into())
        );
    }
}
