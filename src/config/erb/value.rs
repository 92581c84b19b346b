//! Ruby's values as far as configurations use them, with Ruby's own text forms.

use crate::config::node::{Node, Value as Yaml, ruby_float};

/// A value of an expression. Everything is copied on assignment: no tag can tell the difference, but for `<<`, which
/// assigns.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Symbol(String),
    List(Vec<Value>),
    /// In the order of insertion, keys once.
    Hash(Vec<(Value, Value)>),
    Range(i64, i64),
    Regex(String),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Everything but `nil` and `false`.
    pub(super) fn truthy(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    /// What a tag writes for it: `to_s`.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Nil => String::new(),
            Self::Bool(flag) => flag.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => ruby_float(*number),
            Self::Text(text) | Self::Symbol(text) => text.clone(),
            Self::Range(from, to) => format!("{from}..{to}"),
            Self::List(_) | Self::Hash(_) | Self::Regex(_) => self.inspect(),
        }
    }

    /// `inspect`: Ruby's notation (of Ruby 3.3, which has `"a"=>1` in hashes).
    pub(super) fn inspect(&self) -> String {
        let joined = |items: Vec<String>| items.join(", ");
        match self {
            Self::Nil => "nil".into(),
            Self::Text(text) => quoted(text),
            Self::Symbol(name) => format!(":{name}"),
            Self::Regex(pattern) => format!("/{pattern}/"),
            Self::List(items) => format!("[{}]", joined(items.iter().map(Self::inspect).collect())),
            Self::Hash(pairs) => {
                let pair = |(k, v): &(Self, Self)| match k {
                    Self::Symbol(name) => format!("{name}: {}", v.inspect()),
                    _ => format!("{}=>{}", k.inspect(), v.inspect()),
                };
                format!("{{{}}}", joined(pairs.iter().map(pair).collect()))
            }
            _ => self.to_text(),
        }
    }

    /// `to_json`.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Nil => serde_json::Value::Null,
            Self::Bool(flag) => (*flag).into(),
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Hash(pairs) => {
                serde_json::Value::Object(pairs.iter().map(|(k, v)| (k.to_text(), v.to_json())).collect())
            }
            _ => self.to_text().into(),
        }
    }

    /// What `JSON.parse` makes of a document.
    pub(super) fn from_json(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(flag) => Self::Bool(flag),
            serde_json::Value::Number(n) => n.as_i64().map_or(Self::Float(n.as_f64().unwrap_or(f64::NAN)), Self::Int),
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(items) => Self::List(items.into_iter().map(Self::from_json).collect()),
            serde_json::Value::Object(map) => {
                Self::Hash(map.into_iter().map(|(k, v)| (Self::Text(k), Self::from_json(v))).collect())
            }
        }
    }

    /// What `YAML.load` makes of a tree.
    pub(super) fn from_yaml(node: &Node) -> Self {
        match &node.value {
            Yaml::Null => Self::Nil,
            Yaml::Bool(flag) => Self::Bool(*flag),
            Yaml::Int(number) => Self::Int(*number),
            Yaml::Float(number) => Self::Float(*number),
            Yaml::String(text) | Yaml::Date(text) => Self::Text(text.clone()),
            Yaml::Seq(items) => Self::List(items.iter().map(Self::from_yaml).collect()),
            Yaml::Map(map) => {
                Self::Hash(map.0.iter().map(|e| (Self::text(&e.key), Self::from_yaml(&e.value))).collect())
            }
        }
    }

    /// How messages call its kind.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::Symbol(_) => "a symbol",
            Self::List(_) => "a list",
            Self::Hash(_) => "a hash",
            Self::Range(..) => "a range",
            Self::Regex(_) => "a regular expression",
        }
    }

    /// How much memory it takes, in units of 64 bytes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) | Self::Symbol(text) | Self::Regex(text) => 1 + text.len() / 64,
            Self::List(items) => items.iter().map(Self::weight).sum::<usize>() + 1,
            Self::Hash(pairs) => pairs.iter().map(|(k, v)| k.weight() + v.weight()).sum::<usize>() + 1,
            _ => 1,
        }
    }

    /// `blank?`: nil, false, and what is empty or only white space.
    pub(super) fn blank(&self) -> bool {
        match self {
            Self::Nil | Self::Bool(false) => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Hash(pairs) => pairs.is_empty(),
            _ => false,
        }
    }
}

/// A text as a double-quoted literal of Ruby.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '#' if matches!(chars.peek(), Some('{' | '$' | '@')) => out.push_str("\\#"),
            c if c.is_control() => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_rubys() {
        let list = Value::List(vec![Value::text("a\n#{b}"), Value::Nil, Value::Symbol("s".into()), Value::Float(1.0)]);
        assert_eq!(list.to_text(), r##"["a\n\#{b}", nil, :s, 1.0]"##);
        assert_eq!(
            Value::Hash(vec![(Value::text("k"), list.clone())]).to_json().to_string(),
            r##"{"k":["a\n#{b}",null,"s",1.0]}"##
        );
        assert!(Value::text(" ").blank() && !Value::Int(0).blank() && Value::Int(0).truthy());
    }
}
