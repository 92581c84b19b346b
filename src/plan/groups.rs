//! Which hosts change together.

use crate::config::{Boot, BootLimit, Config};
use crate::name::HostName;
use std::collections::BTreeSet;

/// The hosts in the order in which they change: those of the primary role first, each once.
pub(super) fn in_boot_order(config: &Config) -> Vec<HostName> {
    let mut seen = BTreeSet::new();
    let all = config.roles.iter().flat_map(|role| role.hosts.iter().map(|h| h.name.clone()));
    all.filter(|host| seen.insert(host.clone())).collect()
}

/// How many hosts the configuration has, those of accessories included: what a percentage in `boot.limit` is of.
pub(super) fn all_hosts(config: &Config) -> usize {
    config.hosts.keys().chain(&config.accessory_hosts).collect::<BTreeSet<_>>().len()
}

/// Groups of hosts: by `boot.limit` where it is set, else one host first and then all the others.
pub(super) fn of(hosts: &[HostName], boot: &Boot, all_hosts: usize) -> Vec<Vec<HostName>> {
    match boot.limit {
        None => {
            let (first, rest) = hosts.split_at(hosts.len().min(1));
            [first, rest].into_iter().filter(|g| !g.is_empty()).map(<[_]>::to_vec).collect()
        }
        Some(limit) => hosts.chunks(size(limit, all_hosts)).map(<[_]>::to_vec).collect(),
    }
}

/// Kamal's rule: a percentage is of all hosts, rounded down, at least one.
fn size(limit: BootLimit, all_hosts: usize) -> usize {
    match limit {
        BootLimit::Hosts(n) => n.max(1),
        BootLimit::Percent(percent) => (all_hosts * percent as usize / 100).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn hosts(n: usize) -> Vec<HostName> {
        (1..=n).map(|i| format!("h{i}").parse().unwrap()).collect()
    }

    fn sizes(n: usize, limit: Option<BootLimit>) -> Vec<usize> {
        let boot = Boot { limit, wait: Duration::ZERO, parallel_roles: false };
        of(&hosts(n), &boot, n).iter().map(Vec::len).collect()
    }

    #[test]
    fn one_first_unless_a_limit_is_set() {
        assert_eq!(sizes(1, None), [1]);
        assert_eq!(sizes(4, None), [1, 3]);
        assert_eq!(sizes(5, Some(BootLimit::Hosts(2))), [2, 2, 1]);
        assert_eq!(sizes(10, Some(BootLimit::Percent(25))), [2, 2, 2, 2, 2]);
        assert_eq!(sizes(3, Some(BootLimit::Percent(10))), [1, 1, 1]);
        assert_eq!(sizes(0, None), [] as [usize; 0]);
    }
}
