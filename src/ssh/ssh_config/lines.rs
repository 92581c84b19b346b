//! Lines of a configuration file: a keyword, and arguments as OpenSSH splits them.

use super::{Place, SshConfigError};
use std::path::Path;

/// One line with something in it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Lower case.
    pub(super) keyword: String,
    pub(super) args: Vec<String>,
    /// Everything after the keyword as written: the value of ProxyCommand is for a shell.
    pub(super) rest: String,
    pub(super) place: Place,
}

pub(super) fn parse(text: &str, file: &Path) -> Result<Vec<Line>, SshConfigError> {
    let mut lines = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let place = Place { file: file.to_path_buf(), line: index + 1 };
        lines.extend(line(text.trim(), place)?);
    }
    Ok(lines)
}

/// `Keyword value`, `Keyword=value`, `Keyword = value`.
fn line(text: &str, place: Place) -> Result<Option<Line>, SshConfigError> {
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let end = text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len());
    let (keyword, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
    let args = split(rest).ok_or_else(|| place.error("a quotation mark is not closed"))?;
    if args.is_empty() {
        return Err(place.error(format!("{keyword} has no value")));
    }
    Ok(Some(Line { keyword: keyword.to_ascii_lowercase(), args, rest: rest.to_string(), place }))
}

/// Words between blanks; quotes hold blanks together, and a backslash escapes only a quote, a backslash or a blank. `#` at
/// the beginning of a word ends the line. None: a quote stays open.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = |n: &char| matches!(n, '"' | '\'' | '\\') || (quote.is_none() && *n == ' ');
        match (c, quote) {
            ('\\', _) if chars.peek().is_some_and(escaped) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            ('#', None) if word.is_none() => break,
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let cases: [(&str, &[&str]); 7] = [
            ("a  b\tc", &["a", "b", "c"]),
            (r#""a b" c"#, &["a b", "c"]),
            (r"a\ b DOM\user", &["a b", r"DOM\user"]),
            (r#"~/"my keys"/id"#, &["~/my keys/id"]),
            ("a # comment", &["a"]),
            ("a#b", &["a#b"]),
            (r#""" x"#, &["", "x"]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        assert_eq!(split("\"a"), None);
    }

    #[test]
    fn keywords_with_and_without_an_equals_sign() {
        let lines = parse("Port=22\nPort = 22\n  pOrT\t22 # x\n\n# y\n", Path::new("c")).unwrap();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|l| l.keyword == "port" && l.args == ["22"]));
        assert_eq!(parse("\nUser\n", Path::new("c")).unwrap_err().to_string(), "c:2: User has no value");
    }
}
