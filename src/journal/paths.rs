//! Where the state of a service and destination lives on a host.

use crate::name::{Destination, RunId, ServiceName};

/// The journal in a state directory.
pub fn journal_path(dir: &str) -> String {
    format!("{dir}/journal.jsonl")
}

/// The record of a release.
pub fn record_path(dir: &str, run: &RunId) -> String {
    format!("{dir}/releases/{run}.json")
}

/// Where a run's report is, deeper than what every command reads.
pub fn report_dir(dir: &str, run: &RunId) -> String {
    format!("{dir}/runs/{run}")
}

/// How a run went on that host, step by step.
pub fn report_path(dir: &str, run: &RunId) -> String {
    format!("{}/report.json", report_dir(dir, run))
}

/// The key of the secret prints, mode 0600.
pub fn key_path(dir: &str) -> String {
    format!("{dir}/key")
}

/// The lock taken by hand.
pub fn freeze_path(dir: &str) -> String {
    format!("{dir}/freeze")
}

/// Kamal's lock directory, relative to the login's home.
pub fn kamal_lock(service: &ServiceName, destination: Option<&Destination>) -> String {
    format!(".kamal/lock-{service}{}", destination.map(|d| format!("-{d}")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::StateHome;

    #[test]
    fn paths_of_a_service_with_and_without_a_destination() {
        let (service, staging) = ("app".parse().unwrap(), "staging".parse().unwrap());
        let home = StateHome { own: "/root/.windlass".to_string(), recorded: None, uid: 0 };
        let dir = home.of_service(&service, Some(&staging));
        assert_eq!(dir, "/root/.windlass/app/staging");
        assert_eq!(home.of_service(&service, None), "/root/.windlass/app/_");
        assert!("_".parse::<Destination>().is_err(), "a destination would share the state of none");
        let run = "01JGZ3V8Q4N5X6Y7Z8A9B0C1D2".parse().unwrap();
        assert_eq!(record_path(&dir, &run), "/root/.windlass/app/staging/releases/01JGZ3V8Q4N5X6Y7Z8A9B0C1D2.json");
        assert_eq!(kamal_lock(&service, None), ".kamal/lock-app");
        assert_eq!(kamal_lock(&service, Some(&staging)), ".kamal/lock-app-staging");
    }
}
