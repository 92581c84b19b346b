//! `windlass releases` for people.

use crate::render::releases::{Releases, Row};
use crate::render::{table, time};
use jiff::Timestamp;

const HEADER: [&str; 13] = [
    "RELEASE", "VERSION", "TYPE", "STATUS", "RUNNING", "RETAINED", "LABEL", "DIGEST", "WHO", "WHEN", "TOOK", "ACTIVE",
    "MESSAGE",
];

impl Releases {
    /// The table; `image` adds the image and its whole digest.
    pub fn table(&self, now: Timestamp, image: bool) -> String {
        if self.releases.is_empty() {
            return format!("No such release of {} is known to these hosts.\n", self.service);
        }
        let rows = self.releases.iter().map(|row| cells(row, now));
        if !image {
            return table::table(HEADER, rows);
        }
        let [a, b, c, d, e, f, g, h, i, j, k, l, m] = HEADER;
        let with_image = rows.zip(&self.releases).map(|(cells, row)| {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m] = cells;
            [a, b, c, d, e, f, g, h, i, j, k, l, m, image_of(row)]
        });
        table::table([a, b, c, d, e, f, g, h, i, j, k, l, m, "IMAGE"], with_image)
    }
}

fn cells(row: &Row, now: Timestamp) -> [String; 13] {
    let dash = || "-".to_string();
    let share = |n: usize| format!("{n}/{}", row.sent.len().max(row.running.len()));
    [
        row.number.clone().unwrap_or_else(dash),
        row.version.short().to_string(),
        row.kind.to_string(),
        status(row),
        share(row.running.len()),
        share(row.retained.len()),
        row.label.as_ref().map_or_else(dash, ToString::to_string),
        row.digest.as_ref().map_or_else(dash, |digest| digest.short().to_string()),
        row.actor.clone(),
        row.at.map_or_else(dash, |at| time::ago(at, now)),
        row.took.map_or_else(dash, |seconds| time::took(std::time::Duration::from_secs_f64(seconds))),
        active(row, now).unwrap_or_else(dash),
        row.message.clone().unwrap_or_default(),
    ]
}

/// The one word, and whether retention may not touch it.
fn status(row: &Row) -> String {
    let pinned = if row.pin.is_some() { ", pinned" } else { "" };
    format!("{}{pinned}", row.status)
}

/// For how long it served.
pub(super) fn active(row: &Row, now: Timestamp) -> Option<String> {
    let seconds = row.active_until.unwrap_or(now).as_second() - row.active_from?.as_second();
    Some(time::coarse(u64::try_from(seconds).unwrap_or(0)))
}

/// `repository:tag@sha256:…`, or a dash.
pub(super) fn image_of(row: &Row) -> String {
    let digest = row.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
    row.image.as_ref().map_or_else(|| "-".to_string(), |image| format!("{image}{digest}"))
}
