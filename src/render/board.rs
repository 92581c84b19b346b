//! The board: takes events and shows them, as bars on a terminal, as plain lines elsewhere, or as JSON lines.

use crate::event::{self, Event, Sink};
use crate::mask::Masker;
use crate::name::HostName;
use crate::plan::{Plan, Serving, StageKind};
use crate::render::bars::Bars;
use crate::render::narrate::{self, Level};
use crate::render::{time, words};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Which lines are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// `-q`: problems only.
    Quiet,
    /// The usual.
    #[default]
    Normal,
    /// `-v`: every detail.
    Verbose,
}

impl Verbosity {
    fn shows(self, level: Level) -> bool {
        match self {
            Self::Quiet => level == Level::Problem,
            Self::Normal => level >= Level::Notice,
            Self::Verbose => true,
        }
    }
}

/// Where events become visible.
pub enum Screen {
    /// One line a host that is redrawn, notices above them.
    Bars(Bars),
    /// One line an event, never an ANSI sequence.
    Plain(Box<dyn Write + Send>),
    /// One JSON object an event (on standard output) besides the plain lines.
    Json {
        /// Where the objects go.
        data: Box<dyn Write + Send>,
        /// Where problems go.
        talk: Box<dyn Write + Send>,
    },
}

impl Screen {
    /// Bars on a terminal; plain lines without one, or with `NO_COLOR` or `CI` set.
    pub fn stderr() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        match console::Term::stderr().is_term() && !set("NO_COLOR") && !set("CI") {
            true => Self::Bars(Bars::new()),
            false => Self::Plain(Box::new(std::io::stderr())),
        }
    }
}

/// What the board has seen of a run.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// The plan, once the run has begun.
    pub plan: Option<Box<Plan>>,
    /// The last thing that each host did or does.
    pub last: BTreeMap<HostName, String>,
    /// Stages that ended, and how long they took.
    pub stages: Vec<(usize, Duration)>,
    /// What was proven to serve at the end; what is not as it should be is not in it.
    pub serving: Vec<Serving>,
    /// From the first event of the run to the last.
    pub total: Duration,
}

/// Shows events. Losing one, or a terminal that went away, never fails a run.
pub struct Board {
    inner: Mutex<Inner>,
    masker: Arc<Masker>,
    verbosity: Verbosity,
}

struct Inner {
    screen: Screen,
    seen: Seen,
}

impl Board {
    /// A board. `masker` is the last line of defence: everything printed passes it.
    pub fn new(screen: Screen, verbosity: Verbosity, masker: Arc<Masker>) -> Self {
        Self { inner: Mutex::new(Inner { screen, seen: Seen::default() }), masker, verbosity }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.lock().seen.clone()
    }

    /// Prints text that is no event: a plan, a summary. `-q` hides it.
    pub fn say(&self, text: &str) {
        self.print(Level::Notice, text);
    }

    /// Prints text even with `-q`.
    pub fn warn(&self, text: &str) {
        self.print(Level::Problem, text);
    }

    fn print(&self, level: Level, text: &str) {
        if self.verbosity.shows(level) {
            let text = self.masker.mask(text.trim_end());
            self.lock().screen.print(level, &text);
        }
    }

    /// Takes the bars away, so that what follows is printed on a clean screen.
    pub fn close(&self) {
        if let Screen::Bars(bars) = &mut self.lock().screen {
            bars.clear();
        }
    }

    /// Where each host stood when last heard of, for a run that is being abandoned.
    pub fn left_behind(&self) -> String {
        let seen = self.seen();
        let lines = seen.last.iter().map(|(host, what)| format!("  {host}: {what}"));
        self.masker.mask(&lines.collect::<Vec<_>>().join("\n"))
    }
}

impl Screen {
    fn print(&mut self, level: Level, text: &str) {
        // A terminal or pipe that is gone must not end a run.
        let _ = match self {
            Self::Bars(bars) => bars.print(level, text),
            Self::Plain(out) => writeln!(out, "{text}").and_then(|()| out.flush()),
            Self::Json { talk, .. } if level == Level::Problem => writeln!(talk, "{text}"),
            Self::Json { .. } => Ok(()),
        };
    }

    fn json(&mut self, event: &Event, masker: &Masker) {
        let Self::Json { data, .. } = self else { return };
        let Ok(mut value) = serde_json::to_value(event) else { return };
        if let Some(object) = value.as_object_mut() {
            object.insert("schema".to_string(), event::SCHEMA.into());
        }
        mask_strings(&mut value, masker);
        let _ = writeln!(data, "{value}").and_then(|()| data.flush());
    }
}

/// Masks the strings of a JSON value one by one: masking its text could cut into the syntax.
fn mask_strings(value: &mut serde_json::Value, masker: &Masker) {
    match value {
        serde_json::Value::String(text) => *text = masker.mask(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| mask_strings(item, masker)),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(|field| mask_strings(field, masker)),
        _ => {}
    }
}

impl Sink for Board {
    fn emit(&self, event: Event) {
        let mut inner = self.lock();
        inner.seen.take(&event);
        inner.screen.json(&event, &self.masker);
        let Inner { screen, seen } = &mut *inner;
        for line in narrate::lines(seen.plan.as_deref(), &event) {
            if self.verbosity.shows(line.level) && screen.wants(&event, line.level) {
                screen.print(line.level, &self.masker.mask(&line.text));
            }
        }
        if let Screen::Bars(bars) = screen
            && self.verbosity != Verbosity::Quiet
        {
            bars.update(seen, &event, &|text| self.masker.mask(text));
        }
    }
}

impl Screen {
    /// On a terminal the hosts' own lines show their steps; only what must stay is printed above them.
    fn wants(&self, event: &Event, level: Level) -> bool {
        let on_bar =
            matches!(event, Event::StepStarted { .. } | Event::StepDone { note: None, .. } | Event::Reverted { .. });
        !(matches!(self, Self::Bars(_)) && on_bar && level < Level::Problem)
    }
}

impl Seen {
    /// Whether every stage that can still go back has ended.
    pub fn is_past_changes(&self, plan: &Plan) -> bool {
        let before = |kind| matches!(kind, StageKind::Prepare | StageKind::Change);
        let ended = |stage: usize| self.stages.iter().any(|(ended, _)| *ended == stage);
        plan.stages.iter().enumerate().filter(|(_, stage)| before(stage.kind)).all(|(index, _)| ended(index))
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Started { plan } => {
                self.last = plan.hosts.iter().map(|h| (h.clone(), "not begun".to_string())).collect();
                self.plan = Some(plan.clone());
            }
            Event::StageFinished { stage, millis } => self.stages.push((*stage, Duration::from_millis(*millis))),
            Event::Verified { serving, .. } => self.serving = serving.clone(),
            Event::Finished { millis, .. } => self.total = Duration::from_millis(*millis),
            _ => {}
        }
        if let Some((host, text)) = self.host_state(event) {
            self.last.insert(host, text);
        }
    }

    fn host_state(&self, event: &Event) -> Option<(HostName, String)> {
        let plan = self.plan.as_deref();
        let of = |host: &HostName, step| narrate::step_words(plan, host, step);
        match event {
            Event::StepStarted { host, step } => Some((host.clone(), format!("{}: begun", of(host, *step)))),
            Event::StepDone { host, step, .. } => Some((host.clone(), format!("{}: done", of(host, *step)))),
            Event::StepFailed { host, step, .. } => Some((host.clone(), format!("{}: failed", of(host, *step)))),
            Event::Reverted { host, error: None } => Some((host.clone(), "back on what served before".to_string())),
            Event::Reverted { host, error: Some(why) } => Some((host.clone(), format!("could not go back: {why}"))),
            _ => None,
        }
    }

    /// `prepare 1.2 s, change 4.0 s, 5.3 s in all`; stages of the same kind are added up.
    pub fn phases(&self) -> String {
        let Some(plan) = &self.plan else { return String::new() };
        let mut phases: Vec<(&str, Duration)> = Vec::new();
        for (stage, took) in &self.stages {
            let Some(kind) = plan.stages.get(*stage).map(|s| words::stage(s.kind)) else { continue };
            match phases.iter_mut().find(|(k, _)| *k == kind) {
                Some((_, sum)) => *sum += *took,
                None => phases.push((kind, *took)),
            }
        }
        let mut parts: Vec<String> = phases.iter().map(|(k, d)| format!("{k} {}", time::took(*d))).collect();
        if !self.total.is_zero() {
            parts.push(format!("{} in all", time::took(self.total)));
        }
        parts.join(", ")
    }
}
