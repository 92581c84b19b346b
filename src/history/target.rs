//! What a person means by a rollback target, and whether it can be had.

use crate::history::content::{Content, Contents};
use crate::history::target_error::{Candidate, Gap, TargetError};
use crate::history::{Availability, History, Release};
use crate::name::{HostName, RoleName, Version};
use crate::release::ReleaseKind;
use std::collections::{BTreeMap, BTreeSet};

/// Hosts and, on each, the roles that a command is about.
pub type Scope = BTreeMap<HostName, BTreeSet<RoleName>>;

/// A release that can be brought back everywhere in scope, and what the person who named it should know.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// The release.
    pub release: &'a Release,
    /// Such as which of two readings of the text was taken. One sentence each.
    pub notes: Vec<String>,
}

impl History {
    /// The release that a text names, if it can be brought back everywhere in scope without pulling.
    ///
    /// A text is, in this order: exactly a version (its newest stable release, else its newest one); the number of a
    /// release, `v41` or `v43.2` for a twin; a label; the beginning of one version. A tag may look like a number (`v1`): then
    /// the tag is meant, and `@1` is the release number. No text: a rollback that is not complete in scope is finished;
    /// else it is the newest stable release whose content is older than what serves, that no rollback or revert left, and
    /// that is complete in scope.
    pub fn resolve(&self, text: Option<&str>, scope: &Scope) -> Result<Target<'_>, TargetError> {
        let Some(text) = text else { return self.default_target(scope) };
        let target = self.named(text)?;
        let gaps = gaps(target.release, scope);
        if gaps.is_empty() { Ok(target) } else { Err(self.incomplete(target.release, gaps, scope)) }
    }

    fn named(&self, text: &str) -> Result<Target<'_>, TargetError> {
        let number = parse_number(text);
        if let Some(release) = self.of_version(text) {
            let number = number.and_then(|number| self.numbered(text, number).ok());
            return Ok(with_notes(release, number.and_then(|other| reading(text, release, other))));
        }
        if let Some(number) = number {
            match self.numbered(text, number) {
                Err(TargetError::NotFound { .. }) => {}
                found => return found.map(|release| with_notes(release, None)),
            }
        }
        if let Some(release) = self.labelled(text) {
            return Ok(with_notes(release, None));
        }
        let versions: BTreeSet<&Version> =
            self.releases.iter().map(|r| &r.version).filter(|v| v.as_str().starts_with(text)).collect();
        let mut found = versions.into_iter().filter_map(|version| self.of_version(version.as_str()));
        match (found.next(), found.next()) {
            _ if text.is_empty() => Err(self.not_found(text)),
            (Some(release), None) => Ok(with_notes(release, None)),
            (Some(a), Some(b)) => {
                let candidates = [a, b].into_iter().chain(found).map(Candidate::of).collect();
                Err(TargetError::Ambiguous { text: text.to_string(), candidates })
            }
            (None, _) => Err(self.not_found(text)),
        }
    }

    fn of_version(&self, text: &str) -> Option<&Release> {
        let mut newest_first = self.releases.iter().rev().filter(|r| r.version.as_str() == text);
        newest_first.clone().find(|r| r.stable).or_else(|| newest_first.next())
    }

    fn labelled(&self, text: &str) -> Option<&Release> {
        self.releases.iter().find(|r| r.name.as_ref().is_some_and(|label| label.as_str() == text))
    }

    fn numbered(&self, text: &str, (number, twin): (u32, Option<u32>)) -> Result<&Release, TargetError> {
        let twins: Vec<&Release> = self.releases.iter().filter(|r| r.number == Some(number)).collect();
        let exact = |twin: u32| twins.iter().find(|r| r.twin == twin).copied().ok_or_else(|| self.not_found(text));
        match (twins.as_slice(), twin) {
            ([only], None) => Ok(only),
            ([], _) => Err(self.not_found(text)),
            (_, Some(twin)) => exact(twin),
            (_, None) => {
                let candidates = twins.into_iter().map(Candidate::twin).collect();
                Err(TargetError::Ambiguous { text: text.to_string(), candidates })
            }
        }
    }

    fn default_target(&self, scope: &Scope) -> Result<Target<'_>, TargetError> {
        let Some(current) = self.newest_serving(scope) else {
            return Err(TargetError::NothingServes { releases: self.newest(5) });
        };
        if let Some(unfinished) = self.unfinished(scope) {
            let gaps = gaps(unfinished, scope);
            return match gaps.is_empty() {
                true => Ok(Target { release: unfinished, notes: vec![self.finishes(unfinished)] }),
                false => Err(self.incomplete(unfinished, gaps, scope)),
            };
        }
        let contents = Contents::of(&self.releases);
        let candidates =
            self.releases.iter().rev().filter(|r| self.is_default(&contents, current, r) && !self.is_partial(r, scope));
        let candidates: Vec<_> = candidates.collect();
        if let Some(found) = candidates.iter().find(|r| gaps(r, scope).is_empty()) {
            let passed = candidates.iter().take_while(|r| r.run != found.run || r.version != found.version);
            let notes =
                passed.map(|r| format!("{} is newer but not complete: {}", Candidate::of(r), first_gap(r, scope)));
            return Ok(Target { release: found, notes: notes.collect() });
        }
        match candidates.first() {
            Some(newest) => Err(self.incomplete(newest, gaps(newest, scope), scope)),
            None => Err(self.nothing_older(current, &contents)),
        }
    }

    /// Whether a release was sent without a role that the service had (`--roles`, or found serving beside another version):
    /// what serves that role is not its business. A role that only came later is another matter.
    pub fn was_sent_without(&self, release: &Release, role: &RoleName) -> bool {
        let known = |r: &Release| match &r.record {
            Some(record) => record.roles.contains_key(role),
            None => r.available.values().any(|roles| roles.contains_key(role)),
        };
        let is_it = |r: &&Release| (&r.run, &r.version) == (&release.run, &release.version);
        let mut older = self.releases.iter().take_while(|r| !is_it(r));
        !release.has_role(role) && (release.kind == ReleaseKind::Adopted || older.any(known))
    }

    fn is_partial(&self, release: &Release, scope: &Scope) -> bool {
        scope.values().flatten().any(|role| self.was_sent_without(release, role))
    }

    /// The newest release that serves anywhere in scope.
    pub fn newest_serving(&self, scope: &Scope) -> Option<&Release> {
        let serves = |r: &&Release| {
            let in_scope = |(host, roles): (&HostName, &BTreeSet<RoleName>)| {
                scope.get(host).is_some_and(|wanted| !wanted.is_disjoint(roles))
            };
            r.running.iter().any(in_scope)
        };
        self.releases.iter().rev().find(serves)
    }

    /// Whether a bare `rollback` from `current` may go there, complete or not.
    pub(super) fn is_default(&self, contents: &Contents, current: &Release, release: &Release) -> bool {
        release.stable
            && !release.left
            && contents.of_release(release) != contents.of_release(current)
            && self.age(contents, release) < self.age(contents, current)
    }

    /// Where a release's content stands in time: containers without a record first, then by the run that brought it.
    fn age(&self, contents: &Contents, release: &Release) -> (Option<crate::name::RunId>, Option<usize>) {
        let root = release.run.as_ref().map(|run| contents.root(run));
        match root {
            Some(Content::Run(run)) => (Some(run), None),
            None | Some(Content::Version(_)) => {
                let unrecorded = |r: &Release| r.run.is_none() && r.version == release.version;
                (None, self.releases.iter().position(unrecorded))
            }
        }
    }

    fn newest(&self, count: usize) -> Vec<Candidate> {
        self.releases.iter().rev().take(count).map(Candidate::of).collect()
    }

    fn not_found(&self, text: &str) -> TargetError {
        let likeness = |r: &Release| {
            let number = if text.contains('.') { r.label() } else { format!("v{}", r.number.unwrap_or_default()) };
            strsim::jaro_winkler(r.version.as_str(), text).max(strsim::jaro_winkler(&number, text))
        };
        let mut near: Vec<_> = self.releases.iter().rev().map(|r| (likeness(r), r)).filter(|(l, _)| *l > 0.8).collect();
        near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let near = near.into_iter().take(3).map(|(_, r)| Candidate::of(r)).collect();
        TargetError::NotFound { text: text.to_string(), near, newest: self.newest(5) }
    }

    fn nothing_older(&self, current: &Release, contents: &Contents) -> TargetError {
        let others = self.releases.iter().rev().filter(|r| contents.of_release(r) != contents.of_release(current));
        let others = others.take(5).map(|r| (Candidate::of(r), self.why_not(contents, current, r))).collect();
        TargetError::NothingOlder { current: Candidate::of(current), others }
    }

    fn why_not(&self, contents: &Contents, current: &Release, release: &Release) -> &'static str {
        match (release.stable, release.left) {
            (true, true) => "a rollback or a revert left it",
            (false, _) if release.run.is_none() => "nothing records that it was ever healthy",
            (false, _) => "its run did not succeed",
            (true, false) if self.age(contents, release) >= self.age(contents, current) => "it is newer",
            (true, false) => "it is not complete",
        }
    }

    fn incomplete(&self, release: &Release, gaps: Vec<Gap>, scope: &Scope) -> TargetError {
        let complete = |host: &HostName, roles: &BTreeSet<RoleName>| {
            let only = Scope::from([(host.clone(), roles.clone())]);
            let there = self.releases.iter().rev().filter(|r| self::gaps(r, &only).is_empty());
            there.take(8).map(Candidate::of).collect::<Vec<_>>()
        };
        let there = scope.iter().map(|(host, roles)| (host.clone(), complete(host, roles))).collect();
        TargetError::Incomplete { release: Candidate::of(release), gaps, there }
    }
}

/// What is missing of a release in a scope, in host and role order. Empty means that it can be brought back everywhere.
/// A role that the release does not have is no gap (the rollback stops it), unless it has none of those in scope.
pub fn gaps(release: &Release, scope: &Scope) -> Vec<Gap> {
    let pairs = || scope.iter().flat_map(|(host, roles)| roles.iter().map(move |role| (host, role)));
    let gap =
        |host: &HostName, role: &RoleName, why: &str| Gap { host: host.clone(), role: role.clone(), why: why.into() };
    if pairs().all(|(_, role)| !release.has_role(role)) {
        return pairs().map(|(host, role)| gap(host, role, "the release has no such role")).collect();
    }
    let needed = pairs().filter(|(_, role)| release.has_role(role));
    let missing = needed.filter_map(|(host, role)| match release.availability(host, role) {
        Some(Availability::Missing { why }) => Some(gap(host, role, why)),
        Some(_) => None,
        None if release.available.contains_key(host) => Some(gap(host, role, "it was not sent to this host")),
        None => Some(gap(host, role, "this host has nothing of it or could not be asked")),
    });
    missing.collect()
}

fn first_gap(release: &Release, scope: &Scope) -> String {
    let gaps = gaps(release, scope);
    let more = if gaps.len() > 1 { format!(" (and {} more)", gaps.len() - 1) } else { String::new() };
    gaps.first().map(|gap| format!("{gap}{more}")).unwrap_or_default()
}

/// `v41`, `@41`, each with `.2` for a twin.
fn parse_number(text: &str) -> Option<(u32, Option<u32>)> {
    let digits = text.strip_prefix(['v', '@'])?;
    let (number, twin) = digits.split_once('.').map_or((digits, None), |(n, t)| (n, Some(t)));
    let parse = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse().ok()).flatten();
    Some((parse(number)?, twin.map(parse).map_or(Some(None), |t| t.map(Some))?))
}

fn reading(text: &str, taken: &Release, other: &Release) -> Option<String> {
    let number = other.number.filter(|_| other.run != taken.run)?;
    let twin = if other.twin > 1 { format!(".{}", other.twin) } else { String::new() };
    let (taken, other) = (Candidate::of(taken), Candidate::of(other));
    Some(format!("{text} was taken as a version: {taken}; the release with that number, {other}, is @{number}{twin}"))
}

fn with_notes(release: &Release, reading: Option<String>) -> Target<'_> {
    let name = Candidate::of(release);
    let doubt = match (release.stable, release.left) {
        (true, true) => Some(format!("{name} was left by a rollback or a revert before")),
        (false, _) if release.run.is_none() => Some(format!("nothing records that {name} was ever healthy")),
        (false, _) => Some(format!("the run of {name} did not succeed")),
        (true, false) => None,
    };
    Target { release, notes: reading.into_iter().chain(doubt).collect() }
}
