//! `windlass prune --dry-run`.

use crate::history::{Item, Reason, Verdict};
use crate::name::HostName;
use crate::render::{table, time, words};
use serde::Serialize;

/// What a prune would keep and drop, as `--json` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct Verdicts {
    /// Version of this object: 1.
    pub schema: u32,
    /// In the order of hosts; containers before images.
    pub verdicts: Vec<Row>,
    /// Bytes that would become free, at most.
    pub freed: u64,
}

/// One thing on one host.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Host.
    pub host: HostName,
    /// `container`, `image` or `host`.
    pub kind: &'static str,
    /// Name.
    pub name: String,
    /// Whether it stays.
    pub keep: bool,
    /// Bytes that its removal frees, at most.
    pub freed: u64,
    /// Why, in words.
    pub why: String,
    /// Why, for machines.
    pub reason: Reason,
}

impl Verdicts {
    /// The view of a retention's verdicts.
    pub fn new(verdicts: &[Verdict]) -> Self {
        let freed = verdicts.iter().map(Verdict::freed).sum();
        Self { schema: 1, verdicts: verdicts.iter().map(row).collect(), freed }
    }

    /// For people.
    pub fn table(&self) -> String {
        if self.verdicts.is_empty() {
            return "There is nothing that could be pruned.\n".to_string();
        }
        let rows = self.verdicts.iter().map(|row| {
            let what = if row.keep { "keep" } else { "drop" };
            let freed = if row.freed > 0 { time::bytes(row.freed) } else { "-".to_string() };
            [row.host.to_string(), what.to_string(), row.kind.to_string(), row.name.clone(), row.why.clone(), freed]
        });
        let drops = self.verdicts.iter().filter(|row| !row.keep).count();
        let things = words::count(drops, "thing");
        let total = format!("\n{things} to drop, up to {} to be freed\n", time::bytes(self.freed));
        table::table(["HOST", "VERDICT", "WHAT", "NAME", "WHY", "FREES"], rows) + &total
    }
}

fn row(verdict: &Verdict) -> Row {
    let (kind, name) = match &verdict.item {
        Item::Container { name, .. } => ("container", name.clone()),
        Item::Image { references, id, .. } => {
            ("image", references.first().cloned().unwrap_or_else(|| id.short().to_string()))
        }
        Item::Host => ("host", "everything".to_string()),
    };
    Row {
        host: verdict.host.clone(),
        kind,
        name,
        keep: verdict.keep,
        freed: verdict.freed(),
        why: verdict.reason.to_string(),
        reason: verdict.reason.clone(),
    }
}
