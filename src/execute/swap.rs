//! One proxy stops, the other gets its ports. The gap between them is measured by requests that the host makes to itself.

use crate::effect::{Clock, Host};
use crate::execute::action::Means;
use crate::execute::host::{RunHost, StepError};
use crate::plan::{PortProbe, ProxySwap};
use crate::spec::RestartPolicy;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Between two requests.
const EVERY: Duration = Duration::from_millis(20);
/// A request without an answer for so long has none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Stops one, starts the other, waits until it answers, and says how long nothing did.
pub(super) async fn swap(means: &Means<'_>, host: &RunHost, swap: &ProxySwap) -> Result<Option<String>, StepError> {
    let (node, clock) = (&host.node, means.clock);
    let start = host.id(&swap.start)?;
    // On the way back: a proxy that was never made cannot be stopped, and does not have to be.
    let stop = host.id(&swap.stop).ok();
    // A host whose sshd forwards no TCP cannot be asked; then the calls are timed instead.
    let mut can_ask = Vec::new();
    for probe in &swap.probes {
        if is_answered(&*node.host, probe).await {
            can_ask.push(probe.clone());
        }
    }
    let over = AtomicBool::new(false);
    let began = clock.elapsed();
    let change = async {
        if let Some(stop) = &stop {
            node.engine.set_restart(stop, RestartPolicy::No).await?;
            node.engine.stop(stop, u32::try_from(swap.grace).ok()).await?;
        }
        node.engine.start(&start).await?;
        // At once: whatever happens from here on, one of the two comes back with the host's next start.
        node.engine.set_restart(&start, swap.restart).await?;
        let deadline = clock.elapsed() + Duration::from_secs(swap.deadline);
        until_answered(host, clock, swap, deadline).await
    };
    let change = async {
        let result = change.await;
        over.store(true, Ordering::Relaxed);
        result
    };
    let watch = async {
        match can_ask.first() {
            Some(probe) => watch(&*node.host, clock, probe, &over).await,
            None => Vec::new(),
        }
    };
    let (result, samples) = tokio::join!(change, watch);
    let asked = result?;
    let took = clock.elapsed() - began;
    Ok(Some(words(swap, asked, gap(&samples), took)))
}

fn words(swap: &ProxySwap, asked: bool, gap: Option<Duration>, took: Duration) -> String {
    match (asked, gap, swap.probes.first()) {
        (true, Some(gap), Some(probe)) => {
            let PortProbe { address, port, host, path } = probe;
            format!(
                "nothing answered for {} ms (GET {path} of {host} on {address}:{port}, asked on the host itself)",
                gap.as_millis()
            )
        }
        (true, None, Some(_)) => "no request that the host made to itself was left without an answer".to_string(),
        _ => format!(
            "nothing answered for at most {} ms (from the order to stop until {} ran, timed from here)",
            took.as_millis(),
            swap.start_name
        ),
    }
}

/// One request and how it went.
#[derive(Debug, Clone, Copy)]
struct Sample {
    begun: Duration,
    ended: Duration,
    answered: bool,
}

async fn watch(host: &dyn Host, clock: &dyn Clock, probe: &PortProbe, over: &AtomicBool) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    // One more after the change is over, so that the last one is an answer.
    loop {
        let last = over.load(Ordering::Relaxed);
        let begun = clock.elapsed();
        let answered = is_answered(host, probe).await;
        samples.push(Sample { begun, ended: clock.elapsed(), answered });
        if last {
            return samples;
        }
        clock.sleep(EVERY).await;
    }
}

/// From the last request that was still answered to the end of the first one that was answered again; an upper bound.
fn gap(samples: &[Sample]) -> Option<Duration> {
    let first = samples.iter().position(|s| !s.answered)?;
    let last = samples.iter().rposition(|s| !s.answered)?;
    let from = samples[..first].last().map_or(samples[first].begun, |s| s.ended);
    let to = samples.get(last + 1).map_or(samples[last].ended, |s| s.ended);
    Some(to.saturating_sub(from))
}

/// Whether the proxy that was started answers every probe. `false`: it runs, and cannot be asked.
async fn until_answered(
    host: &RunHost,
    clock: &dyn Clock,
    swap: &ProxySwap,
    deadline: Duration,
) -> Result<bool, StepError> {
    let mut asked = false;
    loop {
        let mut silent = None;
        for probe in &swap.probes {
            match status(&*host.node.host, probe).await {
                Ok(status) if status < 500 => asked = true,
                Ok(status) => silent = Some(format!("{} answers with {status}", shown(probe))),
                Err(error) => silent = Some(format!("{}: {error}", shown(probe))),
            }
        }
        let Some(silent) = silent else { return Ok(asked) };
        let container = host.inspect(&swap.start).await?;
        if !container.state.is_running() {
            let what = crate::execute::host::describe(&container);
            return Err(StepError::Moved(format!("{} does not run: {what}", swap.start_name)));
        }
        // Its state and that it holds the port is all that can be known where no request gets through at all.
        if !asked && silent.contains(FORBIDDEN) {
            return Ok(false);
        }
        if clock.elapsed() >= deadline {
            return Err(StepError::Moved(format!("{} was started and does not serve: {silent}", swap.start_name)));
        }
        clock.sleep(EVERY).await;
    }
}

/// What sshd's refusal to forward is called, see the room `ssh`.
const FORBIDDEN: &str = "forbidden by its configuration";

fn shown(probe: &PortProbe) -> String {
    format!("GET {} of {} on port {}", probe.path, probe.host, probe.port)
}

async fn is_answered(host: &dyn Host, probe: &PortProbe) -> bool {
    status(host, probe).await.is_ok_and(|status| status < 500)
}

/// The status that a probe gets. An error in words.
async fn status(host: &dyn Host, probe: &PortProbe) -> Result<u16, String> {
    let PortProbe { address, port, host: name, path } = probe;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {name}\r\nUser-Agent: windlass\r\nConnection: close\r\n\r\n");
    let asked = tokio::time::timeout(PATIENCE, host.ask_port(address, *port, request.as_bytes())).await;
    let answer = asked.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?.map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1)?.get(..3)?.parse().ok());
    status.ok_or_else(|| "the connection was closed without an answer".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample((begun, ended, answered): (u64, u64, bool)) -> Sample {
        Sample { begun: Duration::from_millis(begun), ended: Duration::from_millis(ended), answered }
    }

    fn gap_of(samples: &[(u64, u64, bool)]) -> Option<u128> {
        gap(&samples.iter().copied().map(sample).collect::<Vec<_>>()).map(|gap| gap.as_millis())
    }

    #[test]
    fn the_gap_is_between_the_answers_around_it() {
        assert_eq!(gap_of(&[(0, 5, true), (25, 30, false), (50, 55, false), (75, 90, true)]), Some(85));
        assert_eq!(
            gap_of(&[(0, 5, true), (25, 30, false), (50, 55, true), (75, 80, false), (100, 105, true)]),
            Some(100)
        );
        assert_eq!(gap_of(&[(0, 5, true), (25, 30, true)]), None);
        assert_eq!(gap_of(&[(10, 15, false), (25, 40, true)]), Some(30), "it was silent from the first request");
        assert_eq!(gap_of(&[(0, 5, true), (25, 30, false)]), Some(25), "never answered again");
    }
}
