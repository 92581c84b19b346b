//! `windlass server` against a real sshd on this machine, with a fake package manager in the login's PATH: nothing is
//! installed here.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use support::sshd::Sshd;
use support::wait::until;

struct Place {
    _sshd: Sshd,
    dir: tempfile::TempDir,
}

/// Commands of the base system that scripts and commands of these tests use.
const BASE: [&str; 10] = ["sh", "bash", "id", "env", "cat", "echo", "sleep", "stty", "true", "chmod"];

impl Place {
    /// A login that finds the base system and these scripts, and nothing else.
    fn with(scripts: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let bin = dir.path().join("bin");
        std::fs::create_dir_all(dir.path().join("config")).expect("config/");
        std::fs::create_dir(&bin).expect("bin/");
        for name in BASE {
            std::os::unix::fs::symlink(which(name), bin.join(name)).expect("a link");
        }
        for (name, text) in scripts {
            script(&bin.join(name), &text.replace("BIN", &bin.display().to_string()));
        }
        let sshd = Sshd::with(&format!("SetEnv PATH={}", bin.display()));
        sshd.settings();
        let config = format!(
            "service: shop\nimage: shop\nservers: [127.0.0.1]\nssh:\n  user: {}\n  port: {}\n  keys: [{}]\n  \
             keys_only: true\n  known_hosts: [{}]\n",
            sshd.user,
            sshd.port,
            sshd.path("id").display(),
            sshd.path("known_hosts").display()
        );
        std::fs::write(dir.path().join("config/deploy.yml"), config).expect("deploy.yml");
        Self { _sshd: sshd, dir }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(arguments).current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.dir.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TERM", "xterm");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Runs it at a pseudo-terminal, typing these lines once something was said.
    fn at_a_terminal(&self, arguments: &str, typed: &str) -> (Option<i32>, String) {
        let line = format!("stty cols 111 rows 33; exec {} {arguments}", env!("CARGO_BIN_EXE_windlass"));
        let log = self.dir.path().join("typescript");
        let _ = std::fs::remove_file(&log);
        let mut command = self.command(&[]);
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-f", "-c", &line]).arg(&log).current_dir(self.dir.path()).env_clear();
        script.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?)))).stdin(Stdio::piped());
        script.env("SHELL", "/bin/sh").stdout(Stdio::null()).stderr(Stdio::null());
        let _ = command.stdin(Stdio::null());
        let mut child = script.spawn().expect("these tests need util-linux (script)");
        until("the command talks", Duration::from_secs(30), || {
            std::fs::read_to_string(&log).ok().filter(|text| text.contains("\nready"))
        });
        let mut stdin = child.stdin.take().expect("stdin is piped");
        std::io::Write::write_all(&mut stdin, typed.as_bytes()).expect("script reads");
        let status = child.wait().expect("script ends");
        drop(stdin);
        let said = std::fs::read(&log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).expect("the log");
        (status.code(), said)
    }
}

fn which(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed"))
}

fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("chmod");
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_command_runs_in_the_hosts_shell_and_its_end_is_ours() {
    let place = Place::with(&[]);
    let run = |arguments: &[&str]| texts(&place.run(&[&["server", "exec"], arguments].concat()));
    let (code, out, err) = run(&["echo one; echo two >&2; exit 3"]);
    assert_eq!((code, out.as_str()), (Some(1), "127.0.0.1 | one\n"), "{err}");
    assert!(err.starts_with("127.0.0.1 | two\n") && err.contains("127.0.0.1: exit 3"), "{err}");
    assert!(err.contains("error: the command failed"), "{err}");

    assert_eq!(run(&["--raw", "printf 'a\\001b'; exit 0"]).1, "a\u{1}b");
    assert_eq!(run(&["echo", "a", "b", "-q"]).1, "127.0.0.1 | a b\n");
    let (code, out, _) = run(&["--json", "echo x; exit 4"]);
    let lines: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!((code, &lines[0]["line"], &lines[1]["exit"]), (Some(1), &"x".into(), &4.into()));
    assert_eq!(run(&["no-such-command-here"]).0, Some(1));
    // Without a terminal -i takes what is piped in, and the code is the command's own.
    let mut command = place.command(&["server", "exec", "-i", "cat; exit 7"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), b"to and fro").expect("it reads");
    let (code, out, _) = texts(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, out.as_str()), (Some(7), "to and fro"));
}

#[test]
fn a_host_that_does_not_answer_makes_it_mixed() {
    let place = Place::with(&[]);
    let path = place.dir.path().join("config/deploy.yml");
    let config = std::fs::read_to_string(&path).expect("deploy.yml");
    // Nothing listens there.
    std::fs::write(&path, config.replace("[127.0.0.1]", "[127.0.0.1, \"127.0.0.2:1\"]")).expect("deploy.yml");
    let (code, out, err) = texts(&place.run(&["server", "exec", "true"]));
    assert_eq!((code, out.as_str()), (Some(6), ""), "{err}");
    assert!(err.contains("127.0.0.2") && err.contains("1 of 2 hosts did not answer"), "{err}");
}

#[test]
fn at_a_terminal_keys_and_sizes_go_through() {
    let place = Place::with(&[]);
    let command = "server exec -i 'stty size; echo ready; cat; exit 9'";
    let (code, said) = place.at_a_terminal(command, "hello\r\u{4}");
    assert_eq!(code, Some(9), "{said}");
    assert!(said.contains("33 111") && said.contains("hello"), "{said}");
    // Ctrl-C is a key and not the end of windlass.
    let trap = "server exec -i 'trap \"echo caught; exit 5\" INT; echo ready; sleep 30 & wait'";
    let (code, said) = place.at_a_terminal(trap, "\u{3}");
    assert!(said.contains("caught"), "{said}");
    assert_eq!(code, Some(5), "{said}");
}

/// Writes down how it was called; installing makes a docker.
const APT: &str = "echo \"apt-get $*\" >> BIN/../calls\n\
                   case \"$*\" in *install*) printf '#!/bin/sh\\necho Docker version 24.0.0\\n' > BIN/docker; chmod 755 BIN/docker;; esac";

#[test]
fn docker_is_installed_by_the_hosts_own_package_manager_and_only_after_a_yes() {
    let systemctl = ("systemctl", "echo \"systemctl $*\" >> BIN/../calls");
    let place = Place::with(&[("apt-get", APT), systemctl, ("sudo", "shift; exec \"$@\""), ("usermod", "true")]);
    let calls = || std::fs::read_to_string(place.dir.path().join("calls")).unwrap_or_default();

    let (code, out, err) = texts(&place.run(&["server", "bootstrap", "--dry-run"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("apt-get update\n") && out.contains("apt-get install -y docker.io\n"), "{out}");
    let (code, _, err) = texts(&place.run(&["server", "bootstrap"]));
    assert!(code == Some(4) && err.contains("nobody can be asked"), "{err}");
    assert_eq!(calls(), "", "nothing was run without a yes");

    let hook = place.dir.path().join(".kamal/hooks/docker-setup");
    std::fs::create_dir_all(hook.parent().expect("a directory")).expect("hooks");
    script(&hook, "echo \"$KAMAL_COMMAND $KAMAL_SUBCOMMAND on $KAMAL_HOSTS\"");
    let (code, out, err) = texts(&place.run(&["server", "bootstrap", "--yes"]));
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("127.0.0.1 | Docker version 24.0.0"), "{out}");
    assert!(err.contains("server bootstrap on 127.0.0.1"), "the hook runs: {err}");
    let expected = "apt-get update\napt-get install -y docker.io\nsystemctl enable --now docker\n";
    assert_eq!(calls(), expected);

    let (code, _, err) = texts(&place.run(&["server", "bootstrap", "--yes"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("127.0.0.1: has Docker"), "{err}");
    assert_eq!(calls(), expected, "a host that has Docker is left alone");
}

#[test]
fn an_installation_that_fails_says_which_command_did() {
    let place =
        Place::with(&[("apt-get", "echo 'no route to the mirror' >&2; exit 100"), ("sudo", "shift; exec \"$@\"")]);
    let (code, _, err) = texts(&place.run(&["server", "bootstrap", "--yes"]));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("127.0.0.1 | no route to the mirror"), "{err}");
    assert!(err.contains("apt-get update` ended with exit 100"), "{err}");
    let nothing = Place::with(&[("sudo", "shift; exec \"$@\"")]);
    let (code, _, err) = texts(&nothing.run(&["server", "bootstrap", "--yes"]));
    assert!(code == Some(4) && err.contains("no package manager that is known"), "{err}");
}
