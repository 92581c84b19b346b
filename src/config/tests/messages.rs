//! What is said about each kind of mistake. Kamal's wording is kept where it has one.

use crate::config::testing::{project, try_config};

fn said(text: &str) -> String {
    try_config(text).expect_err("the configuration is wrong").to_string()
}

fn contains(text: &str, message: &str) {
    let said = said(text);
    assert!(said.contains(message), "expected: {message}\nsaid:\n{said}");
}

#[test]
fn all_problems_are_said_at_once_in_the_order_of_the_file() {
    let text = "service: my app\nimage: team/app\nsevrers: [h]\nservers:\n  web:\n    hosts: [h]\n    optoins: {}\n    options: {memroy: 1g}\nproxy:\n  app_port: \"3000\"\nssh:\n  port: twenty\n";
    insta::assert_snapshot!(said(text), @r"
        config/deploy.yml:1: service: Service name can only include alphanumeric characters, hyphens, and underscores
          write a text such as my-app
        config/deploy.yml:3: unknown key: sevrers
          did you mean `servers`?
        config/deploy.yml:7: servers/web: unknown key: optoins
          did you mean `options`?
        config/deploy.yml:8: servers/web/options/memroy: docker has no flag --memroy (options of role web)
          did you mean `memory`?
        config/deploy.yml:10: proxy/app_port: should be an integer
          remove the quotes
        config/deploy.yml:12: ssh/port: should be an integer
          it is a string: write a whole number without quotes
        ");
}

#[test]
fn types() {
    insta::assert_snapshot!(said("servers: [h]\ndeploy_timeout: 3.0\nvolumes: a:/b\nlabels: {a: }\nssh: yes\nrequire_destination: 'no'\nenv: {D: 2024-01-01}\n"), @r"
        config/deploy.yml:2: deploy_timeout: should be an integer
          it is a number: write a whole number without quotes
        config/deploy.yml:3: volumes: should be an array
          it is a string: write a list, each value after `- ` on a line of its own
        config/deploy.yml:4: labels/a: should be a string
          it has no value: give it one or remove the key
        config/deploy.yml:5: ssh: should be a hash
          it is a boolean: write keys with values, each on a line of its own below it
        config/deploy.yml:6: require_destination: should be a boolean
          it is a string: write true or false
        config/deploy.yml:7: env/D: should be a string
          YAML reads it as a date: put it in quotes
        ");
}

#[test]
fn files() {
    let said = |files: &[(&str, &str)], d: Option<&str>| {
        let text = project(files, d).unwrap_err().to_string();
        let dir = text.find("/tmp").map(|at| text[at..].split("/config").next().unwrap_or_default().to_string());
        dir.map_or(text.clone(), |dir| text.replace(&dir, "<root>"))
    };
    let good = "service: a\nimage: b\nservers: [h]\n";
    insta::assert_snapshot!(said(&[], None), @r"
        config/deploy.yml: Configuration file not found in <root>/config/deploy.yml
          `windlass init` writes an example
        ");
    insta::assert_snapshot!(said(&[("config/deploy.yml", good), ("config/deploy.eu.yml", "")], Some("us")), @r"
        config/deploy.us.yml: Configuration file not found in <root>/config/deploy.us.yml
          destinations: eu (-d NAME)
        ");
    insta::assert_snapshot!(said(&[("config/deploy.yml", good), ("config/deploy.eu.yml", "a: [")], Some("eu")), @r"
        config/deploy.eu.yml:1: is not valid YAML: while parsing a node, did not find expected node content
          check the indentation and quotes of this line and the line above: keys of one level begin in the same column
        ");
    insta::assert_snapshot!(said(&[("config/deploy.yml", "require_destination: true\n"), ("config/deploy.eu.yml", "")], None), @r"
        config/deploy.yml:1: You must specify a destination
          destinations: eu (-d NAME)
        ");
    insta::assert_snapshot!(said(&[("config/deploy.yml", "# nothing\n")], None), @r"
        config/deploy.yml: is empty
          `windlass init` writes an example
        ");
    insta::assert_snapshot!(said(&[("config/deploy.yml", "- a\n- b\n")], None), @r"
        config/deploy.yml:1: should be a hash at the top level: it is a list
          begin with `service: my-app`
        ");
    insta::assert_snapshot!(said(&[("config/deploy.yml", good)], Some("../x")), @r"
        -d: `../x` is not a valid destination: expected letters, digits, hyphens, underscores and dots, starting with a letter or digit
          a destination is the D of deploy.D.yml
        ");
    insta::assert_snapshot!(said(&[("config/deploy.yml", "x-windlass: 1\n")], None), @r"
        config/deploy.yml:1: x-windlass: should be a hash
          give it keys, or remove it
        ");
}

#[test]
fn a_problem_in_the_destination_names_its_file() {
    let files = [
        ("config/deploy.yml", "service: a\nimage: b\nservers: [h]\n"),
        ("config/deploy.eu.yml", "\nssh:\n  port: 0\n"),
    ];
    let said = project(&files, Some("eu")).unwrap_err().to_string();
    assert_eq!(said, "config/deploy.eu.yml:3: ssh/port: should be an integer from 1 to 65535");
}

#[test]
fn kamals_conditions_with_kamals_wording() {
    for (text, message) in [
        ("servers: [h]\nfoo: 1\n", "unknown key: foo"),
        ("servers: [h]\nregistry: {server: r.io}\n", "registry/username: is required"),
        (
            "servers: [h]\nregistry: {username: u, password: [A, B]}\n",
            "registry/password: should be a string or an array with one string (for secret lookup)",
        ),
        (
            "servers: [h]\nregistry: {username: u, password: 12}\n",
            "registry/password: should be a string or an array with one string (for secret lookup)",
        ),
        ("servers: [h]\nbuilder: {context: .}\n", "builder: Builder arch not set"),
        ("servers: [h]\nbuilder: {arch: }\n", "builder/arch: should be an array or a string"),
        ("servers: [h]\nbuilder: {arch: amd64, cache: {type: s3}}\n", "builder: Invalid cache type: s3"),
        (
            "servers: [h]\nbuilder: {arch: [a, b], pack: {builder: x}}\n",
            "builder: buildpacks only support building for one arch",
        ),
        ("servers: [h]\nbuilder: {arch: a, local: false}\n", "builder: Cannot disable local builds, no remote is set"),
        ("servers:\n", "servers: should be an array or a hash"),
        ("servers: web\n", "servers: should be an array or a hash"),
        ("env: {}\n", "No servers or accessories specified"),
        (
            "service: a b\nservers: [h]\n",
            "Service name can only include alphanumeric characters, hyphens, and underscores",
        ),
        (
            "service: 12\nservers: [h]\n",
            "Service name can only include alphanumeric characters, hyphens, and underscores",
        ),
        ("service: \"a\\nb c\"\nservers: [h]\n", "Service name can only include"),
        ("servers: {jobs: [h]}\n", "The primary_role web isn't defined"),
        ("servers: {web: [], jobs: [h]}\n", "No servers specified for the web primary_role"),
        (
            "servers: {web: [h], jobs: []}\n",
            "No servers specified for the jobs role. You can ignore this with allow_empty_roles: true",
        ),
        ("servers: {web: [{a: x, b: y}]}\n", "servers/web/0: multiple hosts found"),
        ("servers: {web: {hosts: [h], env: {tags: {}}}}\n", "servers/web/env: tags are only allowed in the root env"),
        ("servers: [h]\nenv: {clear: {A: b}, B: c}\n", "env: unknown key: B"),
        (
            "servers: {web: {hosts: [h], options: {restart: no}}}\n",
            "servers/web/options/restart: should be a string. Use \"no\" to disable restarts",
        ),
        (
            "servers: {web: {hosts: [h], options: {restart: maybe}}}\n",
            "should be no, always, unless-stopped, on-failure, or on-failure:N",
        ),
        (
            "servers: {web: {hosts: [h], labels: {role: x}}}\n",
            "servers/web/labels/role: invalid label. destination, role, and service are reserved labels",
        ),
        ("servers: [h]\nproxy: true\n", "proxy: should be a hash"),
        ("servers: [h]\nproxy:\n", "proxy: should be a hash"),
        ("servers: [h]\nproxy: {ssl: true}\n", "proxy: Must set a host to enable automatic SSL"),
        (
            "servers: {web: {hosts: [h], proxy: {ssl: true}}}\nproxy: {host: a.b}\n",
            "servers/web/proxy: Must set a host to enable automatic SSL",
        ),
        ("servers: [h]\nproxy: {host: a, hosts: [b]}\n", "proxy: Specify one of 'host' or 'hosts', not both"),
        (
            "servers: [h]\nproxy: {ssl: {certificate_pem: A}}\n",
            "proxy: Missing private_key_pem setting (required when certificate_pem is present)",
        ),
        (
            "servers: [h]\nproxy: {ssl: {private_key_pem: A}}\n",
            "proxy: Missing certificate_pem setting (required when private_key_pem is present)",
        ),
        (
            "servers: [h]\nproxy: {run: {publish: false, http_port: 81}}\n",
            "Cannot set http_port, https_port or bind_ips when publish is false",
        ),
        (
            "servers: [h, i]\nproxy: {ssl: true, host: a.b}\n",
            "SSL is only supported on a single server unless you provide custom certificates, found 2 servers for role web",
        ),
        (
            "servers: {web: [h], api: {hosts: [i], proxy: true}}\nproxy: {ssl: true, host: a.b}\n",
            "Different roles can't share the same host for SSL: a.b",
        ),
        (
            "servers: [h]\naccessories: {db: {image: x, host: h, role: web}}\n",
            "accessories/db: specify one of `host`, `hosts`, `role`, `roles`, `tag` or `tags`",
        ),
        ("servers: {web: [h]}\naccessories: {db: {image: x, role: zz}}\n", "accessories/db: unknown role zz"),
        (
            "servers: {web: [h]}\naccessories: {db: {image: x, roles: [zz, yy]}}\n",
            "accessories/db: unknown roles zz, yy",
        ),
        (
            "servers: [h]\naliases: {Foo: x}\n",
            "aliases/Foo: Invalid alias name: 'Foo'. Must only contain lowercase letters, alphanumeric, hyphens and underscores.",
        ),
        ("servers: [h]\naliases: {deploy: x}\n", "aliases/deploy: Alias 'deploy' conflicts with a built-in command."),
        (
            "servers: [h]\nhooks_output: {pre-deploy: loud}\n",
            "Invalid hooks_output 'loud' for hook 'pre-deploy', must be one of: quiet, verbose",
        ),
        ("servers: [h]\nhooks_output: loud\n", "Invalid hooks_output 'loud', must be one of: quiet, verbose"),
        ("servers: [h]\nretain_containers: 0\n", "Must retain at least 1 container"),
    ] {
        contains(text, message);
    }
    let no_image = project(&[("config/deploy.yml", "servers: [h]\n")], None).unwrap_err().to_string();
    assert!(
        no_image.contains("Missing required configuration for service")
            && no_image.contains("Missing required configuration for image")
    );
}

#[test]
fn what_kamal_lets_pass_or_drops_is_said() {
    for (text, message) in [
        ("servers: [12]\n", "servers/0: should be a string or a hash: it is a number"),
        ("servers: ['a b']\n", "`a b` is not a valid host"),
        ("servers: {web: [deploy@h], jobs: [h]}\n", "the host h is written with different logins"),
        ("servers: [h]\nimage: team/app:v1\n", "leave out the tag"),
        ("servers: [h]\ntraefik: {}\n", "this is a key of Kamal 1"),
        ("servers: [h]\nboot: {limit: '3'}\n", "should be a number of hosts or a percentage"),
        ("servers: [h]\nproxy: {healthcheck: {path: up}}\n", "should be a path beginning with /"),
        ("servers: [h]\nproxy: {host: 'http://a'}\n", "is not a host name"),
        ("servers: [h]\nvolumes: ['a/data:/data']\n", "volumes/0: should be source:target[:options]"),
        (
            "servers: {web: {hosts: [h], options: {publish: 22:22}}}\n",
            "YAML reads a:b as a number of base 60: put it in quotes",
        ),
        ("servers: {web: {hosts: [h], options: {memroy: 1g}}}\n", "did you mean `memory`?"),
        ("servers: {web: {hosts: [h], options: {memory: 512}}}\n", "memory should be at least 6m"),
        ("servers: {web: {hosts: [h], options: {add-host: x}}}\n", "should be name:address"),
        ("servers: {web: {hosts: [h], cmd: \"a 'b\"}}\n", "a quote is not closed"),
        ("servers: [h]\nretain_age: soon\n", "should be a duration"),
        ("servers: {web: {hosts: [h], labels: {windlass.x: y}}}\n", "windlass.* are reserved labels"),
        ("servers: {'a b': [h]}\n", "is not a valid role name"),
    ] {
        contains(text, message);
    }
}

#[test]
fn old_hooks_are_refused() {
    let good = "service: a\nimage: b\nservers: [h]\n";
    let said = project(&[("config/deploy.yml", good), (".kamal/hooks/pre-traefik-reboot", "")], None).unwrap_err();
    assert!(said.to_string().contains("Found pre-traefik-reboot, these should be renamed to (pre|post)-proxy-reboot"));
}
