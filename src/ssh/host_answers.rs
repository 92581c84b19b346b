//! What the scripts of `effect::Host` answer.

use crate::effect::{FileSet, HostError, HostProbe};
use crate::fleet::{DiskSpace, Holder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Names of files that are being written begin so.
pub(super) const TEMPORARY: &str = ".windlass-tmp-";

fn bad(what: &str, message: impl Into<String>) -> HostError {
    HostError::Failed { what: what.to_string(), message: message.into() }
}

/// Files whose content is being read: one, or many with their sizes.
struct Open {
    files: Vec<(Option<usize>, String)>,
    /// Whether what follows is content.
    data: bool,
    text: String,
}

/// Lines that begin with `@` have a meaning; what a login shell prints before the first is passed over.
pub(super) fn parse_dirs(answer: &str, expected: usize) -> Result<Vec<FileSet>, HostError> {
    let what = "read the state";
    let mut dirs: Vec<FileSet> = Vec::new();
    let mut open: Option<Open> = None;
    let mut done = false;
    for line in answer.lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("@dir", _) => dirs.push(FileSet::new()),
            ("@file", path) => {
                open = Some(Open { files: vec![(None, path.to_string())], data: true, text: String::new() });
            }
            ("@bulk", _) => open = Some(Open { files: Vec::new(), data: false, text: String::new() }),
            ("@data", _) => open.iter_mut().for_each(|open| open.data = true),
            ("@gone", _) => open = None,
            ("@end", _) => {
                let open = open.take().ok_or_else(|| bad(what, "an end without a file"))?;
                let files = open.contents().map_err(|why| bad(what, why))?;
                dirs.last_mut().ok_or_else(|| bad(what, "a file without a directory"))?.extend(files);
            }
            ("@done", _) => done = true,
            _ => open.iter_mut().for_each(|open| open.line(line.trim())),
        }
    }
    match done && dirs.len() == expected {
        true => Ok(dirs),
        false => Err(bad(what, format!("the answer stops after {} of {expected} directories", dirs.len()))),
    }
}

impl Open {
    fn line(&mut self, line: &str) {
        if self.data {
            self.text.push_str(line);
        } else if let Some((size, path)) = line.split_once(' ').filter(|(_, path)| path.contains('/')) {
            // `wc` adds a line with the total, which has no path.
            self.files.push((size.parse().ok(), path.to_string()));
        }
    }

    /// The files by path, without those that are being written.
    fn contents(self) -> Result<FileSet, String> {
        let name = self.files.first().map(|(_, path)| path.clone()).unwrap_or_default();
        let content = STANDARD.decode(self.text).map_err(|error| format!("{name}: {error}"))?;
        let mut rest = content.as_slice();
        let mut files = FileSet::new();
        for (size, path) in self.files {
            let size = size.unwrap_or(rest.len());
            let (own, others) =
                rest.split_at_checked(size).ok_or_else(|| format!("{path} changed while it was read"))?;
            rest = others;
            if !path.rsplit('/').next().is_some_and(|name| name.starts_with(TEMPORARY)) {
                files.insert(path, own.to_vec());
            }
        }
        if rest.is_empty() { Ok(files) } else { Err("a file changed while it was read".to_string()) }
    }
}

pub(super) fn parse_probe(answer: &str) -> Result<HostProbe, HostError> {
    let what = "look at the host";
    let mut probe = HostProbe {
        home: String::new(),
        uid: 0,
        unix_time: 0,
        missing_commands: Default::default(),
        listening: Default::default(),
        disk: None,
    };
    let (mut uid, mut time, mut done) = (None, None, false);
    for line in answer.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "@home" => probe.home = rest.to_string(),
            "@uid" => uid = rest.parse().ok(),
            "@time" => time = rest.parse().ok(),
            "@missing" => drop(probe.missing_commands.insert(rest.to_string())),
            "@listen" => probe.listening.extend(u16::from_str_radix(rest, 16).ok().map(|port| (port, None))),
            "@holder" => probe.listening.extend(parse_listener(rest)),
            "@disk" => probe.disk = parse_disk(rest),
            "@done" => done = true,
            _ => {}
        }
    }
    if !probe.home.starts_with('/') {
        return Err(bad(what, format!("the login has no home directory ({:?})", probe.home)));
    }
    probe.uid = uid.ok_or_else(|| bad(what, "no user id"))?;
    probe.unix_time = time.ok_or_else(|| bad(what, "no time"))?;
    if done { Ok(probe) } else { Err(bad(what, "the answer is cut off")) }
}

/// A port and the users column of `ss -ltnp`: `80 users:(("nginx",pid=812,fd=6),…)`, without the column for a program
/// of somebody else.
fn parse_listener(line: &str) -> Option<(u16, Option<String>)> {
    let (port, users) = line.split_once(' ')?;
    let program = users.split('"').nth(1)?;
    let pid = users.split("pid=").nth(1)?.split([',', ')']).next()?;
    Some((port.parse().ok()?, Some(format!("{program} (pid {pid})"))))
}

/// The last line of `df -P -k`: file system, blocks, used, available, …
fn parse_disk(line: &str) -> Option<DiskSpace> {
    let numbers: Vec<u64> = line.split_whitespace().skip(1).take(3).filter_map(|n| n.parse().ok()).collect();
    match numbers[..] {
        [total, _, free] => Some(DiskSpace { free: free.saturating_mul(1024), total: total.saturating_mul(1024) }),
        _ => None,
    }
}

pub(super) fn parse_holder(answer: &str) -> Result<Option<Option<Holder>>, HostError> {
    let mut lines = answer.lines().skip_while(|l| *l != "@free" && *l != "@held");
    match lines.next() {
        Some("@free") => Ok(None),
        Some("@held") => Ok(Some(lines.next().and_then(|l| serde_json::from_str(l).ok()))),
        _ => Err(bad("ask who holds the lease", "no answer")),
    }
}

/// The answer of `expand.sh`: for each piece the number of its words, or `none`; each word as its length and its text.
pub(super) fn parse_words(answer: &str, pieces: usize) -> Result<Vec<Option<Vec<String>>>, HostError> {
    // A login shell may have printed something of its own before.
    let noisy = || bad("expand words", "no answer".to_string());
    let mut reader = Words { rest: answer.split_once("@words\n").ok_or_else(noisy)?.1 };
    let words = (0..pieces).map(|_| reader.piece()).collect::<Result<_, _>>()?;
    match reader.line()? {
        "@done" => Ok(words),
        other => Err(bad("expand words", format!("more was answered than asked: {other:?}"))),
    }
}

struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn line(&mut self) -> Result<&str, HostError> {
        let cut = || bad("expand words", "the answer is cut off".to_string());
        let (line, rest) = self.rest.split_once('\n').ok_or_else(cut)?;
        self.rest = rest;
        Ok(line.trim())
    }

    fn number(&mut self) -> Result<usize, HostError> {
        let line = self.line()?;
        line.parse().map_err(|_| bad("expand words", format!("not a number: {line:?}")))
    }

    fn piece(&mut self) -> Result<Option<Vec<String>>, HostError> {
        if let Some(rest) = self.rest.strip_prefix("none\n") {
            self.rest = rest;
            return Ok(None);
        }
        let count = self.number()?;
        let mut words = Vec::new();
        for _ in 0..count {
            let length = self.number()?;
            let word = self.rest.get(..length).ok_or_else(|| bad("expand words", "a word is cut off".to_string()))?;
            words.push(word.to_string());
            self.rest = self.rest.get(length + 1..).unwrap_or_default();
        }
        Ok(Some(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_with_noise_before_and_files_that_vanish() {
        let text = "hello\n@dir\n@file journal.jsonl\ne30K\n@end\n@file releases/a b.json\naGVs\nbG8=\n@end\n\
                    @file .windlass-tmp-1\nYQ==\n@end\n@file x\n@gone\n@dir\n@done\n";
        let dirs = parse_dirs(text, 2).unwrap();
        assert_eq!(dirs[0].keys().collect::<Vec<_>>(), ["journal.jsonl", "releases/a b.json"]);
        assert_eq!(dirs[0]["journal.jsonl"], b"{}\n");
        assert_eq!(dirs[0]["releases/a b.json"], b"hello");
        assert!(dirs[1].is_empty());
    }

    #[test]
    fn many_files_at_once_are_cut_by_their_sizes() {
        let text = |sizes: &str| format!("@dir\n@bulk\n{sizes}  7 total\n@data\nYWJj\nZGVmZw==\n@end\n@done\n");
        let dirs = parse_dirs(&text("  3 releases/a b.json\n  4 releases/c.json\n"), 1).unwrap();
        assert_eq!(dirs[0]["releases/a b.json"], b"abc");
        assert_eq!(dirs[0]["releases/c.json"], b"defg");
        for moved in ["3 releases/a\n3 releases/c\n", "3 releases/a\n5 releases/c\n"] {
            let error = parse_dirs(&text(moved), 1).unwrap_err().to_string();
            assert!(error.contains("changed while it was read"), "{error}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_off_is_an_error() {
        assert!(parse_dirs("@dir\n@file a\nYQ==\n@end\n", 1).is_err());
        assert!(parse_dirs("@dir\n@done\n", 2).is_err());
        assert!(parse_probe("@home /root\n@uid 0\n@time 5\n").is_err());
    }

    #[test]
    fn probe() {
        let text = "@home /root\n@uid 0\n@time 1700000000\n@missing flock\n@disk /dev/sda1 100 40 60 40% /\n\
                    @listen 0016\n@listen 1F90\n@listen 0050\n\
                    @holder 80 users:((\"nginx\",pid=812,fd=6),(\"nginx\",pid=9,fd=6))\n@holder 22 \n@done\n";
        let probe = parse_probe(text).unwrap();
        assert_eq!(probe.listening, [(22, None), (80, Some("nginx (pid 812)".to_string())), (8080, None)].into());
        assert_eq!(probe.missing_commands, ["flock".to_string()].into());
        assert_eq!(probe.disk, Some(DiskSpace { free: 61440, total: 102400 }));
    }
}
