//! Releases: what is recorded of them, and what follows from the records.

mod diff;
mod diff_spec;
mod entry;
mod fingerprint;
mod mark;
mod record;
mod report;

pub use diff::{Change, Diff, Kind, What};
pub use entry::{Entry, Fact, IntendedRelease, Outcome, RunVerb};
pub use fingerprint::{Fingerprint, FingerprintKey};
pub use mark::Mark;
pub use record::{ReleaseKind, ReleaseRecord, ReleasedRole};
pub use report::{HostReport, StepReport};

/// The version of the journal's and the records' format that this build writes. A host that holds a newer one is only
/// read.
pub const SCHEMA: u32 = 1;
