//! The dotenv syntax of secrets files, as dotenv 3 reads it for Kamal.
//!
//! This only splits a text into assignments; [`super::secrets`] expands variables and runs commands.

/// One assignment, before anything in it is expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment<'a> {
    /// The key.
    pub(super) key: &'a str,
    /// The value between its quotes, if any.
    pub(super) raw: &'a str,
    /// The quote around it.
    pub(super) quote: Option<char>,
    /// The line of the key, from 1.
    pub(super) line: usize,
}

/// A text as assignments, and the lines (from 1) that are none.
pub(super) fn parse(text: &str) -> (Vec<Assignment<'_>>, Vec<usize>) {
    let (mut assignments, mut unreadable) = (Vec::new(), Vec::new());
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let content = rest[..end].trim();
        let used = match assignment(rest, line) {
            _ if content.is_empty() || content.starts_with('#') => end,
            Some((assignment, used)) => {
                assignments.push(assignment);
                used
            }
            None => {
                // `export A B` only announces names; dotenv accepts it without a value.
                if !content.starts_with("export ") {
                    unreadable.push(line);
                }
                end
            }
        };
        line += rest[..used].matches('\n').count();
        rest = &rest[used..];
    }
    (assignments, unreadable)
}

/// The assignment at the start of a line, and how many bytes it takes with its line end.
fn assignment(text: &str, line: usize) -> Option<(Assignment<'_>, usize)> {
    let mut rest = text.trim_start();
    if let Some(after) = rest.strip_prefix("export").filter(|r| r.starts_with([' ', '\t'])) {
        rest = after.trim_start();
    }
    let key_end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
    let (key, after) = rest.split_at(key_end);
    let blank = |c: char| c == ' ' || c == '\t';
    let value = match after.trim_start_matches(blank).strip_prefix('=') {
        Some(value) => value,
        None => after.strip_prefix(':').filter(|v| v.starts_with(|c: char| c.is_whitespace()))?,
    };
    if key.is_empty() {
        return None;
    }
    let (raw, quote, after) = quoted(value).or_else(|| unquoted(value))?;
    let used = text.len() - after.len();
    Some((Assignment { key, raw, quote, line }, used))
}

/// A value in quotes; it may span lines. The quotes count only if nothing but a comment follows them.
fn quoted(value: &str) -> Option<(&str, Option<char>, &str)> {
    let start = value.trim_start();
    let quote = start.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let body = &start[1..];
    // The first quote without a backslash ends the value; one with a backslash does if that is the only way to read it.
    let mut ends = Vec::new();
    for (at, _) in body.match_indices(quote) {
        ends.push(at);
        if !body[..at].ends_with('\\') {
            break;
        }
    }
    ends.into_iter().rev().find_map(|at| Some((&body[..at], Some(quote), rest_of_line(&body[at + 1..])?)))
}

fn unquoted(value: &str) -> Option<(&str, Option<char>, &str)> {
    let end = value.find(['#', '\n']).unwrap_or(value.len());
    Some((value[..end].trim(), None, rest_of_line(&value[end..])?))
}

/// What follows the line, if the line holds nothing more than blanks and a comment.
fn rest_of_line(text: &str) -> Option<&str> {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim();
    (line.is_empty() || line.starts_with('#')).then_some(rest)
}

/// Outside single quotes a backslash before anything but `$` is dropped; `\n` in double quotes stays two characters.
pub(super) fn unescape(raw: &str, quote: Option<char>) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('n' | 'r')) if quote == Some('"') => text.push('\\'),
            ('\\', Some('$')) | ('\\', None) => text.push('\\'),
            ('\\', Some(_)) => text.extend(chars.next()),
            _ => text.push(c),
        }
    }
    text
}

/// Replaces `$VAR` and `${VAR}`; `\$` is a dollar, and so is one that no name follows. `$(` is left alone.
pub(super) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let escaped = rest[..at].ends_with('\\');
        let after = &rest[at + 1..];
        if after.starts_with('(') {
            out.push_str(&rest[..=at]);
            rest = after;
            continue;
        }
        out.push_str(&rest[..at - usize::from(escaped)]);
        let open = after.strip_prefix('{').unwrap_or(after);
        let end = open.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(open.len());
        let close = open[end..].strip_prefix('}').unwrap_or(&open[end..]);
        let whole = &rest[at..rest.len() - close.len()];
        match (&open[..end], escaped) {
            (_, true) | ("", false) => out.push_str(whole),
            (name, false) => out.push_str(&lookup(name).unwrap_or_default()),
        }
        rest = close;
    }
    out + rest
}

/// A piece of a value: text, or the inside of a `$(command)`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As it is.
    Text(&'a str),
    /// To be run.
    Command(&'a str),
}

/// Splits a value at its commands. Parentheses inside a command balance; `\$(x)` is the text `$(x)`.
pub(super) fn commands(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut from, mut search) = (0, 0);
    while let Some(at) = text[search..].find("$(").map(|i| search + i) {
        let Some(len) = balanced(&text[at + 1..]) else {
            search = at + 2;
            continue;
        };
        let end = at + 1 + len;
        if text[..at].ends_with('\\') {
            pieces.push(Piece::Text(&text[from..at - 1]));
            pieces.push(Piece::Text(&text[at..end]));
        } else {
            pieces.push(Piece::Text(&text[from..at]));
            pieces.push(Piece::Command(&text[at + 2..end - 1]));
        }
        (from, search) = (end, end);
    }
    pieces.push(Piece::Text(&text[from..]));
    pieces
}

/// The length of the parenthesised, not empty text that begins here.
fn balanced(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return (at > 1).then_some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, String) {
        let (assignments, unreadable) = parse(text);
        assert_eq!((assignments.len(), unreadable.len()), (1, 0), "{text:?}: {assignments:?} {unreadable:?}");
        let a = &assignments[0];
        let value = if a.quote == Some('\'') { a.raw.to_string() } else { unescape(a.raw, a.quote) };
        (a.key.to_string(), value)
    }

    #[test]
    fn the_forms_of_an_assignment() {
        for (text, value) in [
            ("K=V", "V"),
            ("K = V", "V"),
            ("K: V", "V"),
            ("export K=V", "V"),
            ("  K=V # c", "V"),
            ("K=a#b", "a"),
            ("K=", ""),
            ("K=a b  ", "a b"),
            ("K='a # b' # c", "a # b"),
            ("K=\"a\nb\"", "a\nb"),
            (r"K='it\'s'", r"it\'s"),
            (r"K='a\'", r"a\"),
            (r"K=a\tb", "atb"),
            (r#"K="a\nb""#, r"a\nb"),
            (r#"K="a\"b""#, "a\"b"),
            ("K='a' b", "'a' b"),
            (r"K=\$x", r"\$x"),
        ] {
            assert_eq!(one(text), ("K".into(), value.into()), "{text}");
        }
    }

    #[test]
    fn lines_that_are_no_assignment_are_counted() {
        let (assignments, unreadable) = parse("# c\n\nA=1\nX-Y=1\nB=\"two\nlines\"\nnonsense\nC=3");
        let keys: Vec<_> = assignments.iter().map(|a| (a.key, a.line)).collect();
        assert_eq!((keys, unreadable), (vec![("A", 3), ("B", 5), ("C", 8)], vec![4, 7]));
    }

    #[test]
    fn variables() {
        let lookup = |name: &str| (name == "A").then(|| "1".to_string());
        for (text, expected) in [
            ("$A-${A}", "1-1"),
            ("$NONE.", "."),
            (r"\$A", "$A"),
            ("pa$$word", "pa$"),
            ("$", "$"),
            ("$(x $A)", "$(x 1)"),
            ("a${A}b", "a1b"),
        ] {
            assert_eq!(expand(text, &lookup), expected, "{text}");
        }
    }

    #[test]
    fn commands_are_found_by_balanced_parentheses() {
        use Piece::{Command, Text};
        assert_eq!(commands("a$(b (c) d)e"), [Text("a"), Command("b (c) d"), Text("e")]);
        assert_eq!(commands(r"\$(b)"), [Text(""), Text("$(b)"), Text("")]);
        assert_eq!(commands("$(open"), [Text("$(open")]);
        assert_eq!(commands("$()"), [Text("$()")]);
    }
}
