//! `--grep` and `--grep-options` of `app logs`: the lines that match, with their neighbours if wanted.

use crate::cli::Failure;
use regex::{Regex, RegexBuilder};
use std::collections::VecDeque;

/// What to look for. Each log has its own [`Picker`].
#[derive(Debug, Clone)]
pub(super) struct Grep {
    pattern: Regex,
    invert: bool,
    before: usize,
    after: usize,
}

/// Neighbours that one may ask for: they are kept in memory.
const MOST_NEIGHBOURS: usize = 1000;

impl Grep {
    /// From the text of `--grep` and of `--grep-options`, which takes grep's own.
    pub(super) fn parse(text: &str, options: Option<&str>) -> Result<Self, Failure> {
        let words = shlex::split(options.unwrap_or_default())
            .ok_or_else(|| Failure::usage("--grep-options has a quote without its end"))?;
        let mut flags = Flags::default();
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            flags.take(word, &mut words)?;
        }
        let pattern = if flags.fixed { regex::escape(text) } else { text.to_string() };
        let pattern = match (flags.line, flags.word) {
            (true, _) => format!("^(?:{pattern})$"),
            (false, true) => format!(r"\b(?:{pattern})\b"),
            (false, false) => pattern,
        };
        let built = RegexBuilder::new(&pattern).case_insensitive(flags.ignore_case).build();
        let pattern = built.map_err(|error| {
            Failure::usage(format!("--grep is no regular expression: {error}"))
                .hint("`--grep-options -F` takes the text as it is")
        })?;
        Ok(Self { pattern, invert: flags.invert, before: flags.before, after: flags.after })
    }
}

#[derive(Default)]
struct Flags {
    ignore_case: bool,
    invert: bool,
    fixed: bool,
    word: bool,
    line: bool,
    before: usize,
    after: usize,
}

impl Flags {
    fn take<'a>(&mut self, word: &'a str, rest: &mut impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        let long = match word {
            "--ignore-case" => "-i",
            "--invert-match" => "-v",
            "--fixed-strings" => "-F",
            "--word-regexp" => "-w",
            "--line-regexp" => "-x",
            "--extended-regexp" => "-E",
            short => short,
        };
        let Some(letters) = long.strip_prefix('-').filter(|l| !l.is_empty() && !l.starts_with('-')) else {
            return Err(unknown(word));
        };
        let chars = letters.char_indices();
        for (at, letter) in chars {
            match letter {
                'i' => self.ignore_case = true,
                'v' => self.invert = true,
                'F' => self.fixed = true,
                'w' => self.word = true,
                'x' => self.line = true,
                // The one syntax there is.
                'E' | 'G' | 'P' => {}
                'A' | 'B' | 'C' => {
                    let own = &letters[at + 1..];
                    let number = if own.is_empty() { rest.next().unwrap_or_default() } else { own };
                    let number = number.parse().ok().filter(|n| *n <= MOST_NEIGHBOURS).ok_or_else(|| {
                        Failure::usage(format!("-{letter} of --grep-options needs a number up to {MOST_NEIGHBOURS}"))
                    })?;
                    self.before = if letter == 'A' { self.before } else { number };
                    self.after = if letter == 'B' { self.after } else { number };
                    return Ok(());
                }
                _ => return Err(unknown(word)),
            }
        }
        Ok(())
    }
}

fn unknown(word: &str) -> Failure {
    Failure::usage(format!("--grep-options does not know `{}`", word.escape_debug()))
        .hint("it knows -i -v -w -x -F -E, and -A, -B, -C with a number of lines")
}

/// Picks lines of one log.
#[derive(Debug)]
pub(super) struct Picker<T> {
    grep: Option<Grep>,
    before: VecDeque<T>,
    after: usize,
}

impl<T> Picker<T> {
    /// Without a pattern every line is picked.
    pub(super) fn new(grep: Option<Grep>) -> Self {
        Self { grep, before: VecDeque::new(), after: 0 }
    }

    /// The lines that are to be shown now that this one has come.
    pub(super) fn pick(&mut self, line: T, text: &str) -> Vec<T> {
        let Some(grep) = &self.grep else { return vec![line] };
        if grep.pattern.is_match(text) != grep.invert {
            self.after = grep.after;
            return self.before.drain(..).chain([line]).collect();
        }
        if self.after > 0 {
            self.after -= 1;
            return vec![line];
        }
        self.before.push_back(line);
        if self.before.len() > grep.before {
            self.before.pop_front();
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(text: &str, options: Option<&str>) -> String {
        let mut picker = Picker::new(Some(Grep::parse(text, options).unwrap()));
        let lines = ["one", "two", "three fish", "four", "Five", "six"];
        lines.into_iter().flat_map(|line| picker.pick(line, line)).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn lines_and_their_neighbours() {
        assert_eq!(picked("t[wh]", None), "two,three fish");
        assert_eq!(picked("five", None), "");
        assert_eq!(picked("five", Some("-i")), "Five");
        assert_eq!(picked("five", Some("-iC 1")), "four,Five,six");
        assert_eq!(picked("two", Some("-B1")), "one,two");
        assert_eq!(picked("two", Some("-A 1")), "two,three fish");
        assert_eq!(picked("t", Some("-v")), "one,four,Five,six");
        assert_eq!(picked("f.sh", Some("--fixed-strings")), "");
        assert_eq!(picked("fi", Some("-w")), "");
        assert_eq!(picked("four", Some("-x -E")), "four");
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_is() {
        for (text, options) in
            [("a", "-z"), ("a", "-A x"), ("a", "-A 5000"), ("a", "--color"), ("a", "file"), ("(", "")]
        {
            let failure = Grep::parse(text, Some(options)).unwrap_err();
            assert_eq!(failure.kind.code(), 2, "{text} {options}");
        }
    }
}
