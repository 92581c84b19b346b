//! Actions in words, for progress, plans and messages.

use crate::plan::{Action, Gate, Ref};
use crate::release::Mark;
use crate::spec::{EdgeFile, EdgeFileKind};
use std::fmt;

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id.short()),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The container that an action is done to, where it must exist beforehand.
pub fn container_of(action: &Action) -> Option<&Ref> {
    match action {
        Action::Start { container, .. }
        | Action::SetRestart { container, .. }
        | Action::Load { container, .. }
        | Action::Gate { container, .. }
        | Action::Drain { container, .. }
        | Action::Unload { container, .. }
        | Action::Retire { container, .. }
        | Action::Remove { container, .. } => Some(container),
        Action::Switch { to, .. } => Some(to),
        Action::Suspend { from, .. } => Some(from),
        _ => None,
    }
}

/// One action in a few words.
pub fn describe(action: &Action) -> String {
    match action {
        Action::PrepareState { home, .. } => format!("keep state in {home}"),
        Action::CreateNetwork { name } => format!("create network {name}"),
        Action::BootProxy { settings } => format!("start the proxy ({})", settings.image),
        Action::ReplaceProxy { settings, .. } => format!("replace the proxy ({})", settings.image),
        Action::RemoveProxy { .. } => "remove the proxy".to_string(),
        Action::PutEdgeFiles { backend, files } => format!("put {} of {backend} there", edge_files(files)),
        Action::ForgetEdgeFiles { backend, files } => format!("remove the old {} of {backend}", edge_files(files)),
        Action::StandBy { settings, .. } => format!("make the proxy ready beside the other one ({})", settings.image),
        Action::StandDown { .. } => "remove the proxy that stood by".to_string(),
        Action::PointKamalProxy { targets, .. } => {
            let names: Vec<_> = targets.keys().map(String::as_str).collect();
            format!("point kamal-proxy's {} to what serves", names.join(", "))
        }
        Action::SwapProxy(swap) => format!("stop {} and start {} on its ports", swap.stop_name, swap.start_name),
        Action::Pull { tag, .. } => format!("pull {tag}"),
        Action::CopyImage { from, tag, .. } => format!("copy {tag} from {from}"),
        Action::Tag { tag, .. } => format!("tag {tag}"),
        Action::SetRoute { backend } => format!("route {}", backend.name),
        Action::RemoveRoute { backend } => format!("remove route {backend}"),
        Action::Create { container } => format!("create {}", container.name),
        Action::CreateLike { original, name } => format!("create {name} like {}", original.short()),
        Action::ShareAssets { incoming, outgoing, .. } => format!("share the assets of {outgoing} and {incoming}"),
        Action::Start { container, .. } => format!("start {container}"),
        Action::SetRestart { container, policy } => format!("restart policy {policy} for {container}"),
        Action::Load { container, .. } => format!("check {container} through the proxy"),
        Action::Gate { container, gate, deadline, .. } => match gate {
            Gate::Proxy { .. } => format!("wait until {container} is healthy (at most {deadline} s)"),
            Gate::Engine { .. } => format!("wait until {container} is ready (at most {deadline} s)"),
        },
        Action::Switch { role, to, .. } => format!("switch {role} to {to}"),
        Action::Suspend { role, from, .. } => format!("take {role} out of service ({from})"),
        Action::Drain { container, timeout, .. } => format!("drain {container} (at most {timeout} s)"),
        Action::Unload { container, .. } => format!("take {container} out of the proxy"),
        Action::Retire { container, stop_first: true, .. } => format!("stop {container} (it serves until then)"),
        Action::Retire { container, .. } => format!("stop {container}"),
        Action::Mark { name, mark, .. } => marked(name, mark),
        Action::Remove { name, reason, .. } => format!("remove {name} ({reason})"),
        Action::RemoveImage { reference, reason, .. } => format!("remove image {reference} ({reason})"),
    }
}

/// What is said of a release, in a few words.
pub fn marked(release: &str, mark: &Mark) -> String {
    match mark {
        Mark::Labelled { label: Some(label) } => format!("call {release} {label}"),
        Mark::Labelled { label: None } => format!("take the label of {release} away"),
        Mark::Pinned { .. } => format!("pin {release}"),
        Mark::Unpinned => format!("unpin {release}"),
        Mark::Removed => format!("note that {release} is removed"),
    }
}

/// `certificate`, `2 pages`, `certificate and 1 page`.
pub fn edge_files(files: &[EdgeFile]) -> String {
    let certificates = files.iter().any(|f| f.kind == EdgeFileKind::Certificate).then(|| "certificate".to_string());
    let pages = match files.iter().filter(|f| f.kind == EdgeFileKind::Page).count() {
        0 => None,
        1 => Some("page".to_string()),
        n => Some(format!("{n} pages")),
    };
    certificates.into_iter().chain(pages).collect::<Vec<_>>().join(" and ")
}
