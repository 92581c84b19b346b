//! The engine's failures, told apart.

use crate::effect::{EngineError, EngineErrorKind};
use bollard::errors::Error;

/// An error of bollard or of the connection, with what was asked.
pub(super) fn failed(what: &str, error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } => answered(what, status_code, &message),
        Error::DockerStreamError { error } => answered(what, 500, &error),
        Error::RequestTimeoutError => new(EngineErrorKind::Disconnected, what, "the engine does not answer"),
        Error::HyperLegacyError { .. } | Error::HyperResponseError { .. } | Error::IOError { .. } => {
            new(EngineErrorKind::Disconnected, what, &chain(&error))
        }
        other => new(EngineErrorKind::Other, what, &chain(&other)),
    }
}

/// An answer other than success. The engine reports many failures as 500 with a text.
pub(super) fn answered(what: &str, status: u16, message: &str) -> EngineError {
    let text = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    let kind = match status {
        _ if has(&["no space left on device"]) => EngineErrorKind::NoSpace,
        404 => EngineErrorKind::NotFound,
        409 => EngineErrorKind::Conflict,
        _ if has(&["port is already allocated", "address already in use", "is already in use"]) => {
            EngineErrorKind::Conflict
        }
        _ => EngineErrorKind::Other,
    };
    new(kind, what, message)
}

/// The same for calls in which the engine talks to a registry: 404 and 500 say little, the text says more.
pub(super) fn registry_failed(what: &str, error: Error) -> EngineError {
    let message = match &error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        _ => return failed(what, error),
    };
    match registry_kind(&message) {
        Some(kind) => new(kind, what, &message),
        None => failed(what, error),
    }
}

fn registry_kind(message: &str) -> Option<EngineErrorKind> {
    let text = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if has(&["no space left on device"]) {
        return Some(EngineErrorKind::NoSpace);
    }
    if has(&["manifest unknown", "name unknown", "manifest for ", "manifest not found", "no matching manifest"]) {
        return Some(EngineErrorKind::ImageNotFound);
    }
    let auth = [
        "unauthorized",
        "authentication required",
        "no basic auth credentials",
        "incorrect username or password",
        "access denied",
        "access to the resource is denied",
        "access forbidden",
        "403 forbidden",
    ];
    if has(&auth) {
        return Some(EngineErrorKind::RegistryAuth);
    }
    if has(&["not found"]) && !has(&["server not found"]) {
        return Some(EngineErrorKind::ImageNotFound);
    }
    let network = [
        "dial tcp",
        "no such host",
        "connection refused",
        "connection reset",
        "timeout",
        "deadline exceeded",
        "x509",
        "tls:",
        "http response to https",
        "unexpected http status",
        "received unexpected",
        "toomanyrequests",
        "unavailable",
        "eof",
    ];
    has(&network).then_some(EngineErrorKind::Registry)
}

pub(super) fn new(kind: EngineErrorKind, what: &str, message: &str) -> EngineError {
    let clean: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    EngineError { kind, message: format!("{what}: {}", clean.trim()) }
}

/// The message with its causes: hyper's own says only "client error (Connect)".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = e.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries() {
        for (message, kind) in [
            ("manifest for r:5000/app:x not found: manifest unknown: manifest unknown", EngineErrorKind::ImageNotFound),
            ("Get https://r/v2/app/manifests/x: no basic auth credentials", EngineErrorKind::RegistryAuth),
            (
                "pull access denied for app, repository does not exist or may require 'docker login'",
                EngineErrorKind::RegistryAuth,
            ),
            ("Get https://r/v2/: dial tcp 10.0.0.1:5000: connect: connection refused", EngineErrorKind::Registry),
            ("Get https://r/v2/: dial tcp: lookup r: no such host", EngineErrorKind::Registry),
            ("write /var/lib/docker/tmp/x: no space left on device", EngineErrorKind::NoSpace),
            ("errors: denied: requested access to the resource is denied unauthorized", EngineErrorKind::RegistryAuth),
        ] {
            assert_eq!(registry_kind(message), Some(kind), "{message}");
        }
        assert_eq!(registry_kind("something odd"), None);
    }

    #[test]
    fn ports_and_names_that_are_taken() {
        let port = answered("start", 500, "driver failed: Bind for 0.0.0.0:80 failed: port is already allocated");
        assert_eq!(port.kind, EngineErrorKind::Conflict);
        let name = answered("create", 409, "Conflict. The container name \"/x\" is already in use");
        assert_eq!((name.kind, name.message.starts_with("create: Conflict")), (EngineErrorKind::Conflict, true));
    }
}
