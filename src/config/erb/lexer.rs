//! The inside of ERB tags as tokens: the part of Ruby's lexical grammar that configurations use.

/// A piece of a string: text, or an expression to insert.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text(String),
    Code(Vec<Token>),
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Int(i64),
    Float(f64),
    Text(Vec<Part>),
    /// Backticks or `%x()`.
    Command(Vec<Part>),
    Words(Vec<String>),
    Symbol(String),
    Regex(String),
    /// A name, with its `?` or `!`.
    Name(String),
    Const(String),
    /// `@name`
    Field(String),
    /// `name:` of a hash or an argument.
    Label(String),
    Op(&'static str),
    Newline,
    /// A stretch of the template, by its number.
    Emit(usize),
    /// An output tag, by its number.
    Print(usize),
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// The number of its tag.
    pub(super) tag: usize,
    /// Whether a blank stands before it.
    pub(super) spaced: bool,
}

/// Longest first.
const OPS: &[&str] = &[
    "<=>", "===", "||=", "&&=", "...", "==", "!=", ">=", "<=", "=~", "!~", "&&", "||", "=>", "<<", "&.", "..", "::",
    "+=", "-=", "->", "+", "-", "*", "/", "%", "<", ">", "!", "=", "?", ":", ".", ",", "(", ")", "[", "]", "{", "}",
    "|", "&",
];

/// Words after which a value may begin although they are names.
const BEFORE_VALUE: &[&str] =
    &["if", "unless", "elsif", "and", "or", "not", "when", "then", "do", "else", "in", "return", "while"];

/// The tokens of a tag's code; `None` where it is beyond this grammar.
pub(super) fn tokens(code: &str, tag: usize) -> Option<Vec<Token>> {
    nested(code, tag, 0)
}

/// The same for the code in a string, which may hold strings again: three deep at most.
fn nested(code: &str, tag: usize, depth: u8) -> Option<Vec<Token>> {
    let mut lexer = Lexer { rest: code, tag, out: Vec::new(), spaced: true, depth, choosing: false };
    (depth <= 3).then(|| lexer.run())??;
    Some(lexer.out)
}

struct Lexer<'a> {
    rest: &'a str,
    tag: usize,
    out: Vec<Token>,
    spaced: bool,
    depth: u8,
    /// Whether a `?` stands before on this line, so that `name :` is no label.
    choosing: bool,
}

impl Lexer<'_> {
    fn run(&mut self) -> Option<()> {
        loop {
            let before = self.rest.len();
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
            if let Some(rest) = self.rest.strip_prefix("\\\n") {
                self.rest = rest;
            }
            self.spaced = self.spaced || self.rest.len() != before;
            let Some(c) = self.rest.chars().next() else { return Some(()) };
            self.one(c)?;
            self.spaced = false;
        }
    }

    fn push(&mut self, kind: Kind) {
        self.choosing = kind == Kind::Op("?") || (self.choosing && kind != Kind::Newline);
        self.out.push(Token { kind, tag: self.tag, spaced: self.spaced });
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn one(&mut self, c: char) -> Option<()> {
        match c {
            '\n' | ';' => {
                self.advance(1);
                self.push(Kind::Newline);
            }
            '#' => self.advance(self.rest.find('\n').unwrap_or(self.rest.len())),
            '"' | '`' => {
                self.advance(1);
                let parts = self.parts(None, c, true)?;
                self.push_text(parts, c == '`');
            }
            '\'' => {
                self.advance(1);
                let parts = self.parts(None, c, false)?;
                self.push_text(parts, false);
            }
            '0'..='9' => self.number()?,
            '@' => {
                self.advance(1);
                let name = self.word().filter(|w| !w.is_empty())?;
                self.push(Kind::Field(name));
            }
            ':' if !self.rest.starts_with("::") && self.symbol()? => {}
            '%' if !self.after_value() => self.percent()?,
            '/' if !self.after_value() => {
                self.advance(1);
                let end = regex_end(self.rest)?;
                let pattern = self.rest[..end].replace("\\/", "/");
                self.advance(end + 1);
                let flags = self.word().unwrap_or_default();
                let flags = if flags.is_empty() { String::new() } else { format!("(?{})", flags.replace('m', "s")) };
                self.push(Kind::Regex(flags + &pattern));
            }
            c if c.is_alphabetic() || c == '_' => self.name()?,
            _ => {
                let op = OPS.iter().find(|op| self.rest.starts_with(**op))?;
                self.advance(op.len());
                self.push(Kind::Op(op));
            }
        }
        Some(())
    }

    /// A string; directly before a `:` it is a key (`{"a": 1}`).
    fn push_text(&mut self, parts: Vec<Part>, command: bool) {
        let in_hash = matches!(self.out.last().map(|t| &t.kind), Some(Kind::Op("{" | "," | "(")));
        match parts.as_slice() {
            [Part::Text(text)] if in_hash && !command && self.rest.starts_with(": ") => {
                let text = text.clone();
                self.advance(1);
                self.push(Kind::Label(text));
            }
            _ if command => self.push(Kind::Command(parts)),
            _ => self.push(Kind::Text(parts)),
        }
    }

    /// Whether what stands before is a value, so that `/` and `%` are operators.
    fn after_value(&self) -> bool {
        match self.out.last().map(|t| &t.kind) {
            None | Some(Kind::Newline | Kind::Label(_)) => false,
            Some(Kind::Op(op)) => matches!(*op, ")" | "]" | "}"),
            Some(Kind::Name(name)) => !BEFORE_VALUE.contains(&name.as_str()),
            Some(_) => true,
        }
    }

    fn word(&mut self) -> Option<String> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let word = self.rest[..end].to_string();
        self.advance(end);
        Some(word)
    }

    fn name(&mut self) -> Option<()> {
        let mut name = self.word()?;
        let mut after = self.rest.chars();
        let (next, second) = (after.next(), after.next());
        if matches!(next, Some('?' | '!')) && second != Some('=') {
            name.extend(next);
            self.advance(1);
        }
        let dotted = matches!(self.out.last().map(|t| &t.kind), Some(Kind::Op("." | "&." | "::")));
        let label = self.rest.starts_with(':') && !self.rest.starts_with("::");
        if label && !dotted && !self.choosing && self.rest[1..].starts_with([' ', '\n', '"']) {
            self.advance(1);
            self.push(Kind::Label(name));
        } else if name.starts_with(|c: char| c.is_uppercase()) && !dotted {
            self.push(Kind::Const(name));
        } else {
            self.push(Kind::Name(name));
        }
        Some(())
    }

    /// `:name` or `:"text"`; false if it is an operator.
    fn symbol(&mut self) -> Option<bool> {
        let after = &self.rest[1..];
        if after.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            self.advance(1);
            let mut name = self.word()?;
            if self.rest.starts_with(['?', '!']) {
                name.push_str(&self.rest[..1]);
                self.advance(1);
            }
            self.push(Kind::Symbol(name));
            return Some(true);
        }
        Some(false)
    }

    fn number(&mut self) -> Option<()> {
        let digits = |text: &str| text.find(|c: char| !(c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
        let mut end = digits(self.rest);
        let fraction = self.rest[end..].strip_prefix('.').map(digits).filter(|n| *n > 0);
        end += fraction.map_or(0, |n| n + 1);
        let text = self.rest[..end].replace('_', "");
        self.advance(end);
        if self.rest.starts_with(|c: char| c.is_alphabetic())
            || (fraction.is_none() && text.len() > 1 && text.starts_with('0'))
        {
            return None;
        }
        self.push(match fraction {
            Some(_) => Kind::Float(text.parse().ok()?),
            None => Kind::Int(text.parse().ok()?),
        });
        Some(())
    }

    /// `%x()`, `%w[]`, `%q()`, `%Q()`, `%()`.
    fn percent(&mut self) -> Option<()> {
        self.advance(1);
        let kind = self.rest.chars().next().filter(char::is_ascii_alphabetic);
        self.advance(usize::from(kind.is_some()));
        let open = self.rest.chars().next().filter(char::is_ascii_punctuation)?;
        let close = match open {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            '<' => '>',
            other => other,
        };
        self.advance(1);
        let parts = self.parts((open != close).then_some(open), close, !matches!(kind, Some('q' | 'w' | 'i')))?;
        match (kind, parts.as_slice()) {
            (Some('x'), _) => self.push(Kind::Command(parts)),
            (None | Some('q' | 'Q'), _) => self.push(Kind::Text(parts)),
            (Some('w'), []) => self.push(Kind::Words(Vec::new())),
            (Some('w'), [Part::Text(text)]) => {
                let words = text.split_whitespace().map(str::to_string).collect();
                self.push(Kind::Words(words));
            }
            _ => return None,
        }
        Some(())
    }

    /// Up to the closing quote. With `expands`, escapes and `#{…}` are read as in double quotes.
    fn parts(&mut self, open: Option<char>, close: char, expands: bool) -> Option<Vec<Part>> {
        let (mut parts, mut text, mut depth) = (Vec::new(), String::new(), 0);
        loop {
            let c = self.rest.chars().next()?;
            self.advance(c.len_utf8());
            match c {
                c if c == close && depth == 0 => break,
                '\\' if expands => text.push(self.escape()?),
                '\\' if self.rest.starts_with([close, '\\']) => {
                    text.push_str(&self.rest[..1]);
                    self.advance(1);
                }
                '#' if expands && self.rest.starts_with('{') => {
                    self.advance(1);
                    let end = code_end(self.rest)?;
                    let code = nested(&self.rest[..end], self.tag, self.depth + 1)?;
                    self.advance(end + 1);
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    parts.push(Part::Code(code));
                }
                c => {
                    depth += i32::from(Some(c) == open) - i32::from(c == close);
                    text.push(c);
                }
            }
        }
        parts.push(Part::Text(text));
        parts.retain(|p| *p != Part::Text(String::new()));
        Some(parts)
    }

    /// What a backslash in double quotes stands for; the common ones only.
    fn escape(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.advance(c.len_utf8());
        Some(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'e' => '\u{1b}',
            's' => ' ',
            'u' | 'x' | 'c' | 'C' | 'M' | '0'..='9' | '\n' => return None,
            other => other,
        })
    }
}

/// Where the `}` of a `#{` stands. Strings inside may hold braces.
fn code_end(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0, None, false);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            (c, Some(q)) if c == q => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'' | '`', None) => quote = Some(c),
            ('{', None) => depth += 1,
            ('}', None) if depth == 0 => return Some(at),
            ('}', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

fn regex_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '/' => return Some(at),
            '\n' => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(code: &str) -> Option<Vec<Kind>> {
        tokens(code, 0).map(|t| t.into_iter().map(|t| t.kind).collect())
    }

    #[test]
    fn strings_commands_and_words() {
        let text = |t: &str| Kind::Text(vec![Part::Text(t.into())]);
        assert_eq!(
            kinds(r#""a\n" 'b\'\n', %q(c(d)), %w[e f]"#).unwrap(),
            [
                text("a\n"),
                text(r"b'\n"),
                Kind::Op(","),
                text("c(d)"),
                Kind::Op(","),
                Kind::Words(vec!["e".into(), "f".into()])
            ]
        );
        let command = kinds(r##"`git log "#{a["}"]}" `"##).unwrap();
        let [Kind::Command(parts)] = command.as_slice() else { panic!("{command:?}") };
        let [Part::Text(before), Part::Code(code), Part::Text(after)] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!((before.as_str(), code.len(), after.as_str()), ("git log \"", 4, "\" "));
        assert_eq!(kinds("\"open"), None);
    }

    #[test]
    fn names_labels_and_operators() {
        assert_eq!(kinds("a.empty? ? :b : c").unwrap().len(), 7);
        assert_eq!(kinds("f(k: 1, \"l\": 2)").unwrap()[2], Kind::Label("k".into()));
        assert_eq!(kinds("x / 2 # c").unwrap(), [Kind::Name("x".into()), Kind::Op("/"), Kind::Int(2)]);
        assert_eq!(kinds("x.gsub(/a\\/b/i, '')").unwrap()[4], Kind::Regex("(?i)a/b".into()));
        assert_eq!(kinds("$x"), None);
        assert_eq!(kinds("0755"), None);
    }
}
