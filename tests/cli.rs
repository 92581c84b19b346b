//! The binary as a user meets it without any host: help, mistakes, and the exit codes that need no fleet.

use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Runs windlass in a directory that is also its home, with an environment of its own.
fn windlass(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().expect("the binary runs")
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.args(arguments).current_dir(dir).env_clear();
    command.env("HOME", dir).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Exit code, standard output and standard error in one text.
fn shown(output: &Output, dir: &Path) -> String {
    let clean = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&dir.display().to_string(), "[dir]");
    let mut text = format!("exit {}\n", output.status.code().map_or_else(|| "signal".to_string(), |c| c.to_string()));
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            text += &format!("--- {name}\n{}", clean(bytes));
        }
    }
    text.replace(env!("CARGO_PKG_VERSION"), "[version]")
}

fn empty() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// A project with this configuration.
fn project(deploy_yml: &str) -> TempDir {
    let dir = empty();
    std::fs::create_dir(dir.path().join("config")).expect("config/");
    std::fs::write(dir.path().join("config/deploy.yml"), deploy_yml).expect("config/deploy.yml");
    dir
}

/// Nothing listens on port 1 of this machine: a host that refuses at once.
const REFUSING: &str =
    "service: shop\nimage: shop\nservers:\n  - 127.0.0.1\nssh:\n  port: 1\nbuilder:\n  arch: amd64\n";

fn run(arguments: &[&str]) -> String {
    let dir = empty();
    shown(&windlass(dir.path(), arguments), dir.path())
}

fn run_in(deploy_yml: &str, arguments: &[&str]) -> String {
    let dir = project(deploy_yml);
    shown(&windlass(dir.path(), arguments), dir.path())
}

#[test]
fn every_command_explains_itself_with_examples() {
    let commands = [
        "",
        "init",
        "setup",
        "deploy",
        "rollback",
        "restart",
        "releases",
        "releases show",
        "releases diff",
        "releases label",
        "releases pin",
        "releases unpin",
        "releases rm",
        "status",
        "prune",
        "config",
        "lock",
        "lock status",
        "lock acquire",
        "lock release",
        "app",
        "app containers",
        "app details",
        "app logs",
        "app maintenance",
        "app live",
        "proxy",
        "proxy boot",
        "proxy reboot",
        "proxy upgrade",
        "proxy certs",
        "proxy details",
        "proxy logs",
        "proxy remove",
        "app exec",
        "app start",
        "app stop",
        "app images",
        "app version",
        "app stale_containers",
        "server",
        "server exec",
        "server bootstrap",
        "details",
        "audit",
        "docs",
        "completions",
        "man",
        "version",
    ];
    for name in commands {
        let words: Vec<&str> = name.split_whitespace().chain(["--help"]).collect();
        let text = run(&words);
        assert!(text.starts_with("exit 0\n--- stdout\n"), "{name}: {text}");
        assert!(text.contains("Examples:"), "{name}: {text}");
        let file = if name.is_empty() { "help".to_string() } else { format!("help {name}").replace(' ', "_") };
        insta::assert_snapshot!(file, text);
    }
}

#[test]
fn cron_files_are_written_once_and_name_this_project() {
    let dir = project(REFUSING);
    let first = shown(&windlass(dir.path(), &["init", "--cron"]), dir.path());
    assert!(first.starts_with("exit 0\n") && first.contains("wrote config/cron/windlass-prune.crontab"), "{first}");
    let read = |name: &str| std::fs::read_to_string(dir.path().join("config/cron").join(name)).expect("a cron file");
    let here = dir.path().canonicalize().expect("a directory");
    assert!(read("windlass-prune.crontab").contains(&format!("cd {} && ", here.display())));
    assert!(read("windlass-prune.service").contains(&format!("WorkingDirectory={}", here.display())));
    assert!(read("windlass-prune.timer").contains("Persistent=true"));
    assert!(!dir.path().join(".windlass").exists(), "nothing but the cron files");
    let again = shown(&windlass(dir.path(), &["init", "--cron"]), dir.path());
    assert_eq!(again.matches("exists, left alone").count(), 3, "{again}");
}

#[test]
fn the_word_help_is_never_a_rollback_target() {
    for flag in ["--help", "-h"] {
        assert!(run(&["rollback", flag]).starts_with("exit 0\n--- stdout\nHaul a release back in"));
    }
}

#[test]
fn the_version_is_data() {
    insta::assert_snapshot!(run(&["version"]), @"
    exit 0
    --- stdout
    windlass [version]
    ");
    assert!(run(&["version", "--json"]).contains("\"schema\": 1"));
}

#[test]
fn an_unknown_command_gets_a_suggestion() {
    insta::assert_snapshot!(run(&["depoly"]), @"
    exit 2
    --- stderr
    error: unrecognized subcommand 'depoly'

      tip: some similar subcommands exist: 'proxy', 'redeploy', 'deploy'

    Usage: windlass [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    insta::assert_snapshot!(run(&["rollback", "--to", "v1"]), @"
    exit 2
    --- stderr
    error: unexpected argument '--to' found

      tip: to pass '--to' as a value, use '-- --to'

    Usage: windlass rollback [OPTIONS] [TARGET]

    For more information, try '--help'.
    ");
}

#[test]
fn a_missing_configuration_is_named() {
    insta::assert_snapshot!(run(&["deploy"]), @"
    exit 3
    --- stderr
    error: config/deploy.yml: Configuration file not found in [dir]/config/deploy.yml
    hint: `windlass init` writes an example
    ");
}

#[test]
fn all_problems_of_a_configuration_are_said_at_once() {
    insta::assert_snapshot!(run_in("service: shop\nimgae: shop\nservers: 3\n", &["config"]), @"
    exit 3
    --- stderr
    error: 3 problems in the configuration:
    config/deploy.yml: Missing required configuration for image
      add `image: user/app`, without registry and tag
    config/deploy.yml:2: unknown key: imgae
      did you mean `image`?
    config/deploy.yml:3: servers: should be an array or a hash
      write a list of hosts, or roles with their hosts
    ");
}

#[test]
fn init_writes_a_project_and_never_over_one() {
    let dir = empty();
    let git = Command::new("git").args(["init", "-q"]).current_dir(dir.path()).status().expect("git runs");
    assert!(git.success());
    insta::assert_snapshot!(shown(&windlass(dir.path(), &["init"]), dir.path()), @"
    exit 0
    --- stdout
    wrote config/deploy.yml
    wrote .windlass/secrets
    added .windlass/secrets to .gitignore
    Edit config/deploy.yml, then `windlass setup`.
    ");
    std::fs::write(dir.path().join("config/deploy.yml"), "service: mine\n").expect("written");
    insta::assert_snapshot!(shown(&windlass(dir.path(), &["init"]), dir.path()), @"
    exit 0
    --- stdout
    exists, left alone: config/deploy.yml
    exists, left alone: .windlass/secrets
    Edit config/deploy.yml, then `windlass setup`.
    ");
    let kept = std::fs::read_to_string(dir.path().join("config/deploy.yml")).expect("read");
    assert_eq!(kept, "service: mine\n");
    let ignored = std::fs::read_to_string(dir.path().join(".gitignore")).expect("read");
    assert_eq!(ignored, "/.windlass/secrets\n");
    let mode = std::os::unix::fs::MetadataExt::mode(&dir.path().join(".windlass/secrets").metadata().expect("there"));
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_init_writes_is_a_valid_configuration() {
    let dir = empty();
    windlass(dir.path(), &["init"]);
    let output = windlass(dir.path(), &["config", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output, dir.path()));
    let config: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&config["schema"], &config["service"]), (&1.into(), &"my-app".into()));
}

#[test]
fn the_configuration_is_shown_without_secrets() {
    let text = run_in(
        &format!("{REFUSING}registry:\n  server: r.example.com\n  username: me\n  password: hunter2\n"),
        &["config"],
    );
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_filter_that_matches_nothing_names_what_there_is() {
    insta::assert_snapshot!(run_in(REFUSING, &["status", "--hosts", "eu-*"]), @"
    exit 2
    --- stderr
    error: No --hosts match for eu-*
      there are: 127.0.0.1
    ");
}

#[test]
fn a_missing_secret_is_named_before_anything_is_connected_to() {
    let config = format!("{REFUSING}env:\n  secret:\n    - DATABASE_URL\n");
    insta::assert_snapshot!(run_in(&config, &["deploy", "--version", "v1"]), @"
    exit 3
    --- stderr
    error: .windlass/secrets: Secret 'DATABASE_URL' not found, no secret files (.windlass/secrets, .kamal/secrets) provided
    hint: add a line DATABASE_URL=… to .windlass/secrets
    ");
}

#[test]
fn a_key_that_is_not_acted_on_yet_stops_a_deploy_by_its_name() {
    let config = format!("{REFUSING}labels:\n  service: other\n");
    insta::assert_snapshot!(run_in(&config, &["deploy", "--version", "v1"]), @"
    exit 3
    --- stderr
    error: this configuration asks for things that windlass does not do yet:
      config/deploy.yml:10: labels/service: windlass finds its containers by this label: it keeps its own value
    hint: take the keys out, or override them under `x-windlass:`, which only windlass reads
    ");
}

#[test]
fn a_deploy_needs_a_version() {
    insta::assert_snapshot!(run_in(REFUSING, &["deploy"]), @"
    exit 2
    --- stderr
    error: which version? This is no git repository with a commit, and VERSION is not set
    hint: say `windlass deploy --version V`
    ");
}

#[test]
fn an_unreachable_host_refuses_a_change_and_is_named() {
    for arguments in [&["deploy", "--version", "v1"][..], &["rollback"], &["setup", "--version", "v1", "--dry-run"]] {
        let text = run_in(REFUSING, arguments);
        assert!(text.starts_with("exit 4\n"), "{arguments:?}: {text}");
        assert!(text.contains("127.0.0.1") && text.contains("refused"), "{arguments:?}: {text}");
        assert!(!text.contains("--- stdout"), "{arguments:?}: {text}");
    }
    insta::assert_snapshot!(run_in(REFUSING, &["rollback", "v1"]), @"
    exit 4
    --- stderr
    error: not every host can be reached:
      127.0.0.1: connection refused at 127.0.0.1:1
    hint: 127.0.0.1: is sshd running there, and is ssh.port right?
    hint: repair the connection, or go on without these hosts: --skip-unreachable
    ");
}

#[test]
fn reading_from_no_host_at_all_exits_4() {
    let reading: &[&[&str]] = &[
        &["releases"],
        &["status"],
        &["lock", "status"],
        &["app", "containers"],
        &["app", "details"],
        &["app", "logs"],
        &["app", "exec", "true"],
        &["app", "images"],
        &["app", "version"],
        &["app", "stale_containers"],
        &["server", "exec", "true"],
        &["server", "bootstrap"],
        &["details"],
        &["audit"],
    ];
    for arguments in reading {
        let text = run_in(REFUSING, arguments);
        assert!(text.starts_with("exit 4\n"), "{arguments:?}: {text}");
        assert!(text.contains("no host answered"), "{arguments:?}: {text}");
    }
    insta::assert_snapshot!(run_in(REFUSING, &["status"]), @"
    exit 4
    --- stdout
    HOST       ENGINE       PROXY  ROLE  VERSION  RELEASE  SINCE  HEALTH  DRIFT
    127.0.0.1  unreachable  -      -     -        -        -      -       -

    127.0.0.1: connection refused at 127.0.0.1:1
    127.0.0.1: hint: is sshd running there, and is ssh.port right?
    --- stderr
    error: no host answered
    ");
}

#[test]
fn a_hook_that_fails_stops_a_deploy_before_anything_is_connected_to() {
    let dir = project(REFUSING);
    let hooks = dir.path().join(".kamal/hooks");
    std::fs::create_dir_all(&hooks).expect("hooks");
    let hook = hooks.join("pre-connect");
    std::fs::write(&hook, "#!/bin/sh\necho \"$KAMAL_COMMAND $WINDLASS_VERSION on $KAMAL_HOSTS\"\nexit 3\n")
        .expect("hook");
    insta::assert_snapshot!(shown(&windlass(dir.path(), &["deploy", "--version", "v1"]), dir.path()).lines().next().unwrap_or_default(), @"exit 4");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    insta::assert_snapshot!(shown(&windlass(dir.path(), &["deploy", "--version", "v1"]), dir.path()), @"
    exit 4
    --- stderr
    hook pre-connect runs
    hook pre-connect: deploy v1 on 127.0.0.1
    error: hook pre-connect failed: exit status: 3; nothing was changed
    hint: `--skip-hooks` runs without hooks
    ");
}

#[test]
fn plain_output_never_has_an_escape_sequence() {
    for arguments in [&["status"][..], &["deploy", "--version", "v1"], &["nonsense"], &["--help"]] {
        let dir = project(REFUSING);
        let output = windlass(dir.path(), arguments);
        let all = [output.stdout, output.stderr].concat();
        assert!(!all.contains(&0x1b), "{arguments:?}: {}", String::from_utf8_lossy(&all));
    }
}

#[test]
fn certificates_that_nobody_gave_are_refused_with_a_way_on() {
    let text = format!("{REFUSING}proxy:\n  host: shop.example.com\n  ssl: true\n");
    insta::assert_snapshot!(run_in(&text, &["deploy", "--version", "v1"]), @r"
    exit 3
    --- stderr
    error: this configuration asks for things that windlass does not do yet:
      config/deploy.yml:11: proxy/ssl: windlass does not fetch certificates (Let's Encrypt): give it your own with `ssl: {certificate_pem: NAME, private_key_pem: NAME}`, the names of two secrets (`windlass docs proxy`), or terminate TLS in front of the hosts and set `proxy: {ssl: false}` below `x-windlass`
    hint: take the keys out, or override them under `x-windlass:`, which only windlass reads
    ");
}

#[test]
fn a_certificate_and_its_key_are_judged_before_a_host_is_asked() {
    let dir = project(&format!(
        "{REFUSING}proxy:\n  host: shop.example.com\n  ssl: {{certificate_pem: CERT, private_key_pem: KEY}}\n"
    ));
    let made = || rcgen::generate_simple_self_signed(vec!["shop.example.com".to_string()]).expect("a certificate");
    let (one, other) = (made(), made());
    let secrets = |certificate: &str, key: &str| {
        std::fs::create_dir_all(dir.path().join(".windlass")).expect(".windlass");
        let text = format!("CERT='{certificate}'\nKEY='{key}'\n");
        std::fs::write(dir.path().join(".windlass/secrets"), text).expect("secrets");
    };
    let mut said = String::new();
    for (certificate, key) in [(one.cert.pem(), other.signing_key.serialize_pem()), (one.cert.pem(), String::new())] {
        secrets(&certificate, &key);
        said += &shown(&windlass(dir.path(), &["proxy", "certs"]), dir.path());
    }
    insta::assert_snapshot!(said, @r"
    exit 3
    --- stderr
    error: proxy/ssl of role web: the key in secret `KEY` does not belong to the certificate in secret `CERT`
    hint: take both from the same renewal; nothing was changed
    exit 3
    --- stderr
    error: proxy/ssl of role web: secret `KEY` holds no private key
    hint: it should hold the lines from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----, for example with `NAME=$(cat privkey.pem)`
    ");
    secrets(&one.cert.pem(), &one.signing_key.serialize_pem());
    let output = windlass(dir.path(), &["proxy", "certs"]);
    assert_eq!(output.status.code(), Some(4), "now the host is asked, and refuses");
}

#[test]
fn options_that_would_be_given_in_vain_are_refused() {
    insta::assert_snapshot!(run(&["docs", "proxy", "--hosts", "web-1"]), @"
    exit 2
    --- stderr
    error: --hosts has no effect on `windlass docs`
    hint: leave it out
    ");
    for arguments in [&["init", "--roles", "web"][..], &["config", "--hosts", "a"], &["version", "--hosts", "a"]] {
        let dir = project(REFUSING);
        let text = shown(&windlass(dir.path(), arguments), dir.path());
        assert!(text.starts_with("exit 2\n") && text.contains("has no effect"), "{arguments:?}: {text}");
    }
    for arguments in [&["completions", "bash", "--json"][..], &["man", "pages", "--json"]] {
        assert!(run(arguments).contains("--json has no effect"), "{arguments:?}");
    }
}

#[test]
fn completions_and_pages_need_no_project() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = run(&["completions", shell]);
        assert!(text.starts_with("exit 0\n") && text.contains("stale_containers"), "{shell}: {text}");
        let completes = text.contains("accessory");
        assert!(completes || !["bash", "zsh"].contains(&shell), "{shell} completes the sections of docs");
    }
    let dir = empty();
    let output = windlass(dir.path(), &["man", "share/man1"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output, dir.path()));
    for page in ["windlass.1", "windlass-app-exec.1", "windlass-server-bootstrap.1", "windlass-lock-acquire.1"] {
        let text = std::fs::read_to_string(dir.path().join("share/man1").join(page)).expect(page);
        assert!(text.starts_with(".ie") || text.contains(".TH windlass"), "{page}: {text}");
    }
}

#[test]
fn an_unknown_section_names_what_there_is() {
    let text = run(&["docs", "proxi"]);
    assert!(text.starts_with("exit 2\n") && text.contains("possible values: configuration, servers"), "{text}");
    assert!(text.contains("a similar value exists: 'proxy'"), "{text}");
}

#[test]
fn init_and_docs_print_data_for_machines() {
    let dir = empty();
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = windlass(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output, dir.path()));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let wrote = json(&["init", "--json"]);
    assert_eq!(wrote["wrote"], serde_json::json!(["config/deploy.yml", ".windlass/secrets"]));
    assert_eq!(json(&["init", "--json"])["kept"], wrote["wrote"]);
    let docs = json(&["docs", "boot", "--json"]);
    assert_eq!(docs["sections"][0]["name"], "boot");
    assert!(json(&["docs", "--json"])["sections"].as_array().is_some_and(|all| all.len() > 10));
    let schema = json(&["docs", "--schema"]);
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["properties"]["retain_containers"]["type"], "integer");
}

const ALIASES: &str =
    "aliases:\n  shell: app exec -i bash\n  where: config\n  there: where --json\n  bad: app nonsense\n";

#[test]
fn an_alias_stands_for_its_words_and_takes_more() {
    let config = format!("{REFUSING}{ALIASES}");
    for arguments in [&["where"][..], &["-c", "config/deploy.yml", "where"]] {
        let text = run_in(&config, arguments);
        assert!(text.starts_with("exit 0\n--- stdout\nservice: shop"), "{arguments:?}: {text}");
    }
    for arguments in [&["where", "--json"][..], &["there"]] {
        assert!(run_in(&config, arguments).contains("\"service\": \"shop\""), "{arguments:?}");
    }
    assert!(run_in(&config, &["shell"]).contains("no host answered"));
    // The words behind an alias are parsed anew: help of what it stands for, and mistakes in it.
    assert!(run_in(&config, &["shell", "--help"]).starts_with("exit 0\n--- stdout\nRun a command in a container"));
    assert!(run_in(&config, &["bad"]).starts_with("exit 2\n--- stderr\nerror: unrecognized subcommand 'nonsense'"));
    assert!(run_in(&config, &["shel"]).starts_with("exit 2\n--- stderr\nerror: unrecognized subcommand 'shel'"));
}

#[test]
fn aliases_that_go_round_are_named() {
    let config = format!("{REFUSING}aliases:\n  a: b -q\n  b: -d eu a\n");
    insta::assert_snapshot!(run_in(&config, &["a"]), @"
    exit 3
    --- stderr
    error: 2 problems in the configuration:
    config/deploy.yml:10: aliases/a: Alias 'a' leads back to itself: a -> b -> a
      an alias begins with a command, such as `app exec`
    config/deploy.yml:11: aliases/b: Alias 'b' leads back to itself: b -> a -> b
      an alias begins with a command, such as `app exec`
    hint: `a` is no command; whether it is an alias is not known until the configuration loads
    ");
}

#[test]
fn an_unknown_word_in_a_broken_project_says_why_it_is_unknown() {
    insta::assert_snapshot!(run_in("service: shop\nimgae: shop\nservers: [a]\n", &["console"]), @"
    exit 3
    --- stderr
    error: 2 problems in the configuration:
    config/deploy.yml: Missing required configuration for image
      add `image: user/app`, without registry and tag
    config/deploy.yml:2: unknown key: imgae
      did you mean `image`?
    hint: `console` is no command; whether it is an alias is not known until the configuration loads
    ");
}

#[test]
fn a_command_that_makes_no_sense_is_refused_before_anything_is_connected_to() {
    insta::assert_snapshot!(run_in(REFUSING, &["app", "exec", "it's"]), @"
    exit 2
    --- stderr
    error: the command has a quote without its end: it's
    ");
    insta::assert_snapshot!(run_in(REFUSING, &["app", "exec", "-e", "NOVALUE", "true"]), @"
    exit 2
    --- stderr
    error: invalid value 'NOVALUE' for '--env <K=V>': expected NAME=VALUE

    For more information, try '--help'.
    ");
    let text = run_in(REFUSING, &["app", "logs", "--grep", "("]);
    assert!(text.starts_with("exit 2\n--- stderr\nerror: --grep is no regular expression"), "{text}");
    assert!(text.ends_with("hint: `--grep-options -F` takes the text as it is\n"), "{text}");
    insta::assert_snapshot!(run_in(REFUSING, &["app", "logs", "--grep", "a", "--grep-options", "-r"]), @"
    exit 2
    --- stderr
    error: --grep-options does not know `-r`
    hint: it knows -i -v -w -x -F -E, and -A, -B, -C with a number of lines
    ");
    insta::assert_snapshot!(run_in(REFUSING, &["app", "stale_containers", "--dry-run"]), @"
    exit 2
    --- stderr
    error: without --stop nothing is changed, so there is nothing to plan or to wait for
    ");
}
