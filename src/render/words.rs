//! Steps, stages and outcomes in words. The same phrase names a step in the plan, on its host's line and in an error.

use crate::name::HostName;
use crate::plan::{Action, Gate, Plan, Ref, Serving, StageKind, edge_files};
use crate::release::{Outcome, ReleaseKind, ReleaseRecord, RunVerb};

/// The command's name.
pub fn verb(verb: RunVerb) -> &'static str {
    match verb {
        RunVerb::Setup => "setup",
        RunVerb::Deploy => "deploy",
        RunVerb::Rollback => "rollback",
        RunVerb::Restart => "restart",
        RunVerb::Prune => "prune",
        RunVerb::Label => "label",
        RunVerb::Pin => "pin",
        RunVerb::Unpin => "unpin",
        RunVerb::Remove => "remove",
        RunVerb::Proxy => "proxy change",
        RunVerb::Certificates => "certificate renewal",
        RunVerb::Maintenance => "maintenance",
        RunVerb::Live => "end of maintenance",
        RunVerb::Start => "start",
        RunVerb::Stop => "stop",
    }
}

/// Whether a verb is named by what it is, such as `maintenance of shop`, and not by what it does, such as `deploy shop`.
pub fn is_noun(verb: RunVerb) -> bool {
    matches!(verb, RunVerb::Proxy | RunVerb::Certificates | RunVerb::Maintenance | RunVerb::Live)
}

/// A stage's name.
pub fn stage(kind: StageKind) -> &'static str {
    match kind {
        StageKind::Prepare => "prepare",
        StageKind::Change => "change",
        StageKind::Retire => "retire",
        StageKind::Retain => "retain",
        StageKind::Prune => "prune",
    }
}

/// How a run ended.
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Reverted => "failed; what served before serves everywhere",
        Outcome::Interrupted => "interrupted; what served before serves everywhere",
        Outcome::Unverified => "failed; the fleet is mixed or could not be verified",
        Outcome::Abandoned => "ended without a word",
    }
}

/// How a release came about.
pub fn kind(kind: &ReleaseKind) -> &'static str {
    match kind {
        ReleaseKind::Deploy => "deploy",
        ReleaseKind::Rollback { .. } => "rollback",
        ReleaseKind::Restart { .. } => "restart",
        ReleaseKind::Adopted => "adopted",
    }
}

/// `v2 (release v43)`.
pub fn release(record: &ReleaseRecord) -> String {
    format!("{} (release v{})", record.version.short(), record.number)
}

/// What a step does, as an order: `start shop-web-v2`.
pub fn action(plan: &Plan, host: &HostName, action: &Action) -> String {
    let of = |container: &Ref| container_name(plan, host, container);
    match action {
        Action::PrepareState { .. } => "prepare the state directory".to_string(),
        Action::CreateNetwork { name } => format!("create network {name}"),
        Action::BootProxy { settings } => format!("start the proxy ({})", settings.image),
        Action::ReplaceProxy { settings, .. } => format!("replace the proxy ({})", settings.image),
        Action::RemoveProxy { keep_files: true } => "remove the proxy, and keep its files".to_string(),
        Action::RemoveProxy { keep_files: false } => "remove the proxy and its files".to_string(),
        Action::PutEdgeFiles { backend, files } => format!("put {} of {backend} there", edge_files(files)),
        Action::ForgetEdgeFiles { backend, files } => format!("remove the old {} of {backend}", edge_files(files)),
        Action::StandBy { routes, .. } => {
            let names: Vec<_> = routes.iter().map(|r| of(&Ref::Id(r.container.clone()))).collect();
            match names.is_empty() {
                true => "make the proxy ready without its ports".to_string(),
                false => format!("make the proxy ready without its ports, and let it check {}", names.join(", ")),
            }
        }
        Action::StandDown { .. } => "remove the proxy, which does not run".to_string(),
        Action::PointKamalProxy { targets, .. } => {
            let names: Vec<_> = targets.keys().map(String::as_str).collect();
            format!("point kamal-proxy's {} to what serves", names.join(", "))
        }
        Action::SwapProxy(swap) => {
            let (stop, start, grace) = (&swap.stop_name, &swap.start_name, swap.grace);
            format!("stop {stop} (requests in flight have {grace} s) and start {start} on its ports")
        }
        Action::Pull { tag, .. } => format!("pull {tag}"),
        Action::CopyImage { from, tag, .. } => format!("copy {tag} from {from}"),
        Action::Tag { tag, .. } => format!("tag the image {tag}"),
        Action::SetRoute { backend } => format!("set the route of {}", backend.name),
        Action::RemoveRoute { backend } => format!("remove the route of {backend}"),
        Action::Create { container } => format!("create {}", container.name),
        Action::CreateLike { name, .. } => format!("create {name} from its retained container"),
        Action::ShareAssets { incoming, outgoing, .. } => {
            format!("share the assets of {} and {}", of(outgoing), of(incoming))
        }
        Action::Start { container, .. } => format!("start {}", of(container)),
        Action::SetRestart { container, policy } => format!("set restart policy {policy} on {}", of(container)),
        Action::Load { container, .. } => format!("let the proxy check {}", of(container)),
        Action::Gate { container, gate, deadline, .. } => gate_words(&of(container), gate, *deadline),
        Action::Switch { role, to, .. } => format!("switch {role} to {}", of(to)),
        Action::Suspend { role, from, .. } => format!("take {role} out of the proxy ({})", of(from)),
        Action::Drain { container, timeout, .. } => format!("drain {} (up to {timeout} s)", of(container)),
        Action::Unload { container, .. } => format!("take {} out of the proxy", of(container)),
        Action::Retire { container, stop_first: false, .. } => format!("stop and retain {}", of(container)),
        Action::Retire { container, stop_first: true, .. } => {
            format!("stop {} before its successor starts", of(container))
        }
        Action::Mark { name, mark, .. } => crate::plan::marked(name, mark),
        Action::Remove { name, reason, .. } => format!("remove container {name} ({reason})"),
        Action::RemoveImage { reference, reason, .. } => format!("remove image {reference} ({reason})"),
    }
}

fn gate_words(container: &str, gate: &Gate, deadline: u64) -> String {
    match gate {
        Gate::Proxy { .. } => format!("wait until the proxy finds {container} healthy (up to {deadline} s)"),
        Gate::Engine { .. } => format!("wait until {container} is healthy (up to {deadline} s)"),
    }
}

/// A container for people: its name if the plan makes it, else what it serves, else its short id.
pub fn container_name(plan: &Plan, host: &HostName, container: &Ref) -> String {
    let id = match container {
        Ref::Name(name) => return name.clone(),
        Ref::Id(id) => id,
    };
    let serves = |s: &&Serving| &s.host == host && s.container.as_ref() == Some(container);
    let known = plan.before.iter().chain(&plan.after).chain(plan.adopted.iter().flat_map(|a| &a.serving)).find(serves);
    match known.and_then(|s| Some((&s.role, s.version.as_ref()?))) {
        Some((role, version)) => format!("{role} {}", version.short()),
        None => id.short().to_string(),
    }
}

/// Whether a step usually takes long enough to be announced when it begins.
pub fn is_slow(action: &Action) -> bool {
    matches!(
        action,
        Action::Pull { .. }
            | Action::CopyImage { .. }
            | Action::Gate { .. }
            | Action::Drain { .. }
            | Action::Retire { .. }
            | Action::BootProxy { .. }
            | Action::ReplaceProxy { .. }
            | Action::RemoveProxy { .. }
            | Action::StandBy { .. }
            | Action::SwapProxy(_)
    )
}

/// `host-1, host-2 and 48 more`: at most `most` names.
pub fn hosts<'a>(names: impl IntoIterator<Item = &'a HostName>, most: usize) -> String {
    let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
    list(&names, most)
}

/// `v3, v4 and 2 more`: at most `most` of them.
pub fn list(texts: &[String], most: usize) -> String {
    match texts.len().checked_sub(most) {
        None | Some(0) => texts.join(", "),
        Some(_) => {
            let shown = most.saturating_sub(1).max(1);
            format!("{} and {} more", texts[..shown].join(", "), texts.len() - shown)
        }
    }
}

/// `1 host`, `3 hosts`.
pub fn count(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}
