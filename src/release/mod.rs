//! Releases: what is recorded of them, and what follows from the records.

mod entry;
mod fingerprint;
mod record;

pub use entry::{Entry, Fact, IntendedRelease, Outcome, RunVerb};
pub use fingerprint::{Fingerprint, FingerprintKey};
pub use record::{ReleaseKind, ReleaseRecord, ReleasedRole};

/// The version of the journal's and the records' format that this build writes. A host that holds a newer one is only
/// read.
pub const SCHEMA: u32 = 1;
