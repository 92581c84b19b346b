//! What the documentation says is tried: the tour's commands on real hosts, every other command's words, every
//! configuration, the exit codes, the links.
#![allow(missing_docs)]

#[path = "support/lab.rs"]
mod lab;
#[path = "support/markdown.rs"]
mod markdown;

use lab::Lab;
use markdown::{Block, blocks, code_spans, links};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use windlass::cli::Kind;

/// How many words of a documented line of output are compared: what follows are ages, names of people and prose.
const WORDS: usize = 6;

const WINDLASS: &str = env!("CARGO_BIN_EXE_windlass");

#[test]
fn the_tour_runs_as_written() {
    let lab = Lab::up(3);
    let place = Place::new(lab);
    let readme = read("README.md");
    let blocks = blocks(&readme);
    let first = |lang: &str| blocks.iter().find(|b| b.lang == lang).unwrap_or_else(|| panic!("no {lang} in README.md"));
    place.write("config/deploy.yml", &first("yaml").text());
    place.write(".windlass/secrets", &first("dotenv").text());
    let steps: Vec<_> = blocks.iter().filter(|b| b.lang == "console").flat_map(steps).collect();
    assert!(steps.len() > 10, "README.md has only {} commands in `console` blocks", steps.len());
    for step in &steps {
        place.run(step);
    }
    lab.registry_start();
}

#[test]
fn every_command_in_the_documentation_is_understood() {
    let mut tried = 0;
    for page in pages() {
        let text = read(&page);
        for (line, command) in commands(&text) {
            let words = shlex::split(&command).unwrap_or_else(|| panic!("{page}:{line}: `{command}` is no command"));
            // With --help nothing is done; words that the command does not know are refused all the same.
            let help: &[&str] = if words.get(1).is_some_and(|w| w == "docs") { &[] } else { &["--help"] };
            let out = windlass(&words[1..]).args(help).output().expect("windlass starts");
            assert!(out.status.success(), "{page}:{line}: `{command}`:\n{}", text_of(&out));
            tried += 1;
        }
    }
    assert!(tried > 20, "only {tried} commands found in the documentation");
}

#[test]
fn every_configuration_in_the_documentation_is_valid() {
    let readme = read("README.md");
    let yaml: Vec<Block> = blocks(&readme).into_iter().filter(|b| b.lang == "yaml").collect();
    assert!(yaml.len() > 1, "README.md shows the tour's configuration and an example of x-windlass");
    let whole = yaml[0].text();
    for block in &yaml {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let text = if block.text().contains("service:") { block.text() } else { format!("{whole}{}", block.text()) };
        std::fs::write(dir.path().join("deploy.yml"), text).expect("deploy.yml");
        let out = windlass(&["config", "-c", "deploy.yml"]).current_dir(dir.path()).output().expect("windlass starts");
        assert!(out.status.success(), "README.md:{}: {}", block.line, text_of(&out));
    }
}

#[test]
fn exit_codes_are_documented_as_they_are() {
    let documented: BTreeMap<u8, String> = read("README.md").lines().filter_map(table_row).collect();
    let help = windlass(&["--help"]).output().expect("windlass starts");
    let in_help: BTreeMap<u8, String> = exit_codes_of_help(&String::from_utf8_lossy(&help.stdout));
    assert_eq!(documented, in_help, "README.md, and `windlass --help`");
    let kinds = [
        Kind::Failed,
        Kind::Usage,
        Kind::Config,
        Kind::Refused,
        Kind::Leased,
        Kind::Mixed,
        Kind::Interrupted,
        Kind::NoAnswer,
        Kind::SomeAnswers,
    ];
    let codes: BTreeSet<u8> = kinds.iter().map(|kind| kind.code()).chain([0]).collect();
    assert_eq!(documented.keys().copied().collect::<BTreeSet<_>>(), codes, "README.md, and the codes of the program");
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let dir = root().join(&page).parent().expect("a page is in a directory").to_path_buf();
        for (line, target) in links(&read(&page)) {
            let path = target.split('#').next().unwrap_or_default();
            let leads = target.starts_with("https://") || path.is_empty() || dir.join(path).exists();
            assert!(leads, "{page}:{line}: {target} does not exist");
        }
    }
}

/// One command of a `console` block with what the documentation says of it.
#[derive(Debug, Default)]
struct DocumentedStep {
    /// In README.md.
    line: usize,
    command: String,
    output: Vec<String>,
    status: i32,
}

/// `$ echo $?` and the line after it are the exit status of the command before.
fn steps(block: &Block) -> Vec<DocumentedStep> {
    let mut steps: Vec<DocumentedStep> = Vec::new();
    let mut lines = block.lines.iter().enumerate();
    while let Some((at, line)) = lines.next() {
        let line_number = block.line + 1 + at;
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some("echo $?"), Some(step)) => {
                let status = lines.next().and_then(|(_, status)| status.trim().parse().ok());
                step.status = status.unwrap_or_else(|| panic!("README.md:{line_number}: no exit status follows"));
            }
            (Some(command), _) => {
                let command = command.to_string();
                steps.push(DocumentedStep { line: line_number, command, ..DocumentedStep::default() });
            }
            (None, Some(step)) if line != "..." => step.output.push(line.clone()),
            (None, Some(_)) => {}
            (None, None) => panic!("README.md:{line_number}: output before the first command"),
        }
    }
    steps
}

/// A project as the tour has it, with the addresses and the directory of the test's own lab.
struct Place {
    dir: tempfile::TempDir,
    lab_dir: String,
    /// `10.77.140.` where the documentation has `10.77.0.`.
    net: String,
}

impl Place {
    fn new(lab: &Lab) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let address = lab.host("host-1").address;
        let net = address.strip_suffix("11").expect("host-1 is .11").to_string();
        let place = Self { dir, lab_dir: lab.dir().display().to_string(), net };
        place.write("gitconfig", "[user]\n\temail = ann@example.com\n");
        std::fs::create_dir(place.path("bin")).expect("bin");
        symlink(WINDLASS, place.path("bin/windlass")).expect("windlass on the PATH");
        let script = root().join("tests/lab/lab").display().to_string();
        place.write("bin/lab", &format!("#!/bin/sh\nexec '{script}' \"$@\"\n"));
        std::fs::set_permissions(place.path("bin/lab"), PermissionsExt::from_mode(0o755))
            .expect("bin/lab is a program");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Documentation as it is true here.
    fn here(&self, text: &str) -> String {
        text.replace("10.77.0.", &self.net).replace("/tmp/windlass-lab", &self.lab_dir)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("directories");
        std::fs::write(&path, self.here(text)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    fn run(&self, step: &DocumentedStep) {
        let command = self.here(&step.command);
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        let out = Command::new("bash")
            .args(["-c", &format!("exec 2>&1\n{command}")])
            .current_dir(self.dir.path())
            .env("PATH", path)
            .env("LAB_DIR", &self.lab_dir)
            .env("GIT_CONFIG_GLOBAL", self.path("gitconfig"))
            .env_remove("LAB_NET")
            .env_remove("VERSION")
            .stdin(Stdio::null())
            .output()
            .expect("bash starts");
        let output = text_of(&out);
        let place = format!("README.md:{}: `{command}`", step.line);
        assert_eq!(out.status.code(), Some(step.status), "{place} ended otherwise than documented:\n{output}");
        let mut printed = output.lines();
        for documented in &step.output {
            let wanted = self.here(documented);
            let found = printed.by_ref().any(|line| self.same(&wanted, line));
            assert!(found, "{place} did not print (or not in this order): {wanted}\nIt printed:\n{output}");
        }
    }

    /// Whether a printed line begins with the words of a documented one. Numbers, durations and versions of
    /// programs differ from run to run; addresses and shares such as `3/3` do not.
    fn same(&self, documented: &str, printed: &str) -> bool {
        let mut printed = printed.split_whitespace();
        documented.split_whitespace().take(WORDS).all(|word| {
            let differs = word.trim_start_matches('(').starts_with(|c: char| c.is_ascii_digit());
            let any = differs && !word.starts_with(&self.net) && !word.contains('/');
            printed.next().is_some_and(|other| any || other == word)
        })
    }
}

/// The pages that users and developers read.
fn pages() -> Vec<String> {
    let docs = std::fs::read_dir(root().join("docs")).expect("docs/");
    let docs = docs.map(|e| format!("docs/{}", e.expect("docs/").file_name().to_string_lossy()));
    let mut pages: Vec<_> = docs.filter(|name| name.ends_with(".md")).collect();
    pages.extend(["README.md".to_string(), "tests/lab/README.md".to_string()]);
    pages.sort();
    pages
}

/// All commands that begin with `windlass`, in blocks (also after `&&`) and in running text.
fn commands(text: &str) -> Vec<(usize, String)> {
    let in_blocks = blocks(text).into_iter().flat_map(|block| {
        let line = block.line;
        block.lines.into_iter().enumerate().map(move |(at, text)| (line + 1 + at, text))
    });
    let from_line = |(line, text): (usize, String)| {
        let text = text.strip_prefix("$ ").unwrap_or(&text);
        let command = text.rsplit("&& ").next().unwrap_or(text).trim();
        Some((line, command.strip_prefix("windlass ")?.to_string()))
    };
    let spans = code_spans(text).into_iter();
    let spans = spans.filter_map(|(line, span)| Some((line, span.strip_prefix("windlass ")?.to_string())));
    // A block's output may begin with the program's name as well: commands have no colon after their first word.
    let found = in_blocks.filter_map(from_line).chain(spans);
    found.map(|(line, rest)| (line, format!("windlass {rest}"))).collect()
}

/// `| 4 | refused, nothing was changed |`
fn table_row(line: &str) -> Option<(u8, String)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    Some((cells.next()?.parse().ok()?, cells.next()?.to_string()))
}

/// Two columns of `4 refused, nothing was changed` below `Exit codes:`.
fn exit_codes_of_help(help: &str) -> BTreeMap<u8, String> {
    let lines = help.lines().skip_while(|line| *line != "Exit codes:").skip(1).take_while(|l| l.starts_with("  "));
    let cells = lines.flat_map(|line| line.trim().split("  ").filter(|cell| !cell.is_empty()).collect::<Vec<_>>());
    let code = |cell: &str| {
        let (code, text) = cell.trim().split_once(' ')?;
        Some((code.parse().ok()?, text.to_string()))
    };
    cells.filter_map(code).collect()
}

fn windlass(words: &[impl AsRef<std::ffi::OsStr>]) -> Command {
    let mut command = Command::new(WINDLASS);
    command.args(words).current_dir(std::env::temp_dir()).stdin(Stdio::null()).env_remove("VERSION");
    command
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"))
}

fn text_of(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}
