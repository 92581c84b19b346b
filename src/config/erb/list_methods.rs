//! Methods of lists (and of ranges and hashes as lists).

use super::eval::{Machine, Outcome, not_understood, raised};
use super::methods::{equal, items, matches};
use super::syntax::Block;
use super::value::Value::{self, Bool, Hash, Int, List, Nil, Text};

/// Calls a block with each item.
pub(super) fn each(machine: &mut Machine, list: &[Value], block: &Block) -> Outcome<()> {
    list.iter().try_for_each(|item| machine.yield_to(block, std::slice::from_ref(item)).map(drop))
}

/// Calls a method; none if there is no such.
pub(super) fn call(
    machine: &mut Machine,
    list: &[Value],
    name: &str,
    arguments: &[Value],
    block: Option<&Block>,
) -> Option<Outcome<Value>> {
    match block {
        Some(block) => with_block(machine, list, name, arguments, block),
        None => plain(list, name, arguments),
    }
}

fn with_block(
    machine: &mut Machine,
    list: &[Value],
    name: &str,
    arguments: &[Value],
    block: &Block,
) -> Option<Outcome<Value>> {
    if matches!(name, "each_with_index" | "each_with_object" | "inject" | "reduce") && name != "each_with_index" {
        return fold(machine, list, name, arguments, block);
    }
    let mut results = Vec::new();
    for (n, item) in list.iter().enumerate() {
        let index = Int(i64::try_from(n).unwrap_or(i64::MAX));
        let given = if matches!(name, "each_with_index") { vec![item.clone(), index] } else { vec![item.clone()] };
        match machine.yield_to(block, &given) {
            Ok(value) => results.push(value),
            Err(failure) => return Some(Err(failure)),
        }
    }
    let chosen =
        |flag: bool| list.iter().zip(&results).filter(move |(_, r)| r.truthy() == flag).map(|(item, _)| item.clone());
    Some(Ok(match (name, arguments) {
        ("each" | "each_with_index" | "each_entry", []) => List(list.to_vec()),
        ("map" | "collect", []) => List(results),
        ("flat_map", []) => {
            List(results.into_iter().flat_map(|r| if let List(items) = r { items } else { vec![r] }).collect())
        }
        ("filter_map", []) => List(results.into_iter().filter(Value::truthy).collect()),
        ("select" | "filter", []) => List(chosen(true).collect()),
        ("reject", []) => List(chosen(false).collect()),
        ("partition", []) => List(vec![List(chosen(true).collect()), List(chosen(false).collect())]),
        ("find" | "detect", []) => chosen(true).next().unwrap_or(Nil),
        ("any?", []) => Bool(chosen(true).next().is_some()),
        ("all?", []) => Bool(chosen(false).next().is_none()),
        ("none?", []) => Bool(chosen(true).next().is_none()),
        ("count", []) => Int(i64::try_from(chosen(true).count()).unwrap_or(i64::MAX)),
        ("sum", []) => return plain(&results, "sum", &[]),
        ("to_h", []) => return plain(&results, "to_h", &[]),
        ("sort_by", []) => {
            let mut order: Vec<_> = results.into_iter().zip(list.iter().cloned()).collect();
            order.sort_by(|a, b| compare(&a.0, &b.0));
            List(order.into_iter().map(|(_, item)| item).collect())
        }
        _ => return None,
    }))
}

fn fold(
    machine: &mut Machine,
    list: &[Value],
    name: &str,
    arguments: &[Value],
    block: &Block,
) -> Option<Outcome<Value>> {
    let mut items = list.iter();
    let mut sum = match (name, arguments) {
        ("inject" | "reduce", []) => items.next()?.clone(),
        ("inject" | "reduce", [first]) => first.clone(),
        _ => return None,
    };
    for item in items {
        match machine.yield_to(block, &[sum, item.clone()]) {
            Ok(value) => sum = value,
            Err(failure) => return Some(Err(failure)),
        }
    }
    Some(Ok(sum))
}

/// An index of Ruby: from the end if negative.
fn position(len: usize, n: i64) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    usize::try_from(if n < 0 { n + len } else { n }).ok()
}

fn size(n: usize) -> Value {
    Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn plain(list: &[Value], name: &str, arguments: &[Value]) -> Option<Outcome<Value>> {
    let at = |n: i64| position(list.len(), n).and_then(|n| list.get(n)).cloned().unwrap_or(Nil);
    let count = |n: i64| usize::try_from(n).unwrap_or(0).min(list.len());
    let distinct = |items: &mut dyn Iterator<Item = &Value>| {
        let mut seen: Vec<Value> = Vec::new();
        items.for_each(|item| {
            if !seen.contains(item) {
                seen.push(item.clone())
            }
        });
        List(seen)
    };
    Some(Ok(match (name, arguments) {
        ("[]" | "at" | "dig", [Int(n)]) => at(*n),
        ("[]" | "slice", [Value::Range(from, to)]) => {
            let (from, to) = (position(list.len(), *from)?, position(list.len(), *to).map_or(0, |n| n + 1));
            List(list.get(from..to.min(list.len())).unwrap_or_default().to_vec())
        }
        ("[]" | "slice", [Int(from), Int(len)]) => {
            List(list.iter().skip(position(list.len(), *from)?).take(count(*len)).cloned().collect())
        }
        ("fetch", [Int(n), default @ ..]) => match (at(*n), default.first()) {
            (Nil, Some(default)) => default.clone(),
            (Nil, None) => return Some(raised(format!("index {n} is outside of the list"))),
            (value, _) => value,
        },
        ("first", []) => at(0),
        ("last", []) => at(-1),
        ("first" | "take", [Int(n)]) => List(list[..count(*n)].to_vec()),
        ("last", [Int(n)]) => List(list[list.len() - count(*n)..].to_vec()),
        ("drop", [Int(n)]) => List(list[count(*n)..].to_vec()),
        ("length" | "size" | "count", []) => size(list.len()),
        ("count", [item]) => size(list.iter().filter(|i| equal(i, item)).count()),
        ("empty?", []) => Bool(list.is_empty()),
        ("any?", []) => Bool(list.iter().any(Value::truthy)),
        ("none?", []) => Bool(!list.iter().any(Value::truthy)),
        ("include?" | "member?", [item]) => Bool(list.iter().any(|i| equal(i, item))),
        ("index" | "find_index", [item]) => list.iter().position(|i| equal(i, item)).map_or(Nil, size),
        ("grep", [pattern]) => List(list.iter().filter(|i| matches(pattern, i).unwrap_or(false)).cloned().collect()),
        ("join", []) => Text(flat(list).iter().map(Value::to_text).collect()),
        ("join", [separator]) if separator.weight().saturating_mul(list.len()) > 10_000 => {
            return Some(not_understood("a text of this size"));
        }
        ("join", [separator]) => {
            Text(flat(list).iter().map(Value::to_text).collect::<Vec<_>>().join(&separator.to_text()))
        }
        ("compact", []) => List(list.iter().filter(|i| **i != Nil).cloned().collect()),
        ("compact_blank", []) => List(list.iter().filter(|i| !i.blank()).cloned().collect()),
        ("flatten", []) => List(flat(list)),
        ("reverse", []) => List(list.iter().rev().cloned().collect()),
        ("uniq", []) => distinct(&mut list.iter()),
        ("|" | "union", [List(more)]) => distinct(&mut list.iter().chain(more)),
        ("-" | "difference", [List(other)]) => List(list.iter().filter(|i| !other.contains(i)).cloned().collect()),
        ("&" | "intersection", [List(other)]) => List(list.iter().filter(|i| other.contains(i)).cloned().collect()),
        ("+" | "concat", [List(more)]) => List(list.iter().chain(more).cloned().collect()),
        ("<<" | "push" | "append", [item]) => List(list.iter().chain([item]).cloned().collect()),
        ("sort", []) => {
            let mut sorted = list.to_vec();
            sorted.sort_by(compare);
            List(sorted)
        }
        ("min", []) => list.iter().min_by(|a, b| compare(a, b)).cloned().unwrap_or(Nil),
        ("max", []) => list.iter().max_by(|a, b| compare(a, b)).cloned().unwrap_or(Nil),
        ("sum", []) => {
            Int(list.iter().try_fold(0_i64, |sum, i| if let Int(n) = i { sum.checked_add(*n) } else { None })?)
        }
        ("to_a" | "entries", []) => List(list.to_vec()),
        ("to_h", []) => {
            let mut pairs = Vec::new();
            for item in list {
                let List(pair) = item else { return None };
                let [key, value] = pair.as_slice() else { return None };
                super::methods::set(&mut pairs, key.clone(), value.clone());
            }
            Hash(pairs)
        }
        ("zip", [other]) => {
            let other = items(other).ok()?;
            let pair = |(n, item): (usize, &Value)| List(vec![item.clone(), other.get(n).cloned().unwrap_or(Nil)]);
            List(list.iter().enumerate().map(pair).collect())
        }
        _ => return None,
    }))
}

fn flat(list: &[Value]) -> Vec<Value> {
    list.iter().flat_map(|item| if let List(inner) = item { flat(inner) } else { vec![item.clone()] }).collect()
}

/// Numbers by size, everything else by its text.
fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Int(a), Int(b)) => a.cmp(b),
        (List(a), List(b)) => {
            a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|o| o.is_ne()).unwrap_or(a.len().cmp(&b.len()))
        }
        _ => a.to_text().cmp(&b.to_text()),
    }
}
