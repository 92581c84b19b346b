//! Data on standard output.

use crate::cli::Failure;
use serde::Serialize;
use std::io::Write;

/// Prints data. A reader that went away (`| head`) is no error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a value as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::refused(format!("JSON: {error}")))?;
    print(&(text + "\n"));
    Ok(())
}
