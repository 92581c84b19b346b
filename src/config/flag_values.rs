//! The values of docker's flags, parsed as the docker command line does.

use crate::spec::{Mount, PublishedPort, Ulimit};

/// What was expected instead, for a message.
pub(super) type Expected = &'static str;

/// A size such as `512m`, `1.5gb`, `1GiB` or plain bytes; units are powers of 1024.
pub(super) fn bytes(text: &str) -> Result<i64, Expected> {
    const EXPECTED: Expected = "a size such as 512m or 2g (units b, k, m, g, t)";
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let unit = text[end..].trim_start();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(EXPECTED),
    };
    let number: f64 = text[..end].parse().map_err(|_| EXPECTED)?;
    let size = number * (1_i64 << shift) as f64;
    if size.is_finite() && size < 9e18 { Ok(size as i64) } else { Err(EXPECTED) }
}

/// A number of CPUs such as `1.5`, in billionths.
pub(super) fn nano_cpus(text: &str) -> Result<i64, Expected> {
    const EXPECTED: Expected = "a number of CPUs such as 0.5 or 2";
    let number: f64 = text.trim().parse().map_err(|_| EXPECTED)?;
    if number.is_finite() && number > 0.0 && number < 1e6 { Ok((number * 1e9).round() as i64) } else { Err(EXPECTED) }
}

/// A duration as Go writes it, such as `30s`, `1m30s` or `500ms`; in milliseconds.
pub(super) fn milliseconds(text: &str) -> Result<u64, Expected> {
    const EXPECTED: Expected = "a duration such as 30s, 1m30s or 500ms";
    let (mut rest, mut total) = (text.trim(), 0.0);
    if rest.is_empty() {
        return Err(EXPECTED);
    }
    if rest == "0" {
        return Ok(0);
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or(EXPECTED)?;
        let number: f64 = rest[..number_end].parse().map_err(|_| EXPECTED)?;
        rest = &rest[number_end..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += number
            * match &rest[..unit_end] {
                "ms" => 1.0,
                "s" => 1e3,
                "m" => 6e4,
                "h" => 3.6e6,
                _ => return Err(EXPECTED),
            };
        rest = &rest[unit_end..];
    }
    if total < 1e12 { Ok(total.round() as u64) } else { Err(EXPECTED) }
}

/// `[[ip:][host]:]container[/protocol]`; ranges of equal length become several ports.
pub(super) fn publish(text: &str) -> Result<Vec<PublishedPort>, Expected> {
    const EXPECTED: Expected = "[[ip:]host port:]container port[/tcp|udp|sctp]";
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if !matches!(protocol, "tcp" | "udp" | "sctp") {
        return Err(EXPECTED);
    }
    let (rest, container) = ports.rsplit_once(':').map_or((None, ports), |(r, c)| (Some(r), c));
    let (ip, host) = match rest {
        None => (None, None),
        Some(rest) => match rest.rsplit_once(':') {
            Some((ip, host)) => (Some(ip.trim_start_matches('[').trim_end_matches(']')), Some(host)),
            None => (None, Some(rest)),
        },
    };
    if ip.is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
        return Err(EXPECTED);
    }
    let (first, last) = range(container).ok_or(EXPECTED)?;
    let host = match host.filter(|h| !h.is_empty()) {
        Some(host) => Some(range(host).filter(|(a, b)| b - a == last - first).ok_or(EXPECTED)?.0),
        None => None,
    };
    let port = |offset: u16| PublishedPort {
        host_ip: ip.map(str::to_string),
        host_port: host.map(|h| h + offset),
        container_port: first + offset,
        protocol: protocol.to_string(),
    };
    Ok((0..=last - first).map(port).collect())
}

/// `80` or `8000-8010`.
fn range(text: &str) -> Option<(u16, u16)> {
    let number =
        |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse::<u16>().ok()).flatten().filter(|n| *n > 0);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// `name:address` (or `name=address`); the address may be `host-gateway`.
pub(super) fn add_host(text: &str) -> Result<String, Expected> {
    const EXPECTED: Expected = "name:address, where the address is an IP address or host-gateway";
    let (name, address) = text.split_once(['=', ':']).ok_or(EXPECTED)?;
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    let address_ok = address == "host-gateway" || bare.parse::<std::net::IpAddr>().is_ok();
    if name.is_empty() || name.contains(char::is_whitespace) || !address_ok {
        return Err(EXPECTED);
    }
    Ok(format!("{name}:{bare}"))
}

/// The name of a network that containers join besides the shared one.
pub(super) fn network(text: &str) -> Result<String, Expected> {
    let named = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    match text {
        "host" | "none" | "bridge" | "default" => {
            Err("the name of a network of its own: containers join it besides `kamal`")
        }
        _ if named => Ok(text.to_string()),
        _ => Err("the name of a network"),
    }
}

/// `source:target[:options]`, where the source is an absolute path or the name of a volume.
pub(super) fn volume(text: &str) -> Result<(), Expected> {
    const EXPECTED: Expected = "source:target[:options], where the source is an absolute path or the name of a volume";
    const OPTIONS: &[&str] = &[
        "ro",
        "rw",
        "z",
        "Z",
        "shared",
        "slave",
        "private",
        "rshared",
        "rslave",
        "rprivate",
        "nocopy",
        "consistent",
        "cached",
        "delegated",
    ];
    let mut parts = text.split(':');
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else { return Err(EXPECTED) };
    let options = parts.next();
    let named = source.len() >= 2
        && source.starts_with(|c: char| c.is_ascii_alphanumeric())
        && source.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if parts.next().is_some() || !(source.starts_with('/') || named) {
        return Err(EXPECTED);
    }
    if !target.starts_with('/') || target == "/" {
        return Err("an absolute path below / as the target");
    }
    if options.is_some_and(|o| !o.split(',').all(|o| OPTIONS.contains(&o))) {
        return Err("options such as ro, rw, z or nocopy, joined by commas");
    }
    Ok(())
}

/// `type=bind,source=/a,target=/b[,readonly]`, with docker's further fields.
pub(super) fn mount(text: &str) -> Result<Mount, Expected> {
    const EXPECTED: Expected = "type=bind|volume|tmpfs,source=…,target=/…[,readonly]";
    let mut mount = Mount { kind: "volume".into(), ..Mount::default() };
    for part in comma_separated(text).ok_or(EXPECTED)? {
        let (key, value) = part.split_once('=').unwrap_or((&part, "true"));
        let switch = || flag(value).ok_or(EXPECTED);
        let pair = || value.split_once('=').map_or((value, ""), |(k, v)| (k, v));
        match key.trim() {
            "type" => mount.kind = value.to_string(),
            "source" | "src" => mount.source = Some(value.to_string()),
            "target" | "destination" | "dst" => mount.target = value.to_string(),
            "readonly" | "ro" => mount.read_only = switch()?,
            "bind-propagation" => mount.propagation = Some(value.to_string()),
            "bind-nonrecursive" => mount.non_recursive = switch()?,
            "bind-recursive" => mount.non_recursive = value == "disabled",
            "volume-nocopy" => mount.no_copy = switch()?,
            "volume-subpath" => mount.subpath = Some(value.to_string()),
            "volume-driver" => mount.driver = Some(value.to_string()),
            "volume-opt" => drop(mount.driver_options.insert(pair().0.to_string(), pair().1.to_string())),
            "volume-label" => drop(mount.labels.insert(pair().0.to_string(), pair().1.to_string())),
            "tmpfs-size" => mount.tmpfs_size = Some(bytes(value)?),
            "tmpfs-mode" => mount.tmpfs_mode = Some(i64::from_str_radix(value, 8).map_err(|_| EXPECTED)?),
            "consistency" => {}
            _ => return Err(EXPECTED),
        }
    }
    let propagation = mount.propagation.as_deref();
    let propagates = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
    let source_ok = match mount.kind.as_str() {
        "bind" => mount.source.as_deref().is_some_and(|s| s.starts_with('/')),
        "volume" => mount.source.as_deref().is_none_or(|s| !s.is_empty() && !s.contains('/')),
        "tmpfs" => mount.source.is_none(),
        _ => false,
    };
    let ok = source_ok && mount.target.starts_with('/') && propagation.is_none_or(|p| propagates.contains(&p));
    if ok { Ok(mount) } else { Err(EXPECTED) }
}

/// A line of comma-separated values, as docker reads `--mount` and `--gpus`: a field in double quotes may hold commas.
pub(super) fn comma_separated(text: &str) -> Option<Vec<String>> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            '"' => return None,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    (!quoted).then_some(fields)
}

/// `name=soft[:hard]`.
pub(super) fn ulimit(text: &str) -> Result<Ulimit, Expected> {
    const EXPECTED: Expected = "name=soft[:hard], such as nofile=65536:65536";
    let (name, limits) = text.split_once('=').filter(|(n, _)| !n.is_empty()).ok_or(EXPECTED)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |t: &str| t.parse::<i64>().ok().filter(|n| *n >= -1).ok_or(EXPECTED);
    let (soft, hard) = (number(soft)?, number(hard)?);
    if hard != -1 && (soft > hard || soft == -1) {
        return Err("a soft limit not above the hard one");
    }
    Ok(Ulimit { name: name.to_string(), soft, hard })
}

/// `true` or `false` as the docker command line reads them.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "1" | "t" | "T" => Some(true),
        "false" | "False" | "FALSE" | "0" | "f" | "F" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [
            ("512m", 536_870_912),
            ("1.5g", 1_610_612_736),
            ("1GiB", 1 << 30),
            ("64 kb", 65_536),
            ("100", 100),
            ("10b", 10),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for bad in ["", "m", "1x", "-1", "1..2", "1e9", "99999999999p", "é"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(nano_cpus("1.5"), Ok(1_500_000_000));
        assert!(nano_cpus("0").is_err() && nano_cpus("NaN").is_err());
    }

    #[test]
    fn durations() {
        for (text, ms) in [("30s", 30_000), ("1m30s", 90_000), ("500ms", 500), ("1.5h", 5_400_000), ("0", 0)] {
            assert_eq!(milliseconds(text), Ok(ms), "{text}");
        }
        for bad in ["", "30", "s", "1x", "-1s"] {
            assert!(milliseconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports() {
        let one = |text: &str| {
            let p = publish(text).unwrap().remove(0);
            (p.host_ip, p.host_port, p.container_port, p.protocol)
        };
        assert_eq!(one("80"), (None, None, 80, "tcp".into()));
        assert_eq!(one("8080:80/udp"), (None, Some(8080), 80, "udp".into()));
        assert_eq!(one("127.0.0.1:8080:80"), (Some("127.0.0.1".into()), Some(8080), 80, "tcp".into()));
        assert_eq!(one("127.0.0.1::80"), (Some("127.0.0.1".into()), None, 80, "tcp".into()));
        assert_eq!(one("[::1]:1:2"), (Some("::1".into()), Some(1), 2, "tcp".into()));
        assert_eq!(publish("8000-8002:9000-9002").unwrap().len(), 3);
        for bad in ["", "80520", "0:80", "a:80", "80/x", "8000-8002:80", "host:1:2", "1:2:3:4", "2-1", "+1:2"] {
            assert!(publish(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_volumes_mounts_and_limits() {
        assert_eq!(add_host("h:10.0.0.1"), Ok("h:10.0.0.1".into()));
        assert_eq!(add_host("h=host-gateway"), Ok("h:host-gateway".into()));
        assert_eq!(add_host("h:[::1]"), Ok("h:::1".into()));
        assert!(add_host("h").is_err() && add_host("h:nowhere").is_err());
        for good in ["data:/data", "/a:/b:ro", "/a:/b:ro,z"] {
            assert!(volume(good).is_ok(), "{good}");
        }
        for bad in ["/data", "./a:/b", "a/b:/c", "data:rel", "data:/", "a:/b:wrong", "/a:/b:ro:x", "x:/y"] {
            assert!(volume(bad).is_err(), "{bad}");
        }
        assert!(mount("type=bind,source=/a,target=/b,readonly").unwrap().read_only);
        assert!(mount("type=tmpfs,target=/t").is_ok());
        let nfs = mount("type=volume,src=c,dst=/c,volume-driver=local,volume-opt=type=nfs,\"volume-opt=o=addr=h,rw\"")
            .unwrap();
        assert_eq!((nfs.driver.as_deref(), nfs.driver_options["o"].as_str()), (Some("local"), "addr=h,rw"));
        for bad in [
            "",
            "type=bind,target=/b",
            "type=bind,source=a,target=/b",
            "type=x,target=/b",
            "target=/b,volume-option=x",
            "type=bind,source=/a,target=/b,bind-propagation=x",
            "target=/b,\"x",
        ] {
            assert!(mount(bad).is_err(), "{bad}");
        }
        assert_eq!(ulimit("nofile=1:2").map(|u| (u.soft, u.hard)), Ok((1, 2)));
        assert!(ulimit("nofile").is_err() && ulimit("nofile=3:2").is_err());
    }
}
