//! Methods of values: those that all have, and those of numbers and hashes.

use super::eval::{Machine, Outcome, not_understood, raised};
use super::syntax::Block;
use super::value::Value::{self, Bool, Float, Hash, Int, List, Nil, Range, Regex, Symbol, Text};
use super::{list_methods, text_methods};

/// Calls a method.
pub(super) fn call(
    machine: &mut Machine,
    on: &Value,
    name: &str,
    arguments: &[Value],
    block: Option<&Block>,
) -> Outcome<Value> {
    if let Some(value) = of_all(on, name, arguments) {
        return Ok(value);
    }
    let result = match (on, block) {
        (value, Some(block)) if matches!(name, "then" | "yield_self") => {
            Some(machine.yield_to(block, std::slice::from_ref(value)))
        }
        (value, Some(block)) if name == "tap" => {
            Some(machine.yield_to(block, std::slice::from_ref(value)).map(|_| value.clone()))
        }
        (Text(text) | Symbol(text), _) => text_methods::call(machine, text, name, arguments, block),
        (Int(_) | Float(_), _) => number(machine, on, name, arguments, block),
        (List(items), _) => list_methods::call(machine, items, name, arguments, block),
        (Range(..), _) => items(on).ok().and_then(|items| list_methods::call(machine, &items, name, arguments, block)),
        (Hash(pairs), _) => hash(machine, pairs, name, arguments, block),
        _ => None,
    };
    match (result, on) {
        (Some(result), _) => result,
        (None, Nil) if !matches!(name, "[]" | "each" | "map") => raised(format!("undefined method `{name}` for nil")),
        (None, Nil) => raised(format!("undefined method `{name}` for nil: the value before it is not there")),
        (None, _) => not_understood(format!("`{name}` of {}", on.kind())),
    }
}

fn of_all(on: &Value, name: &str, arguments: &[Value]) -> Option<Value> {
    Some(match (name, arguments) {
        ("to_s", []) => Value::Text(on.to_text()),
        ("inspect", []) => Value::Text(on.inspect()),
        ("to_json", _) => Value::text(on.to_json().to_string()),
        ("nil?", []) => Bool(*on == Nil),
        ("blank?", []) => Bool(on.blank()),
        ("present?", []) => Bool(!on.blank()),
        ("presence", []) => {
            if on.blank() {
                Nil
            } else {
                on.clone()
            }
        }
        ("freeze" | "dup" | "clone" | "itself", []) => on.clone(),
        ("==" | "eql?" | "equal?", [other]) => Bool(equal(on, other)),
        ("===", [other]) => Bool(matches(on, other).ok()?),
        ("in?", [list]) => Bool(items(list).ok()?.iter().any(|item| equal(item, on))),
        ("to_a", []) if *on == Nil => List(Vec::new()),
        ("to_i", []) if *on == Nil => Int(0),
        _ => return None,
    })
}

/// Equality: 1 and 1.0 are equal, "a" and :a are not.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Int(a), Float(b)) | (Float(b), Int(a)) => *a as f64 == *b,
        _ => a == b,
    }
}

/// `pattern === value`, as `case` asks.
pub(super) fn matches(pattern: &Value, value: &Value) -> Outcome<bool> {
    match (pattern, value) {
        (Regex(pattern), Text(text)) => Ok(text_methods::regex(pattern)?.is_match(text)),
        (Range(from, to), Int(number)) => Ok((from..=to).contains(&number)),
        _ => Ok(equal(pattern, value)),
    }
}

/// What `each` goes through.
pub(super) fn items(value: &Value) -> Outcome<Vec<Value>> {
    match value {
        List(items) => Ok(items.clone()),
        Hash(pairs) => Ok(pairs.iter().map(|(k, v)| List(vec![k.clone(), v.clone()])).collect()),
        Range(from, to) if to.saturating_sub(*from) < 10_000 => Ok((*from..=*to).map(Int).collect()),
        Nil => raised("undefined method `each` for nil"),
        _ => not_understood(format!("going through {}", value.kind())),
    }
}

/// Sets a key of a hash.
pub(super) fn set(pairs: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match pairs.iter_mut().find(|(k, _)| *k == key) {
        Some((_, old)) => *old = value,
        None => pairs.push((key, value)),
    }
}

/// A list or hash with one item replaced.
pub(super) fn with(container: Value, key: Value, value: Value) -> Outcome<Value> {
    match (container, key) {
        (Hash(mut pairs), key) => {
            set(&mut pairs, key, value);
            Ok(Hash(pairs))
        }
        (List(mut items), Int(n)) if (0..10_000).contains(&n) => {
            let n = usize::try_from(n).unwrap_or(0);
            items.resize(items.len().max(n + 1), Nil);
            items[n] = value;
            Ok(List(items))
        }
        (other, _) => not_understood(format!("setting an item of {}", other.kind())),
    }
}

fn number(
    machine: &mut Machine,
    on: &Value,
    name: &str,
    arguments: &[Value],
    block: Option<&Block>,
) -> Option<Outcome<Value>> {
    if let (Int(count), "times", Some(block)) = (on, name, block) {
        return Some(
            items(&Range(0, count - 1)).and_then(|list| list_methods::each(machine, &list, block)).map(|()| on.clone()),
        );
    }
    let value = match (on, name, arguments) {
        (Int(a), _, [Int(b)]) => return integers(*a, name, *b),
        (Int(n), "-@", []) => Int(n.checked_neg()?),
        (Float(n), "-@", []) => Float(-n),
        (Int(n), "to_i", []) => Int(*n),
        (Float(n), "to_i", []) => Int(*n as i64),
        (Int(n), "to_f", []) => Float(*n as f64),
        (Float(n), "to_f", []) => Float(*n),
        (Float(n), "round" | "floor" | "ceil", []) => Int(match name {
            "round" => n.round(),
            "floor" => n.floor(),
            _ => n.ceil(),
        } as i64),
        (Int(n), "succ" | "next", []) => Int(n.checked_add(1)?),
        (Int(n), "abs", []) => Int(n.checked_abs()?),
        (Int(n), "zero?", []) => Bool(*n == 0),
        (Int(n), "positive?", []) => Bool(*n > 0),
        (Int(n), "even?", []) => Bool(n % 2 == 0),
        (Int(n), "odd?", []) => Bool(n % 2 != 0),
        (Int(_) | Float(_), _, [Int(_) | Float(_)]) => {
            let float = |v: &Value| {
                if let Int(n) = v {
                    *n as f64
                } else if let Float(n) = v {
                    *n
                } else {
                    f64::NAN
                }
            };
            let (a, b) = (float(on), float(&arguments[0]));
            match name {
                "+" => Float(a + b),
                "-" => Float(a - b),
                "*" => Float(a * b),
                "/" => Float(a / b),
                "<" => Bool(a < b),
                ">" => Bool(a > b),
                "<=" => Bool(a <= b),
                ">=" => Bool(a >= b),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(Ok(value))
}

/// Ruby rounds quotients down. Numbers beyond 64 bits are not understood.
fn integers(a: i64, name: &str, b: i64) -> Option<Outcome<Value>> {
    if b == 0 && matches!(name, "/" | "%") {
        return Some(raised("divided by 0"));
    }
    Some(Ok(match name {
        "+" => Int(a.checked_add(b)?),
        "-" => Int(a.checked_sub(b)?),
        "*" => Int(a.checked_mul(b)?),
        "/" => Int(a.checked_div_euclid(b)? - i64::from(b < 0 && a.checked_rem_euclid(b)? != 0)),
        "%" => Int(a.checked_sub(
            b.checked_mul(a.checked_div_euclid(b)? - i64::from(b < 0 && a.checked_rem_euclid(b)? != 0))?,
        )?),
        "<" => Bool(a < b),
        ">" => Bool(a > b),
        "<=" => Bool(a <= b),
        ">=" => Bool(a >= b),
        "<=>" => Int(a.cmp(&b) as i64),
        _ => return None,
    }))
}

fn hash(
    machine: &mut Machine,
    pairs: &[(Value, Value)],
    name: &str,
    arguments: &[Value],
    block: Option<&Block>,
) -> Option<Outcome<Value>> {
    let get = |key: &Value| pairs.iter().find(|(k, _)| equal(k, key)).map(|(_, v)| v.clone());
    let value = match (name, arguments, block) {
        ("[]", [key], None) => get(key).unwrap_or(Nil),
        ("fetch", [key, default @ ..], _) => match (get(key), default.first(), block) {
            (Some(value), ..) => value,
            (None, Some(default), _) => default.clone(),
            (None, None, Some(block)) => return Some(machine.yield_to(block, std::slice::from_ref(key))),
            (None, None, None) => return Some(raised(format!("key not found: {}", key.inspect()))),
        },
        ("dig", [key, rest @ ..], None) => match (get(key), rest) {
            (Some(value), [_, ..]) => return Some(call(machine, &value, "dig", rest, None)),
            (value, _) => value.unwrap_or(Nil),
        },
        ("key?" | "has_key?" | "include?" | "member?", [key], None) => Bool(get(key).is_some()),
        ("value?" | "has_value?", [value], None) => Bool(pairs.iter().any(|(_, v)| equal(v, value))),
        ("keys", [], None) => List(pairs.iter().map(|(k, _)| k.clone()).collect()),
        ("values", [], None) => List(pairs.iter().map(|(_, v)| v.clone()).collect()),
        ("to_h", [], None) => Hash(pairs.to_vec()),
        ("slice" | "except", keys, None) => {
            let chosen = |key: &Value| keys.iter().any(|k| equal(k, key)) == (name == "slice");
            Hash(pairs.iter().filter(|(k, _)| chosen(k)).cloned().collect())
        }
        ("merge", [Hash(more)], None) => {
            let mut merged = pairs.to_vec();
            more.iter().for_each(|(k, v)| set(&mut merged, k.clone(), v.clone()));
            Hash(merged)
        }
        ("select" | "filter" | "reject", [], Some(block)) => {
            let mut kept = Vec::new();
            for (k, v) in pairs {
                match machine.yield_to(block, &[k.clone(), v.clone()]) {
                    Ok(flag) if flag.truthy() != (name == "reject") => kept.push((k.clone(), v.clone())),
                    Ok(_) => {}
                    Err(failure) => return Some(Err(failure)),
                }
            }
            Hash(kept)
        }
        ("transform_values", [], Some(block)) => {
            let changed = pairs.iter().map(|(k, v)| Ok((k.clone(), machine.yield_to(block, std::slice::from_ref(v))?)));
            return Some(changed.collect::<Outcome<_>>().map(Hash));
        }
        ("each_pair", [], Some(_)) => {
            return list_methods::call(machine, &items(&Hash(pairs.to_vec())).ok()?, "each", &[], block);
        }
        _ => return list_methods::call(machine, &items(&Hash(pairs.to_vec())).ok()?, name, arguments, block),
    };
    Some(Ok(value))
}
