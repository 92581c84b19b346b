//! A windlass whose standard error is read while it runs, so that a test can act in a chosen phase.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::lab::wait_for;
use super::project::{Project, Ran};

/// Killed when dropped before its end.
pub struct Watched {
    child: Child,
    arguments: String,
    began: Instant,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Option<(JoinHandle<String>, JoinHandle<()>)>,
}

impl Watched {
    pub fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&lines);
        let data = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text);
            text
        });
        let talk = std::thread::spawn(move || {
            let push = |line| seen.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            stderr.lines().map_while(Result::ok).for_each(push);
        });
        Self { child, arguments: arguments.join(" "), began: Instant::now(), lines, readers: Some((data, talk)) }
    }

    fn stderr(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Returns as soon as a line of standard error contains all of `parts`.
    #[track_caller]
    pub fn until(&mut self, parts: &[&str], deadline: Duration) {
        let began = Instant::now();
        loop {
            let said = self.stderr();
            if said.lines().any(|line| parts.iter().all(|part| line.contains(part))) {
                return;
            }
            let ended = self.child.try_wait().ok().flatten();
            let late = began.elapsed() > deadline;
            assert!(ended.is_none() && !late, "no line with {parts:?} ({ended:?}) from {}:\n{said}", self.arguments);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "windlass {} had ended already", self.arguments);
    }

    /// Its end, which must come within `deadline`.
    #[track_caller]
    pub fn end(mut self, deadline: Duration) -> Ran {
        let child = &mut self.child;
        wait_for("the end of windlass", deadline, || child.try_wait().is_ok_and(|status| status.is_some()));
        let code = self.child.wait().ok().and_then(|status| status.code());
        let (data, talk) = self.readers.take().expect("ends once");
        let stdout = data.join().expect("stdout is text");
        talk.join().expect("stderr is text");
        let (arguments, duration) = (self.arguments.clone(), self.began.elapsed());
        Ran { arguments, code, stdout, stderr: self.stderr(), duration }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
