//! What people see of a deploy on three hosts and on fifty.

use crate::event::{Event, Failure, Sink};
use crate::fleet::BackendName;
use crate::mask::Masker;
use crate::name::{ContainerId, HostName};
use crate::plan::{Action, Gate, Lane, Plan, Ref, Serving, Stage, StageKind, Step, StepId, Strategy};
use crate::release::{Outcome, ReleaseKind, ReleaseRecord, RunVerb};
use crate::render::{Board, Screen, Verbosity, plan, summary};
use crate::secret::Secret;
use std::io::Write;
use std::sync::{Arc, Mutex};

fn host(n: usize) -> HostName {
    format!("host-{n}").parse().unwrap()
}

fn id(n: usize) -> ContainerId {
    format!("{n:012x}{:052}", 0).parse().unwrap()
}

fn backend() -> BackendName {
    BackendName::new(&"shop".parse().unwrap(), &"web".parse().unwrap(), None)
}

fn serving(n: usize, container: Ref, version: &str) -> Serving {
    Serving {
        host: host(n),
        role: "web".parse().unwrap(),
        container: Some(container),
        version: Some(version.parse().unwrap()),
        release: None,
        backend: Some(backend()),
        made_of: None,
    }
}

fn lane(n: usize) -> Lane {
    let new = Ref::Name("shop-web-v2".to_string());
    let role = "web".parse().unwrap();
    let gate = Gate::Proxy { backend: backend(), port: 80 };
    let actions = [
        Action::Start { container: new.clone(), else_like: None },
        Action::Load { backend: backend(), container: new.clone(), port: 80 },
        Action::Gate { container: new.clone(), role, gate, deadline: 30 },
        Action::Switch {
            role: "web".parse().unwrap(),
            backend: Some(backend()),
            port: 80,
            from: Some(Ref::Id(id(n))),
            to: new,
            release: None,
        },
    ];
    Lane { host: host(n), steps: actions.into_iter().map(|action| Step { action, undo: Vec::new() }).collect() }
}

fn retire(n: usize) -> Lane {
    let action = Action::Retire {
        container: Ref::Id(id(n)),
        role: "web".parse().unwrap(),
        backend: Some(backend()),
        timeout: None,
        stop_first: false,
        ends_role: false,
    };
    Lane { host: host(n), steps: vec![Step { action, undo: Vec::new() }] }
}

/// One host first, then the rest.
fn deploy(hosts: usize) -> Plan {
    let run = "01JCZ5T8Q2W3E4R5T6Y7V8B9N0".parse::<crate::name::RunId>().unwrap();
    let stage = |kind, lanes: Vec<Lane>| Stage { kind, lanes, pause_after: 0 };
    let new = || Ref::Name("shop-web-v2".to_string());
    Plan {
        verb: RunVerb::Deploy,
        service: "shop".parse().unwrap(),
        destination: None,
        run: run.clone(),
        actor: "ann@laptop".to_string(),
        strategy: Strategy::Rolling,
        inherited: None,
        pulls: false,
        release: Some(ReleaseRecord {
            schema: 1,
            run,
            number: 43,
            kind: ReleaseKind::Deploy,
            service: "shop".parse().unwrap(),
            destination: None,
            version: "v2".parse().unwrap(),
            image: "registry.example.com/shop:v2".parse().unwrap(),
            digest: None,
            roles: Default::default(),
            actor: "ann@laptop".to_string(),
            at: "2025-03-01T12:00:00Z".parse().unwrap(),
            message: None,
            label: None,
        }),
        adopted: Vec::new(),
        catch_up: Default::default(),
        abandoned: Default::default(),
        hosts: (1..=hosts).map(host).collect(),
        state_dirs: Default::default(),
        before: (1..=hosts).map(|n| serving(n, Ref::Id(id(n)), "v1")).collect(),
        after: (1..=hosts).map(|n| serving(n, new(), "v2")).collect(),
        stages: vec![
            stage(StageKind::Change, vec![lane(1)]),
            stage(StageKind::Change, (2..=hosts).map(lane).collect()),
            stage(StageKind::Retire, (1..=hosts).map(retire).collect()),
        ],
        notes: vec!["the working copy has changes that are not committed".to_string()],
    }
}

#[test]
fn equal_hosts_are_shown_once() {
    insta::assert_snapshot!(plan::plan(&deploy(3)), @"
    deploy v2 (release v43) of shop: 15 steps on 3 hosts
      now   web v1 on host-1, host-2, host-3
      then  web v2 on host-1, host-2, host-3
      1 change: host-1
          start shop-web-v2
          let the proxy check shop-web-v2
          wait until the proxy finds shop-web-v2 healthy (up to 30 s)
          switch web to shop-web-v2
      2 change: host-2, host-3
          start shop-web-v2
          let the proxy check shop-web-v2
          wait until the proxy finds shop-web-v2 healthy (up to 30 s)
          switch web to shop-web-v2
      3 retire: host-1, host-2, host-3
          stop and retain web v1
      note: the working copy has changes that are not committed
    ");
}

#[test]
fn fifty_hosts_fit_on_a_screen() {
    let text = plan::plan(&deploy(50));
    assert!(text.lines().count() < 25, "{text}");
    let now = text.lines().nth(1).map(str::trim);
    assert_eq!(now, Some("now   web v1 on host-1, host-2, host-3, host-4, host-5 and 45 more"));
}

#[test]
fn fifty_hosts_that_all_differ_fit_on_a_screen_too() {
    let mut all_differ = deploy(50);
    all_differ.before.clear();
    let text = plan::plan(&all_differ);
    assert!(text.lines().count() < 50, "{text}");
    assert!(text.contains("more hosts"), "{text}");
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn failing_run() -> Vec<Event> {
    let step = |stage, step| StepId { stage, lane: 0, step };
    let failure = Failure {
        message: "not healthy within 30 s; the last check said L7STS/503".to_string(),
        role: Some("web".parse().unwrap()),
        log: vec!["booting with hunter22".to_string(), "cannot reach the database".to_string()],
    };
    vec![
        Event::Connected { host: host(1), error: None, millis: 120 },
        Event::Started { plan: Box::new(deploy(3)) },
        Event::StageStarted { stage: 0 },
        Event::StepStarted { host: host(1), step: step(0, 0) },
        Event::StepDone { host: host(1), step: step(0, 0), millis: 340, note: None },
        Event::StepStarted { host: host(1), step: step(0, 2) },
        Event::Waiting { host: host(1), step: step(0, 2), last: "L7STS/503".to_string() },
        Event::StepFailed { host: host(1), step: step(0, 2), failure },
        Event::StageFinished { stage: 0, millis: 30_400 },
        Event::RevertStarted { reason: "host-1 did not become healthy".to_string(), hosts: vec![host(1)] },
        Event::Reverted { host: host(1), error: None },
        Event::Verified { serving: (1..=3).map(|n| serving(n, Ref::Id(id(n)), "v1")).collect(), mismatches: vec![] },
        Event::Finished { outcome: Outcome::Reverted, unrecorded: vec![], millis: 31_000 },
    ]
}

fn shown(verbosity: Verbosity) -> (String, Board) {
    let written = Written::default();
    let masker = Masker::new(&[Secret::new("hunter22".to_string())]);
    let board = Board::new(Screen::Plain(Box::new(written.clone())), verbosity, Arc::new(masker));
    failing_run().into_iter().for_each(|event| board.emit(event));
    (written.text(), board)
}

#[test]
fn a_failing_run_in_plain_lines() {
    insta::assert_snapshot!(shown(Verbosity::Normal).0, @"
    host-1: start shop-web-v2: done in 0.3 s
    host-1: wait until the proxy finds shop-web-v2 healthy (up to 30 s) …
    host-1: wait until the proxy finds shop-web-v2 healthy (up to 30 s) failed: not healthy within 30 s; the last check said L7STS/503
      the container's last lines:
      | booting with [secret]
      | cannot reach the database
    going back on host-1: host-1 did not become healthy
    host-1: back on what served before
    ");
}

#[test]
fn quiet_shows_problems_only() {
    insta::assert_snapshot!(shown(Verbosity::Quiet).0, @"
    host-1: wait until the proxy finds shop-web-v2 healthy (up to 30 s) failed: not healthy within 30 s; the last check said L7STS/503
      the container's last lines:
      | booting with [secret]
      | cannot reach the database
    going back on host-1: host-1 did not become healthy
    ");
}

#[test]
fn the_summary_says_what_serves_and_how_long_it_took() {
    let (_, board) = shown(Verbosity::Quiet);
    insta::assert_snapshot!(summary(&deploy(3), Outcome::Reverted, &board.seen(), ""), @"
    deploy v2 (release v43): failed; what served before serves everywhere
      serving web v1 on host-1, host-2, host-3
      took change 30.4 s, 31.0 s in all
    ");
    let seen = crate::render::Seen::default();
    insta::assert_snapshot!(summary(&deploy(3), Outcome::Succeeded, &seen, " -d staging"), @"
    deploy v2 (release v43): succeeded
      serving web v2 on host-1, host-2, host-3
      undo it with `windlass rollback v1 -d staging`
    ");
}

#[test]
fn a_run_that_is_abandoned_says_where_each_host_stands() {
    let board = Board::new(Screen::Plain(Box::new(Written::default())), Verbosity::Quiet, Arc::default());
    failing_run().into_iter().take(6).for_each(|event| board.emit(event));
    insta::assert_snapshot!(board.left_behind(), @"
    host-1: wait until the proxy finds shop-web-v2 healthy (up to 30 s): begun
    host-2: not begun
    host-3: not begun
    ");
}

#[test]
fn json_is_one_masked_object_a_line() {
    let (data, talk) = (Written::default(), Written::default());
    let screen = Screen::Json { data: Box::new(data.clone()), talk: Box::new(talk.clone()) };
    let masker = Masker::new(&[Secret::new("hunter22".to_string())]);
    let board = Board::new(screen, Verbosity::Normal, Arc::new(masker));
    failing_run().into_iter().for_each(|event| board.emit(event));
    let lines: Vec<serde_json::Value> = data.text().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), failing_run().len());
    assert!(lines.iter().all(|line| line["schema"] == 1));
    assert!(!data.text().contains("hunter22") && !talk.text().contains("hunter22"));
}
