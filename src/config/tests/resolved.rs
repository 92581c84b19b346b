//! What a configuration comes to: types, defaults, and which verbs refuse because of it.

use crate::config::VerbKind::{self, Deploy, Rollback, Setup};
use crate::config::testing::{config, project, try_config};
use crate::config::{BootLimit, Config};
use std::path::Path;

/// The verbs that refuse because of a key, by the end of its path.
fn refusing(config: &Config, key: &str) -> Vec<VerbKind> {
    let mut found = config.not_acted_on.iter().filter(|n| n.key.ends_with(key));
    let verbs = found.next().unwrap_or_else(|| panic!("{key} in {:?}", config.not_acted_on)).verbs.clone();
    assert!(found.next().is_none(), "{key} is said once");
    verbs
}

#[test]
fn the_smallest_file() {
    let config = config("servers: [h1, deploy@h2:2222]\n");
    assert!(config.not_acted_on.is_empty() && config.notes.is_empty(), "{:?} {:?}", config.not_acted_on, config.notes);
    let reached: Vec<_> = config.hosts.values().map(|a| (a.user.as_deref(), a.address.as_str(), a.port)).collect();
    assert_eq!(reached, [(None, "h1", None), (Some("deploy"), "h2", Some(2222))]);
    let route = config.roles[0].spec.route.clone().unwrap();
    assert_eq!(
        (route.app_port, route.path_prefixes.as_slice(), route.check.path.as_str()),
        (80, ["/".to_string()].as_slice(), "/up")
    );
    assert!(route.forward_headers && route.strip_path_prefix);
    assert_eq!((config.proxy.http_port, config.retain.at_least), (80, 1));
}

#[test]
fn options_become_types() {
    let text = "servers:\n  web:\n    hosts: [h]\n    options: {memory: 512m, cpus: 1.5, publish: ['127.0.0.1:80:80', '53:53/udp'], add-host: 'a:host-gateway', restart: 'no', init: true, tty: false, health-cmd: 'curl x', health-interval: 5s, network-alias: [x, y], volume: 'dd:/d', label: a=b, log-opt: max-size=1m, stop-timeout: 9, tmpfs: '/run:size=1m'}\n";
    let spec = config(text).roles.remove(0).spec;
    let o = &spec.options;
    assert_eq!(
        (o.memory, o.nano_cpus, o.publish.len(), o.init, o.tty),
        (Some(512 << 20), Some(1_500_000_000), 2, Some(true), false)
    );
    assert_eq!(o.add_host, ["a:host-gateway"]);
    assert_eq!(o.health.as_ref().and_then(|h| h.interval_ms), Some(5000));
    assert_eq!(
        (spec.restart.to_string(), spec.stop_timeout, spec.volumes),
        ("no".into(), Some(9), vec!["dd:/d".to_string()])
    );
    assert_eq!((spec.labels["a"].as_str(), spec.logging.options["max-size"].as_str()), ("b", "1m"));
    assert_eq!(o.tmpfs["/run"], "size=1m");
}

#[test]
fn roles_proxies_env_and_tags() {
    let text = "env: {clear: {A: 1, N: false, F: 1.50}, secret: [S, 'T:U'], tags: {eu: {A: eu}, us: {A: us}}}\nproxy: {host: 'a.b, c.d', healthcheck: {path: /up}}\nservers:\n  web: [{h1: eu}, {h2: [us, nope]}]\n  api: {hosts: [h3], proxy: {app_port: 3000, healthcheck: {interval: 2}}, env: {A: 2}, cmd: bin/api --x 'y z'}\n  jobs: {hosts: [h3], cmd: bin/jobs}\n";
    let config = config(text);
    let names: Vec<_> = config.roles.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["web", "api", "jobs"]);
    let web = &config.roles[0];
    let env = web.spec.env_for(&web.hosts[1].tags);
    assert_eq!(
        (env.clear["A"].as_str(), env.clear["N"].as_str(), env.clear["F"].as_str(), env.secret["T"].as_str()),
        ("us", "false", "1.5", "U")
    );
    assert_eq!(web.hosts[1].tags, ["us", "nope"]);
    let api = &config.roles[1].spec;
    let route = api.route.as_ref().unwrap();
    assert_eq!((route.app_port, route.check.interval, route.check.path.as_str()), (3000, 2, "/up"));
    assert_eq!(route.hosts, ["a.b", "c.d"]);
    assert_eq!(api.command.as_deref(), Some(["bin/api", "--x", "y z"].map(String::from).as_slice()));
    assert_eq!((api.env.clear["A"].as_str(), api.env_tags.len()), ("2", 0));
    assert!(config.roles[2].spec.route.is_none());
    assert_eq!(config.secret_names(), ["S", "U"]);
}

#[test]
fn settings_of_the_root() {
    let text = "servers: [h]\nssh: {user: me, port: '23', keys: ['~/.ssh/k', keys/l], keys_only: true}\nboot: {limit: '25%', wait: 2}\nretain_containers: 4\nretain_age: 12h\nstop_timeout: 3\nhooks_path: my/hooks\nproxy: {run: {http_port: 8080, image: 'haproxy:3.0'}}\nlogging: {driver: local}\n";
    let config = config(text);
    assert!(config.hosts.values().all(|at| at.port == Some(23)));
    assert_eq!(config.ssh.keys[0], Path::new("/home/me/.ssh/k"));
    assert!(
        config.ssh.keys[1].is_absolute()
            && config.ssh.keys[1].ends_with("keys/l")
            && config.hooks_path.ends_with("my/hooks")
    );
    assert_eq!((config.boot.limit, config.boot.wait.as_secs()), (Some(BootLimit::Percent(25)), 2));
    assert_eq!((config.retain.at_least, config.retain.age.as_secs()), (4, 12 * 3600));
    let spec = &config.roles[0].spec;
    assert_eq!(
        (spec.stop_timeout, spec.logging.driver.as_deref(), spec.logging.options.len()),
        (Some(3), Some("local"), 0)
    );
    assert_eq!((config.proxy.image.as_str(), config.proxy.http_port), ("haproxy:3.0", 8080));
}

#[test]
fn x_windlass_lies_over_file_and_destination() {
    let base = "service: a\nimage: b\nservers: [h]\nproxy: {host: a.b, ssl: true}\nx-windlass: {proxy: {ssl: false}, deploy_timeout: 9}\n";
    let files = [
        ("config/deploy.yml", base),
        ("config/deploy.eu.yml", "deploy_timeout: 5\nservers: [i]\nx-windlass: {drain_timeout: 7}\n"),
    ];
    let config = project(&files, Some("eu")).unwrap();
    assert!(config.not_acted_on.is_empty());
    assert_eq!((config.deploy_timeout.as_secs(), config.drain_timeout.as_secs()), (9, 7));
    assert_eq!(config.roles[0].hosts[0].name.as_str(), "i");
}

#[test]
fn keys_that_are_not_acted_on_name_the_verbs_that_refuse() {
    let all = vec![Setup, Deploy, Rollback];
    for (text, key, verbs) in [
        ("servers: [h]\nproxy: {ssl: true, host: a.b}\n", "proxy/ssl", all.clone()),
        ("servers: {web: {hosts: [h], proxy: false}}\nerror_pages_path: public\n", "error_pages_path", vec![]),
        ("servers: [h]\naccessories: {db: {image: x, host: h}}\n", "accessories", vec![Setup]),
        ("servers: [h]\nbuilder: {arch: amd64}\n", "builder", vec![]),
        ("servers: [h]\nssh: {forward_agent: true}\n", "ssh/forward_agent", vec![]),
        ("servers: [h]\nsshkit: {pool_idle_timeout: 9}\n", "sshkit/pool_idle_timeout", vec![]),
        ("servers: {web: {hosts: [h], options: {env-file: a}}}\n", "web/options/env-file", vec![Setup, Deploy]),
        ("servers: {web: {hosts: [h], options: {network: host}}}\n", "web/options/network", vec![Setup, Deploy]),
        ("servers: {web: {hosts: [h], options: {detach: true}}}\n", "web/options/detach", vec![]),
        ("servers: [h]\nvolumes: ['$PWD/a:/b; ls']\n", "volumes/0", vec![Setup, Deploy, Rollback]),
        ("servers: {web: {hosts: [h], options: {user: '${U}'}}}\n", "options/user", vec![Setup, Deploy]),
        ("servers: {web: {hosts: [h], cmd: 'a && b'}}\n", "web/cmd", vec![Setup, Deploy]),
        ("servers: [h]\nlabels: {service: x}\n", "labels/service", vec![Setup, Deploy]),
        ("servers: [h]\nregistry: {server: 'localhost:5000'}\n", "registry/server", vec![Setup, Deploy]),
        ("servers: {web: [h], api: {hosts: [h], proxy: true}}\n", "servers/web/proxy", all.clone()),
        ("servers: [h]\nproxy: {buffering: {max_request_body: 1}}\n", "max_request_body", vec![]),
        ("servers: [h]\nproxy: {buffering: {memory: 1}}\n", "memory", vec![]),
    ] {
        assert_eq!(refusing(&config(text), key), verbs, "{text}");
    }
    let config = config("servers: [h]\nproxy: {host: a.b, ssl: true}\n");
    assert_eq!(config.not_acted_on[0].location, "config/deploy.yml:2");
}

#[test]
fn a_certificate_of_ones_own_is_two_names_of_secrets() {
    let config = config(
        "servers: [h, i]\nproxy: {host: a.b, ssl: {certificate_pem: CERT, private_key_pem: KEY}, ssl_redirect: false}\n",
    );
    assert!(config.not_acted_on.is_empty(), "{:?}", config.not_acted_on);
    let route = config.roles[0].spec.route.as_ref().unwrap();
    let tls = route.tls.as_ref().unwrap();
    assert_eq!((tls.certificate_pem.as_str(), tls.private_key_pem.as_str(), tls.redirect), ("CERT", "KEY", false));
    assert!(!route.forward_headers, "with TLS nobody in front of the proxy is believed");
    assert_eq!(config.secret_names(), ["CERT", "KEY"]);
}

#[test]
fn how_the_proxy_runs() {
    let run = "{bind_ips: [10.0.0.5, '[::1]', 10.0.0.5], http_port: 8080, metrics_port: 9101, log_max_size: '', \
               options: {memory: 512m, ulimit: 'nofile=1000'}}";
    let config = config(&format!("servers: [h]\nproxy: {{host: '*.a.b', run: {run}}}\nerror_pages_path: public\n"));
    assert!(config.not_acted_on.is_empty(), "{:?}", config.not_acted_on);
    let options = &config.proxy.options;
    assert_eq!(options.bind_ips, ["10.0.0.5".parse::<std::net::IpAddr>().unwrap(), "::1".parse().unwrap()]);
    assert_eq!((config.proxy.http_port, config.proxy.https_port, options.metrics_port), (8080, 443, Some(9101)));
    assert_eq!((options.log_max_size.as_deref(), options.container.memory), (None, Some(512 << 20)));
    assert!(config.error_pages.unwrap().ends_with("public"));
    for (run, expected) in [
        ("{bind_ips: [localhost]}", "proxy/run/bind_ips/0: should be an IP address"),
        ("{metrics_port: 443}", "metrics_port should be another port"),
        ("{log_max_size: lots}", "proxy/run/log_max_size: should be a size"),
        ("{options: {user: root}}", "docker's flag --user cannot be set for the proxy"),
        ("{options: {log-opt: a=b}}", "the proxy's log is the engine's default one"),
        ("{options: {memori: 1}}", "docker has no flag --memori (options of the proxy)"),
    ] {
        let error = try_config(&format!("servers: [h]\nproxy: {{run: {run}}}\n")).unwrap_err().to_string();
        assert!(error.contains(expected), "{run}: {error}");
    }
}

#[test]
fn bodies_may_be_limited_and_0_is_without_a_limit() {
    let limits = |text: &str| {
        let config = config(&format!("servers: [h]\nproxy: {{buffering: {{{text}}}}}\n"));
        config.roles[0].spec.route.as_ref().unwrap().limits
    };
    let both = limits("max_request_body: 10_000, max_response_body: 20");
    assert_eq!((both.request, both.response), (Some(10_000), Some(20)));
    assert!(limits("max_request_body: 0, memory: 5").is_none());
}

#[test]
fn what_is_odd_but_harmless_is_noted() {
    let config = config("servers: [h, h]\nservice: app\nservice: app2\n");
    insta::assert_snapshot!(config.notes.join("\n"), @r"
        config/deploy.yml:3: the key `service` is already on line 2; the later one (line 3) wins (remove one of them)
        config/deploy.yml:1: servers/1: the host h is listed twice in the role web; it counts once (remove one of them)
        ");
    assert_eq!(config.roles[0].hosts.len(), 1);
}

#[test]
fn the_template_of_init_is_right() {
    let files = [
        ("config/deploy.yml", include_str!("../../../templates/deploy.yml")),
        (".windlass/secrets", include_str!("../../../templates/secrets")),
    ];
    let config = project(&files, None).unwrap();
    assert_eq!(config.secret_names(), ["REGISTRY_PASSWORD"]);
    assert_eq!(config.not_acted_on.len(), 1, "builder only: {:?}", config.not_acted_on);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("s"), include_str!("../../../templates/secrets")).unwrap();
    let env = |name: &str| (name == "REGISTRY_PASSWORD").then(|| "p".to_string());
    let secrets = crate::config::Secrets::load(&[dir.path().join("s")], dir.path(), &env).unwrap();
    assert!(secrets.check(config.secret_names()).is_ok() && secrets.warnings.is_empty());
}

#[test]
fn accessories_only() {
    let config = try_config("accessories: {db: {image: x, host: h}}\n").unwrap();
    assert!(config.roles.is_empty() && config.hosts.is_empty());
    assert_eq!(config.accessory_hosts.len(), 1);
}

#[test]
fn assets_are_of_proxied_roles_and_a_roles_own_wins() {
    let of = |text: &str| {
        let config = config(text);
        let named = config.roles.iter().map(|r| (r.name.to_string(), r.spec.asset_path.clone()));
        named.collect::<std::collections::BTreeMap<_, _>>()
    };
    let roles = of(
        "servers: {web: {hosts: [h]}, api: {hosts: [i], proxy: {host: a.b}, asset_path: '/api/public/'}, jobs: [j]}\nasset_path: /public/assets:ro,z\n",
    );
    assert_eq!(roles["web"].as_deref(), Some("/public/assets"), "the mount's options are Kamal's");
    assert_eq!(roles["api"].as_deref(), Some("/api/public"));
    assert_eq!(roles["jobs"], None, "no proxy, no assets");
    for wrong in ["public/assets", "/", "/public/../etc"] {
        let message = try_config(&format!("servers: [h]\nasset_path: {wrong}\n")).expect_err(wrong).to_string();
        assert!(message.contains("asset_path: should be an absolute path inside the image"), "{wrong}: {message}");
    }
}

/// The file that Rails writes for a new application, shortened of its comments.
#[test]
fn the_file_of_a_new_rails_application() {
    let text = "service: my_app\nimage: my-user/my_app\nservers:\n  web:\n    - 192.168.0.1\nproxy:\n  ssl: true\n  host: app.example.com\nregistry:\n  username: my-user\n  password:\n    - KAMAL_REGISTRY_PASSWORD\nenv:\n  secret:\n    - RAILS_MASTER_KEY\n  clear:\n    SOLID_QUEUE_IN_PUMA: true\naliases:\n  console: app exec --interactive --reuse \"bin/rails console\"\nvolumes:\n  - \"my_app_storage:/rails/storage\"\nasset_path: /rails/public/assets\nbuilder:\n  arch: amd64\n";
    let files = [("config/deploy.yml", text), (".kamal/secrets", "KAMAL_REGISTRY_PASSWORD=$KAMAL_REGISTRY_PASSWORD\n")];
    let config = project(&files, None).unwrap();
    assert_eq!(config.secret_names(), ["KAMAL_REGISTRY_PASSWORD", "RAILS_MASTER_KEY"]);
    assert_eq!(config.roles[0].spec.env.clear["SOLID_QUEUE_IN_PUMA"], "true");
    assert!(config.secrets_files[0].ends_with(".kamal/secrets"));
    let stops_deploy = config.not_acted_on.iter().filter(|n| n.verbs.contains(&Deploy));
    let keys: Vec<_> = stops_deploy.map(|n| n.key.as_str()).collect();
    assert_eq!(keys, ["proxy/ssl"]);
}

#[test]
fn words_that_hosts_expand_are_asked_for() {
    let config = config(
        "servers: [h]\nenv: {A: 'x-${B}', C: '$D'}\nlabels: {l: '${E}'}\nvolumes: ['$(pwd)/a:/b', ./c:/d, ee:/f]\n",
    );
    assert!(config.not_acted_on.is_empty(), "{:?}", config.not_acted_on);
    let sources: Vec<_> = config.shell_sources().into_iter().collect();
    assert_eq!(sources, ["\"$PWD\"/./c:/d", "\"${E}\"", "\"x-${B}\"", "$(pwd)/a:/b"]);
}

/// The way round a key that is not acted on, without touching what Kamal reads.
#[test]
fn null_below_x_windlass_takes_a_key_out() {
    let base = "service: a\nimage: b\nservers: {web: {hosts: [h], asset_path: /x, options: {env-file: a, init: true}}}\nasset_path: /a\naccessories: {db: {image: x, host: h}}\n";
    let own = "x-windlass: {asset_path: ~, accessories: ~, error_pages_path: ~, servers: {web: {asset_path: null, options: {env-file: }}}}\n";
    let config = project(&[("config/deploy.yml", &(base.to_string() + own))], None).unwrap();
    assert!(config.not_acted_on.is_empty(), "{:?}", config.not_acted_on);
    assert_eq!(config.roles[0].spec.options.init, Some(true));
}
