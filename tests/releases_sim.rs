//! What is said of releases and what is left of them, on the simulator; and what `--json` prints against its schemas.

#[path = "support/operator.rs"]
mod operator;
#[path = "support/schema.rs"]
mod schema;

use operator::{Ended, Operator, config, name};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use windlass::history::{self, Badge, History};
use windlass::journal;
use windlass::plan::Marking;
use windlass::release::{Diff, HostReport, Outcome};
use windlass::render::diff::Compared;
use windlass::render::release::Shown;
use windlass::render::releases::{Filter, Releases};
use windlass::secret::Secret;
use windlass::sim::{ImageBehaviour, SimFleet};

const APP: &str = "registry.example.com/app";
const HOSTS: [&str; 3] = ["a", "b", "c"];

fn operator(roles: &[&str], versions: usize) -> Operator {
    let world = SimFleet::new().hosts(HOSTS).registry_image("haproxy", "3.2", ImageBehaviour::healthy());
    let operator = Operator::new(world, config(&HOSTS, roles));
    (1..=versions).for_each(|n| _ = operator.world.push(APP, &format!("t{n}"), ImageBehaviour::healthy()));
    operator
}

async fn deploy(operator: &Operator, version: &str) {
    assert_eq!(operator.deploy(version).await.report().outcome, Outcome::Succeeded, "{version}");
    tokio::time::sleep(Duration::from_secs(60)).await;
}

fn versions(operator: &Operator, host: &str) -> BTreeSet<String> {
    let names = operator.world.containers(host).into_keys().filter(|name| name.starts_with("app-web-"));
    names.map(|name| name.trim_start_matches("app-web-").to_string()).collect()
}

fn set(versions: &[&str]) -> BTreeSet<String> {
    versions.iter().map(ToString::to_string).collect()
}

async fn view(operator: &Operator, filter: &Filter) -> Releases {
    let (fleet, history) = (operator.fleet().await, operator.history().await);
    let hosts = fleet.reachable().map(|(host, _)| host.clone()).collect();
    let unreachable = fleet.unreachable().map(|(host, _)| host.clone()).collect();
    let doubts = history::doubts(&fleet, &history);
    Releases::new((operator.config.service.clone(), None), (hosts, unreachable), &history, doubts, filter)
}

#[tokio::test(start_paused = true)]
async fn twenty_releases_later_what_serves_the_last_stable_and_the_pinned_are_left() {
    let mut operator = operator(&["web"], 20);
    for n in 1..=20 {
        deploy(&operator, &format!("t{n}")).await;
        if n == 5 {
            let pinned = operator.mark("t3", Marking::Pin).await.report();
            assert_eq!(pinned.outcome, Outcome::Succeeded, "{pinned:?}");
        }
    }
    assert_eq!(versions(&operator, "a").len(), 20, "young containers are all retained");
    operator.config.retain.age = Duration::ZERO;
    assert_eq!(operator.prune().await.report().outcome, Outcome::Succeeded);
    HOSTS.iter().for_each(|host| assert_eq!(versions(&operator, host), set(&["t3", "t19", "t20"]), "{host}"));
    assert!(matches!(operator.prune().await, Ended::NothingToDo));
    let pulls = operator.world.pulls();
    assert_eq!(operator.rollback(Some("t3")).await.report().outcome, Outcome::Succeeded);
    assert_eq!(operator.world.pulls(), pulls);
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn three_roles_on_a_host_and_five_complete_targets_survive() {
    let mut operator = operator(&["web", "jobs!", "mail!"], 9);
    for n in 1..=9 {
        deploy(&operator, &format!("t{n}")).await;
    }
    operator.config.retain.age = Duration::ZERO;
    operator.config.retain.at_least = 5;
    assert_eq!(operator.prune().await.report().outcome, Outcome::Succeeded);
    let history = operator.history().await;
    let scope = operator
        .config
        .hosts
        .keys()
        .map(|host| (host.clone(), operator.config.roles.iter().map(|role| role.name.clone()).collect()));
    let scope = scope.collect();
    let usable = (1..9).filter(|n| history.resolve(Some(&format!("t{n}")), &scope).is_ok()).count();
    assert_eq!(usable, 5, "complete targets besides what serves");
}

#[tokio::test(start_paused = true)]
async fn labels_and_pins_are_on_every_host_and_guard_a_release() {
    let operator = operator(&["web"], 4);
    for n in 1..=4 {
        deploy(&operator, &format!("t{n}")).await;
    }
    let label = |text: &str| Marking::Label(Some(name(text)));
    assert_eq!(operator.mark("v1", label("golden")).await.report().outcome, Outcome::Succeeded);
    assert!(matches!(operator.mark("golden", label("golden")).await, Ended::NothingToDo), "it is called so already");
    assert_eq!(operator.mark("golden", Marking::Pin).await.report().outcome, Outcome::Succeeded);
    for host in HOSTS {
        let journal = operator.world.file(host, "/root/.windlass/app/_/journal.jsonl").unwrap_or_default();
        let text = String::from_utf8_lossy(&journal).into_owned();
        assert!(
            text.contains(r#""mark":"labelled","label":"golden""#) && text.contains(r#""mark":"pinned""#),
            "{text}"
        );
    }
    let why = operator.remove("golden").await.refusal().message;
    assert_eq!(why, "v1 (t1) is not removed: v1 is pinned by ann@laptop");
    assert!(operator.remove("t4").await.refusal().message.contains("it serves (as v4) on a, b, c"));
    assert!(operator.remove("t3").await.refusal().message.contains("it is the last stable release (v3)"));
    assert_eq!(operator.remove("t2").await.report().outcome, Outcome::Succeeded);
    HOSTS.iter().for_each(|host| assert_eq!(versions(&operator, host), set(&["t1", "t3", "t4"]), "{host}"));
    let removed = &operator.history().await.releases[1];
    assert_eq!(removed.badges(), [Badge::Pruned, Badge::Stable]);
    let clash = operator.mark("v3", label("t1")).await.refusal().message;
    assert!(clash.contains("`t1` is the version of v1"), "{clash}");
    assert_eq!(operator.rollback(Some("golden")).await.report().outcome, Outcome::Succeeded);
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_away_hears_of_a_pin_with_the_next_deploy() {
    let operator = operator(&["web"], 3);
    deploy(&operator, "t1").await;
    deploy(&operator, "t2").await;
    operator.world.cut_off("c");
    let away = operator.mark("t1", Marking::Pin).await.refusal().message;
    assert!(away.contains("not every host can be reached"), "{away}");
    operator.world.restore("c");
    assert_eq!(operator.mark("t1", Marking::Pin).await.report().outcome, Outcome::Succeeded);
    assert!(operator.history().await.releases[0].pin.is_some());
}

async fn shown(operator: &Operator, history: &History, index: usize) -> Shown {
    let release = &history.releases[index];
    let run = release.run.clone().expect("a recorded release");
    let mut reports: Vec<HostReport> = Vec::new();
    for node in operator.connect().await.nodes.values() {
        let dirs = [journal::report_dir("/root/.windlass/app/_", &run)];
        let files = node.host.read_dirs(&dirs).await.expect("the report's directory");
        reports.extend(journal::read_report(&files[0]));
    }
    Shown::new(release, reports)
}

#[tokio::test(start_paused = true)]
async fn what_json_prints_is_what_the_schemas_say() {
    let mut operator = operator(&["web"], 2);
    deploy(&operator, "t1").await;
    operator.config.roles[0].spec.env.clear.insert("COLOR".to_string(), "green".to_string());
    operator.secrets.insert("KEY".to_string(), Secret::new("s2".to_string()));
    deploy(&operator, "t2").await;
    let crash = ImageBehaviour::crashing(Duration::from_millis(300), 3).printing(["starting", "no database"]);
    operator.world.push(APP, "bad", crash);
    assert_eq!(operator.deploy("bad").await.report().outcome, Outcome::Reverted);
    assert_eq!(operator.rollback(None).await.report().outcome, Outcome::Succeeded);
    let pin = operator.mark("v1", Marking::Pin).await;
    assert_eq!(pin.report().outcome, Outcome::Succeeded);

    let list = view(&operator, &Filter::default()).await;
    let json = schema::assert_valid("releases.v1.json", &list);
    let rows = json["releases"].as_array().expect("releases");
    let said: Vec<_> =
        rows.iter().map(|r| [&r["number"], &r["type"], &r["status"]].map(|v| v.as_str().unwrap_or("-"))).collect();
    let expected = [
        ["v4", "rollback", "current"],
        ["v3", "deploy", "failed"],
        ["v2", "deploy", "rolled back"],
        ["v1", "deploy", "stable"],
    ];
    assert_eq!(said, expected);
    assert_eq!(rows[1]["image"], "registry.example.com/app:bad", "jq -r '.releases[1].image'");
    assert!(
        rows[3]["took"].as_f64().is_some_and(|took| took > 0.0) && rows[3]["active_until"].is_string(),
        "{}",
        rows[3]
    );
    let pinned = view(&operator, &Filter { badges: [Badge::Pinned].into(), ..Filter::default() }).await;
    assert_eq!(pinned.releases.iter().filter_map(|r| r.number.clone()).collect::<Vec<_>>(), ["v1"]);

    let history = operator.history().await;
    let failed = shown(&operator, &history, 2).await;
    schema::assert_valid("release.v1.json", &failed);
    let steps: Vec<_> = failed.reports.iter().flat_map(|report| &report.steps).collect();
    let broken = steps.iter().find(|step| step.failure.is_some()).expect("the step that failed");
    assert_eq!(broken.log, ["starting", "no database"], "{broken:?}");
    let text = failed.text(history.releases[2].at.unwrap_or_default(), "");
    assert!(text.contains("| no database") && text.contains("failed  "), "{text}");
    let worked = shown(&operator, &history, 1).await;
    assert_eq!(worked.reports.iter().map(|r| r.host.as_str()).collect::<Vec<_>>(), HOSTS);
    assert!(worked.reports.iter().all(|r| r.steps.iter().any(|s| s.stage == "retire")), "{worked:?}");

    let [first, second] = [0, 1].map(|i| history.releases[i].record.as_ref().expect("a record"));
    let diff = Diff::between(first, second);
    let json = schema::assert_valid("diff.v1.json", &Compared::new(&**first, &**second, &diff));
    let what: BTreeMap<&str, &str> = json["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter_map(|c| Some((c["what"].as_str()?, c["name"].as_str()?)))
        .collect();
    assert_eq!(what, BTreeMap::from([("env", "COLOR"), ("image", ""), ("secret", "KEY"), ("version", "")]));
    assert!(!json.to_string().contains("green") && !json.to_string().contains("s2"), "{json}");
}
