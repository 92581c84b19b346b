//! Certificates, error pages and maintenance: what a backend's edge becomes, and the steps to it.

use crate::effect::Backend;
use crate::fleet::{BackendName, BackendState};
use crate::name::RoleName;
use crate::plan::situation::Situation;
use crate::plan::{Action, Refusal, Step, WantedEdge};
use crate::spec::{Certificate, Edge, EdgeFile, Route};
use jiff::{SignedDuration, Timestamp};

/// A certificate that ends within this time is worth a note.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The edge of one role's backend on one host, as it is and as it shall be.
pub(super) struct EdgeChange<'a, 'f> {
    pub(super) situation: &'a Situation<'a>,
    pub(super) role: RoleName,
    /// The backend, where there is one.
    pub(super) state: Option<&'f BackendState>,
    pub(super) now: Edge,
    pub(super) wanted: Edge,
}

impl EdgeChange<'_, '_> {
    /// Puts the files on the host that it does not have yet.
    pub(super) fn upload(&self) -> Option<Step> {
        upload(&self.situation.backend(&self.role), &self.now, &self.wanted)
    }

    /// Takes away the files that are needed no more.
    pub(super) fn forget(&self) -> Option<Step> {
        forget(&self.situation.backend(&self.role), &self.now, &self.wanted)
    }

    /// Takes all of its files away.
    pub(super) fn forget_all(&self) -> Option<Step> {
        forget(&self.situation.backend(&self.role), &self.now, &Edge::default())
    }

    /// Changes the edge around what serves, if it is another.
    pub(super) fn set_route(&self) -> Option<Step> {
        let route = &self.state?.route;
        let backend = |edge: &Edge| self.situation.as_backend(&self.role, route, edge);
        set_route(backend(&self.now), backend(&self.wanted))
    }
}

/// What an edge becomes: what is not asked for stays, and maintenance ends only by `windlass app live`.
pub(super) fn wanted(now: &Edge, asked: Option<&WantedEdge>) -> Edge {
    let Some(asked) = asked else { return now.clone() };
    Edge {
        certificate: asked.certificate.clone().or_else(|| now.certificate.clone()),
        pages: asked.pages.clone().unwrap_or_else(|| now.pages.clone()),
        maintenance: now.maintenance.clone(),
    }
}

/// The route as it can be: HTTPS begins with a certificate. Only a run that reads no secrets can lack one.
pub(super) fn possible(route: &Route, edge: &Edge) -> Route {
    let tls = route.tls.clone().filter(|_| edge.certificate.is_some());
    Route { tls, ..route.clone() }
}

/// Puts the files on the host that it does not have yet. They change nothing before a route names them.
pub(super) fn upload(backend: &BackendName, now: &Edge, wanted: &Edge) -> Option<Step> {
    let files = lacking(wanted, now);
    let action = Action::PutEdgeFiles { backend: backend.clone(), files };
    not_empty(action)
}

/// Takes away what the backend had and needs no more, keys above all.
pub(super) fn forget(backend: &BackendName, now: &Edge, wanted: &Edge) -> Option<Step> {
    let files = lacking(now, wanted);
    let action = Action::ForgetEdgeFiles { backend: backend.clone(), files };
    not_empty(action)
}

fn not_empty(action: Action) -> Option<Step> {
    match &action {
        Action::PutEdgeFiles { files, .. } | Action::ForgetEdgeFiles { files, .. } if files.is_empty() => None,
        _ => Some(Step { action, undo: Vec::new() }),
    }
}

fn lacking(of: &Edge, there: &Edge) -> Vec<EdgeFile> {
    let there = there.files();
    of.files().into_iter().filter(|file| !there.contains(file)).collect()
}

/// Changes a backend in one reload, and back.
pub(super) fn set_route(now: Backend, wanted: Backend) -> Option<Step> {
    if now == wanted {
        return None;
    }
    Some(Step { action: Action::SetRoute { backend: wanted }, undo: vec![Action::SetRoute { backend: now }] })
}

/// Whether a certificate may be put in force. One that serves already is only talked about: refusing would keep
/// everything else from being repaired.
///
/// # Errors
/// It is new here and has expired, or is not valid yet.
pub(super) fn judge(
    role: &str,
    asked: &WantedEdge,
    hosts: &[String],
    serves_already: bool,
    at: Timestamp,
) -> Result<Vec<String>, Refusal> {
    let Some(certificate) = &asked.certificate else { return Ok(Vec::new()) };
    let mut notes: Vec<String> = asked.notes.iter().map(|note| format!("{role}: {note}")).collect();
    match out_of_time(certificate, at) {
        Some(what) if serves_already => notes.push(format!("{role}: its certificate {what}: renew it")),
        Some(what) => {
            return Err(Refusal::new(format!("{role}: the certificate {what}; nothing was changed"))
                .hint("put a valid one into the secrets, and look at this machine's clock"));
        }
        None if certificate.not_after.duration_since(at) < SOON => {
            notes.push(format!("{role}: the certificate ends {}", day(certificate.not_after)));
        }
        None => {}
    }
    let uncovered: Vec<_> = hosts.iter().filter(|host| !certificate.covers(host)).map(String::as_str).collect();
    if !uncovered.is_empty() {
        let names = if certificate.names.is_empty() { "no name".to_string() } else { certificate.names.join(", ") };
        notes.push(format!(
            "{role}: the certificate is for {names} and not for {}: browsers will not accept it there",
            uncovered.join(", ")
        ));
    }
    Ok(notes)
}

fn out_of_time(certificate: &Certificate, at: Timestamp) -> Option<String> {
    if certificate.not_after < at {
        return Some(format!("has expired ({})", day(certificate.not_after)));
    }
    (certificate.not_before > at).then(|| format!("is not valid yet (from {})", day(certificate.not_before)))
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(from: i64, to: i64) -> WantedEdge {
        let at = |days: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * days);
        let names = vec!["a.example.com".to_string(), "*.demo.io".to_string()];
        let certificate = Certificate { sha256: "a".repeat(64), names, not_before: at(from), not_after: at(to) };
        WantedEdge { certificate: Some(certificate), ..WantedEdge::default() }
    }

    #[test]
    fn a_new_certificate_must_be_valid_now_and_an_old_one_is_talked_about() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 100);
        let judged = |from, to, serves| judge("web", &certificate(from, to), &[], serves, now);
        assert_eq!(judged(0, 200, false), Ok(vec![]));
        assert!(judged(0, 99, false).unwrap_err().message.contains("has expired (1970-04-10"));
        assert!(judged(101, 200, false).unwrap_err().message.contains("is not valid yet (from 1970-04-12"));
        assert!(judged(0, 99, true).unwrap()[0].contains("renew it"));
        assert!(judged(0, 110, false).unwrap()[0].contains("ends 1970-04-21"));
    }

    #[test]
    fn names_that_it_is_not_for_are_said() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24);
        let hosts = ["A.example.com", "x.demo.io", "x.y.demo.io", "demo.io", "b.example.com"].map(str::to_string);
        let notes = judge("web", &certificate(0, 200), &hosts, false, now).unwrap();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("not for x.y.demo.io, demo.io, b.example.com"), "{notes:?}");
    }
}
