//! What the parser makes of the tokens.

use super::value::Value;

/// A statement and the number of the tag that it begins in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub(super) tag: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// A stretch of the template, by its number.
    Emit(usize),
    /// An output tag, by its number.
    Print(usize),
    Expr(Expr),
}

pub(super) type Body = Vec<Statement>;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Value(Value),
    /// Pieces to join.
    Text(Vec<Piece>),
    /// The same, to be run by the shell.
    Command(Vec<Piece>),
    List(Vec<Expr>),
    Hash(Vec<(Expr, Expr)>),
    Range(Box<Expr>, Box<Expr>, bool),
    /// A local variable, or a method without arguments.
    Name(String),
    /// `@name`, which is nil until it is set.
    Field(String),
    /// `A::B`.
    Const(String),
    Call(Box<Call>),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    If(Box<Expr>, Body, Body),
    /// `case x when a, b … else … end`.
    Case(Box<Expr>, Vec<(Vec<Expr>, Body)>, Body),
    /// `begin … rescue … end`.
    Begin(Body, Option<Body>),
    For(String, Box<Expr>, Body),
    /// `target = value`, with the operator of `||=` or `+=` if there is one.
    Assign(Box<Expr>, &'static str, Box<Expr>),
    Group(Body),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Code(Body),
}

/// `receiver.name(arguments) { block }`; operators are calls too.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) receiver: Option<Expr>,
    pub(super) name: String,
    pub(super) arguments: Vec<Expr>,
    pub(super) block: Option<Block>,
    /// `&.`: nil stays nil.
    pub(super) safe: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) parameters: Vec<String>,
    pub(super) body: Body,
}

impl Expr {
    pub(super) fn call(receiver: Expr, name: &str, arguments: Vec<Expr>) -> Self {
        Self::Call(Box::new(Call { receiver: Some(receiver), name: name.into(), arguments, block: None, safe: false }))
    }
}
