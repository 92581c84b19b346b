use super::*;
use std::time::Duration;

/// A home directory with these files below `.ssh`.
struct Home(tempfile::TempDir);

impl Home {
    fn with(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(".ssh").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn ask(&self, asked: Asked) -> Result<HostOptions, SshConfigError> {
        let config = SshConfig {
            files: vec![self.path(".ssh/config")],
            home: self.0.path().to_path_buf(),
            local_user: "ann".to_string(),
        };
        config.look_up(asked)
    }

    fn host(&self, host: &str) -> HostOptions {
        self.ask(Asked { host, user: None, port: None, default_user: "root" }).unwrap()
    }
}

fn config(text: &str) -> Home {
    Home::with(&[("config", text)])
}

#[test]
fn the_first_value_counts_and_identities_add_up() {
    let home = config(
        "Host web1\n User deploy\n Port 2222\n IdentityFile ~/.ssh/one\nHost web*\n User other\n IdentityFile %d/.ssh/two\n \
         HostName %h.example.com\n IdentityFile ~/.ssh/one\nHost *\n IdentitiesOnly yes\n ConnectTimeout 7\n",
    );
    let web1 = home.host("WEB1");
    assert_eq!((web1.user.as_deref(), web1.port), (Some("deploy"), Some(2222)));
    assert_eq!(web1.host_name.as_deref(), Some("WEB1.example.com"));
    assert_eq!(web1.identities, [home.path(".ssh/one"), home.path(".ssh/two")]);
    assert_eq!(web1.connect_timeout, Some(Duration::from_secs(7)));
    assert_eq!(home.host("web2").user.as_deref(), Some("other"));
    let other = home.host("db");
    assert_eq!((other.user, other.identities_only), (None, Some(true)));
}

#[test]
fn negated_patterns_exclude_a_host() {
    let home = config("Host *.example.com !db.example.com\n User deploy\nHost !x\n Port 1\n");
    assert_eq!(home.host("web.example.com").user.as_deref(), Some("deploy"));
    assert_eq!(home.host("db.example.com").user, None);
    assert_eq!(home.host("web").port, None, "a negated pattern alone fits nothing");
}

#[test]
fn match_sees_the_host_name_the_original_host_and_the_user() {
    let home = config(
        "Host web1\n HostName 10.0.0.1\nMatch host 10.0.0.*,!10.0.0.9 user deploy\n Port 1\nMatch originalhost web1 !user deploy\n \
         Port 2\nMatch localuser=ann host db\n Port 3\nMatch all\n HostKeyAlias shared\n",
    );
    let as_user = |host, user| home.ask(Asked { host, user: Some(user), port: None, default_user: "root" }).unwrap();
    assert_eq!(as_user("web1", "deploy").port, Some(1));
    assert_eq!(as_user("web1", "root").port, Some(2));
    assert_eq!(home.host("db").port, Some(3));
    assert_eq!(home.host("x").host_key_alias.as_deref(), Some("shared"));
}

#[test]
fn match_final_is_a_second_look_with_the_host_name() {
    let home = config("Match final host 10.0.0.1\n User late\nHost web1\n HostName 10.0.0.1\nHost 10.*\n Port 7\n");
    let web1 = home.host("web1");
    assert_eq!((web1.user.as_deref(), web1.port), (Some("late"), Some(7)));
}

#[test]
fn a_condition_that_is_not_evaluated_is_noted_where_it_would_count() {
    let home = config("Match host web1 exec \"test -e /vpn\"\n ProxyJump vpn\nMatch host db exec x\n Port 9\n");
    let web1 = home.host("web1");
    assert_eq!(web1.proxy, None);
    assert_eq!(web1.notes.len(), 1);
    assert!(web1.notes[0].ends_with("config:1: windlass does not evaluate `Match exec`: its lines are left out"));
    assert!(home.host("other").notes.is_empty());
}

#[test]
fn include_counts_only_inside_a_block_that_does_and_ends_with_its_file() {
    let home = Home::with(&[
        ("config", "Include conf.d/*.conf\nHost web1\n Include only-web1\n Port 5\nHost *\n User late\n"),
        ("conf.d/10-a.conf", "Host web1\n User first\n"),
        ("conf.d/20-b.conf", "Host web1\n User second\n HostKeyAlias b\n"),
        ("conf.d/.hidden.conf", "User hidden\n"),
        ("only-web1", "Host other\n Port 6\nHost web1\n ConnectTimeout 1m30s\n"),
    ]);
    let web1 = home.host("web1");
    assert_eq!((web1.user.as_deref(), web1.port, web1.host_key_alias.as_deref()), (Some("first"), Some(5), Some("b")));
    assert_eq!(web1.connect_timeout, Some(Duration::from_secs(90)));
    let other = home.host("other");
    assert_eq!((other.user.as_deref(), other.port), (Some("late"), None));
}

#[test]
fn an_include_without_end_is_an_error() {
    let error = config("Include config\n").ask(Asked { host: "a", user: None, port: None, default_user: "root" });
    assert!(error.unwrap_err().to_string().contains("config:1: Include goes deeper than 16"));
}

#[test]
fn proxies() {
    let home = config(
        "Host a\n ProxyJump me@j1:2200,j2\n ProxyCommand never\nHost b\n ProxyCommand nc -x 'p q' %h %p %r %n 100%%\n \
         ProxyJump never\n HostName b.example\nHost c\n ProxyJump none\nHost *\n ProxyJump j3\n",
    );
    let jump = |user: Option<&str>, host: &str, port| Jump { user: user.map(String::from), host: host.into(), port };
    assert_eq!(
        home.host("a").proxy,
        Some(Proxy::Jump(vec![jump(Some("me"), "j1", Some(2200)), jump(None, "j2", None)]))
    );
    let command = "nc -x 'p q' b.example 22 root b 100%".to_string();
    assert_eq!(home.host("b").proxy, Some(Proxy::Command(command)));
    assert_eq!(home.host("c").proxy, Some(Proxy::None));
    assert_eq!(home.host("d").proxy, Some(Proxy::Jump(vec![jump(None, "j3", None)])));
}

#[test]
fn trust_and_agents() {
    let home = config(
        "Host a\n UserKnownHostsFile ~/.ssh/kh_%h /x\n StrictHostKeyChecking accept-new\n IdentityAgent \"~/agent dir/s\"\n\
         Host b\n UserKnownHostsFile none\n StrictHostKeyChecking no\n IdentityAgent none\nHost *\n StrictHostKeyChecking ask\n",
    );
    let a = home.host("a");
    assert_eq!(a.user_known_hosts, Some(vec![home.path(".ssh/kh_a"), "/x".into()]));
    assert_eq!((a.accept_new, a.agent), (Some(true), Some(AgentChoice::Socket(home.path("agent dir/s")))));
    let b = home.host("b");
    assert_eq!((b.user_known_hosts, b.agent, b.accept_new), (Some(vec![]), Some(AgentChoice::None), Some(true)));
    assert!(b.notes[0].contains("refuses a changed one"), "{:?}", b.notes);
    assert_eq!(home.host("c").accept_new, Some(false));
}

#[test]
fn mistakes_name_file_and_line() {
    for (text, expected) in [
        ("Host a\n Port 99999\n", "config:2: Port 99999: expected 1 to 65535"),
        ("Host a\n User \"x\n", "config:2: a quotation mark is not closed"),
        ("Match hsot a\n", "config:1: `Match hsot` is no condition that ssh_config(5) has"),
        ("Match host\n", "config:1: `Match host` needs a value, such as a pattern"),
        ("IdentityFile ~/%z\n", "config:1: windlass does not know the token %z here (%% is a percent sign)"),
        ("ProxyJump a:b\n", "config:1: `a:b` is no jump host: expected [user@]host[:port]"),
        ("IdentitiesOnly perhaps\n", "config:1: `perhaps`: expected yes or no"),
    ] {
        let error = config(text).ask(Asked { host: "a", user: None, port: None, default_user: "root" }).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let home = config("User x\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(home.path(".ssh/config"), mode).unwrap();
    let error = home.ask(Asked { host: "a", user: None, port: None, default_user: "root" }).unwrap_err();
    assert!(error.to_string().contains("others may write to it"), "{error}");
}

#[test]
fn no_file_says_nothing() {
    assert_eq!(Home::with(&[]).host("a"), HostOptions::default());
}
