//! The walls between the rooms of `src/`: who may import whom (docs/design.md, "Rooms").
//!
//! The table is the rule. The test reads `crate::` paths (and `super::` paths that leave a room) in all code that is not
//! compiled for tests only, and compares in both directions: an import that the table lacks fails, and so does an entry
//! that no import needs any more. The table has no cycle.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every room, and what its code may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("name", &[]),
    ("secret", &[]),
    ("spec", &["name"]),
    ("mask", &["secret"]),
    ("certificate", &["secret", "spec"]),
    ("config", &["name", "secret", "spec"]),
    ("release", &["name", "secret", "spec"]),
    ("fleet", &["name", "release", "spec"]),
    ("effect", &["fleet", "name", "secret", "spec"]),
    ("history", &["fleet", "name", "release", "spec"]),
    ("plan", &["config", "effect", "fleet", "history", "name", "release", "secret", "spec"]),
    ("event", &["effect", "fleet", "name", "plan", "release"]),
    ("journal", &["effect", "fleet", "name", "release"]),
    ("observe", &["effect", "event", "fleet", "journal", "name", "secret"]),
    ("execute", &["effect", "event", "fleet", "journal", "mask", "name", "plan", "release", "secret", "spec"]),
    ("render", &["event", "fleet", "history", "mask", "name", "plan", "release", "spec"]),
    ("ssh", &["effect", "fleet", "secret"]),
    ("docker", &["effect", "fleet", "name", "secret", "spec"]),
    ("haproxy", &["effect", "fleet", "name", "secret", "spec"]),
    ("real", &["config", "docker", "effect", "fleet", "haproxy", "name", "secret", "ssh"]),
    ("sim", &["effect", "fleet", "name", "secret", "spec"]),
    (
        "cli",
        &[
            "certificate",
            "config",
            "effect",
            "event",
            "execute",
            "fleet",
            "history",
            "journal",
            "mask",
            "name",
            "observe",
            "plan",
            "real",
            "release",
            "render",
            "secret",
            "spec",
            "ssh",
        ],
    ),
];

#[test]
fn rooms_import_only_what_the_table_allows() {
    let imports = imports();
    let table: BTreeMap<&str, BTreeSet<&str>> = ROOMS.iter().map(|(r, a)| (*r, a.iter().copied().collect())).collect();
    let forbidden = imports.iter().filter(|i| !table.get(i.from.as_str()).is_some_and(|a| a.contains(i.to.as_str())));
    let lines: Vec<_> = forbidden.map(|i| format!("{}: `{}` imports `{}`", i.place, i.from, i.to)).collect();
    assert!(lines.is_empty(), "imports that the table above does not allow:\n{}", lines.join("\n"));
}

#[test]
fn the_table_allows_nothing_that_is_not_needed() {
    let used: BTreeSet<_> = imports().into_iter().map(|i| (i.from, i.to)).collect();
    let allowed = ROOMS.iter().flat_map(|(room, allowed)| allowed.iter().map(|to| (room.to_string(), to.to_string())));
    let unused: Vec<_> = allowed.filter(|pair| !used.contains(pair)).collect();
    assert!(unused.is_empty(), "no code needs these entries of the table: {unused:?}");
}

#[test]
fn the_table_names_every_room_and_has_no_cycle() {
    let named: BTreeSet<_> = ROOMS.iter().map(|(room, _)| room.to_string()).collect();
    assert_eq!(named, rooms_of_lib(), "the table's rooms and the modules of src/lib.rs");
    // Each row may only import rooms of rows above it: then there is no way round.
    let mut above = BTreeSet::new();
    for (room, allowed) in ROOMS {
        let below: Vec<_> = allowed.iter().filter(|to| !above.contains(*to)).collect();
        assert!(below.is_empty(), "`{room}` imports {below:?}, which the table has not reached yet");
        above.insert(*room);
    }
}

#[test]
fn the_design_page_has_the_same_table() {
    let page = read(&root().join("docs/design.md"));
    for (room, allowed) in ROOMS {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{room}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/design.md has no row for the room `{room}`"));
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let documented: BTreeSet<_> = last.split_whitespace().filter(|word| *word != "-").collect();
        assert_eq!(documented, allowed.iter().copied().collect(), "the imports of `{room}` in docs/design.md");
    }
}

#[test]
fn paths_are_found_in_every_form() {
    let text = "use crate::a::X;\nuse crate::{b, c::{d, e}, f};\n// crate::no\nlet x = \"crate::no\";\n\
                let y = crate::g::h();\nuse super::own;\nuse super::super::i::J;\n\
                #[cfg(test)]\nmod tests {\n    use crate::no;\n}\nuse crate::k;\nuse crate::{\n    l::{M, N},\n    o,\n};\n";
    let found = paths(text, 2);
    let names: Vec<_> = found.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "f", "g", "i", "k", "l", "o"]);
    assert_eq!(found[6].0, 12, "lines are those of the file");
    let from_the_top = paths("use super::a::B;\n", 1);
    assert_eq!(from_the_top, [(1, "a".to_string())]);
}

/// One import: `src/plan/x.rs:12`, from which room, to which.
struct Import {
    place: String,
    from: String,
    to: String,
}

fn imports() -> Vec<Import> {
    let rooms = rooms_of_lib();
    let mut found = Vec::new();
    for room in &rooms {
        for (file, depth) in files(room) {
            let shown = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
            let all = paths(&read(&file), depth).into_iter().filter(|(_, to)| to != room && rooms.contains(to));
            found.extend(all.map(|(line, to)| Import { place: format!("{shown}:{line}"), from: room.clone(), to }));
        }
    }
    assert!(found.len() > 100, "only {} imports found: the test does not read the code", found.len());
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn rooms_of_lib() -> BTreeSet<String> {
    let lib = read(&root().join("src/lib.rs"));
    lib.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_string).collect()
}

/// The files of a room, each with its module's depth below the crate, without modules that only tests compile.
fn files(room: &str) -> Vec<(PathBuf, usize)> {
    let src = root().join("src");
    let mut found = Vec::new();
    let single = src.join(format!("{room}.rs"));
    if single.exists() {
        found.push((single, 1));
    }
    walk(&src.join(room), 1, &mut found);
    found
}

/// `depth` is that of the directory's own module.
fn walk(dir: &Path, depth: usize, found: &mut Vec<(PathBuf, usize)>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<_> = entries.map(|e| e.unwrap_or_else(|e| panic!("{}: {e}", dir.display())).path()).collect();
    paths.sort();
    let sources = paths.iter().filter(|p| p.extension().is_some_and(|e| e == "rs"));
    let for_tests: BTreeSet<_> = sources.flat_map(|file| test_modules(&read(file))).collect();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if for_tests.contains(&name) {
            continue;
        }
        if path.is_dir() {
            walk(&path, depth + 1, found);
        } else {
            found.push((path, if name == "mod" { depth } else { depth + 1 }));
        }
    }
}

/// Names (or the stems of `#[path]`s) of the modules in files of their own that a file declares for tests only.
fn test_modules(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            continue;
        }
        let mut file = None;
        for line in lines.by_ref() {
            if let Some(path) = line.strip_prefix("#[path = \"") {
                file = Some(path.trim_end_matches("\"]").trim_end_matches(".rs").to_string());
            } else if !line.starts_with("#[") {
                let name = line.split("mod ").nth(1).and_then(|rest| rest.strip_suffix(';'));
                names.extend(name.map(|name| file.clone().unwrap_or_else(|| name.to_string())));
                break;
            }
        }
    }
    names
}

/// The first segments of all paths that begin at the crate, with their lines.
fn paths(text: &str, depth: usize) -> Vec<(usize, String)> {
    let code = code_only(text);
    let mut found = Vec::new();
    let mut starts: Vec<_> = code.match_indices("crate::").map(|(at, word)| (at, at + word.len())).collect();
    let up = "super::".repeat(depth);
    starts.extend(code.match_indices(&up).map(|(at, word)| (at, at + word.len())));
    starts.sort_unstable();
    for (at, end) in starts {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        found.extend(segments(&code[end..]).into_iter().map(|name| (line, name)));
    }
    found
}

/// What follows `crate::`: one name, or the names at the top of a group.
fn segments(rest: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(word(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The text with the same lines, without comments, plain string literals and inline modules for tests. It relies on
/// rustfmt: such a module ends with a brace at the indentation of its attribute.
fn code_only(text: &str) -> String {
    let mut out = Vec::new();
    let mut end_of_tests: Option<String> = None;
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if let Some(end) = &end_of_tests {
            if line == end {
                end_of_tests = None;
            }
            out.push(String::new());
            continue;
        }
        let opens = lines[at + 1..].iter().find(|l| !l.trim_start().starts_with("#[")).unwrap_or(&"");
        if line.trim() == "#[cfg(test)]" && opens.contains("mod ") && opens.ends_with('{') {
            let indent = &line[..line.len() - line.trim_start().len()];
            end_of_tests = Some(format!("{indent}}}"));
            out.push(String::new());
            continue;
        }
        out.push(without_strings_and_comment(line));
    }
    out.join("\n")
}

fn without_strings_and_comment(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        match (in_string, c) {
            (true, '\\') => drop(chars.next()),
            (true, '"') => in_string = false,
            (true, _) => {}
            (false, '\'') if chars.peek() == Some(&'"') => drop(chars.next()),
            (false, '"') => in_string = true,
            (false, '/') if chars.peek() == Some(&'/') => break,
            (false, c) => out.push(c),
        }
    }
    out
}
