//! Containers that Kamal made: listed, adopted, and rolled back to as the very containers they are.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;

use project::{Container, Project, now};
use std::collections::BTreeMap;

const HOSTS: [&str; 2] = ["host-1", "host-2"];

/// Deploys a version as Kamal 2 does: the image by tag, the secrets in an env file, `docker run` with Kamal's names,
/// labels, network, host name and variables; `latest` follows; what ran before is stopped. The ports are nobody's.
fn kamal_deploys(project: &Project, host: &str, version: &str, before: Option<&str>) {
    let (server, user, password) = project.lab.auth_registry();
    let address = &project.host(host).address;
    let service = &project.service;
    let (image, env) = (format!("{server}/{service}:{version}"), format!(".kamal/apps/{service}/env/roles"));
    let stop = before.map_or_else(String::new, |v| format!("docker stop -t 10 {service}-web-{v}\n"));
    let script = format!(
        r#"set -e
cd
mkdir -p {env}
umask 077
printf 'API_KEY=of-{version}\n' >{env}/web.env
docker network inspect kamal >/dev/null 2>&1 || docker network create kamal
docker login {server} -u {user} -p '{password}' 2>/dev/null
docker pull {image}
docker run --detach --restart unless-stopped --name {service}-web-{version} --network kamal \
  --hostname {address}-0123456789ab --env KAMAL_CONTAINER_NAME="{service}-web-{version}" \
  --env KAMAL_VERSION="{version}" --env KAMAL_HOST="{address}" --env COLOR="red" --env-file {env}/web.env \
  --log-opt max-size="10m" --label service="{service}" --label role="web" --label destination {image}
{stop}docker tag {image} {server}/{service}:latest
docker logout {server}
"#
    );
    project.lab.exec(host, &["sh", "-c", &script]);
}

fn by_version(project: &Project, host: &str) -> BTreeMap<String, Container> {
    let version = |c: &Container| c.image.rsplit_once(':').map_or_else(String::new, |(_, tag)| tag.to_owned());
    project.containers(host).into_iter().map(|c| (version(&c), c)).collect()
}

#[test]
fn what_kamal_left_is_listed_adopted_and_rolled_back_to() {
    // A third host, so that both that Kamal deployed to let in root, as Kamal's hosts do.
    lab::Lab::up(3);
    let project = Project::new("shop", 2);
    project.configure(&project.config().env("COLOR", "blue").secret("API_KEY"));
    project.secrets(&[("API_KEY", "of-windlass")]);
    ["v1", "v2", "v3"].iter().for_each(|tag| _ = project.image(tag, &[]));
    for host in HOSTS {
        kamal_deploys(&project, host, "v1", None);
        kamal_deploys(&project, host, "v2", Some("v1"));
    }
    let kamals: BTreeMap<_, _> = HOSTS.map(|host| (host, by_version(&project, host))).into();

    // Reading needs nothing set up.
    let listed = project.ok(&["app", "containers"]);
    listed.assert_says("shop-web-v1").assert_says("shop-web-v2");
    assert_eq!(listed.stdout.matches("shop-web-v2").count(), 2, "on both hosts: {listed}");
    let releases = project.ok(&["releases"]);
    releases.assert_says("v1").assert_says("v2");
    let status = project.run(&["status"]).expect(0);
    assert!(status.stdout.lines().any(|l| l.contains("web") && l.contains("v2")), "v2 serves: {status}");

    project.ok(&["setup", "--version", "v3"]);
    project.assert_all_serve("v3");
    assert_eq!(project.env_of("host-1", "COLOR").as_deref(), Some("blue"));
    let releases = project.ok(&["releases"]);
    let line = releases.stdout.lines().find(|line| line.contains("adopted")).expect("an adopted release");
    assert!(line.contains(" v2 ") && line.contains("0/2") && line.contains("2/2"), "v2 is adopted: {releases}");

    // The very containers, with what Kamal gave them, and nothing is pulled.
    project.lab.registry_stop();
    let since = now();
    let back = project.run(&["rollback", "v2"]);
    let further = project.run(&["rollback", "v1"]);
    project.lab.registry_start();
    back.expect(0);
    further.expect(0);
    project.assert_all_serve("v1");
    for host in HOSTS {
        assert_eq!(project.running(host).id, kamals[host]["v1"].id, "Kamal's v1 on {host}");
        assert_eq!(by_version(&project, host)["v2"].id, kamals[host]["v2"].id, "Kamal's v2 stays on {host}");
        assert_eq!(project.env_of(host, "API_KEY").as_deref(), Some("of-v1"));
        assert_eq!(project.env_of(host, "COLOR").as_deref(), Some("red"));
        assert!(!project.events(host, &since).iter().any(|(_, action)| action == "pull"), "{host} pulled something");
    }

    project.ok(&["rollback", "v2"]);
    project.assert_all_serve("v2");
    for host in HOSTS {
        assert_eq!(project.running(host).id, kamals[host]["v2"].id, "Kamal's v2 on {host}");
        assert_eq!(project.env_of(host, "API_KEY").as_deref(), Some("of-v2"));
        let policy = ["inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", &kamals[host]["v2"].id];
        assert_eq!(project.lab.docker(host, &policy).trim(), "unless-stopped", "Kamal's restart policy on {host}");
    }
}

#[test]
fn a_plain_deploy_adopts_too_and_bare_rollback_goes_back() {
    lab::Lab::up(3);
    let project = Project::new("mall", 2);
    project.configure(&project.config().secret("API_KEY"));
    project.secrets(&[("API_KEY", "of-windlass")]);
    ["v2", "v3"].iter().for_each(|tag| _ = project.image(tag, &[]));
    HOSTS.iter().for_each(|host| kamal_deploys(&project, host, "v2", None));
    let kamals = HOSTS.map(|host| project.running(host).id);

    project.ok(&["deploy", "--version", "v3"]);
    project.assert_all_serve("v3");
    project.ok(&["rollback"]);
    project.assert_all_serve("v2");
    assert_eq!(HOSTS.map(|host| project.running(host).id), kamals, "the very containers");
}
