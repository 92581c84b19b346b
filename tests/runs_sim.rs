//! Whole runs on the simulator: what serves afterwards, what was never interrupted, what was not touched.

#[path = "support/operator.rs"]
mod operator;

use operator::{APP, operator};
use std::time::Duration;
use windlass::event::Event;
use windlass::release::Outcome;
use windlass::secret::Secret;
use windlass::sim::ImageBehaviour;

#[tokio::test(start_paused = true)]
async fn deploy_deploy_rollback_without_a_gap_and_without_a_pull() {
    let mut operator = operator(&["a", "b", "c"], &["web", "jobs!"]);
    assert_eq!(operator.deploy("v1").await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
    operator.config.roles.iter_mut().for_each(|r| {
        r.spec.env.clear.insert("COLOR".to_string(), "green".to_string());
    });
    operator.secrets.insert("KEY".to_string(), Secret::new("s2".to_string()));
    assert_eq!(operator.deploy("v2").await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v2").await;
    operator.world.stop_registry();
    let pulls = operator.world.pulls();
    assert_eq!(operator.rollback(None).await.report().outcome, Outcome::Succeeded);
    operator.assert_serves("v1").await;
    assert_eq!(operator.world.pulls(), pulls, "a rollback pulls nothing");
    let env = operator.world.environment("a", "app-web-v1");
    assert_eq!((env["COLOR"].as_str(), env["KEY"].as_str()), ("blue", "s1"));
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn a_release_that_never_gets_healthy_leaves_the_fleet_on_what_served() {
    for bad in ["bad", "crash"] {
        let operator = operator(&["a", "b", "c"], &["web"]);
        operator.deploy("v1").await.report();
        let report = operator.deploy(bad).await.report();
        assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
        operator.assert_serves("v1").await;
        assert_eq!(report.failures.len(), 1, "one host was tried: {report:?}");
        operator.assert_no_gap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_prints_its_secret_and_dies_is_shown_masked() {
    let operator = operator(&["a"], &["web"]);
    let mut named = operator;
    named.secrets.insert("KEY".to_string(), Secret::new("a long secret".to_string()));
    named.world.push(
        APP,
        "leak",
        ImageBehaviour::crashing(Duration::from_millis(300), 3).printing(["key=a long secret"]),
    );
    let report = named.deploy("leak").await.report();
    assert_eq!(report.failures[0].1.log, ["key=[secret]"]);
    assert!(report.failures[0].1.message.contains("exited with code 3"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_deploy_leaves_nothing() {
    let operator = operator(&["a", "b"], &["web"]);
    let report = operator.deploy("bad").await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    let left: Vec<_> = operator.world.containers("a").into_keys().filter(|n| n.starts_with("app-")).collect();
    assert_eq!(left, [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_creation_was_not_answered_is_found_and_taken_away() {
    let operator = operator(&["a", "b"], &["web"]);
    operator.world.lose_next_answer("a", "engine.create");
    let report = operator.deploy("v1").await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    let left: Vec<_> = operator.world.containers("a").into_keys().filter(|n| n.starts_with("app-")).collect();
    assert_eq!(left, [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_stands_still_is_given_up() {
    let mut operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.world = operator.world.pull_time(Duration::from_secs(3600));
    let report = operator.deploy("v2").await.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    assert!(report.failures[0].1.message.contains("made no progress for two minutes"), "{report:?}");
    operator.assert_serves("v1").await;
}

#[tokio::test(start_paused = true)]
async fn failing_on_the_last_host_takes_the_others_back() {
    let operator = operator(&["a", "b", "c"], &["web"]);
    operator.deploy("v1").await.report();
    // On c alone the new container never gets healthy.
    let watch = async {
        loop {
            let made = operator.world.containers("c").into_iter().find(|(n, _)| n == "app-web-v2");
            if let Some((_, container)) = made {
                operator.world.set_behaviour("c", &container.id, ImageBehaviour::never_healthy());
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (ended, ()) = tokio::join!(operator.deploy("v2"), watch);
    let report = ended.report();
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    operator.assert_serves("v1").await;
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn nothing_to_do_and_the_same_version_with_another_secret() {
    let mut operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    operator.world.forget_calls();
    assert!(matches!(operator.deploy("v1").await, operator::Ended::NothingToDo));
    operator.secrets.insert("KEY".to_string(), Secret::new("s2".to_string()));
    assert_eq!(operator.deploy("v1").await.report().outcome, Outcome::Succeeded);
    let history = operator.history().await;
    assert_eq!(history.releases.iter().map(|r| r.number).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(operator.rollback(None).await.report().outcome, Outcome::Succeeded);
    assert_eq!(operator.world.environment("a", "app-web-v1")["KEY"], "s1");
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_brings_back_what_served() {
    let operator = operator(&["a", "b"], &["web"]);
    operator.deploy("v1").await.report();
    let interrupt = async {
        tokio::time::sleep(Duration::from_millis(2_300)).await;
        operator.cancel.cancel();
    };
    let began = tokio::time::Instant::now();
    let (ended, ()) = tokio::join!(operator.deploy("bad"), interrupt);
    let report = ended.report();
    assert_eq!(report.outcome, Outcome::Interrupted, "{report:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "nobody waits for a gate whose run goes back");
    operator.assert_serves("v1").await;
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn after_three_days_only_what_is_needed_is_left() {
    let operator = operator(&["a"], &["web"]);
    for version in ["v1", "v2"] {
        operator.deploy(version).await.report();
    }
    operator.world.push(APP, "v3", ImageBehaviour::healthy());
    operator.deploy("v3").await.report();
    assert!(matches!(operator.prune().await, operator::Ended::NothingToDo));
    tokio::time::sleep(Duration::from_secs(4 * 86_400)).await;
    assert_eq!(operator.prune().await.report().outcome, Outcome::Succeeded);
    let left: Vec<_> = operator.world.containers("a").into_keys().filter(|n| n.starts_with("app-")).collect();
    assert_eq!(left, ["app-web-v2", "app-web-v3"], "current and the last rollback target");
    assert_eq!(operator.rollback(None).await.report().outcome, Outcome::Succeeded);
    operator.assert_no_gap();
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_at_any_event_before_the_point_of_no_return_goes_back() {
    let at: [fn(&Event) -> bool; 6] = [
        |e| matches!(e, Event::StageFinished { stage: 0, .. }),
        |e| matches!(e, Event::StageStarted { stage: 1 }),
        |e| matches!(e, Event::StageFinished { stage: 1, .. }),
        |e| matches!(e, Event::StageStarted { stage: 2 }),
        |e| matches!(e, Event::StepDone { step, .. } if (step.stage, step.step) == (1, 5)),
        |e| matches!(e, Event::StepDone { step, .. } if (step.stage, step.step) == (2, 5)),
    ];
    for (n, at) in at.into_iter().enumerate() {
        let mut operator = operator(&["a", "b", "c"], &["web"]);
        operator.deploy("v1").await.report();
        operator.interrupt_at = Some(at);
        let report = operator.deploy("v2").await.report();
        assert_eq!(report.outcome, Outcome::Interrupted, "{n}: {report:?}");
        operator.assert_serves("v1").await;
        operator.assert_no_gap();
    }
}
