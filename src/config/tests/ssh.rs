//! `ssh` and `sshkit`.

use crate::config::testing::{config, try_config};
use crate::config::{HostAddress, KeySource, SshProxy};

fn at(address: &str, user: Option<&str>, port: Option<u16>) -> HostAddress {
    HostAddress { address: address.into(), port, user: user.map(str::to_string) }
}

#[test]
fn jump_hosts_and_proxy_commands() {
    let ssh = |text: &str| config(&format!("servers: [h]\nssh: {{{text}}}\n")).ssh.proxy;
    assert_eq!(ssh("proxy: edge"), Some(SshProxy::Jump(vec![at("edge", None, None)])));
    assert_eq!(
        ssh("proxy: 'me@edge:2222, [fd00::1]:22'"),
        Some(SshProxy::Jump(vec![at("edge", Some("me"), Some(2222)), at("fd00::1", None, Some(22))]))
    );
    assert_eq!(ssh("proxy_command: 'nc %h %p %%'"), Some(SshProxy::Command("nc %h %p %%".into())));
    // Kamal's order.
    assert_eq!(ssh("proxy: edge, proxy_command: nc"), Some(SshProxy::Jump(vec![at("edge", None, None)])));
}

#[test]
fn mistakes_in_ssh() {
    let text = "servers: [h]\nssh:\n  proxy: 'a, b c'\n  proxy_command: nc %x %h\n  max_concurrent_starts: 0\nsshkit:\n  dns_retries: many\n";
    insta::assert_snapshot!(try_config(text).unwrap_err(), @r"
    config/deploy.yml:3: ssh/proxy: `a, b c` is not a jump host: expected [user@]host[:port]
      several are written with commas, in the order in which they are passed
    config/deploy.yml:4: ssh/proxy_command: has an unknown token %x
      %h, %p, %r, %n, or %% for a percent sign
    config/deploy.yml:5: ssh/max_concurrent_starts: should be an integer from 1 to 10000
    config/deploy.yml:7: sshkit/dns_retries: should be an integer
      it is a string: write a whole number without quotes
    ");
}

#[test]
fn keys_configuration_files_and_numbers() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----";
    let text = format!(
        "servers: [h]\nssh: {{key_data: [A, '{key}'], config: ['~/c', d], keys_only: false, max_concurrent_starts: 7}}\n\
         sshkit: {{dns_retries: 5}}\n"
    );
    let whole = config(&text);
    let ssh = &whole.ssh;
    assert_eq!(ssh.key_data, [KeySource::Secret("A".into()), KeySource::Inline(key.to_string().into())]);
    assert_eq!(whole.key_secrets(), ["A"]);
    assert!(whole.notes.iter().any(|n| n.contains("ssh/key_data: holds a private key")), "{:?}", whole.notes);
    assert!(!whole.redacted().to_string().contains("PRIVATE"));
    let files = ssh.config.as_ref().unwrap();
    assert!(files[0] == std::path::Path::new("/home/me/c") && files[1].ends_with("d") && files[1].is_absolute());
    assert_eq!((ssh.keys_only, ssh.max_concurrent_starts, ssh.dns_retries), (Some(false), 7, 5));
    let files = |value: &str| config(&format!("servers: [h]\nssh: {{config: {value}}}\n")).ssh.config;
    assert_eq!((files("true"), files("false")), (None, Some(vec![])));
}
