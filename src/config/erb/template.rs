//! A file as stretches of text and tags, and what it is rendered to.

use super::lexer::{Kind, Token, tokens};
use super::parser;
use super::syntax::Body;
use crate::config::problem::{Place, Problem};
use std::sync::Arc;

/// A file after its tags were replaced. A value of several lines does not shift the lines below it.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// For each line of the text, the line of the file that it came from.
    lines: Vec<usize>,
    /// Things worth saying: variables that are not set, commands that ran.
    pub warnings: Vec<Problem>,
}

impl Rendered {
    pub(super) fn empty() -> Self {
        Self { lines: vec![1], ..Self::default() }
    }

    /// The line of the file that a line of the text (from 1) came from.
    pub fn source_line(&self, line: usize) -> usize {
        self.lines.get(line.saturating_sub(1)).or(self.lines.last()).copied().unwrap_or(1)
    }

    /// Text without any tags: every line is its own.
    pub fn plain(text: &str) -> Self {
        let mut rendered = Self::empty();
        rendered.push(text, 1);
        rendered
    }

    /// Text of the file that begins on `line`.
    pub(super) fn push(&mut self, text: &str, mut line: usize) {
        for c in text.chars() {
            self.begin_line(line);
            self.text.push(c);
            if c == '\n' {
                line += 1;
                self.lines.push(line);
            }
        }
    }

    /// A value of a tag on `line`.
    pub(super) fn push_value(&mut self, text: &str, line: usize) {
        for c in text.chars() {
            self.begin_line(line);
            self.text.push(c);
            if c == '\n' {
                self.lines.push(line);
            }
        }
    }

    fn begin_line(&mut self, line: usize) {
        if let Some(last) = self.lines.last_mut().filter(|_| self.text.is_empty() || self.text.ends_with('\n')) {
            *last = line;
        }
    }

    /// Whether the current line is a comment of the YAML.
    pub(super) fn in_comment(&self) -> bool {
        self.text.rsplit('\n').next().is_some_and(|line| line.trim_start().starts_with('#'))
    }

    pub(super) fn unset(&mut self, at: Place, name: &str) {
        if self.in_comment() {
            return;
        }
        let message = format!("the environment variable {name} is not set: the ERB tag is replaced by nothing");
        let hint = format!("set {name}, or give a default: ENV.fetch(\"{name}\", \"default\")");
        self.warnings.push(Problem::new(&at, "", message).hint(hint));
    }

    pub(super) fn ran(&mut self, at: Place, tag: &str, ended: &str) {
        let message = format!("the ERB tag `{tag}` ran a command on this machine{ended}");
        self.warnings.push(Problem::new(&at, "", message));
    }
}

/// A file taken apart.
#[derive(Debug)]
pub(super) struct Template {
    file: Arc<str>,
    /// For each tag: its line, and how messages show it.
    tags: Vec<(usize, String)>,
    /// Stretches of text with their first line.
    texts: Vec<(String, usize)>,
    /// For each output tag: its tag, and its expression unless it is not understood.
    outputs: Vec<(usize, Option<Body>)>,
    /// The program that all of it is.
    tokens: Vec<Token>,
    /// Code tags whose tokens are not understood.
    pub(super) unreadable: Vec<usize>,
}

impl Template {
    /// Takes a file apart; the error is a tag that is never closed.
    pub(super) fn read(text: &str, file: &str) -> Result<Self, Problem> {
        let (tags, texts, outputs) = (Vec::new(), Vec::new(), Vec::new());
        let mut template = Self { file: file.into(), tags, texts, outputs, tokens: Vec::new(), unreadable: Vec::new() };
        let (mut rest, mut line) = (text, 1);
        while let Some(start) = rest.find("<%") {
            let (before, at) = rest.split_at(start);
            let tag_line = line + before.matches('\n').count();
            if let Some(after) = at.strip_prefix("<%%") {
                template.emit(before, line);
                template.emit("<%", tag_line);
                (rest, line) = (after, tag_line);
                continue;
            }
            let place = Place::line(&template.file, tag_line);
            let end = closing(at).ok_or_else(|| {
                Problem::new(&place, "", "the ERB tag `<%` is never closed").hint("close it with `%>`")
            })?;
            let (tag, mut after) = at.split_at(end + 2);
            // `<%-` takes the indentation before it along
            let indented = before.len()
                - before
                    .rsplit('\n')
                    .next()
                    .map_or(0, |l| if l.trim_matches([' ', '\t']).is_empty() { l.len() } else { 0 });
            template.emit(if tag.starts_with("<%-") { &before[..indented] } else { before }, line);
            template.tag(tag, tag_line);
            line = tag_line + tag.matches('\n').count();
            if let Some(next) = after.strip_prefix('\n').filter(|_| tag.ends_with("-%>")) {
                after = next;
                line += 1;
            }
            rest = after;
        }
        template.emit(rest, line);
        Ok(template)
    }

    fn emit(&mut self, text: &str, line: usize) {
        if !text.is_empty() {
            self.token(Kind::Emit(self.texts.len()));
            self.texts.push((text.to_string(), line));
        }
    }

    fn token(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, tag: self.tags.len().saturating_sub(1), spaced: true });
    }

    fn tag(&mut self, tag: &str, line: usize) {
        let inner = tag.trim_start_matches("<%").trim_end_matches("%>");
        let inner = inner.strip_suffix('-').unwrap_or(inner).replace("%%>", "%>");
        let number = self.tags.len();
        self.tags.push((line, shown(tag)));
        match inner.as_bytes().first() {
            Some(b'#') => {}
            Some(b'=') => {
                let body =
                    tokens(&inner[1..], number).and_then(|t| parser::program(&t).ok()).filter(|body| !body.is_empty());
                self.token(Kind::Print(self.outputs.len()));
                self.outputs.push((number, body));
            }
            _ => match tokens(inner.strip_prefix('-').unwrap_or(&inner), number) {
                Some(code) => {
                    self.tokens.extend(code);
                    self.token(Kind::Newline);
                }
                None => self.unreadable.push(number),
            },
        }
    }

    /// The program, or the tag that is not understood.
    pub(super) fn program(&self) -> Result<Body, usize> {
        parser::program(&self.tokens)
    }

    pub(super) fn text(&self, n: usize) -> (&str, usize) {
        self.texts.get(n).map_or(("", 1), |(text, line)| (text, *line))
    }

    pub(super) fn output(&self, n: usize) -> (usize, Option<&Body>) {
        self.outputs.get(n).map_or((0, None), |(tag, body)| (*tag, body.as_ref()))
    }

    pub(super) fn line(&self, tag: usize) -> usize {
        self.tags.get(tag).map_or(1, |(line, _)| *line)
    }

    pub(super) fn place(&self, tag: usize) -> Place {
        Place::line(&self.file, self.line(tag))
    }

    pub(super) fn shown(&self, tag: usize) -> &str {
        self.tags.get(tag).map_or("", |(_, shown)| shown)
    }
}

/// Where the `%>` of a tag stands; `%%>` is none.
fn closing(tag: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + tag[from..].find("%>")?;
        if end > 2 && tag[..end].ends_with('%') && !tag[..end].ends_with("<%") {
            from = end + 2;
            continue;
        }
        return Some(end);
    }
}

fn shown(tag: &str) -> String {
    let text: String = tag.chars().take(80).flat_map(char::escape_default).collect();
    text.replace("\\\"", "\"").replace("\\'", "'")
}
