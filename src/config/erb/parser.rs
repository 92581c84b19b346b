//! Tokens to statements. One program spans all tags of a file, so that `if` in one tag ends with `end` in another.

use super::lexer::{Kind, Part, Token};
use super::syntax::{Block, Body, Call, Expr, Piece, Statement, What};
use super::value::Value;

/// The deepest nesting of expressions; no configuration comes near it.
const MAX_DEPTH: usize = 24;

/// A program, or the number of the tag that is not understood.
pub(super) fn program(tokens: &[Token]) -> Result<Body, usize> {
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let body = parser.body(&[]).filter(|_| parser.at == tokens.len());
    body.ok_or_else(|| tokens.get(parser.at).or(tokens.last()).map_or(0, |t| t.tag))
}

pub(super) struct Parser<'a> {
    tokens: &'a [Token],
    pub(super) at: usize,
    depth: usize,
}

/// What ends an expression, so that it is no argument of a call without parentheses.
pub(super) const KEYWORDS: &[&str] = &[
    "if", "unless", "else", "elsif", "end", "do", "then", "and", "or", "in", "when", "rescue", "ensure", "while",
    "until",
];

/// Binary operators by how tightly they bind, loosest first; `||`, `&&` and comparisons are below.
const LEVELS: &[&[&str]] =
    &[&["==", "!=", "=~", "!~", "===", "<=>"], &["<", ">", "<=", ">="], &["<<"], &["+", "-"], &["*", "/", "%"]];

impl<'a> Parser<'a> {
    pub(super) fn kind(&self) -> Option<&'a Kind> {
        self.tokens.get(self.at).map(|t| &t.kind)
    }

    pub(super) fn token(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn tag(&self) -> usize {
        self.token().or(self.tokens.last()).map_or(0, |t| t.tag)
    }

    pub(super) fn op(&mut self, op: &str) -> bool {
        let found = matches!(self.kind(), Some(Kind::Op(o)) if *o == op);
        self.at += usize::from(found);
        found
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(&[word]);
        self.at += usize::from(found);
        found
    }

    pub(super) fn is_word(&self, words: &[&str]) -> bool {
        matches!(self.kind(), Some(Kind::Name(name)) if words.contains(&name.as_str()))
    }

    pub(super) fn newlines(&mut self) {
        while matches!(self.kind(), Some(Kind::Newline)) {
            self.at += 1;
        }
    }

    pub(super) fn need(&mut self, op: &str) -> Option<()> {
        self.newlines();
        self.op(op).then_some(())
    }

    /// Statements up to one of the words, which stays, or the end.
    pub(super) fn body(&mut self, until: &[&str]) -> Option<Body> {
        let mut body = Body::new();
        loop {
            self.newlines();
            let tag = self.tag();
            let what = match self.kind() {
                None => return Some(body),
                Some(Kind::Op("}")) if until.contains(&"}") => return Some(body),
                Some(_) if self.is_word(until) => return Some(body),
                Some(Kind::Emit(n)) => {
                    self.at += 1;
                    What::Emit(*n)
                }
                Some(Kind::Print(n)) => {
                    self.at += 1;
                    What::Print(*n)
                }
                Some(_) => What::Expr(self.statement()?),
            };
            let ends = matches!(what, What::Emit(_) | What::Print(_))
                || matches!(self.kind(), None | Some(Kind::Newline | Kind::Emit(_) | Kind::Print(_) | Kind::Op("}")))
                || self.is_word(until);
            if !ends {
                return None;
            }
            body.push(Statement { tag, what });
        }
    }

    /// An expression with its `if`, `unless`, `and`, `or`, `rescue` behind it.
    pub(super) fn statement(&mut self) -> Option<Expr> {
        let tag = self.tag();
        let mut left = self.expression()?;
        let alone = |expr: Expr| vec![Statement { tag, what: What::Expr(expr) }];
        loop {
            left = if self.word("if") {
                Expr::If(Box::new(self.expression()?), alone(left), Body::new())
            } else if self.word("unless") {
                Expr::If(Box::new(self.expression()?), Body::new(), alone(left))
            } else if self.word("and") {
                Expr::And(Box::new(left), Box::new(self.expression()?))
            } else if self.word("or") {
                Expr::Or(Box::new(left), Box::new(self.expression()?))
            } else if self.word("rescue") {
                let instead = self.expression()?;
                Expr::Begin(alone(left), Some(alone(instead)))
            } else {
                return Some(left);
            };
        }
    }

    pub(super) fn expression(&mut self) -> Option<Expr> {
        self.deeper(Self::assignment)
    }

    /// One level deeper, if that is not too deep.
    pub(super) fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Option<Expr>) -> Option<Expr> {
        self.depth += 1;
        let expr = if self.depth > MAX_DEPTH { None } else { read(self) };
        self.depth -= 1;
        expr
    }

    fn assignment(&mut self) -> Option<Expr> {
        if self.word("not") {
            return Some(Expr::Not(Box::new(self.expression()?)));
        }
        let left = self.ternary()?;
        let Some(Kind::Op(op @ ("=" | "||=" | "&&=" | "+=" | "-="))) = self.kind() else { return Some(left) };
        let index = matches!(&left, Expr::Call(call) if call.name == "[]" && call.arguments.len() == 1);
        if !(index || matches!(left, Expr::Name(_) | Expr::Field(_) | Expr::Const(_))) {
            return None;
        }
        self.at += 1;
        self.newlines();
        let value = self.expression()?;
        Some(Expr::Assign(Box::new(left), op, Box::new(value)))
    }

    fn ternary(&mut self) -> Option<Expr> {
        let condition = self.range()?;
        if !self.op("?") {
            return Some(condition);
        }
        let tag = self.tag();
        let alone = |expr: Expr| vec![Statement { tag, what: What::Expr(expr) }];
        self.newlines();
        let when_true = self.deeper(Self::ternary)?;
        self.need(":")?;
        self.newlines();
        let when_false = self.deeper(Self::ternary)?;
        Some(Expr::If(Box::new(condition), alone(when_true), alone(when_false)))
    }

    fn range(&mut self) -> Option<Expr> {
        let from = self.either()?;
        let exclusive = self.op("...");
        if !exclusive && !self.op("..") {
            return Some(from);
        }
        Some(Expr::Range(Box::new(from), Box::new(self.either()?), exclusive))
    }

    fn either(&mut self) -> Option<Expr> {
        let mut left = self.both()?;
        while self.op("||") {
            self.newlines();
            left = Expr::Or(Box::new(left), Box::new(self.both()?));
        }
        Some(left)
    }

    fn both(&mut self) -> Option<Expr> {
        let mut left = self.binary(0)?;
        while self.op("&&") {
            self.newlines();
            left = Expr::And(Box::new(left), Box::new(self.binary(0)?));
        }
        Some(left)
    }

    fn binary(&mut self, level: usize) -> Option<Expr> {
        let Some(ops) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(Kind::Op(op)) = self.kind().filter(|k| matches!(k, Kind::Op(op) if ops.contains(op))) {
            self.at += 1;
            self.newlines();
            let right = self.binary(level + 1)?;
            left = match *op {
                "!=" => Expr::Not(Box::new(Expr::call(left, "==", vec![right]))),
                "!~" => Expr::Not(Box::new(Expr::call(left, "=~", vec![right]))),
                op => Expr::call(left, op, vec![right]),
            };
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Expr> {
        if self.op("!") {
            self.deeper(Self::unary).map(|inner| Expr::Not(Box::new(inner)))
        } else if self.op("-") {
            self.deeper(Self::unary).map(|inner| Expr::call(inner, "-@", Vec::new()))
        } else {
            self.primary().and_then(|primary| self.postfix(primary))
        }
    }

    /// `.name(…) {…}`, `&.name`, `[…]`, also on the next line when that begins with a dot.
    fn postfix(&mut self, mut left: Expr) -> Option<Expr> {
        loop {
            let before = self.at;
            self.newlines();
            if !matches!(self.kind(), Some(Kind::Op("." | "&."))) {
                self.at = before;
            }
            let safe = self.op("&.");
            if safe || self.op(".") {
                let Some(Kind::Name(name)) = self.kind() else { return None };
                self.at += 1;
                left = self.call(Some(left), name.clone(), safe)?;
            } else if matches!(self.token(), Some(t) if t.kind == Kind::Op("[") && !t.spaced) {
                self.at += 1;
                let arguments = self.arguments("]")?;
                left = Expr::call(left, "[]", arguments);
            } else {
                return Some(left);
            }
        }
    }

    /// The arguments and the block of a call whose name was read.
    pub(super) fn call(&mut self, receiver: Option<Expr>, name: String, safe: bool) -> Option<Expr> {
        let open = matches!(self.token(), Some(t) if t.kind == Kind::Op("(") && !t.spaced);
        let mut arguments = if open {
            self.at += 1;
            self.arguments(")")?
        } else if self.begins_argument() {
            self.bare_arguments()?
        } else {
            Vec::new()
        };
        // `map(&:strip)`
        let block = match arguments.pop() {
            Some(Expr::Name(n)) if n.starts_with('&') => Some(Block {
                parameters: vec!["&it".into()],
                body: vec![Statement {
                    tag: self.tag(),
                    what: What::Expr(Expr::call(Expr::Name("&it".into()), &n[1..], Vec::new())),
                }],
            }),
            Some(last) => {
                arguments.push(last);
                self.block()?
            }
            None => self.block()?,
        };
        Some(Expr::Call(Box::new(Call { receiver, name, arguments, block, safe })))
    }

    /// `{ |a, b| … }` or `do |a, b| … end`; `Some(None)` if there is none.
    #[allow(clippy::option_option)] // None is what is not understood, as everywhere here
    fn block(&mut self) -> Option<Option<Block>> {
        let braces = self.op("{");
        if !braces && !self.word("do") {
            return Some(None);
        }
        let mut parameters = Vec::new();
        if self.op("|") {
            while let Some(Kind::Name(name)) = self.kind() {
                self.at += 1;
                parameters.push(name.clone());
                if !self.op(",") {
                    break;
                }
            }
            self.op("|").then_some(())?;
        }
        let body = self.body(if braces { &["}"] } else { &["end"] })?;
        (if braces { self.op("}") } else { self.word("end") }).then_some(())?;
        Some(Some(Block { parameters, body }))
    }

    fn begins_argument(&self) -> bool {
        let Some(token) = self.token().filter(|t| t.spaced) else { return false };
        match &token.kind {
            Kind::Int(_) | Kind::Float(_) | Kind::Text(_) | Kind::Command(_) | Kind::Words(_) | Kind::Symbol(_) => true,
            Kind::Const(_) | Kind::Field(_) | Kind::Label(_) => true,
            Kind::Name(name) => !KEYWORDS.contains(&name.as_str()),
            _ => false,
        }
    }

    fn bare_arguments(&mut self) -> Option<Vec<Expr>> {
        let mut list = Vec::new();
        loop {
            self.argument(&mut list)?;
            if !self.op(",") {
                return Some(list);
            }
            self.newlines();
        }
    }

    pub(super) fn arguments(&mut self, close: &str) -> Option<Vec<Expr>> {
        let mut list = Vec::new();
        loop {
            self.newlines();
            if self.op(close) {
                return Some(list);
            }
            self.argument(&mut list)?;
            self.newlines();
            if !self.op(",") {
                self.op(close).then_some(())?;
                return Some(list);
            }
        }
    }

    /// One argument; `key: value` pairs are gathered in a last hash.
    fn argument(&mut self, list: &mut Vec<Expr>) -> Option<()> {
        if self.op("&") {
            let Some(Kind::Symbol(name)) = self.kind() else { return None };
            self.at += 1;
            list.push(Expr::Name(format!("&{name}")));
            return Some(());
        }
        let label = matches!(self.kind(), Some(Kind::Label(_)));
        let first = self.key()?;
        if !label && !self.op("=>") {
            list.push(first);
            return Some(());
        }
        self.newlines();
        let pair = (first, self.expression()?);
        match list.last_mut() {
            Some(Expr::Hash(pairs)) => pairs.push(pair),
            _ => list.push(Expr::Hash(vec![pair])),
        }
        Some(())
    }

    /// A label as a symbol, or any expression.
    fn key(&mut self) -> Option<Expr> {
        if let Some(Kind::Label(name)) = self.kind() {
            self.at += 1;
            return Some(Expr::Value(Value::Symbol(name.clone())));
        }
        self.expression()
    }
}

pub(super) fn pieces(parts: &[Part]) -> Option<Vec<Piece>> {
    let piece = |part: &Part| match part {
        Part::Text(text) => Some(Piece::Text(text.clone())),
        Part::Code(tokens) => program(tokens).ok().map(Piece::Code),
    };
    parts.iter().map(piece).collect()
}
