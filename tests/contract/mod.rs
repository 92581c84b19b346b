//! One suite that every implementation of the effect traits has to pass: the simulator and real hosts alike.
//!
//! `suite!` turns each case into a test of its own over a fresh [`World`]. Waiting is always for a condition, with a
//! deadline: virtual time in the simulator, real time elsewhere.

// Each implementation is a test binary of its own and uses the parts of the suite that it needs.
#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod containers;
pub(crate) mod files;
pub(crate) mod images;
pub(crate) mod leases;
pub(crate) mod processes;
pub(crate) mod proxy;
pub(crate) mod things;

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;
use windlass::effect::{EngineError, EngineErrorKind, NewContainer, Node, ProxySettings, RegistryLogin};
use windlass::fleet::Container;
use windlass::name::{ContainerId, ImageRef};
use windlass::secret::Secret;
use windlass::spec::{ContainerOptions, Logging, RestartPolicy};

/// The network of all containers of the suite: Kamal's, where the proxy is.
pub(crate) const NETWORK: &str = "kamal";
/// How long a condition may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a case runs on: one host with an engine, and a registry that holds three images.
#[async_trait]
pub(crate) trait World: Send + Sync {
    /// Connects to the host; each call is another connection.
    async fn node(&self) -> Node;
    /// Becomes healthy on port 80 within seconds.
    fn healthy_image(&self) -> ImageRef;
    /// Runs and answers 503 on port 80.
    fn unhealthy_image(&self) -> ImageRef;
    /// Prints a line and exits within seconds.
    fn crashing_image(&self) -> ImageRef;
    /// Its exit code, and the line, which is the last that it prints.
    fn crash(&self) -> (i64, &'static str);
    /// A tag that the registry does not have, of a repository that it has.
    fn missing_image(&self) -> ImageRef;
    /// The registry's credentials.
    fn login(&self) -> Option<RegistryLogin>;
    /// How the host's proxy is to run.
    fn proxy_settings(&self) -> ProxySettings;
    /// An absolute path under which the suite may make directories; its parent exists.
    fn scratch(&self) -> String;
    /// The state of a container as somebody sees it who does not use the traits: `created`, `running`, `restarting` or
    /// `exited`; `None` if there is no such container.
    async fn seen_from_outside(&self, name: &str) -> Option<String>;
    /// The mode of a file, seen in the same way.
    async fn mode_from_outside(&self, path: &str) -> Option<u32>;
    /// The name of this test's things: letters and digits, and unlike any other test's.
    fn name(&self) -> String;
}

/// Waits for a condition.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let give_up = tokio::time::Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < give_up, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asserts which kind of engine error a call ended with.
#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(result: Result<T, EngineError>, kind: EngineErrorKind) {
    match result {
        Err(error) => assert_eq!(error.kind, kind, "{error}"),
        Ok(value) => panic!("expected {kind:?}, got {value:?}"),
    }
}

/// Pulls an image by its digest and tags it, as a deploy does. The answer is `repository:tag`.
pub(crate) async fn pulled(world: &dyn World, node: &Node, image: &ImageRef) -> String {
    let login = world.login();
    let resolved = node.engine.resolve(image, login.as_ref()).await.expect("the registry has the image");
    let by_digest = ImageRef { tag: None, digest: Some(resolved.digest), ..image.clone() };
    let (progress, _heard) = tokio::sync::mpsc::unbounded_channel();
    node.engine.pull(&by_digest, login.as_ref(), progress).await.expect("the image can be pulled");
    node.engine.tag(&by_digest.to_string(), image).await.expect("a pulled image can be tagged");
    image.to_string()
}

/// A container of an image that is on the host.
pub(crate) fn plan(name: &str, image: &str) -> NewContainer {
    NewContainer {
        name: name.to_string(),
        image: image.to_string(),
        hostname: None,
        command: None,
        env: [("CLEAR".to_string(), Secret::new("one two".to_string()))].into(),
        labels: BTreeMap::from([("service".to_string(), "contract".to_string())]),
        network: NETWORK.to_string(),
        volumes: Vec::new(),
        options: ContainerOptions::default(),
        logging: Logging::default(),
        restart: RestartPolicy::No,
        stop_timeout: Some(1),
        one_off: false,
    }
}

/// A created container of an image, and its name.
pub(crate) async fn created(world: &dyn World, node: &Node, image: &ImageRef) -> (ContainerId, String) {
    node.engine.create_network(NETWORK).await.expect("a network can be made");
    let reference = pulled(world, node, image).await;
    let name = world.name();
    let id = node.engine.create(&plan(&name, &reference)).await.expect("a container can be created");
    (id, name)
}

/// Inspects a container that exists.
pub(crate) async fn inspect(node: &Node, id: &ContainerId) -> Container {
    node.engine.inspect(id).await.expect("the container can be inspected")
}

/// All cases as tests: `suite!(#[attribute of a test], an expression that makes a World)`.
#[macro_export]
macro_rules! suite {
    ($attribute:meta, $world:expr) => {
        $crate::suite!(@each $attribute, $world, containers:
            states_follow_from_calls, further_networks_are_joined, start_and_stop_are_idempotent, remove_refuses_a_running_one,
            a_name_is_taken_once, the_restart_policy_can_be_changed, a_missing_container_is_not_found,
            a_crash_leaves_its_exit_code, the_environment_comes_back, logs_have_a_tail_and_an_end,
            create_like_makes_an_equal, files_go_in_and_out,
            an_anonymous_volume_is_one_containers_own, a_published_port_is_asked_on_the_host,
            a_taken_port_leaves_it_created, an_address_lasts_while_it_runs);
        $crate::suite!(@each $attribute, $world, processes:
            a_command_runs_in_a_container, a_command_reads_its_input, a_terminal_joins_the_streams,
            a_container_that_does_not_run_runs_no_command, a_one_off_container_ends_and_is_gone,
            a_command_runs_on_the_host);
        $crate::suite!(@each $attribute, $world, images:
            a_pulled_image_has_a_digest_and_no_tag, a_tag_can_be_given_and_taken,
            an_image_in_use_stays, a_missing_tag_is_image_not_found, a_host_without_the_image_says_so,
            a_saved_image_can_be_loaded, an_image_that_is_not_there_cannot_be_saved,
            a_load_whose_source_fails_is_an_error);
        $crate::suite!(@each $attribute, $world, things:
            a_network_is_made_once, a_volume_keeps_its_labels, the_engine_tells_its_version, the_host_tells_about_itself);
        $crate::suite!(@each $attribute, $world, files:
    a_missing_directory_is_empty, write_replaces_and_sets_the_mode, append_adds_lines, many_small_files_are_all_read, words_are_expanded,
            append_ends_a_torn_line_first, remove_tolerates_a_missing_file, two_levels_are_read);
        $crate::suite!(@each $attribute, $world, leases:
            a_lease_is_exclusive_and_names_its_holder, a_released_lease_can_be_taken, a_dropped_lease_becomes_free,
            leases_of_two_directories_are_two, kamals_lock_is_held_along);
        $crate::suite!(@each $attribute, $world, proxy:
            no_proxy_is_an_empty_state, boot_and_set_route_are_idempotent, a_healthy_container_passes_the_gate,
            an_unhealthy_one_does_not, a_crashing_one_does_not, switch_moves_and_refuses_what_moved,
            a_suspended_route_serves_nobody_and_comes_back,
            the_old_one_drains_and_unloads, a_slot_forgets_its_previous_occupant, a_removed_route_is_gone,
            a_removed_route_can_still_be_asked_what_is_in_flight,

            an_edge_needs_its_files_and_survives_what_follows, https_needs_a_certificate,
            a_replaced_proxy_routes_as_before, a_removed_proxy_comes_back_or_forgets,
            a_proxy_stands_by_and_routes_from_its_start, what_is_unhealthy_fails_the_trial);
    };
    (@each $attribute:meta, $world:expr, $group:ident: $($case:ident),* $(,)?) => {
        mod $group {
            $(
                #[$attribute]
                async fn $case() {
                    let world = $world;
                    $crate::contract::$group::$case(&world).await;
                }
            )*
        }
    };
}
