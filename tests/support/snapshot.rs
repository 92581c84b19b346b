//! Everything on a host that windlass could change, for tests that say "nothing was changed".
#![allow(dead_code, missing_docs, unreachable_pub)]

use super::lab::Lab;

/// Containers with their life and restart policy, images, networks, volumes, and every file of windlass and Kamal but
/// the leases: those say who asked last, and asking is no change.
const LOOK: &str = r#"
docker ps -aq --no-trunc | sort | xargs -r docker inspect --format \
  'container {{.Id}} {{.Name}} {{.State.Status}} {{.State.StartedAt}} {{.State.FinishedAt}} {{.HostConfig.RestartPolicy.Name}}'
docker images -a --no-trunc --format 'image {{.ID}} {{.Repository}}:{{.Tag}} {{.Digest}}' | sort
docker network ls --no-trunc --format 'network {{.Name}}' | sort
docker volume ls --format 'volume {{.Name}}' | sort
find /root/.windlass /home/*/.windlass /root/.kamal /home/*/.kamal -type f ! -name lease 2>/dev/null | sort |
  xargs -r sha256sum
"#;

#[derive(PartialEq, Eq)]
pub struct Snapshot(String);

impl Snapshot {
    pub fn of(lab: &Lab, host: &str) -> Self {
        let text = lab.exec(host, &["sh", "-c", LOOK]);
        assert!(text.contains("volume "), "{host} could be looked at: {text}");
        Self(text)
    }

    /// The test fails with the lines that differ.
    #[track_caller]
    pub fn assert_same(&self, now: &Self, what: &str) {
        let only_in = |a: &Self, b: &Self| {
            let lines = a.0.lines().filter(|line| !b.0.lines().any(|other| other == *line));
            lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        assert!(self == now, "{what} changed\n--- before\n{}\n--- now\n{}", only_in(self, now), only_in(now, self));
    }
}

/// One snapshot a host, in the order of `hosts`.
pub fn of_all(lab: &Lab, hosts: &[&str]) -> Vec<Snapshot> {
    hosts.iter().map(|host| Snapshot::of(lab, host)).collect()
}

#[track_caller]
pub fn assert_unchanged(lab: &Lab, hosts: &[&str], before: &[Snapshot]) {
    for (host, before) in hosts.iter().zip(before) {
        before.assert_same(&Snapshot::of(lab, host), host);
    }
}
