//! Events in words: what a plain log shows, and what is printed above the bars.

use crate::event::{Event, Failure};
use crate::fleet::Holder;
use crate::name::HostName;
use crate::plan::{Plan, Step, StepId};
use crate::release::Outcome;
use crate::render::{plan, time, words};
use std::time::Duration;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Shown with `-v` only.
    Detail,
    /// Shown unless `-q`.
    Notice,
    /// Always shown.
    Problem,
}

/// One line of talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// Text without colours.
    pub text: String,
}

fn line(level: Level, text: impl Into<String>) -> Vec<Line> {
    vec![Line { level, text: text.into() }]
}

/// The step that an id means, if the plan has it.
pub(super) fn step(plan: Option<&Plan>, id: StepId) -> Option<&Step> {
    plan?.stages.get(id.stage)?.lanes.get(id.lane)?.steps.get(id.step)
}

/// A step in words; an id that the plan does not have is shown as such.
pub(super) fn step_words(plan: Option<&Plan>, host: &HostName, id: StepId) -> String {
    match (plan, step(plan, id)) {
        (Some(plan), Some(step)) => words::action(plan, host, &step.action),
        _ => format!("step {}.{}.{}", id.stage, id.lane, id.step),
    }
}

/// The lines that an event is worth. `plan` is the run's plan once it has begun.
pub fn lines(plan: Option<&Plan>, event: &Event) -> Vec<Line> {
    use Level::{Detail, Notice, Problem};
    let ms = |millis: &u64| time::took(Duration::from_millis(*millis));
    match event {
        Event::Connected { host, error: None, millis } => line(Detail, format!("{host}: connected in {}", ms(millis))),
        Event::Connected { host, error: Some(why), .. } => line(Detail, format!("{host}: no connection: {why}")),
        Event::Leased { host } => line(Detail, format!("{host}: lease taken")),
        Event::WaitingForLease { host, holder } => line(Notice, format!("{host}: waiting: {}", held_by(holder))),
        Event::HookStarted { hook } => line(Notice, format!("hook {hook} runs")),
        Event::HookOutput { hook, line: text } => line(Notice, format!("hook {hook}: {text}")),
        // The plan itself was shown when it was made.
        Event::Started { plan } => line(Detail, plan::headline(plan)),
        Event::StageStarted { stage } => line(Detail, stage_line(plan, *stage, "begins")),
        Event::StageFinished { stage, millis } => {
            line(Detail, stage_line(plan, *stage, &format!("done in {}", ms(millis))))
        }
        Event::StepStarted { host, step: id } => {
            let slow = step(plan, *id).is_some_and(|s| words::is_slow(&s.action));
            line(if slow { Notice } else { Detail }, format!("{host}: {} …", step_words(plan, host, *id)))
        }
        Event::Pulling { host, layer, status, .. } => line(Detail, format!("{host}: {layer} {status}")),
        Event::Waiting { host, last, .. } => line(Detail, format!("{host}: still waiting: {last}")),
        Event::StepDone { host, step: id, millis, note } => {
            let note = note.as_ref().map(|n| format!("; {n}")).unwrap_or_default();
            line(Notice, format!("{host}: {}: done in {}{note}", step_words(plan, host, *id), ms(millis)))
        }
        Event::StepFailed { host, step: id, failure } => {
            failed(&format!("{host}: {} failed", step_words(plan, host, *id)), failure)
        }
        Event::Warning { host: Some(host), message } => line(Problem, format!("warning: {host}: {message}")),
        Event::Warning { host: None, message } => line(Problem, format!("warning: {message}")),
        Event::RevertStarted { reason, hosts } if hosts.is_empty() => {
            line(Problem, format!("stopping: {reason}; no host had changed"))
        }
        Event::RevertStarted { reason, hosts } => {
            line(Problem, format!("going back on {}: {reason}", words::hosts(hosts, usize::MAX)))
        }
        Event::Reverted { host, error: None } => line(Notice, format!("{host}: back on what served before")),
        Event::Reverted { host, error: Some(why) } => {
            line(Problem, format!("{host}: could not be brought back: {why}"))
        }
        Event::Verified { mismatches, .. } => {
            mismatches.iter().flat_map(|m| line(Problem, format!("not as it should be: {m}"))).collect()
        }
        Event::Finished { outcome, unrecorded, .. } => finished(*outcome, unrecorded),
    }
}

fn held_by(holder: &Option<Holder>) -> String {
    match holder {
        Some(h) => format!("{} holds the lease for {} since {}", h.actor, h.what, time::exact(h.since)),
        None => "another run holds the lease".to_string(),
    }
}

fn stage_line(plan: Option<&Plan>, stage: usize, what: &str) -> String {
    let kind = plan.and_then(|p| p.stages.get(stage)).map_or("", |s| words::stage(s.kind));
    format!("stage {} {kind}: {what}", stage + 1)
}

fn failed(what: &str, failure: &Failure) -> Vec<Line> {
    let mut lines = line(Level::Problem, format!("{what}: {}", failure.message));
    if !failure.log.is_empty() {
        lines.extend(line(Level::Problem, "  the container's last lines:"));
        lines.extend(failure.log.iter().flat_map(|text| line(Level::Problem, format!("  | {text}"))));
    }
    lines
}

fn finished(outcome: Outcome, unrecorded: &[(HostName, String)]) -> Vec<Line> {
    let mut lines: Vec<Line> = unrecorded
        .iter()
        .flat_map(|(host, why)| line(Level::Problem, format!("{host}: the outcome could not be written down: {why}")))
        .collect();
    lines.extend(line(Level::Detail, format!("the run {}", words::outcome(outcome))));
    lines
}
