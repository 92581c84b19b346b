//! YAML for people, with every text in quotes that any reader could take for something else.
//!
//! Kamal's reader follows YAML 1.1 (`no`, `80:80`, `1_000`, `2025-03-01` are no texts), and the well-kept writers quote
//! by 1.2. A JSON string is a YAML string in both.

use serde_json::Value;

/// A mapping as a document in block style.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

fn write(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                out.push_str(&format!("{indent}{}:", scalar(&Value::String(key.clone()))));
                below(value, depth, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                out.push_str(&format!("{indent}-"));
                match item {
                    // One key a host: `- host: [tag]`.
                    Value::Object(map) if map.len() == 1 => {
                        let (key, value) = map.iter().next().unwrap_or_else(|| unreachable!("it has one"));
                        out.push_str(&format!(" {}:", scalar(&Value::String(key.clone()))));
                        below(value, depth + 1, out);
                    }
                    other => below(other, depth, out),
                }
            }
        }
        other => out.push_str(&format!("{indent}{}\n", scalar(other))),
    }
}

fn below(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            write(value, depth + 1, out);
        }
        other => out.push_str(&format!(" {}\n", scalar(other))),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A word that begins with a letter and that no version of YAML takes for anything but a text.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(allowed)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}
