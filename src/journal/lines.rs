//! The lines of `journal.jsonl`.

use crate::fleet::Journal;
use crate::release::{Entry, SCHEMA};
use serde::Deserialize;

/// What every line of every version has.
#[derive(Deserialize)]
struct Version {
    schema: u32,
}

/// What a line turned out to be.
enum Line {
    Entry(Entry),
    /// The beginning of an object whose end was never written.
    CutOff,
    /// A newer windlass wrote it.
    Newer,
    Bad(String),
}

fn parse_line(line: &[u8]) -> Line {
    let error = match serde_json::from_slice::<Entry>(line) {
        Ok(entry) if entry.schema > SCHEMA => return Line::Newer,
        Ok(entry) => return Line::Entry(entry),
        Err(error) => error,
    };
    match serde_json::from_slice::<Version>(line) {
        Ok(version) if version.schema > SCHEMA => Line::Newer,
        _ if error.is_eof() => Line::CutOff,
        _ => Line::Bad(error.to_string()),
    }
}

/// A journal from the bytes of its file.
///
/// Tolerated: no file, empty lines, and a write that was cut off (an object without its end is not a fact), whether its
/// line is the last or a later append has gone on after it. A last line that lacks nothing but its newline is whole.
/// Anything else that is no entry makes the journal unreadable, by its line number; a line of a newer schema makes it
/// read-only. The lines that can be read are there all the same.
pub fn parse(bytes: &[u8]) -> Journal {
    let mut journal = Journal::default();
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    // What follows the last newline: nothing, unless a write was cut off.
    let last = lines.len();
    for (n, line) in (1..).zip(lines).filter(|(_, line)| !line.trim_ascii().is_empty()) {
        match parse_line(line) {
            Line::Entry(entry) => journal.entries.push(entry),
            Line::CutOff => journal.torn |= n == last,
            Line::Newer => journal.newer_schema = true,
            Line::Bad(_) if n == last => journal.torn = true,
            Line::Bad(error) => {
                journal.unreadable.get_or_insert_with(|| format!("line {n} is not a journal entry: {error}"));
            }
        }
    }
    journal
}

/// An entry as its line, with the newline that makes it a fact.
pub fn line(entry: &Entry) -> Vec<u8> {
    let mut line = serde_json::to_vec(entry).unwrap_or_else(|_| unreachable!("an entry is plain data"));
    line.push(b'\n');
    line
}
