//! Waiting for proof: that a container is healthy, that it has drained.

use crate::effect::{Clock, Target};
use crate::execute::host::{RunHost, StepError, describe};
use crate::fleet::{BackendName, Container, Health, State};
use crate::plan::{Gate, Ref};
use std::time::Duration;

/// Between two looks.
const POLL: Duration = Duration::from_millis(200);

/// Reports what was last seen, for progress.
pub(super) type Seen<'a> = &'a (dyn Fn(&str) + Sync);

/// Waits until a container is healthy by its gate, and fails as soon as it cannot become so any more.
pub(super) async fn gate(
    host: &RunHost,
    clock: &dyn Clock,
    container: &Ref,
    gate: &Gate,
    deadline: Duration,
    seen: Seen<'_>,
) -> Result<(), StepError> {
    let started = clock.elapsed();
    let mut last = String::new();
    loop {
        let inspected = host.inspect(container).await?;
        if let Some(why) = is_over(&inspected) {
            return Err(StepError::Unhealthy {
                message: format!("{} never became healthy: {why}", inspected.name),
                container: inspected.id,
            });
        }
        let verdict = match gate {
            Gate::Proxy { backend, port } => by_proxy(host, backend, *port, &inspected).await?,
            Gate::Engine { readiness_delay } => by_engine(&inspected, *readiness_delay, clock.elapsed() - started),
        };
        match verdict {
            Verdict::Healthy => return Ok(()),
            Verdict::NotYet(answer) if answer != last => {
                seen(&answer);
                last = answer;
            }
            Verdict::NotYet(_) => {}
        }
        if clock.elapsed() - started >= deadline {
            let answer = if last.is_empty() { "no answer".to_string() } else { last };
            let message = format!(
                "{} was not healthy within {} s: {answer}; {}",
                inspected.name,
                deadline.as_secs(),
                describe(&inspected)
            );
            return Err(StepError::Unhealthy { message, container: inspected.id });
        }
        clock.sleep(POLL).await;
    }
}

enum Verdict {
    Healthy,
    NotYet(String),
}

/// A container that has ended or keeps restarting will not become healthy. (Its restart policy is `no` until the gate.)
fn is_over(container: &Container) -> Option<String> {
    match container.state {
        State::Running(_) | State::Created if container.restart_count == 0 => None,
        State::Running(_) => Some(format!("it was restarted {} times", container.restart_count)),
        _ => Some(describe(container)),
    }
}

async fn by_proxy(
    host: &RunHost,
    backend: &BackendName,
    port: u16,
    container: &Container,
) -> Result<Verdict, StepError> {
    let Some(address) = container.addresses.get(super::host::NETWORK).filter(|a| !a.is_empty()) else {
        return Ok(Verdict::NotYet("it has no address yet".to_string()));
    };
    let target = Target { container: container.id.clone(), address: address.clone(), port };
    let probe = host.node.proxy.check(backend, &target).await?;
    Ok(if probe.healthy { Verdict::Healthy } else { Verdict::NotYet(probe.answer) })
}

/// Docker's health check where there is one, else that it keeps running.
fn by_engine(container: &Container, readiness_delay: u32, waited: Duration) -> Verdict {
    match container.state {
        State::Running(Health::Healthy) => Verdict::Healthy,
        State::Running(Health::None) if waited >= Duration::from_secs(u64::from(readiness_delay)) => Verdict::Healthy,
        State::Running(Health::None) => Verdict::NotYet(format!("running, watched for {readiness_delay} s")),
        _ => Verdict::NotYet(describe(container)),
    }
}

/// Waits until a container has answered what it had. Returns the number of requests that were still in flight when the
/// time was over.
pub(super) async fn drain(
    host: &RunHost,
    clock: &dyn Clock,
    backend: &BackendName,
    container: &Ref,
    timeout: Duration,
    seen: Seen<'_>,
) -> Result<u64, StepError> {
    let id = host.id(container)?;
    let started = clock.elapsed();
    loop {
        let in_flight = host.node.proxy.in_flight(backend, &id).await?;
        if in_flight == 0 || clock.elapsed() - started >= timeout {
            return Ok(in_flight);
        }
        seen(&format!("{in_flight} in flight"));
        clock.sleep(POLL).await;
    }
}
