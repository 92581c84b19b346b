//! A YAML tree in which every key and every value knows where it was written.

use super::problem::Place;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// Where it begins. For an aliased or merged value: where it was first written.
    pub at: Place,
}

/// A YAML value by YAML 1.1, as Ruby's Psych reads it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `~`, `null` or nothing.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// An integer in any of YAML 1.1's notations.
    Int(i64),
    /// A number with a point.
    Float(f64),
    /// Text, including symbols (`:verbose` is `verbose`).
    String(String),
    /// A date or time as written; Kamal accepts it nowhere.
    Date(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping.
    Map(Map),
}

/// A mapping in the order it was written; keys are unique.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map(pub Vec<Entry>);

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key as text.
    pub key: String,
    /// Where the key was written.
    pub key_at: Place,
    /// Its value.
    pub value: Node,
}

impl Map {
    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|e| e.key == key)
    }

    /// Sets a key: a new one goes to the end, an old one keeps its place in the order. Gives back the entry it replaced.
    pub fn set(&mut self, entry: Entry) -> Option<Entry> {
        match self.0.iter_mut().find(|e| e.key == entry.key) {
            Some(old) => Some(std::mem::replace(old, entry)),
            None => {
                self.0.push(entry);
                None
            }
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let at = self.0.iter().position(|e| e.key == key)?;
        Some(self.0.remove(at))
    }
}

impl Node {
    /// The text of a scalar that Kamal takes as a string: text, symbols, numbers and booleans (Ruby's notation).
    pub fn text(&self) -> Option<String> {
        match &self.value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Int(number) => Some(number.to_string()),
            Value::Float(number) => Some(ruby_float(*number)),
            Value::Null | Value::Date(_) | Value::Seq(_) | Value::Map(_) => None,
        }
    }

    /// The mapping, if it is one.
    pub fn map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// What it is, in the words of a message.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::Date(_) => "a date",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// A float as Ruby writes it: `1.0`, `0.5`, `1.0e+20`, `1.0e-05`. (Kamal hands such text to containers.)
pub(super) fn ruby_float(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() { "NaN".into() } else { format!("{}Infinity", if number < 0.0 { "-" } else { "" }) };
    }
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        let text = number.to_string();
        return if text.contains('.') { text } else { format!("{text}.0") };
    }
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |d| ("-", d));
    format!("{mantissa}{point}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_ruby_writes_them() {
        for (number, text) in [
            (1.10, "1.1"),
            (5.0, "5.0"),
            (0.5, "0.5"),
            (1e20, "1.0e+20"),
            (1.5e-5, "1.5e-05"),
            (1e15, "1000000000000000.0"),
        ] {
            assert_eq!(ruby_float(number), text);
        }
        assert_eq!(ruby_float(f64::NEG_INFINITY), "-Infinity");
    }
}
