//! What a host lacks comes from another host: image, record and secrets, and nothing from a registry.

#[path = "support/operator.rs"]
mod operator;

use operator::{APP, Ended, Operator, operator, text};
use windlass::event::Event;
use windlass::fleet::{BackendName, DiskSpace};
use windlass::history::Help;
use windlass::plan::{Action, Plan, Strategy};
use windlass::release::Outcome;
use windlass::secret::Secret;

const COPY: Help = Help { copy: true, pull: false };
const PULL: Help = Help { copy: false, pull: true };

/// v1 and v2 on three hosts, then another machine in the place of c, and the registry is down.
async fn one_was_replaced(roles: &[&str]) -> Operator {
    let mut operator = operator(&["a", "b", "c"], roles);
    operator.secrets.insert("KEY".to_string(), Secret::new("the old secret".to_string()));
    operator.deploy("v1").await.report();
    operator.secrets.insert("KEY".to_string(), Secret::new("the new secret".to_string()));
    operator.deploy("v2").await.report();
    operator.world.replace("c");
    operator.world.stop_registry();
    operator.secrets.clear();
    operator
}

fn plan(operator: &Operator) -> Plan {
    let events = operator.events.lock().unwrap();
    let started = events.iter().rev().find_map(|event| match event {
        Event::Started { plan } => Some((**plan).clone()),
        _ => None,
    });
    started.expect("a run began")
}

async fn rollback(operator: &Operator, target: Option<&str>, help: Help) -> Ended {
    operator.rollback_as(target, |r| r.help = help).await
}

#[tokio::test(start_paused = true)]
async fn a_plain_rollback_refuses_and_offers_to_copy_and_with_it_the_fleet_is_whole() {
    let operator = one_was_replaced(&["web", "jobs!"]).await;
    operator.world.forget_calls();
    let refusal = rollback(&operator, Some("v1"), Help::default()).await.refusal();
    assert!(refusal.message.contains("cannot be brought back everywhere"), "{refusal}");
    assert!(refusal.hints.iter().any(|h| h.contains("--copy")), "{refusal:?}");
    assert_eq!(operator.world.mutations(), [], "nothing was changed");

    let report = rollback(&operator, Some("v1"), COPY).await.report();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    operator.assert_serves("v1").await;
    assert_eq!(operator.world.pulls(), 0);
    for container in ["app-web-v1", "app-jobs-v1"] {
        let (copied, original) =
            (operator.world.environment("c", container), operator.world.environment("a", container));
        assert_eq!(copied["KEY"], "the old secret");
        assert_eq!(copied["COLOR"], original["COLOR"]);
        assert_eq!(copied["KAMAL_HOST"], "c", "what belongs to a host is the host's own");
        let print = |host| operator.world.container(host, container).fingerprint();
        assert_eq!(print("c"), print("a"), "the label says that it is the same");
    }
    let image = |host| operator.world.container(host, "app-web-v1").image_id;
    assert_eq!(image("c"), image("a"));
    let loads = operator.world.calls_of("engine.load");
    let hosts: Vec<_> = loads.iter().map(|call| call.host.as_str()).collect();
    assert_eq!(hosts, ["c", "c"], "the proxy's image and the release's, each once");
    assert!(operator.world.images("c").iter().any(|i| i.tags.contains(&format!("{APP}:v1"))), "it is tagged");
    let records = |host| {
        let files = operator.world.files(host).into_keys();
        files.filter(|path| path.contains("/releases/")).count()
    };
    assert_eq!(records("c"), records("a"), "every record is there");
    // From now on it is a host like the others.
    assert!(matches!(rollback(&operator, Some("v1"), Help::default()).await, Ended::NothingToDo));
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_in_the_plan_the_events_or_the_journal() {
    let operator = one_was_replaced(&["web"]).await;
    rollback(&operator, Some("v1"), COPY).await.report();
    let plan = serde_json::to_string(&plan(&operator)).unwrap();
    assert!(plan.contains("\"secrets_from\":{\"host\":\"a\""), "the plan says where they come from: {plan}");
    let mut everything = format!("{plan} {:?}", operator.events.lock().unwrap());
    for host in ["a", "b", "c"] {
        for (path, (content, _)) in operator.world.files(host) {
            everything += &format!("{path}: {}", String::from_utf8_lossy(&content));
        }
    }
    everything += &format!("{:?}", operator.world.calls());
    assert!(!everything.contains("the old secret") && !everything.contains("the new secret"));
}

#[tokio::test(start_paused = true)]
async fn the_default_target_is_found_with_help_as_well() {
    let operator = one_was_replaced(&["web"]).await;
    let refusal = rollback(&operator, None, Help::default()).await.refusal();
    assert!(refusal.hints.iter().any(|h| h.contains("--copy")), "{refusal:?}");
    assert_eq!(rollback(&operator, None, COPY).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_lost_in_the_middle_goes_back_with_nothing_changed() {
    let operator = one_was_replaced(&["web"]).await;
    operator.world.lose_next_answer("c", "engine.load");
    let report = rollback(&operator, Some("v1"), COPY).await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    let serving = operator.serving().await;
    assert_eq!(serving[&("a".to_string(), "web".to_string())].as_deref(), Some("v2"));
    assert_eq!(serving[&("c".to_string(), "web".to_string())], None);
    // The same command again converges.
    assert_eq!(rollback(&operator, Some("v1"), COPY).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
}

#[tokio::test(start_paused = true)]
async fn a_host_without_room_is_refused_before_anything_moves() {
    let operator = one_was_replaced(&["web"]).await;
    operator.world.set_disk("c", DiskSpace { free: 140 << 20, total: 10 << 30 });
    operator.world.forget_calls();
    let refusal = rollback(&operator, Some("v1"), COPY).await.refusal();
    assert!(refusal.message.contains("c has no room for the image"), "{refusal}");
    assert_eq!(operator.world.mutations(), []);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_only_lost_its_container_gets_no_image() {
    let operator = one_was_replaced(&["web"]).await;
    let id = operator.world.container("b", "app-web-v1").id;
    operator.connect().await.nodes[&"b".parse().unwrap()].engine.remove(&id).await.unwrap();
    operator.world.forget_calls();
    rollback(&operator, Some("v1"), COPY).await.report();
    operator.assert_serves("v1").await;
    assert!(operator.world.calls_of("engine.load").iter().all(|call| call.host.as_str() == "c"));
    assert_eq!(operator.world.environment("b", "app-web-v1")["KEY"], "the old secret");
}

#[tokio::test(start_paused = true)]
async fn a_registry_is_asked_only_with_pull() {
    let operator = one_was_replaced(&["web"]).await;
    operator.world.start_registry();
    operator.world.forget_calls();
    rollback(&operator, Some("v1"), COPY).await.report();
    assert_eq!(operator.world.pulls(), 0, "copied although the registry would have it");

    let operator = one_was_replaced(&["web"]).await;
    operator.world.start_registry();
    operator.world.forget_calls();
    let report = rollback(&operator, Some("v1"), PULL).await.report();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    operator.assert_serves("v1").await;
    assert_eq!(operator.world.calls_of("engine.load"), []);
    let pulls = operator.world.calls_of("engine.pull");
    assert!(pulls.iter().all(|p| p.host.as_str() == "c" && !p.args.contains("login")), "{pulls:?}");
    assert_eq!(operator.world.environment("c", "app-web-v1")["KEY"], "the old secret");
}

#[tokio::test(start_paused = true)]
async fn what_no_host_has_is_refused_with_help_too() {
    let operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.deploy("v2").await.report();
    for host in ["a", "b"] {
        let id = operator.world.container(host, "app-web-v1").id;
        operator.connect().await.nodes[&host.parse().unwrap()].engine.remove(&id).await.unwrap();
    }
    let refusal = rollback(&operator, Some("v1"), COPY).await.refusal();
    assert!(refusal.message.contains("only a container holds its secrets"), "{refusal}");
    assert!(!refusal.hints.iter().any(|h| h.contains("--copy")), "it would not help: {refusal:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_joins_gets_the_current_release_and_what_retention_asks_for() {
    let mut operator = one_was_replaced(&["web", "jobs!"]).await;
    operator.world.start_registry();
    operator.secrets.insert("KEY".to_string(), Secret::new("the new secret".to_string()));
    operator.only = Some(vec!["c"]);
    let report = operator.deploy_with("v2", true).await.report();
    assert_eq!((report.outcome, report.warnings.clone()), (Outcome::Succeeded, vec![]), "{report:?}");
    let plan = plan(&operator);
    assert!(plan.steps().all(|(_, host, _)| host.as_str() == "c"), "{}", text(&plan));
    assert!(plan.notes.iter().any(|n| n == "c can be rolled back to v1 afterwards"), "{:?}", plan.notes);
    operator.only = None;
    operator.assert_serves("v2").await;
    let kept = operator.world.container("c", "app-web-v1");
    assert!(!kept.state.is_running(), "it is made and not started");
    assert_eq!(operator.world.environment("c", "app-web-v1")["KEY"], "the old secret");

    operator.world.stop_registry();
    operator.secrets.clear();
    // Retention knows what it is for, and a plain rollback finds it.
    tokio::time::sleep(std::time::Duration::from_secs(10 * 86_400)).await;
    operator.prune().await;
    assert_eq!(rollback(&operator, None, Help::default()).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
}

#[tokio::test(start_paused = true)]
async fn a_deploy_with_copy_where_nothing_is_lacking_has_nothing_to_do() {
    let operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.deploy("v2").await.report();
    assert!(matches!(operator.deploy_with("v2", true).await, Ended::NothingToDo));
    let report = operator.deploy_with("v3", true).await.report();
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert!(plan(&operator).steps().all(|(_, _, step)| !matches!(step.action, Action::CopyImage { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_with_every_strategy() {
    for strategy in [Strategy::Rolling, Strategy::Immediate, Strategy::Recreate] {
        let operator = one_was_replaced(&["web"]).await;
        let report = operator.rollback_as(Some("v1"), |r| (r.help, r.strategy) = (COPY, strategy)).await.report();
        assert_eq!(report.outcome, Outcome::Succeeded, "{strategy:?}: {report:?}");
        operator.assert_serves("v1").await;
        let web = BackendName::new(&"app".parse().unwrap(), &"web".parse().unwrap(), None);
        assert!(operator.world.routed("c", &web).is_some(), "{strategy:?}");
    }
}
