//! The parser's part for what an expression begins with: literals, constants, and words such as `if` and `case`.

use super::lexer::{Kind, Part};
use super::parser::{KEYWORDS, Parser, pieces};
use super::syntax::{Body, Expr, Statement, What};
use super::value::Value;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Option<Expr> {
        let token = self.token()?;
        self.at += 1;
        Some(match &token.kind {
            Kind::Int(number) => Expr::Value(Value::Int(*number)),
            Kind::Float(number) => Expr::Value(Value::Float(*number)),
            Kind::Symbol(name) => Expr::Value(Value::Symbol(name.clone())),
            Kind::Regex(pattern) => Expr::Value(Value::Regex(pattern.clone())),
            Kind::Words(words) => Expr::Value(Value::List(words.iter().map(Value::text).collect())),
            Kind::Text(parts) => self.text(parts)?,
            Kind::Command(parts) => Expr::Command(pieces(parts)?),
            Kind::Field(name) => Expr::Field(name.clone()),
            Kind::Const(name) => self.constant(name)?,
            Kind::Op("[") => Expr::List(self.arguments("]")?),
            Kind::Op("{") => match self.arguments("}")?.as_slice() {
                [] => Expr::Hash(Vec::new()),
                [Expr::Hash(pairs)] => Expr::Hash(pairs.clone()),
                _ => return None,
            },
            Kind::Op("(") => {
                self.newlines();
                let mut body = Body::new();
                loop {
                    let tag = self.tag();
                    body.push(Statement { tag, what: What::Expr(self.statement()?) });
                    self.newlines();
                    if self.op(")") {
                        break Expr::Group(body);
                    }
                }
            }
            Kind::Name(name) => return self.named(name),
            _ => return None,
        })
    }

    /// Adjacent literals are one.
    fn text(&mut self, parts: &[Part]) -> Option<Expr> {
        let mut all = pieces(parts)?;
        while let Some(Kind::Text(more)) = self.kind() {
            self.at += 1;
            all.extend(pieces(more)?);
        }
        Some(Expr::Text(all))
    }

    fn constant(&mut self, first: &str) -> Option<Expr> {
        let mut path = first.to_string();
        while self.op("::") {
            let Some(Kind::Name(name) | Kind::Const(name)) = self.kind() else { return None };
            self.at += 1;
            path = format!("{path}::{name}");
        }
        Some(Expr::Const(path))
    }

    fn named(&mut self, name: &str) -> Option<Expr> {
        Some(match name {
            "nil" => Expr::Value(Value::Nil),
            "true" => Expr::Value(Value::Bool(true)),
            "false" => Expr::Value(Value::Bool(false)),
            "if" | "unless" => self.conditional(name == "unless")?,
            "case" => self.case()?,
            "begin" => self.begin()?,
            "for" => self.for_in()?,
            "__dir__" | "__FILE__" => Expr::Name(name.to_string()),
            _ if KEYWORDS.contains(&name) => return None,
            _ => match self.call(None, name.to_string(), false)? {
                Expr::Call(call) if call.arguments.is_empty() && call.block.is_none() => Expr::Name(name.to_string()),
                call => call,
            },
        })
    }

    fn conditional(&mut self, negated: bool) -> Option<Expr> {
        let condition = Box::new(self.statement_condition()?);
        let then = self.body(&["else", "elsif", "end"])?;
        let other = if self.word("elsif") {
            let tag = self.tag();
            let other = self.deeper(|parser| parser.conditional(false))?;
            return Some(Expr::If(condition, then, vec![Statement { tag, what: What::Expr(other) }]));
        } else if self.word("else") {
            self.body(&["end"])?
        } else {
            Body::new()
        };
        self.word("end").then_some(())?;
        let (then, other) = if negated { (other, then) } else { (then, other) };
        Some(Expr::If(condition, then, other))
    }

    fn statement_condition(&mut self) -> Option<Expr> {
        let condition = self.expression()?;
        self.word("then");
        Some(condition)
    }

    fn case(&mut self) -> Option<Expr> {
        let subject = self.expression()?;
        self.newlines();
        // blank template text between `case` and the first `when` is dropped by Ruby's own ERB as a syntax error
        let mut arms = Vec::new();
        while self.word("when") {
            let mut values = vec![self.expression()?];
            while self.op(",") {
                self.newlines();
                values.push(self.expression()?);
            }
            self.word("then");
            arms.push((values, self.body(&["when", "else", "end"])?));
        }
        let other = if self.word("else") { self.body(&["end"])? } else { Body::new() };
        self.word("end").then_some(())?;
        Some(Expr::Case(Box::new(subject), arms, other))
    }

    /// `rescue` may name errors and a variable: every error of the body is rescued, and what is not understood never is.
    fn begin(&mut self) -> Option<Expr> {
        let body = self.body(&["rescue", "end"])?;
        let mut rescue = None;
        while self.word("rescue") {
            while !matches!(self.kind(), None | Some(Kind::Newline | Kind::Emit(_) | Kind::Print(_)))
                && !self.is_word(&["end"])
            {
                self.at += 1;
            }
            let other = self.body(&["rescue", "end"])?;
            rescue.get_or_insert(other);
        }
        self.word("end").then_some(())?;
        Some(Expr::Begin(body, rescue))
    }

    fn for_in(&mut self) -> Option<Expr> {
        let Some(Kind::Name(name)) = self.kind() else { return None };
        self.at += 1;
        self.word("in").then_some(())?;
        let list = Box::new(self.expression()?);
        self.word("do");
        let body = self.body(&["end"])?;
        self.word("end").then_some(())?;
        Some(Expr::For(name.clone(), list, body))
    }
}
