//! Runs the statements of a file's tags.

use super::methods;
use super::syntax::{Body, Call, Expr, Piece, Statement, What};
use super::template::{Rendered, Template};
use super::value::Value;
use super::world::World;
use std::collections::BTreeMap;

/// The most steps that the tags of one file may take.
const MAX_STEPS: usize = 200_000;
/// The longest text that they may make, in bytes.
const MAX_TEXT: usize = 1024 * 1024;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Failure {
    /// `ENV.fetch` of a variable that is not set.
    NotSet(String),
    /// Ruby beyond what is understood; empty, or what it is.
    NotUnderstood(String),
    /// An error that Ruby would raise too: `raise`, a file that is not there.
    Raised(String),
}

pub(super) type Outcome<T> = Result<T, Failure>;

pub(super) fn not_understood<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Failure::NotUnderstood(what.into()))
}

pub(super) fn raised<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Failure::Raised(what.into()))
}

/// The state of one file's tags while they run.
pub(super) struct Machine<'a, 'w> {
    pub(super) world: &'a mut World<'w>,
    template: &'a Template,
    pub(super) out: Rendered,
    locals: BTreeMap<String, Value>,
    /// The tag that runs now.
    pub(super) tag: usize,
    /// A variable that was asked for and is not set, in the output tag that runs now.
    pub(super) unset: Option<String>,
    /// What failed so far, by tag.
    pub(super) failures: Vec<(usize, Failure)>,
    steps: usize,
}

impl<'a, 'w> Machine<'a, 'w> {
    pub(super) fn new(world: &'a mut World<'w>, template: &'a Template) -> Self {
        Self {
            world,
            template,
            out: Rendered::empty(),
            locals: BTreeMap::new(),
            tag: 0,
            unset: None,
            failures: Vec::new(),
            steps: 0,
        }
    }

    /// Runs a program. A failing output tag does not stop it, so that all of them are reported.
    pub(super) fn run(&mut self, program: &Body) {
        if let Err(failure) = self.body(program) {
            self.failures.push((self.tag, failure));
        }
    }

    fn step(&mut self) -> Outcome<()> {
        self.charge(1)
    }

    /// Counts work. Reading a variable copies its value, so it costs what the value weighs: `x = [x, x]` ends soon too.
    fn charge(&mut self, work: usize) -> Outcome<()> {
        self.steps = self.steps.saturating_add(work);
        if self.steps > MAX_STEPS || self.out.text.len() > MAX_TEXT {
            return not_understood("it does not come to an end soon");
        }
        Ok(())
    }

    pub(super) fn body(&mut self, body: &[Statement]) -> Outcome<Value> {
        let mut last = Value::Nil;
        for statement in body {
            self.step()?;
            self.tag = statement.tag;
            last = match &statement.what {
                What::Emit(n) => {
                    let (text, line) = self.template.text(*n);
                    self.out.push(text, line);
                    Value::Nil
                }
                What::Print(n) => {
                    self.print(*n)?;
                    Value::Nil
                }
                What::Expr(expr) => self.expr(expr)?,
            };
        }
        Ok(last)
    }

    /// An output tag. In a comment of the YAML, one that is not understood changes nothing and is left out.
    fn print(&mut self, n: usize) -> Outcome<()> {
        let (tag, expr) = self.template.output(n);
        self.tag = tag;
        self.unset = None;
        let value = match expr {
            Some(body) => self.body(body),
            None => not_understood(""),
        };
        self.tag = tag;
        let line = self.template.line(tag);
        match value {
            Ok(value) => {
                self.out.push_value(&value.to_text(), line);
                if value == Value::Nil
                    && let Some(name) = self.unset.take()
                {
                    self.out.unset(self.template.place(tag), &name);
                }
            }
            Err(Failure::NotUnderstood(_)) if self.out.in_comment() => {}
            Err(failure) => self.failures.push((tag, failure)),
        }
        Ok(())
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> Outcome<Value> {
        self.step()?;
        Ok(match expr {
            Expr::Value(value) => value.clone(),
            Expr::Text(pieces) => Value::Text(self.text(pieces)?),
            Expr::Command(pieces) => {
                let command = self.text(pieces)?;
                let (output, ended) = self.world.command(&command)?;
                self.out.ran(self.template.place(self.tag), self.template.shown(self.tag), &ended);
                Value::Text(output)
            }
            Expr::List(items) => Value::List(items.iter().map(|item| self.expr(item)).collect::<Outcome<_>>()?),
            Expr::Hash(pairs) => {
                let mut hash = Vec::new();
                for (key, value) in pairs {
                    let (key, value) = (self.expr(key)?, self.expr(value)?);
                    methods::set(&mut hash, key, value);
                }
                Value::Hash(hash)
            }
            Expr::Range(from, to, exclusive) => match (self.expr(from)?, self.expr(to)?) {
                (Value::Int(from), Value::Int(to)) => Value::Range(from, to - i64::from(*exclusive)),
                _ => return not_understood("a range of something else than integers"),
            },
            Expr::Name(name) => self.name(name)?,
            Expr::Field(name) => {
                let value = self.world.fields.get(name).cloned().unwrap_or(Value::Nil);
                self.charge(value.weight())?;
                value
            }
            Expr::Const(path) => self.world.constant(path, self.locals.get(path))?,
            Expr::Call(call) => self.call(call)?,
            Expr::Not(inner) => Value::Bool(!self.expr(inner)?.truthy()),
            Expr::And(left, right) => match self.expr(left)? {
                left if !left.truthy() => left,
                _ => self.expr(right)?,
            },
            Expr::Or(left, right) => match self.expr(left)? {
                left if left.truthy() => left,
                _ => self.expr(right)?,
            },
            Expr::If(condition, then, other) => {
                let branch = if self.expr(condition)?.truthy() { then } else { other };
                self.body(branch)?
            }
            Expr::Case(subject, arms, other) => self.case(subject, arms, other)?,
            Expr::Begin(body, rescue) => match (self.body(body), rescue) {
                (Err(Failure::Raised(_) | Failure::NotSet(_)), Some(rescue)) => self.body(rescue)?,
                (result, _) => result?,
            },
            Expr::For(name, list, body) => {
                for item in methods::items(&self.expr(list)?)? {
                    self.locals.insert(name.clone(), item);
                    self.body(body)?;
                }
                Value::Nil
            }
            Expr::Assign(target, op, value) => self.assign(target, op, value)?,
            Expr::Group(body) => self.body(body)?,
        })
    }

    fn text(&mut self, pieces: &[Piece]) -> Outcome<String> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Code(body) => text.push_str(&self.body(body)?.to_text()),
            }
        }
        if text.len() > MAX_TEXT { not_understood("a text of more than 1 MiB") } else { Ok(text) }
    }

    fn name(&mut self, name: &str) -> Outcome<Value> {
        match self.locals.get(name).cloned() {
            Some(value) => self.charge(value.weight()).map(|()| value),
            None => self.world.function(name, &[]).unwrap_or_else(|| not_understood(format!("there is no `{name}`"))),
        }
    }

    fn case(&mut self, subject: &Expr, arms: &[(Vec<Expr>, Body)], other: &Body) -> Outcome<Value> {
        let subject = self.expr(subject)?;
        for (values, body) in arms {
            for value in values {
                let value = self.expr(value)?;
                if methods::matches(&value, &subject)? {
                    return self.body(body);
                }
            }
        }
        self.body(other)
    }

    fn assign(&mut self, target: &Expr, op: &'static str, value: &Expr) -> Outcome<Value> {
        let old = if op == "=" { Value::Nil } else { self.current(target)? };
        let value = match op {
            "||=" if old.truthy() => return Ok(old),
            "&&=" if !old.truthy() => return Ok(old),
            "+=" | "-=" => {
                let right = self.expr(value)?;
                methods::call(self, &old, &op[..1], &[right], None)?
            }
            _ => self.expr(value)?,
        };
        self.store(target, value.clone())?;
        Ok(value)
    }

    /// The value of a target before it is assigned: nil if there is none.
    fn current(&mut self, target: &Expr) -> Outcome<Value> {
        match target {
            Expr::Name(name) | Expr::Const(name) => Ok(self.locals.get(name).cloned().unwrap_or(Value::Nil)),
            other => self.expr(other),
        }
    }

    fn store(&mut self, target: &Expr, value: Value) -> Outcome<()> {
        match target {
            Expr::Name(name) | Expr::Const(name) => drop(self.locals.insert(name.clone(), value)),
            Expr::Field(name) => drop(self.world.fields.insert(name.clone(), value)),
            Expr::Call(call) if call.name == "[]" => {
                let (Some(receiver), [key]) = (&call.receiver, call.arguments.as_slice()) else {
                    return not_understood("");
                };
                let key = self.expr(key)?;
                if *receiver == Expr::Const("ENV".into()) {
                    return self.world.set_variable(&key, &value);
                }
                let changed = methods::with(self.current(receiver)?, key, value)?;
                self.store(receiver, changed)?;
            }
            _ => return not_understood("this kind of assignment"),
        }
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Outcome<Value> {
        let arguments = |machine: &mut Self| -> Outcome<Vec<Value>> {
            call.arguments.iter().map(|argument| machine.expr(argument)).collect()
        };
        let Some(receiver) = &call.receiver else {
            let values = arguments(self)?;
            return match self.world.function(&call.name, &values) {
                Some(result) => result,
                None => not_understood(format!("there is no `{}`", call.name)),
            };
        };
        if let Expr::Const(path) = receiver
            && !self.locals.contains_key(path)
        {
            return self.module(path, call);
        }
        let value = self.expr(receiver)?;
        if call.safe && value == Value::Nil {
            return Ok(Value::Nil);
        }
        let values = arguments(self)?;
        let result = methods::call(self, &value, &call.name, &values, call.block.as_ref())?;
        // `list << item` and `list.push(item)` change what they are called on
        if matches!(call.name.as_str(), "<<" | "push" | "concat")
            && matches!(receiver, Expr::Name(_) | Expr::Field(_) | Expr::Const(_))
        {
            self.store(receiver, result.clone())?;
        }
        Ok(result)
    }

    /// A method of `ENV`, `File` and the like. A block of `ENV.fetch` is its default.
    fn module(&mut self, path: &str, call: &Call) -> Outcome<Value> {
        if path == "ENV" && matches!(call.name.as_str(), "[]" | "fetch") {
            let name = match call.arguments.first() {
                Some(name) => self.expr(name)?.to_text(),
                None => return not_understood(""),
            };
            return match (self.world.variable(&name), call.arguments.get(1), &call.block) {
                (Some(value), ..) => Ok(Value::Text(value)),
                (None, ..) if call.name == "[]" => {
                    self.unset.get_or_insert(name);
                    Ok(Value::Nil)
                }
                (None, Some(default), _) => self.expr(default),
                (None, None, Some(block)) => self.body(&block.body),
                (None, None, None) => Err(Failure::NotSet(name)),
            };
        }
        let values: Vec<Value> = call.arguments.iter().map(|a| self.expr(a)).collect::<Outcome<_>>()?;
        self.world.call(path, &call.name, &values)
    }

    /// Runs a block with its parameters, which do not outlive it.
    pub(super) fn yield_to(&mut self, block: &super::syntax::Block, values: &[Value]) -> Outcome<Value> {
        self.step()?;
        // a block of several parameters takes a single list apart
        let spread = match values {
            [Value::List(items)] if block.parameters.len() > 1 => items.as_slice(),
            _ => values,
        };
        let mut hidden = Vec::new();
        for (n, name) in block.parameters.iter().enumerate() {
            let value = spread.get(n).cloned().unwrap_or(Value::Nil);
            hidden.push((name.clone(), self.locals.insert(name.clone(), value)));
        }
        let result = self.body(&block.body);
        for (name, value) in hidden {
            match value {
                Some(value) => drop(self.locals.insert(name, value)),
                None => drop(self.locals.remove(&name)),
            }
        }
        result
    }
}
