//! Methods of strings.

use super::eval::{Failure, Machine, Outcome, not_understood};
use super::syntax::Block;
use super::value::Value::{self, Bool, Int, List, Nil, Range, Regex, Symbol, Text};

/// The longest text that a repetition makes, in bytes.
const MAX: usize = 100_000;

/// A regular expression. The syntax of Ruby that is not the regex crate's (look-around, back references) is not understood.
pub(super) fn regex(pattern: &str) -> Outcome<regex::Regex> {
    let pattern = pattern.replace("\\Z", "\\z").replace("\\h", "[0-9a-fA-F]");
    // ^ and $ are about lines in Ruby
    regex::RegexBuilder::new(&pattern)
        .multi_line(true)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| Failure::NotUnderstood("this regular expression".into()))
}

fn pattern(value: &Value) -> Outcome<regex::Regex> {
    match value {
        Regex(pattern) => regex(pattern),
        other => regex(&regex::escape(&other.to_text())),
    }
}

/// Calls a method; none if there is no such.
pub(super) fn call(
    machine: &mut Machine,
    text: &str,
    name: &str,
    arguments: &[Value],
    block: Option<&Block>,
) -> Option<Outcome<Value>> {
    match (name, arguments, block) {
        ("each_line" | "each_char", [], Some(block)) => {
            let list: Vec<Value> = pieces(text, name == "each_line");
            Some(super::list_methods::each(machine, &list, block).map(|()| Value::text(text)))
        }
        (_, _, Some(_)) => None,
        (_, [], None) => simple(text, name).map(Ok),
        (_, _, None) => with_arguments(text, name, arguments),
    }
}

fn pieces(text: &str, lines: bool) -> Vec<Value> {
    if lines { text.split_inclusive('\n').map(Value::text).collect() } else { text.chars().map(Value::text).collect() }
}

/// Methods without arguments.
fn simple(text: &str, name: &str) -> Option<Value> {
    const BLANK: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];
    let chomped = || text.strip_suffix('\n').map_or(text, |t| t.strip_suffix('\r').unwrap_or(t));
    Some(match name {
        "strip" => Value::text(text.trim_matches(BLANK).trim_end_matches('\0')),
        "lstrip" => Value::text(text.trim_start_matches(BLANK)),
        "rstrip" => Value::text(text.trim_end_matches(BLANK)),
        "chomp" => Value::text(chomped()),
        "chop" => Value::text(text.chars().take(text.chars().count().saturating_sub(1)).collect::<String>()),
        "upcase" => Value::text(text.to_uppercase()),
        "downcase" => Value::text(text.to_lowercase()),
        "capitalize" => {
            let mut chars = text.chars();
            let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
            Value::text(first + &chars.as_str().to_lowercase())
        }
        "reverse" => Value::text(text.chars().rev().collect::<String>()),
        "squish" => Value::text(text.split_whitespace().collect::<Vec<_>>().join(" ")),
        "to_str" => Value::text(text),
        "to_sym" => Symbol(text.to_string()),
        "to_i" => Int(leading_integer(text)),
        "to_f" => Value::Float(text.trim().parse().unwrap_or(0.0)),
        "length" | "size" => Int(i64::try_from(text.chars().count()).ok()?),
        "empty?" => Bool(text.is_empty()),
        "lines" => List(pieces(text, true)),
        "chars" => List(pieces(text, false)),
        "split" => List(text.split_whitespace().map(Value::text).collect()),
        "first" => Value::text(text.chars().take(1).collect::<String>()),
        "dump" => Value::text(Value::text(text).inspect()),
        "shellescape" => Value::text(shlex::try_quote(text).ok()?),
        _ => return None,
    })
}

/// `"12ab".to_i` is 12.
fn leading_integer(text: &str) -> i64 {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse::<i64>().map_or(0, |n| sign * n)
}

fn with_arguments(text: &str, name: &str, arguments: &[Value]) -> Option<Outcome<Value>> {
    let tested = |test: &dyn Fn(&str) -> bool| Bool(arguments.iter().any(|a| test(&a.to_text())));
    Some(Ok(match (name, arguments) {
        ("+", [Text(more)]) => Value::text(format!("{text}{more}")),
        ("<<" | "concat", [more]) => Value::text(format!("{text}{}", more.to_text())),
        ("*", [Int(n)]) => match usize::try_from(*n) {
            Ok(n) if n.saturating_mul(text.len()) <= MAX => Value::text(text.repeat(n)),
            _ => return Some(not_understood("a repetition of this size")),
        },
        ("%", [values]) => return Some(format(text, values)),
        ("start_with?", [_, ..]) => tested(&|t| text.starts_with(t)),
        ("end_with?", [_, ..]) => tested(&|t| text.ends_with(t)),
        ("include?", [part]) => Bool(text.contains(&part.to_text())),
        ("delete_prefix", [part]) => Value::text(text.strip_prefix(&part.to_text()).unwrap_or(text)),
        ("delete_suffix" | "chomp", [part]) => Value::text(text.strip_suffix(&part.to_text()).unwrap_or(text)),
        ("split", [separator, rest @ ..]) => return Some(split(text, separator, rest)),
        ("tr", [from, to]) => return Some(translate(text, &from.to_text(), &to.to_text())),
        ("delete", [set]) => return Some(translate(text, &set.to_text(), "")),
        ("sub" | "gsub", [what, with]) => return Some(replace(text, name == "gsub", what, &with.to_text())),
        ("match?" | "=~" | "match", [what]) => match (pattern(what), name) {
            (Ok(found), "match?") => Bool(found.is_match(text)),
            (Ok(found), "=~") => {
                found.find(text).map_or(Nil, |m| Int(i64::try_from(text[..m.start()].chars().count()).unwrap_or(0)))
            }
            (Ok(_), _) => return None,
            (Err(failure), _) => return Some(Err(failure)),
        },
        ("[]" | "slice", _) => return index(text, arguments),
        ("first", [Int(n)]) => Value::text(text.chars().take(usize::try_from(*n).ok()?).collect::<String>()),
        ("last", [Int(n)]) => {
            let skip = text.chars().count().saturating_sub(usize::try_from(*n).ok()?);
            Value::text(text.chars().skip(skip).collect::<String>())
        }
        ("truncate", [Int(n)]) if text.chars().count() <= usize::try_from(*n).ok()? => Value::text(text),
        ("ljust" | "rjust", [Int(n), fill @ ..]) => {
            let fill = fill.first().map_or(" ".to_string(), Value::to_text);
            let missing = usize::try_from(*n).unwrap_or(0).min(MAX).saturating_sub(text.chars().count());
            let padding: String = fill.chars().cycle().take(missing).collect();
            Value::text(if name == "ljust" { format!("{text}{padding}") } else { format!("{padding}{text}") })
        }
        ("<" | ">" | "<=" | ">=", [Text(other)]) => Bool(match name {
            "<" => text < other.as_str(),
            ">" => text > other.as_str(),
            "<=" => text <= other.as_str(),
            _ => text >= other.as_str(),
        }),
        ("to_i", [Int(radix @ 2..=36)]) => Int(i64::from_str_radix(text.trim(), *radix as u32).unwrap_or(0)),
        _ => return None,
    }))
}

/// `"…%s…%d…" % value(s)`, without widths.
fn format(text: &str, values: &Value) -> Outcome<Value> {
    let one = [values.clone()];
    let mut values = if let List(items) = values { items.as_slice() } else { &one }.iter();
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match (c, c == '%') {
            (_, false) => out.push(c),
            _ => match (chars.next(), values.len()) {
                (Some('%'), _) => out.push('%'),
                (Some('s' | 'd' | 'i'), 1..) => out.extend(values.next().map(Value::to_text)),
                _ => return not_understood("this format"),
            },
        }
    }
    Ok(Text(out))
}

/// Empty pieces at the end are dropped, unless a negative limit keeps them.
fn split(text: &str, separator: &Value, limit: &[Value]) -> Outcome<Value> {
    if *separator == Value::text(" ") && limit.is_empty() {
        return Ok(List(text.split_whitespace().map(Value::text).collect()));
    }
    if *separator == Value::text("") {
        return Ok(List(pieces(text, false)));
    }
    let found = pattern(separator)?;
    let mut parts: Vec<Value> = match limit {
        [] => found.split(text).map(Value::text).collect(),
        [Int(n)] if *n > 0 => found.splitn(text, usize::try_from(*n).unwrap_or(1)).map(Value::text).collect(),
        _ => return not_understood("this limit of split"),
    };
    while limit.is_empty() && parts.last() == Some(&Value::text("")) {
        parts.pop();
    }
    Ok(List(parts))
}

/// `tr`: characters and ranges; a leading `^` means all others. The last character of `to` stands for the rest.
fn translate(text: &str, from: &str, to: &str) -> Outcome<Value> {
    let (inverted, from) = from.strip_prefix('^').filter(|f| !f.is_empty()).map_or((false, from), |f| (true, f));
    let (from, to) = (range(from), range(to));
    let change = |c: char| match (from.iter().position(|f| *f == c), inverted) {
        (None, false) | (Some(_), true) => Some(c),
        (None, true) => to.last().copied(),
        (Some(n), false) => to.get(n).or(to.last()).copied(),
    };
    Ok(Text(text.chars().filter_map(change).collect()))
}

fn range(set: &str) -> Vec<char> {
    let chars: Vec<char> = set.chars().collect();
    let (mut all, mut n) = (Vec::new(), 0);
    while let Some(c) = chars.get(n) {
        match (chars.get(n + 1), chars.get(n + 2)) {
            (Some('-'), Some(end)) if c <= end && u32::from(*end) - u32::from(*c) < 256 => {
                all.extend(*c..=*end);
                n += 3;
            }
            _ => {
                all.push(*c);
                n += 1;
            }
        }
    }
    all
}

/// `\1` in the replacement of a regular expression is its first group.
fn replace(text: &str, all: bool, what: &Value, with: &str) -> Outcome<Value> {
    let found = pattern(what)?;
    let count = if all { found.find_iter(text).count() } else { 1 };
    if count.saturating_mul(with.len().max(1)).saturating_mul(if with.contains('\\') { text.len().max(1) } else { 1 })
        > MAX
    {
        return not_understood("a replacement of this size");
    }
    let with = if let Regex(_) = what { groups(with) } else { with.replace('$', "$$") };
    let text = if all { found.replace_all(text, with.as_str()) } else { found.replace(text, with.as_str()) };
    Ok(Value::text(text))
}

fn groups(with: &str) -> String {
    let (mut out, mut chars) = (String::new(), with.chars().peekable());
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('$', _) => out.push_str("$$"),
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                out.push_str(&format!("${{{digit}}}"));
                chars.next();
            }
            (c, _) => out.push(c),
        }
    }
    out
}

/// `text[0]`, `text[0, 7]`, `text[0..6]`, `text["part"]`, `text[/pattern/]`, `text[/pattern/, 1]`.
fn index(text: &str, arguments: &[Value]) -> Option<Outcome<Value>> {
    let len = i64::try_from(text.chars().count()).ok()?;
    let from_end = |n: i64| if n < 0 { n + len } else { n };
    let cut = |from: i64, count: i64| -> Value {
        match (usize::try_from(from_end(from)), usize::try_from(count)) {
            (Ok(from), Ok(count)) if from <= text.chars().count() => {
                Text(text.chars().skip(from).take(count).collect())
            }
            _ => Nil,
        }
    };
    Some(Ok(match arguments {
        [Int(n)] => match cut(*n, 1) {
            Text(one) if one.is_empty() => Nil,
            other => other,
        },
        [Int(from), Int(count)] => cut(*from, *count),
        [Range(from, to)] => cut(*from, (from_end(*to) - from_end(*from) + 1).max(0)),
        [Text(part)] => {
            if text.contains(part.as_str()) {
                Value::text(part)
            } else {
                Nil
            }
        }
        [Regex(_), group @ ..] => {
            let group = match group {
                [] => 0,
                [Int(n)] => usize::try_from(*n).ok()?,
                _ => return None,
            };
            match pattern(&arguments[0]) {
                Ok(found) => found.captures(text).and_then(|c| c.get(group)).map_or(Nil, |m| Value::text(m.as_str())),
                Err(failure) => return Some(Err(failure)),
            }
        }
        _ => return None,
    }))
}
