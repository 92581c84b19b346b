//! One line a host on a terminal, redrawn in place.

use crate::event::Event;
use crate::name::HostName;
use crate::render::board::Seen;
use crate::render::narrate::Level;
use crate::render::{time, words};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// More hosts than this share one line that counts them.
const MOST_BARS: usize = 30;

/// The hosts' lines.
pub struct Bars {
    all: MultiProgress,
    header: Option<ProgressBar>,
    hosts: BTreeMap<HostName, ProgressBar>,
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

impl Bars {
    /// Lines on standard error.
    pub fn new() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    /// Lines elsewhere, for tests.
    pub fn on(target: ProgressDrawTarget) -> Self {
        Self { all: MultiProgress::with_draw_target(target), header: None, hosts: BTreeMap::new() }
    }

    /// Prints above the lines.
    pub fn print(&self, level: Level, text: &str) -> io::Result<()> {
        let problem = level == Level::Problem;
        let styled = |line: &str| {
            let style = console::Style::new().for_stderr();
            (if problem { style.red() } else { style }).apply_to(line).to_string()
        };
        self.all.suspend(|| text.lines().for_each(|line| eprintln!("{}", styled(line))));
        Ok(())
    }

    /// Takes all lines away.
    pub fn clear(&mut self) {
        self.hosts.values().chain(&self.header).for_each(ProgressBar::finish_and_clear);
        self.hosts.clear();
        self.header = None;
    }

    /// Redraws what an event changed.
    pub fn update(&mut self, seen: &Seen, event: &Event, mask: &dyn Fn(&str) -> String) {
        match event {
            Event::Started { .. } => self.begin(seen),
            Event::StageStarted { stage } => self.stage(seen, *stage),
            Event::Finished { .. } => self.clear(),
            Event::Pulling { host, layer, status, current, total } => {
                let size = if *total > 0 {
                    format!(" {} of {}", time::bytes(*current), time::bytes(*total))
                } else {
                    String::new()
                };
                self.message(host, &mask(&format!("pull: {status} {layer}{size}")));
            }
            Event::Waiting { host, last, .. } => {
                let doing = seen.last.get(host).map_or("", |s| s.trim_end_matches(": begun"));
                self.message(host, &mask(&format!("{doing}: {last}")));
            }
            Event::StepDone { host, .. } => {
                if let Some(bar) = self.hosts.get(host) {
                    bar.inc(1);
                }
                self.message(host, &state(seen, host, mask));
            }
            Event::StepStarted { host, .. } | Event::StepFailed { host, .. } | Event::Reverted { host, .. } => {
                self.message(host, &state(seen, host, mask));
            }
            _ => {}
        }
    }

    fn begin(&mut self, seen: &Seen) {
        self.clear();
        let Some(plan) = &seen.plan else { return };
        let header = self.all.add(ProgressBar::new_spinner());
        header.set_style(style("{spinner} {msg}  {elapsed}"));
        header.set_message(format!("{} {}", words::verb(plan.verb), plan.service));
        header.enable_steady_tick(Duration::from_millis(120));
        self.header = Some(header);
        let width = plan.hosts.iter().map(|h| h.as_str().len()).max().unwrap_or(0);
        for host in plan.hosts.iter().take(MOST_BARS) {
            let steps = plan.steps().filter(|(_, h, _)| *h == host).count() as u64;
            let bar = self.all.add(ProgressBar::new(steps));
            bar.set_style(style("  {prefix} {pos:>2}/{len:2} {wide_msg}"));
            bar.set_prefix(format!("{:<width$}", host.as_str()));
            bar.set_message("waiting for its turn");
            self.hosts.insert(host.clone(), bar);
        }
    }

    fn stage(&self, seen: &Seen, stage: usize) {
        let (Some(header), Some(plan)) = (&self.header, &seen.plan) else { return };
        let Some(kind) = plan.stages.get(stage).map(|s| words::stage(s.kind)) else { return };
        let (verb, all) = (words::verb(plan.verb), plan.stages.len());
        header.set_message(format!("{verb} {}: {kind} (stage {} of {all})", plan.service, stage + 1));
    }

    fn message(&self, host: &HostName, text: &str) {
        if let Some(bar) = self.hosts.get(host) {
            bar.set_message(text.to_string());
        }
    }
}

fn state(seen: &Seen, host: &HostName, mask: &dyn Fn(&str) -> String) -> String {
    mask(seen.last.get(host).map_or("", |s| s.trim_end_matches(": begun")))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
