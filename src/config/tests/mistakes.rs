//! One snapshot for each kind of mistake: what is said has file and line, what was expected, and a next step.

use crate::config::{Secrets, testing};
use std::path::Path;

/// What is said about a `deploy.yml` of these bytes.
fn said(bytes: &[u8]) -> String {
    in_project(|dir| std::fs::write(dir.join("deploy.yml"), bytes).unwrap(), None)
}

/// What is said about a project that `make` makes.
fn in_project(make: impl FnOnce(&Path), destination: Option<&str>) -> String {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let problems = testing::load_in(dir.path(), Path::new("deploy.yml"), destination).expect_err("a mistake");
    for problem in &problems.0 {
        assert!(problem.hint.is_some(), "no next step: {problem}");
    }
    problems.to_string().replace(&dir.path().display().to_string(), "<project>")
}

const GOOD: &str = "service: app\nimage: team/app\nservers: [h]\n";

fn with(more: &str) -> Vec<u8> {
    format!("{GOOD}{more}").into_bytes()
}

#[test]
fn keys_and_types() {
    insta::assert_snapshot!("unknown key", said(&with("retian_containers: 3\nzebra: 1\n")));
    insta::assert_snapshot!("unknown key in a section", said(&with("proxy:\n  healthcheck:\n    pth: /up\n")));
    insta::assert_snapshot!("key of Kamal 1", said(&with("traefik: {}\nhealthcheck: {path: /up}\n")));
    insta::assert_snapshot!(
        "wrong types",
        said(&with(
            "deploy_timeout: '30'\nrequire_destination: 1\nvolumes: a:/a\nenv: [A]\nssh: root\nlabels:\n  since: 2024-01-01\n"
        ))
    );
    insta::assert_snapshot!(
        "two hosts alike",
        said(b"service: app\nimage: team/app\nservers:\n  web:\n    - me@h\n  jobs:\n    - you@h\n")
    );
    insta::assert_snapshot!("docker flag", said(b"service: app\nimage: team/app\nservers:\n  web:\n    hosts: [h]\n    options:\n      memroy: 1g\n      detach: true\n"));
}

#[test]
fn yaml() {
    insta::assert_snapshot!("tab", said(b"service: app\nimage: team/app\nservers:\n\tweb: [h]\n"));
    insta::assert_snapshot!(
        "bad indent",
        said(b"service: app\nimage: team/app\nservers:\n  web:\n    - h\n   jobs:\n    - i\n")
    );
    insta::assert_snapshot!("quote without end", said(b"service: app\nimage: \"team/app\nservers: [h]\n"));
    insta::assert_snapshot!(
        "cyclic YAML alias",
        said(b"service: app\nimage: team/app\nservers: &all\n  web: [h]\n  more: *all\n")
    );
    insta::assert_snapshot!("unknown YAML alias", said(b"service: app\nimage: team/app\nservers: *all\n"));
    insta::assert_snapshot!("tag", said(b"service: app\nimage: !ruby/object:Image {}\nservers: [h]\n"));
    insta::assert_snapshot!("list at the top", said(b"- service: app\n"));
}

#[test]
fn files() {
    insta::assert_snapshot!("no file", in_project(|_| {}, None));
    insta::assert_snapshot!("empty file", said(b""));
    insta::assert_snapshot!("only comments", said(b"# service: app\n\n"));
    insta::assert_snapshot!("10 MB file", said(&b"a: 1 # and so on\n".repeat(620_000)));
    insta::assert_snapshot!("binary file", said(b"\x7fELF\x02\x01\x01\0\0\0\0\0"));
    insta::assert_snapshot!("not UTF-8", said(b"service: app\nimage: caf\xe9\n"));
    insta::assert_snapshot!(
        "UTF-16",
        said(&"service: app\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
    );
    insta::assert_snapshot!("directory", in_project(|dir| std::fs::create_dir(dir.join("deploy.yml")).unwrap(), None));
    insta::assert_snapshot!(
        "link that leads nowhere",
        in_project(|dir| std::os::unix::fs::symlink("gone.yml", dir.join("deploy.yml")).unwrap(), None)
    );
}

/// Byte order marks and foreign line ends are no mistake, and do not shift the lines of real ones.
#[test]
fn byte_order_mark_and_line_ends() {
    let text = "\u{feff}service: app\r\nimage: team/app\r\nservers: [h]\r\nport: 1\r\n";
    insta::assert_snapshot!("byte order mark and CRLF", said(text.as_bytes()));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("deploy.yml"), text.replace("port: 1\r\n", "")).unwrap();
    let config = testing::load_in(dir.path(), Path::new("deploy.yml"), None).unwrap();
    assert_eq!(config.service.as_str(), "app");
}

#[test]
fn destinations() {
    let make = |base: &'static str| {
        move |dir: &Path| {
            std::fs::write(dir.join("deploy.yml"), base).unwrap();
            std::fs::write(dir.join("deploy.eu.yml"), "servers: [i]\n").unwrap();
        }
    };
    insta::assert_snapshot!("missing destination", in_project(make(GOOD), Some("us")));
    insta::assert_snapshot!(
        "required destination",
        in_project(make("require_destination: true\nservice: app\n"), None)
    );
}

#[test]
fn missing_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secrets");
    std::fs::write(&file, "DB_PASSWORD=x\nA B=1\n").unwrap();
    let secrets = Secrets::load(&[file], dir.path(), &|_| None).unwrap();
    insta::assert_snapshot!("missing secret", secrets.check(["DB_PASWORD", "TOKEN"]).unwrap_err());
    insta::assert_snapshot!("no secrets file", Secrets::default().check(["TOKEN"]).unwrap_err());
    insta::assert_snapshot!("line of a secrets file", secrets.warnings[0]);
}

/// Root may read everything, so that the error itself is made.
#[test]
fn no_permission() {
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    insta::assert_snapshot!("no permission", crate::config::source::unreadable("deploy.yml", &denied));
}
