//! History on real hosts: what is left of twenty releases, what damaged journals change, how long a list takes, and what
//! goes from one destination to another.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/project.rs"]
mod project;
#[path = "support/project_config.rs"]
mod project_config;
#[path = "support/schema.rs"]
mod schema;

use project::{Project, Ran};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

const HOSTS: [&str; 3] = ["host-1", "host-2", "host-3"];

fn versions(project: &Project, host: &str) -> BTreeSet<String> {
    let version = |image: &str| image.rsplit_once(':').map_or_else(String::new, |(_, tag)| tag.to_owned());
    project.containers(host).iter().map(|container| version(&container.image)).collect()
}

fn images(project: &Project, host: &str) -> BTreeSet<String> {
    let lines = project.lab.docker(host, &["images", "-a", "--format", "{{.Repository}} {{.Tag}}"]);
    let own = format!("/{}", project.service);
    lines.lines().filter_map(|l| l.split_once(' ')).filter(|(r, _)| r.ends_with(&own)).map(|(_, t)| t.into()).collect()
}

fn set(versions: &[&str]) -> BTreeSet<String> {
    versions.iter().map(|&version| version.to_owned()).collect()
}

/// The service's state directory on a host.
fn state(project: &Project, host: &str) -> String {
    let home = if project.host(host).user == "root" { "/root" } else { "/home/deploy" };
    format!("{home}/.windlass/{}/_", project.service)
}

fn shell(project: &Project, host: &str, script: &str) -> String {
    project.lab.exec(host, &["sh", "-c", script])
}

/// `(number, version, status)`, newest first.
fn rows(releases: &Value) -> Vec<[String; 3]> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_string();
    let row = |row: &Value| ["number", "version", "status"].map(|key| text(row, key));
    releases["releases"].as_array().expect("releases").iter().map(row).collect()
}

fn releases(project: &Project) -> Value {
    schema::assert_valid("releases.v1.json", &project.json(&["releases"]))
}

/// What `jq -r FILTER` makes of what windlass printed.
fn jq(ran: &Ran, filter: &str) -> String {
    let mut jq =
        Command::new("jq").args(["-r", filter]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("jq");
    jq.stdin.take().expect("a pipe").write_all(ran.stdout.as_bytes()).expect("jq reads");
    let output = jq.wait_with_output().expect("jq ends");
    String::from_utf8(output.stdout).expect("text").trim().to_string()
}

/// An accessory of the service, another service's container and unused image, and a container that is no service's.
fn bystanders(project: &Project) -> Vec<String> {
    let other = project.lab.image("bystander:v1", &["--label", "service=bystander"]).0;
    let unused = project.lab.image("bystander:v0", &["--label", "service=bystander"]).0;
    let accessory = format!("service={}-db", project.service);
    HOSTS.iter().for_each(|host| {
        let labels = ["--label", "service=bystander", "--label", "role=web", "--label", "destination="];
        project.lab.docker(host, &[&["create", "--name", "bystander-web-v1"][..], &labels, &[&other]].concat());
        project
            .lab
            .docker(host, &["create", "--name", &format!("{}-db", project.service), "--label", &accessory, &other]);
        project.lab.docker(host, &["create", "--name", "nobodys", &other]);
        project.lab.docker(host, &["pull", "-q", &unused]);
    });
    vec![other, unused]
}

#[test]
fn of_twenty_releases_what_serves_the_last_stable_and_the_pinned_are_left() {
    let project = Project::new("twenty", 3);
    project.configure(&project.config().secret("API_KEY"));
    project.secrets(&[("API_KEY", "first-key")]);
    let all: Vec<_> = (1..=20).map(|n| format!("t{n}")).collect();
    all.iter().for_each(|tag| _ = project.image(tag, &[]));
    let others = bystanders(&project);
    project.ok(&["setup", "--version", "t1"]);
    for version in &all[1..] {
        project.ok(&["deploy", "--version", version, "--label", &format!("build-{version}")]);
    }
    project.ok(&["releases", "pin", "build-t7", "-m", "the auditors' version"]);
    assert_eq!(versions(&project, "host-3").len(), 20, "young containers are all retained");
    assert_eq!(releases(&project)["releases"][0]["label"], "build-t20");
    assert_eq!(jq(&project.ok(&["releases", "--json"]), ".releases[1].version"), "t19");
    assert_eq!(
        jq(&project.ok(&["releases", "--json", "--status", "pinned"]), ".releases[].pin.message"),
        "the auditors' version"
    );

    let dry = project.ok(&["prune", "--older-than", "0s", "--dry-run"]);
    dry.assert_says("v7 is pinned by").assert_says("last stable release: v19").assert_says("MB");
    let current = HOSTS.map(|host| project.running(host).id);
    let pruned = project.json(&["prune", "--older-than", "0s"]);
    schema::assert_valid("prune.v1.json", &pruned);
    assert_eq!((&pruned["outcome"], &pruned["hosts"][0]["containers"]), (&Value::from("succeeded"), &Value::from(17)));
    for host in HOSTS {
        assert_eq!(versions(&project, host), set(&["t7", "t19", "t20"]), "containers left on {host}");
        assert_eq!(images(&project, host), set(&["t7", "t19", "t20"]), "images left on {host}");
        let names = project.lab.docker(host, &["ps", "-a", "--format", "{{.Names}}"]);
        for kept in ["bystander-web-v1", "nobodys", "twenty-db"] {
            assert!(names.contains(kept), "{kept} on {host}: {names}");
        }
        others.iter().for_each(|image| _ = project.lab.docker(host, &["image", "inspect", image]));
    }
    assert_eq!(HOSTS.map(|host| project.running(host).id), current, "what serves was not touched");
    let again = project.json(&["prune", "--older-than", "0s"]);
    assert_eq!(schema::assert_valid("prune.v1.json", &again)["outcome"], "nothing to do");

    project.run(&["releases", "rm", "build-t7", "-y"]).expect(4).assert_says("v7 is pinned by");
    project.run(&["releases", "rm", "t20"]).expect(4).assert_says("it serves (as v20)");
    project.run(&["releases", "rm", "v19"]).expect(4).assert_says("the last stable release (v19)");
    project.lab.registry_stop();
    let back = project.run(&["rollback", "build-t7"]);
    project.lab.registry_start();
    back.expect(0);
    project.assert_all_serve("t7");
    project.ok(&["releases", "rm", "v20"]);
    HOSTS.iter().for_each(|host| assert_eq!(versions(&project, host), set(&["t7", "t19"]), "{host}"));
    let history = releases(&project);
    let newest = &rows(&history)[..2];
    assert_eq!(newest, [["v21", "t7", "current"].map(String::from), ["v20", "t20", "rolled back"].map(String::from)]);

    // One host is away: the others are cleaned, and it is named.
    project.ok(&["releases", "unpin", "v7"]);
    project.ok(&["deploy", "--version", "t20"]);
    project.lab.cut("host-2");
    let partly = project.run(&["prune", "--older-than", "0s", "--json"]);
    project.lab.heal("host-2");
    let partly = partly.expect(6);
    partly.assert_says("not every host was pruned").assert_says(&project.host("host-2").address);
    let summary = schema::assert_valid("prune.v1.json", &partly.json());
    assert!(summary["hosts"][1]["left_alone"].is_string() && summary["hosts"][0]["left_alone"].is_null(), "{summary}");
    assert!(!versions(&project, "host-1").contains("t19") && versions(&project, "host-2").contains("t19"));
    let journal = shell(&project, "host-1", &format!("tail -n 2 {}/journal.jsonl", state(&project, "host-1")));
    assert!(journal.contains(r#""fact":"pruned","containers":"#), "{journal}");
}

#[test]
fn a_damaged_history_is_named_answered_for_by_the_others_and_not_pruned() {
    let project = Project::new("damaged", 3);
    ["v1", "v2", "v3", "v4"].iter().for_each(|tag| _ = project.image(tag, &["COLOR=red"]));
    project.ok(&["setup", "--version", "v1"]);
    project.ok(&["deploy", "--version", "v2", "-m", "second"]);
    project.configure(&project.config().env("COLOR", "blue"));
    project.ok(&["deploy", "--version", "v3"]);
    let before = releases(&project);
    let [torn, corrupt, older] = HOSTS.map(|host| state(&project, host));
    let run = before["releases"][0]["run"].as_str().expect("a run");
    shell(&project, "host-1", &format!(r#"printf '{{"schema":1,"run":"01' >>{torn}/journal.jsonl"#));
    shell(
        &project,
        "host-2",
        &format!("f=$(ls {corrupt}/releases/* | head -n 1); head -c 100 $f >/tmp/half; cat /tmp/half >$f"),
    );
    shell(&project, "host-3", &format!("cd {older}; rm releases/{run}.json; sed -i /{run}/d journal.jsonl"));

    let list = project.ok(&["releases"]);
    list.assert_says(&format!("note: {}: ", project.host("host-1").address))
        .assert_says("the last line of its journal was cut off");
    list.assert_says("unreadable records: releases/").assert_says("misses v3");
    let after = releases(&project);
    assert_eq!(rows(&after), rows(&before));
    assert_eq!(after["releases"][2]["digest"], before["releases"][2]["digest"], "from the hosts that have the record");
    assert_eq!(after["doubts"].as_object().map(|d| d.len()), Some(3), "{}", after["doubts"]);
    let kept = HOSTS.map(|host| versions(&project, host));
    let pruned = project.json(&["prune", "--older-than", "0s"]);
    assert!(pruned["hosts"].as_array().is_some_and(|h| h.iter().all(|h| h["left_alone"].is_string())), "{pruned}");
    assert_eq!(HOSTS.map(|host| versions(&project, host)), kept, "nothing was pruned anywhere");

    // What each release was, and what differs.
    let shown = schema::assert_valid("release.v1.json", &project.json(&["releases", "show", "v3"]));
    assert_eq!(shown["reports"].as_array().map(Vec::len), Some(3), "every host says how its run went");
    project.ok(&["releases", "show", "v3"]).assert_says("COLOR: blue").assert_says("start damaged-web-v3");
    let yaml = project.ok(&["releases", "show", "v2", "--yaml"]).stdout;
    project.write("config/then.yml", &yaml);
    project.ok(&["config", "-c", "config/then.yml"]).assert_says("damaged");
    let diff = schema::assert_valid("diff.v1.json", &project.json(&["releases", "diff", "v2"]));
    assert!(diff["changes"].as_array().is_some_and(|all| all.iter().any(|c| c["name"] == "COLOR")), "{diff}");
    let dry = project.ok(&["rollback", "v2", "--dry-run"]);
    dry.assert_says("changes from v3 (v3):").assert_says("- env     COLOR");
    schema::assert_valid("diff.v1.json", &project.json(&["deploy", "--version", "v4", "--dry-run"])["diff"]);

    // The next deploy heals what it can: the torn line is closed, and what was missed is written.
    project.ok(&["deploy", "--version", "v4"]);
    let healed = releases(&project);
    assert_eq!(healed["doubts"], serde_json::json!({}), "the damaged record is written again, too");
    let pruned = project.json(&["prune", "--older-than", "0s"]);
    assert_eq!(pruned["outcome"], "succeeded", "{pruned}");
    HOSTS.iter().for_each(|host| assert_eq!(versions(&project, host), set(&["v3", "v4"]), "{host}"));
}

/// Makes the service's history on every host as long as `count` releases: copies of its first one, each of a run and a
/// container of its own, older than the real ones.
fn lengthen(project: &Project, from: usize, count: usize) {
    let script = |dir: &str| {
        format!(
            r#"set -e
cd {dir}
first=$(ls releases | grep -v '^0000' | head -n 1); first=${{first%.json}}
cp journal.jsonl /tmp/real.jsonl
: >/tmp/made.jsonl
for i in $(seq {from} {count}); do
  run=$(printf '%026d' $i)
  sed "s/$first/$run/; s/\"number\": 1,/\"number\": 1$i,/; s/\"version\": \"v1\"/\"version\": \"old$i\"/" releases/$first.json >releases/$run.json
  grep "$first" /tmp/real.jsonl | sed "s/$first/$run/g; s/\"number\":1,/\"number\":1$i,/; s/\"version\":\"v1\"/\"version\":\"old$i\"/; s/\"to\":\"......../\"to\":\"$(printf %08d $i)/" >>/tmp/made.jsonl
done
cat /tmp/made.jsonl /tmp/real.jsonl >journal.jsonl
"#
        )
    };
    HOSTS.iter().for_each(|host| _ = shell(project, host, &script(&state(project, host))));
}

/// The median of several runs.
fn time(project: &Project, expected: usize) -> Duration {
    let mut times: Vec<Duration> = (0..7)
        .map(|_| {
            let ran = project.ok(&["releases", "--json"]);
            assert_eq!(ran.json()["releases"].as_array().map(Vec::len), Some(expected));
            ran.duration
        })
        .collect();
    times.sort();
    times[3]
}

#[test]
fn a_list_of_500_releases_takes_no_more_than_half_as_long_again_as_one_of_5() {
    let project = Project::new("long", 3);
    project.image("v1", &[]);
    project.ok(&["setup", "--version", "v1"]);
    lengthen(&project, 2, 5);
    let few = time(&project, 5);
    lengthen(&project, 6, 500);
    let many = time(&project, 500);
    eprintln!("releases: 5 in {few:?}, 500 in {many:?}");
    // The promise is 1.5, of the program as it is shipped. Without optimisation reading JSON alone takes as long as all
    // the rest of a short list.
    let allowed = if cfg!(debug_assertions) { 2.5 } else { 1.5 };
    assert!(many.as_secs_f64() <= allowed * few.as_secs_f64(), "5 in {few:?}, 500 in {many:?}");
}

#[test]
fn what_runs_in_staging_goes_to_production_by_its_digest() {
    let project = Project::new("promoted", 3);
    let addresses = HOSTS.map(|host| {
        let host = project.host(host);
        if host.user == "root" { host.address.clone() } else { format!("{}@{}", host.user, host.address) }
    });
    let password = project.lab.auth_registry().2;
    project.write(".windlass/secrets-common", &format!("REGISTRY_PASSWORD='{password}'\n"));
    let servers = |hosts: &[String]| format!("servers:\n  web:\n    hosts: [{}]\n", hosts.join(", "));
    project.write("config/deploy.staging.yml", &servers(&addresses[..1]));
    project.write("config/deploy.production.yml", &servers(&addresses[1..]));
    let tested = project.image("v1", &["COLOR=tested"]);
    project.ok(&["setup", "-d", "staging", "--version", "v1", "-m", "tested by ann"]);
    // Somebody pushes the tag again: production must not get it.
    let moved = project.image("v1", &["COLOR=moved"]);
    assert_ne!(tested, moved);
    project.ok(&["setup", "-d", "production", "--from", "staging"]);
    let there = project.json(&["releases", "-d", "production"])["releases"][0].clone();
    assert_eq!((&there["digest"], &there["message"]), (&Value::from(tested.clone()), &Value::from("tested by ann")));
    for host in &HOSTS[1..] {
        assert_eq!(project.env_of(host, "COLOR").as_deref(), Some("tested"), "{host}");
    }
    project.ok(&["deploy", "-d", "staging", "--version", "v1"]);
    let older = project.ok(&["deploy", "-d", "production", "--from", "staging:@1", "--dry-run"]);
    older.assert_says("nothing to do");
    let refused = project.run(&["deploy", "-d", "staging", "--from", "staging"]).expect(2);
    refused.assert_says("--from names the destination that is deployed to");
    assert_eq!(jq(&project.ok(&["releases", "-d", "staging", "--json"]), ".releases[1].digest"), tested);
}
