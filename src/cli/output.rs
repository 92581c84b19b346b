//! Data on standard output.

use crate::cli::Failure;
use crate::effect::LogStream;
use serde::Serialize;
use std::io::Write;

/// Prints data. A reader that went away (`| head`) is no error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints what a program that we run says on its standard error.
pub(crate) fn talk(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Passes bytes on as they are.
pub(crate) fn raw(stream: LogStream, bytes: &[u8]) {
    let _ = match stream {
        LogStream::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
        LogStream::Err => std::io::stderr().lock().write_all(bytes),
    };
}

/// Prints a value as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::refused(format!("JSON: {error}")))?;
    print(&(text + "\n"));
    Ok(())
}
