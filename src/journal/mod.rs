//! The state that windlass keeps on a host: its paths and its formats.
//!
//! `<home>/<service>/<destination or _>/`: `journal.jsonl`, `releases/<run id>.json`, `key`, `freeze`, `lease`.
//! Fleets live with these files for years: `tests/golden` holds one of each, to be read and written as ever.

mod lines;
mod paths;
mod state;

#[cfg(test)]
mod tests;

pub use lines::{line, parse};
pub use paths::{freeze_path, journal_path, kamal_lock, key_path, record_path, report_dir, report_path};
pub use state::{Known, StateFiles, read, read_report, read_with, render_freeze, render_record, render_report};
