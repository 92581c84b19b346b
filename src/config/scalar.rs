//! Plain YAML scalars by YAML 1.1, exactly as Ruby's Psych reads them for Kamal.
//!
//! The patterns and their order are those of Psych's `ScalarScanner` (5.3; `tests/kamal-compare/scalars.py` compares).

use super::node::Value;
use regex::Regex;
use std::sync::LazyLock;

/// Psych's patterns. `\d` of Ruby is ASCII, `[[:alpha:]]` is not.
struct Patterns {
    word: Regex,
    time: Regex,
    date: Regex,
    base_60: Regex,
    base_60_float: Regex,
    float: Regex,
    integer: Regex,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    Some(Patterns {
        word: Regex::new(r"^[^0-9.:\-]?[\p{Alphabetic}_ \t\r\n\x0b\x0c!@#$%\^&*(){}<>|/\\~;=]+").ok()?,
        time: Regex::new(
            r"^(-?[0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt]|\s+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]*)?(?:\s*(?:Z|[-+]([0-9]{1,2}):?(?:[0-9]{2})?))?$",
        )
        .ok()?,
        date: Regex::new(r"^([0-9]{4})-(1[012]|0[0-9]|[0-9])-([12][0-9]|3[01]|0[0-9]|[0-9])$").ok()?,
        base_60: Regex::new(r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9]){1,2}$").ok()?,
        base_60_float: Regex::new(r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9]){1,2}\.[0-9_]*$").ok()?,
        float: Regex::new(r"^[-+]?([0-9][0-9_,]*)?\.[0-9]*([eE][-+][0-9]+)?$").ok()?,
        integer: Regex::new(
            r"^([-+]?0b[_,]*[01][01_,]*|[-+]?0[_,]*[0-7][0-7_,]*|[-+]?(?:0|[1-9](?:[0-9]|,[0-9]|_[0-9])*)|[-+]?0x[_,]*[0-9a-fA-F][0-9a-fA-F_,]*)$",
        )
        .ok()?,
    })
});

/// The value of a plain (unquoted) scalar.
pub fn resolve(text: &str) -> Value {
    let as_text = || Value::String(text.to_string());
    let Some(patterns) = PATTERNS.as_ref() else { return as_text() };
    if text.is_empty() {
        return Value::Null;
    }
    if text.contains('\n') || patterns.word.is_match(text) {
        return word(text);
    }
    if let Some(parts) = patterns.time.captures(text) {
        return if is_time(&parts) { Value::Date(text.to_string()) } else { as_text() };
    }
    if let Some(parts) = patterns.date.captures(text) {
        return if is_date(&parts) { Value::Date(text.to_string()) } else { as_text() };
    }
    special_float(text)
        .or_else(|| symbol(text))
        .or_else(|| patterns.base_60.is_match(text).then(|| base_60(text)))
        .or_else(|| patterns.base_60_float.is_match(text).then(|| base_60_float(text)))
        .or_else(|| patterns.float.is_match(text).then(|| float(text)))
        .or_else(|| patterns.integer.is_match(text).then(|| integer(text)))
        .unwrap_or_else(as_text)
}

/// `yes`, `no`, `on`, `off`, `true`, `false`, `null` in any case; not `y` and `n`.
fn word(text: &str) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "~" | "null" => Value::Null,
        "yes" | "true" | "on" => Value::Bool(true),
        "no" | "false" | "off" => Value::Bool(false),
        _ => Value::String(text.to_string()),
    }
}

fn numbers<const N: usize>(parts: &regex::Captures, from: usize) -> Option<[i16; N]> {
    let mut numbers = [0; N];
    for (n, number) in numbers.iter_mut().enumerate() {
        *number = parts.get(from + n)?.as_str().parse().ok()?;
    }
    Some(numbers)
}

/// A date that exists. Psych leaves others as text.
fn is_date(parts: &regex::Captures) -> bool {
    let small = |n: i16| i8::try_from(n).ok();
    numbers::<3>(parts, 1)
        .and_then(|[year, month, day]| jiff::civil::Date::new(year, small(month)?, small(day)?).ok())
        .is_some()
}

/// A time that Ruby's `Time.utc` takes: it lets 31 February and 24:00:00 pass.
fn is_time(parts: &regex::Captures) -> bool {
    let Some([_, month, day, hour, minute, second]) = numbers::<6>(parts, 1) else { return false };
    let zone = parts.get(7).and_then(|hours| hours.as_str().parse::<u8>().ok()).unwrap_or(0);
    (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..=59).contains(&minute)
        && (0..=60).contains(&second)
        && ((0..=23).contains(&hour) || (hour == 24 && minute == 0 && second == 0))
        && zone < 24
}

fn special_float(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        ".inf" | "+.inf" => Some(Value::Float(f64::INFINITY)),
        "-.inf" => Some(Value::Float(f64::NEG_INFINITY)),
        ".nan" => Some(Value::Float(f64::NAN)),
        _ => None,
    }
}

/// `:verbose` is the symbol `verbose`, accepted where a string is.
fn symbol(text: &str) -> Option<Value> {
    let name = text.strip_prefix(':').filter(|n| !n.is_empty())?;
    let quoted = ['"', '\''].iter().find_map(|q| {
        let inner = name.strip_prefix(*q)?;
        Some(&inner[..inner.rfind(*q)?])
    });
    let name = quoted.map_or(name, |inner| inner.strip_prefix(':').unwrap_or(inner));
    Some(Value::String(name.to_string()))
}

/// The number that a text begins with, as Ruby's `to_i` and `to_f` find it: `_` only between digits.
fn leading(text: &str) -> String {
    let (mut number, mut chars) = (String::new(), text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '_' if number.ends_with(|c: char| c.is_ascii_digit()) && chars.peek().is_some_and(char::is_ascii_digit) => {
            }
            '_' => break,
            c => number.push(c),
        }
    }
    number
}

/// `1:30:00` is 5400; two parts count as hours and minutes (Psych's rule), so `22:22` is 80520. The sign counts for the
/// first part only.
fn base_60(text: &str) -> Value {
    let sum = text
        .split(':')
        .zip([3600_i128, 60, 1])
        .try_fold(0_i128, |sum, (part, unit)| sum.checked_add(leading(part).parse::<i128>().ok()?.checked_mul(unit)?));
    sum.map_or_else(|| Value::String(text.to_string()), whole)
}

fn base_60_float(text: &str) -> Value {
    let parts = text.split(':').zip([3600.0, 60.0, 1.0]);
    Value::Float(parts.map(|(part, unit)| leading(part).parse::<f64>().unwrap_or(0.0) * unit).sum())
}

/// Needs a point; an exponent needs its sign. `1e3` is text.
fn float(text: &str) -> Value {
    let plain: String = text.chars().filter(|c| !matches!(c, '_' | ',')).collect();
    plain.parse().map_or_else(|_| Value::String(text.to_string()), Value::Float)
}

/// Decimal with `_` and `,` between digits, `0755`, `0b11`, `0x1F`; not `0o755`.
fn integer(text: &str) -> Value {
    let plain: String = text.chars().filter(|c| !matches!(c, '_' | ',' | '+')).collect();
    let (sign, digits) = plain.strip_prefix('-').map_or((1, plain.as_str()), |digits| (-1, digits));
    let (radix, body) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    match (i128::from_str_radix(body, radix), radix) {
        (Ok(number), _) => whole(sign * number),
        // longer than any number that means something: text of the same digits
        (Err(_), 10) => Value::String(plain),
        (Err(_), _) => Value::String(text.to_string()),
    }
}

/// A number beyond 64 bits can only be a text, which Ruby writes with the same digits.
fn whole(number: i128) -> Value {
    i64::try_from(number).map_or_else(|_| Value::String(number.to_string()), Value::Int)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Value {
        Value::String(t.into())
    }

    #[test]
    fn kamals_table_of_yaml_1_1_surprises() {
        for t in ["yes", "YES", "on", "True"] {
            assert_eq!(resolve(t), Value::Bool(true), "{t}");
        }
        for t in ["no", "Off", "FALSE"] {
            assert_eq!(resolve(t), Value::Bool(false), "{t}");
        }
        for (t, number) in [
            ("0755", 493),
            ("0x1F", 31),
            ("1_000", 1000),
            ("+1", 1),
            ("-7", -7),
            ("22:22", 80520),
            ("1:30:00", 5400),
            ("0", 0),
            ("0b11", 3),
        ] {
            assert_eq!(resolve(t), Value::Int(number), "{t}");
        }
        for t in [
            "y",
            "n",
            "0o755",
            "1e3",
            "=",
            "80:80",
            "3306:3306",
            "127.0.0.1:80:80",
            "1.1.1.1",
            "089",
            "1__0",
            "10_",
            ".",
            "-",
            "a:b",
            "dhh/app",
        ] {
            assert_eq!(resolve(t), text(t), "{t}");
        }
        for (t, number) in [("1.10", 1.1), (".5", 0.5), ("5.", 5.0), ("1.0e+3", 1000.0), ("-2.5", -2.5)] {
            assert_eq!(resolve(t), Value::Float(number), "{t}");
        }
        for t in ["2024-01-01", "2024-01-01 10:00:00", "2024-01-01T10:00:00.5Z", "2024-1-1 1:00:00 +02:00"] {
            assert_eq!(resolve(t), Value::Date(t.into()), "{t}");
        }
        for (t, number) in [("1:30:00.5", 5400.5), ("1,000.5", 1000.5)] {
            assert_eq!(resolve(t), Value::Float(number), "{t}");
        }
        for t in ["2024-13-01", "2024-02-30", "2024-01", "2024-01-01-x", "2024-01-01 x", "2024-01-01 25:00:00"] {
            assert_eq!(resolve(t), text(t), "{t}");
        }
        assert_eq!(resolve(":verbose"), text("verbose"));
        assert_eq!((resolve("~"), resolve(""), resolve("Null")), (Value::Null, Value::Null, Value::Null));
    }

    /// Psych's own answers, which surprise.
    #[test]
    fn odd_scalars() {
        for (t, number) in
            [("0_7", 7), ("1,000", 1000), ("0b_1", 1), ("-0x_f", -15), ("-1:30", -1800), ("0080:00", 288_000)]
        {
            assert_eq!(resolve(t), Value::Int(number), "{t}");
        }
        for (t, expected) in
            [(":'a b'", "a b"), (":\":x\"", "x"), ("0X1F", "0X1F"), ("0080", "0080"), ("1_", "1_"), ("yes ", "yes ")]
        {
            assert_eq!(resolve(t), text(expected), "{t}");
        }
    }

    #[test]
    fn numbers_beyond_64_bits_are_text_of_their_digits() {
        assert_eq!(resolve("99_999999999999999999"), text("99999999999999999999"));
        assert_eq!(resolve("9223372036854775807:59"), text("33204139332677192908740"));
        assert_eq!(resolve("0xffffffffffffffff"), text("18446744073709551615"));
    }
}
