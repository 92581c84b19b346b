//! The law: one run converges from any fleet, and whatever happened before, no request had to fail for it.

#[path = "support/operator.rs"]
mod operator;

use operator::{Ended, Operator, config};
use proptest::prelude::*;
use std::time::Duration;
use windlass::release::Outcome;
use windlass::secret::Secret;
use windlass::sim::{ImageBehaviour, SimFleet};

const APP: &str = "registry.example.com/app";
const HOSTS: [&str; 3] = ["a", "b", "c"];

/// What may have happened to a fleet.
#[derive(Debug, Clone)]
enum Past {
    Deploy(usize),
    /// The coordinator is killed so many milliseconds into the deploy.
    Killed(usize, u64),
    Rollback,
    /// Killed into a rollback.
    RollbackKilled(u64),
    Prune,
    Wait(u64),
    Reboot(usize),
    RestartEngine(usize),
    /// Somebody stops the container that serves.
    Crash(usize),
    NewSecret(u8),
}

const VERSIONS: [&str; 4] = ["v1", "v2", "bad", "crash"];

fn past() -> impl Strategy<Value = Past> {
    let (version, host) = (0..VERSIONS.len(), 0..HOSTS.len());
    prop_oneof![
        3 => version.clone().prop_map(Past::Deploy),
        4 => (version, 0..12_000u64).prop_map(|(v, ms)| Past::Killed(v, ms)),
        2 => Just(Past::Rollback),
        2 => (0..4_000u64).prop_map(Past::RollbackKilled),
        1 => Just(Past::Prune),
        1 => (1..400_000u64).prop_map(Past::Wait),
        1 => host.clone().prop_map(Past::Reboot),
        1 => host.clone().prop_map(Past::RestartEngine),
        1 => host.prop_map(Past::Crash),
        1 => any::<u8>().prop_map(Past::NewSecret),
    ]
}

fn fleet() -> Operator {
    let world = SimFleet::new()
        .hosts(HOSTS)
        .registry_image("haproxy", "3.2", ImageBehaviour::healthy())
        .registry_image(APP, "v1", ImageBehaviour::healthy())
        .registry_image(APP, "v2", ImageBehaviour::healthy_after(Duration::from_secs(2)))
        .registry_image(APP, "bad", ImageBehaviour::never_healthy())
        .registry_image(APP, "crash", ImageBehaviour::crashing(Duration::from_millis(300), 3))
        .registry_image(APP, "final", ImageBehaviour::healthy());
    Operator::new(world, config(&HOSTS, &["web", "jobs!"]))
}

async fn happen(operator: &mut Operator, past: &Past) {
    let within = |ms: &u64| Duration::from_millis(*ms);
    match past {
        Past::Deploy(version) => drop(operator.deploy(VERSIONS[*version]).await),
        // Dropping the future is a kill: nothing of it runs any more, and the hosts notice the end of the connection.
        Past::Killed(version, ms) => {
            drop(tokio::time::timeout(within(ms), operator.deploy(VERSIONS[*version])).await);
        }
        Past::Rollback => drop(operator.rollback(None).await),
        Past::RollbackKilled(ms) => drop(tokio::time::timeout(within(ms), operator.rollback(None)).await),
        Past::Prune => drop(operator.prune().await),
        Past::Wait(seconds) => tokio::time::sleep(Duration::from_secs(*seconds)).await,
        Past::Reboot(host) => {
            operator.world.reboot(HOSTS[*host]);
            tokio::time::sleep(Duration::from_secs(300)).await;
        }
        Past::RestartEngine(host) => {
            operator.world.restart_engine(HOSTS[*host]);
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        Past::Crash(host) => {
            let running = operator.world.containers(HOSTS[*host]).into_iter();
            let serving =
                running.filter(|(n, c)| n.starts_with("app-") && c.state.is_running()).map(|(_, c)| c.id).next();
            if let Some(id) = serving {
                operator.world.crash(HOSTS[*host], &id, 137);
            }
        }
        Past::NewSecret(n) => {
            operator.secrets.insert("KEY".to_string(), Secret::new(format!("secret {n}")));
        }
    }
}

/// Whether the world itself, and not windlass, may have taken a route.
fn is_harmless(past: &Past) -> bool {
    !matches!(past, Past::Reboot(_) | Past::RestartEngine(_) | Past::Crash(_))
}

async fn converges(pasts: &[Past]) -> Result<(), TestCaseError> {
    let mut operator = fleet();
    for past in pasts {
        happen(&mut operator, past).await;
    }
    if pasts.iter().all(is_harmless) {
        let gaps = operator.world.all_gaps();
        prop_assert!(gaps.is_empty(), "a route was lost: {gaps:?}");
    }
    match operator.deploy("final").await {
        Ended::Ran(report) => prop_assert_eq!(report.outcome, Outcome::Succeeded, "{:?}", report),
        other => prop_assert!(false, "it did not run: {other:?}"),
    }
    let serving = operator.serving().await;
    prop_assert!(serving.values().all(|v| v.as_deref() == Some("final")), "{:?}", serving);
    for host in HOSTS {
        let containers = operator.world.containers(host);
        let running = containers.iter().filter(|(n, c)| n.starts_with("app-") && c.state.is_running());
        let names: Vec<_> = running.map(|(n, _)| n.clone()).collect();
        prop_assert_eq!(names.len(), 2, "nothing runs beside what serves on {}: {:?}", host, names);
    }
    prop_assert!(matches!(operator.deploy("final").await, Ended::NothingToDo), "a second run has nothing to do");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_run_converges_from_any_fleet(pasts in prop::collection::vec(past(), 0..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(converges(&pasts))?;
    }
}
