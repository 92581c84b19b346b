//! Plain YAML scalars by YAML 1.1, exactly as Ruby's Psych reads them for Kamal.
//!
//! Psych's own order of rules is kept; its results for the cases in Kamal's documentation are the tests below.

use super::node::Value;

/// The value of a plain (unquoted) scalar.
pub fn resolve(text: &str) -> Value {
    null(text)
        .or_else(|| boolean(text))
        .or_else(|| date(text))
        .or_else(|| special_float(text))
        .or_else(|| symbol(text))
        .or_else(|| base_60(text))
        .or_else(|| float(text))
        .or_else(|| integer(text))
        .unwrap_or_else(|| Value::String(text.to_string()))
}

fn null(text: &str) -> Option<Value> {
    (text.is_empty() || text == "~" || text.eq_ignore_ascii_case("null")).then_some(Value::Null)
}

/// `yes`, `no`, `on`, `off`, `true`, `false` in any case; not `y` and `n`.
fn boolean(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Some(Value::Bool(true)),
        "no" | "false" | "off" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn digits(text: &str, len: std::ops::RangeInclusive<usize>) -> bool {
    len.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// `2024-01-01`, optionally with a time after `T` or blanks.
fn date(text: &str) -> Option<Value> {
    let (day, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim_start())),
        None => (text, None),
    };
    let mut parts = day.strip_prefix('-').filter(|_| time.is_some()).unwrap_or(day).split('-');
    let is_day = digits(parts.next()?, 4..=4)
        && number_in(parts.next()?, 1, 12)
        && number_in(parts.next()?, 1, 31)
        && parts.next().is_none();
    (is_day && time.is_none_or(is_time)).then(|| Value::Date(text.to_string()))
}

fn number_in(text: &str, low: u8, high: u8) -> bool {
    digits(text, 1..=2) && text.parse::<u8>().is_ok_and(|n| (low..=high).contains(&n))
}

/// `10:00:00`, with fraction and zone allowed.
fn is_time(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let (Some(hour), Some(minute), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let seconds_end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let zone = rest[seconds_end..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit()).trim_start();
    let zone_ok = zone.is_empty()
        || zone == "Z"
        || zone.strip_prefix(['+', '-']).is_some_and(|z| digits(&z.replacen(':', "", 1), 1..=4));
    digits(hour, 1..=2) && digits(minute, 2..=2) && seconds_end == 2 && zone_ok
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
    let unquoted = ['"', '\''].iter().find_map(|q| name.strip_prefix(*q)?.strip_suffix(*q));
    Some(Value::String(unquoted.unwrap_or(name).to_string()))
}

/// `1:30:00` is 5400; two parts count as hours and minutes (Psych's rule), so `22:22` is 80520.
fn base_60(text: &str) -> Option<Value> {
    let parts: Vec<&str> = text.split(':').collect();
    let (first, rest) = parts.split_first().filter(|(_, rest)| (1..=2).contains(&rest.len()))?;
    let unsigned = first.strip_prefix(['-', '+']).unwrap_or(first);
    let lead =
        unsigned.starts_with(|c: char| c.is_ascii_digit()) && unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if !lead || !rest.iter().all(|p| number_in(p, 0, 59)) {
        return None;
    }
    let value = |p: &str| p.replace('_', "").parse::<i64>().ok();
    let mut sum = value(first)?.checked_mul(3600)?;
    for (part, unit) in rest.iter().zip([60, 1]) {
        sum = sum.checked_add(value(part)?.checked_mul(unit)?)?;
    }
    Some(Value::Int(sum))
}

/// Needs a point; an exponent needs its sign. `1e3` is text.
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, rest) = unsigned.split_once('.')?;
    let whole_ok = whole.is_empty()
        || (whole.starts_with(|c: char| c.is_ascii_digit())
            && whole.bytes().all(|b| b.is_ascii_digit() || b"_,".contains(&b)));
    let (fraction, exponent) = rest.find(['e', 'E']).map_or((rest, None), |at| (&rest[..at], Some(&rest[at + 1..])));
    let exponent_ok = exponent.is_none_or(|e| e.strip_prefix(['-', '+']).is_some_and(|d| digits(d, 1..=9)));
    let any_digit = !(whole.is_empty() && fraction.is_empty());
    if !(whole_ok && exponent_ok && any_digit && fraction.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let plain: String = text.chars().filter(|c| !matches!(c, '_' | ',')).collect();
    plain.parse().ok().map(Value::Float)
}

/// Decimal with `_` and `,` between digits, `0755`, `0b11`, `0x1F`; not `0o755`. Out of range stays text.
fn integer(text: &str) -> Option<Value> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, body) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        [b'0'..=b'9', ..] => (10, unsigned),
        _ => return None,
    };
    let separators: &[char] = if radix == 8 || radix == 10 { &['_', ','] } else { &['_'] };
    let doubled = body.contains("__") || body.contains(",,") || body.contains("_,") || body.contains(",_");
    if radix == 10 && (doubled || body.ends_with(separators)) {
        return None;
    }
    let plain: String = body.chars().filter(|c| !separators.contains(c)).collect();
    if plain.starts_with(['-', '+']) {
        return None;
    }
    let number = i64::from_str_radix(&plain, radix).ok()?;
    Some(Value::Int(if negative { -number } else { number }))
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
        for t in ["2024-13-01", "2024-01", "2024-01-01-x", "2024-01-01 x"] {
            assert_eq!(resolve(t), text(t), "{t}");
        }
        assert_eq!(resolve(":verbose"), text("verbose"));
        assert_eq!((resolve("~"), resolve(""), resolve("Null")), (Value::Null, Value::Null, Value::Null));
    }

    #[test]
    fn numbers_beyond_64_bits_stay_text() {
        assert_eq!(resolve("99999999999999999999"), text("99999999999999999999"));
        assert_eq!(resolve("9223372036854775807:59"), text("9223372036854775807:59"));
    }
}
