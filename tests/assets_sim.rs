//! `asset_path` on the simulator: both releases find the files of both, at every moment of a deploy and of a rollback.

#[path = "support/operator.rs"]
mod operator;

use operator::{APP, Operator, operator, text};
use windlass::event::Event;
use windlass::plan::Action;
use windlass::release::Outcome;
use windlass::sim::ImageBehaviour;

const PATH: &str = "/rails/public/assets";

fn with_assets(version: &str) -> ImageBehaviour {
    let files = [(format!("app-{version}.js"), version), ("manifest.json".to_string(), version)];
    let files = files.map(|(name, text)| (format!("{PATH}/{name}"), text.as_bytes().to_vec())).into();
    ImageBehaviour { files, ..ImageBehaviour::healthy() }
}

fn fleet() -> Operator {
    let mut operator = operator(&["a", "b"], &["web", "jobs!"]);
    operator.config.roles[0].spec.asset_path = Some(PATH.to_string());
    for version in ["v1", "v2", "v3"] {
        operator.world.push(APP, version, with_assets(version));
    }
    operator
}

/// The assets of a container by file name.
fn assets(operator: &Operator, host: &str, container: &str) -> Vec<String> {
    let files = operator.world.files_of(host, container);
    let below = files.into_iter().filter_map(|(path, content)| {
        let name = path.strip_prefix(PATH)?.trim_start_matches('/').to_string();
        Some(format!("{name}={}", String::from_utf8_lossy(&content)))
    });
    below.collect()
}

#[tokio::test(start_paused = true)]
async fn each_release_has_its_own_and_the_neighbours_files() {
    let operator = fleet();
    operator.deploy("v1").await.report();
    assert_eq!(assets(&operator, "a", "app-web-v1"), ["app-v1.js=v1", "manifest.json=v1"]);
    assert_eq!(operator.deploy("v2").await.report().outcome, Outcome::Succeeded);
    for host in ["a", "b"] {
        let (one, two) = (assets(&operator, host, "app-web-v1"), assets(&operator, host, "app-web-v2"));
        assert_eq!(two, ["app-v1.js=v1", "app-v2.js=v2", "manifest.json=v2"], "{host}: what both have is its own");
        assert_eq!(one, ["app-v1.js=v1", "app-v2.js=v2", "manifest.json=v1"], "{host}: while it still serves");
    }
    assert_eq!(operator.deploy("v3").await.report().outcome, Outcome::Succeeded);
    let three = assets(&operator, "a", "app-web-v3");
    assert_eq!(three, ["app-v2.js=v2", "app-v3.js=v3", "manifest.json=v3"], "of the one before, and of no older one");
    // The retained container has what it had, and gets what the one that it follows has.
    assert_eq!(operator.rollback(Some("v1")).await.report().outcome, Outcome::Succeeded);
    let one = assets(&operator, "a", "app-web-v1");
    assert_eq!(one, ["app-v1.js=v1", "app-v2.js=v2", "app-v3.js=v3", "manifest.json=v1"]);
    let left: Vec<_> = operator.world.containers("a").into_keys().filter(|n| n.ends_with("-assets")).collect();
    assert_eq!(left, [] as [String; 0], "what was made to read from is gone");
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn the_files_are_there_before_a_container_starts() {
    let operator = fleet();
    operator.deploy("v1").await.report();
    operator.events.lock().expect("not poisoned").clear();
    operator.deploy("v2").await.report();
    let events = operator.events.lock().expect("not poisoned");
    let plan = events.iter().find_map(|event| match event {
        Event::Started { plan } => Some(plan.clone()),
        _ => None,
    });
    let plan = plan.expect("a run begins with its plan");
    let shares = plan.steps().filter(|(_, _, step)| matches!(step.action, Action::ShareAssets { .. })).count();
    assert_eq!(shares, 2, "one a host, and none for a role without a proxy:\n{}", text(&plan));
    let lines: Vec<String> =
        text(&plan).lines().filter(|l| l.contains(" a: ") && l.contains("app-web-v2")).map(str::to_string).collect();
    let at =
        |what: &str| lines.iter().position(|l| l.contains(what)).unwrap_or_else(|| panic!("no {what} in {lines:?}"));
    assert!(
        at("create app-web-v2") < at("share the assets") && at("share the assets") < at("start app-web-v2"),
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_image_without_the_directory_is_refused_by_name_and_nothing_changes() {
    let operator = fleet();
    operator.deploy("v1").await.report();
    operator.world.push(APP, "bare", ImageBehaviour::healthy());
    let report = operator.deploy("bare").await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    let message = &report.failures[0].1.message;
    assert!(
        message.contains("asset_path") && message.contains("app:bare has no directory /rails/public/assets"),
        "{message}"
    );
    operator.assert_serves("v1").await;
}

#[tokio::test(start_paused = true)]
async fn what_served_without_the_directory_has_nothing_to_share() {
    let operator = fleet();
    operator.world.push(APP, "v1", ImageBehaviour::healthy());
    operator.deploy("v1").await.report();
    assert_eq!(operator.deploy("v2").await.report().outcome, Outcome::Succeeded);
    assert_eq!(assets(&operator, "a", "app-web-v2"), ["app-v2.js=v2", "manifest.json=v2"]);
    operator.assert_no_gap();
}
