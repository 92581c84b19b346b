//! Every way to log in, against a real OpenSSH server.

mod support;

use std::collections::VecDeque;
use std::process::{Child, Command as Process, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::sshd::{Sshd, certify, keygen};
use support::wait::until;
use windlass::secret::Secret;
use windlass::ssh::{AskPassphrase, Connection, Dialer, DialerSettings, KeyData, Settings, SshError, Target, Via};

/// Somebody at a terminal who types these answers, then nothing more.
#[derive(Default)]
struct Person {
    answers: Mutex<VecDeque<&'static str>>,
    prompts: Mutex<Vec<String>>,
}

impl AskPassphrase for Person {
    fn ask(&self, prompt: &str) -> Option<Secret<String>> {
        self.prompts.lock().unwrap().push(prompt.to_string());
        self.answers.lock().unwrap().pop_front().map(|answer| Secret::new(answer.to_string()))
    }
}

fn dialer(answers: &[&'static str]) -> (Arc<Dialer>, Arc<Person>) {
    let person = Arc::new(Person { answers: Mutex::new(answers.iter().copied().collect()), ..Person::default() });
    let settings = DialerSettings { passphrases: Some(person.clone()), ..DialerSettings::default() };
    (Dialer::new(settings), person)
}

fn target(sshd: &Sshd, settings: Settings) -> Target {
    Target { endpoint: sshd.endpoint(), settings, via: Via::Direct }
}

async fn works(sshd: &Sshd, settings: &Settings) {
    Connection::open(&sshd.endpoint(), settings).await.unwrap_or_else(|e| panic!("{e}\n{}", sshd.log()));
}

async fn fails(sshd: &Sshd, settings: &Settings) -> (String, String) {
    match Connection::open(&sshd.endpoint(), settings).await {
        Err(e @ SshError::AuthFailed { .. }) => (e.to_string(), e.hint().unwrap()),
        other => panic!("{other:?}"),
    }
}

/// Only keys made here are allowed.
fn allow(sshd: &Sshd, key: &str) {
    std::fs::copy(sshd.path(&format!("{key}.pub")), sshd.path("authorized_keys")).unwrap();
}

struct Agent(Child, std::path::PathBuf);

impl Agent {
    fn start(sshd: &Sshd) -> Self {
        let socket = sshd.path("agent.sock");
        let child = Process::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        until("the agent's socket", Duration::from_secs(10), || socket.exists().then_some(()));
        Self(child, socket)
    }

    fn add(&self, key: &std::path::Path) {
        let added = Process::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.1).status().unwrap();
        assert!(added.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_file(&self.1);
    }
}

#[tokio::test]
async fn key_files_of_every_kind() {
    let sshd = Sshd::start();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = sshd.path(&format!("mine_{kind}"));
        keygen(&key, kind, "");
        allow(&sshd, &format!("mine_{kind}"));
        works(&sshd, &Settings { keys: vec![key], ..sshd.settings() }).await;
    }
}

#[tokio::test]
async fn default_identities_where_nothing_is_named_also_with_keys_only() {
    let sshd = Sshd::start();
    let settings =
        Settings { keys: vec![], default_identities: vec![sshd.path("none"), sshd.path("id")], ..sshd.settings() };
    works(&sshd, &Settings { keys_only: true, ..settings.clone() }).await;
    works(&sshd, &Settings { keys_only: false, ..settings }).await;
}

#[tokio::test]
async fn a_key_from_a_secret() {
    let sshd = Sshd::start();
    let text = |name: &str| Secret::new(std::fs::read_to_string(sshd.path(name)).unwrap());
    let with =
        |text| Settings { keys: vec![], key_data: vec![KeyData { name: "SSH_KEY".into(), text }], ..sshd.settings() };
    let good = with(text("id"));
    assert!(!format!("{good:?}").contains("PRIVATE"), "a key may not be printed");
    works(&sshd, &good).await;
    works(&sshd, &with(text("id_rsa"))).await;
    let (error, _) = fails(&sshd, &with(Secret::new("nonsense".to_string()))).await;
    assert!(error.contains("SSH_KEY: not a private key that windlass can read"), "{error}");
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_and_only_if_the_key_is_accepted() {
    let sshd = Sshd::start();
    let (stranger, locked) = (sshd.path("stranger"), sshd.path("locked"));
    keygen(&stranger, "ed25519", "other");
    keygen(&locked, "ed25519", "correct horse");
    allow(&sshd, "locked");
    let (dialer, person) = dialer(&["wrong", "correct horse"]);
    let settings = Settings { keys: vec![stranger, locked], ..sshd.settings() };
    let target = target(&sshd, settings);
    let (a, b) = tokio::join!(dialer.connect(&target), dialer.connect(&target));
    a.unwrap();
    b.unwrap();
    let prompts = person.prompts.lock().unwrap();
    assert_eq!(prompts.len(), 2, "one wrong answer and one right one for both connections: {prompts:?}");
    assert!(prompts.iter().all(|p| p.starts_with("Passphrase of the key ") && p.ends_with("/locked")), "{prompts:?}");
}

#[tokio::test]
async fn an_old_pem_key_with_a_passphrase() {
    let sshd = Sshd::start();
    let key = sshd.path("pem");
    let made =
        Process::new("ssh-keygen").args(["-q", "-t", "rsa", "-m", "PEM", "-N", "abc12", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    allow(&sshd, "pem");
    let settings = Settings { keys: vec![key.clone()], ..sshd.settings() };
    dialer(&["abc12"]).0.connect(&target(&sshd, settings.clone())).await.unwrap();
    // Without the public half beside it the key has to be unlocked before it can be offered.
    std::fs::remove_file(sshd.path("pem.pub")).unwrap();
    dialer(&["abc12"]).0.connect(&target(&sshd, settings)).await.unwrap();
}

#[tokio::test]
async fn no_passphrase_is_refused_clearly() {
    let sshd = Sshd::start();
    let locked = sshd.path("locked");
    keygen(&locked, "ed25519", "secret");
    allow(&sshd, "locked");
    let settings = Settings { keys: vec![locked.clone()], ..sshd.settings() };
    let (error, _) = fails(&sshd, &settings).await;
    assert!(
        error.contains(&format!("there is no terminal to ask for it on: run ssh-add {}", locked.display())),
        "{error}"
    );
    let three = dialer(&["a", "b", "c", "secret"]).0.connect(&target(&sshd, settings)).await.unwrap_err();
    assert!(three.to_string().contains("wrong passphrase (3 times)"), "{three}");
}

#[tokio::test]
async fn an_agent_signs_for_a_public_half() {
    let sshd = Sshd::start();
    let agent = Agent::start(&sshd);
    agent.add(&sshd.path("id"));
    // The private half is in the agent alone, as with hardware and password managers.
    std::fs::copy(sshd.path("id.pub"), sshd.path("elsewhere.pub")).unwrap();
    for name in ["elsewhere.pub", "elsewhere"] {
        let settings = Settings { keys: vec![sshd.path(name)], agent: Some(agent.1.clone()), ..sshd.settings() };
        works(&sshd, &settings).await;
    }
    let (error, _) = fails(&sshd, &Settings { keys: vec![sshd.path("elsewhere.pub")], ..sshd.settings() }).await;
    assert!(error.contains("only its public half is here"), "{error}");
}

#[tokio::test]
async fn user_certificates_of_every_kind() {
    let sshd = Sshd::with("TrustedUserCAKeys {dir}/trusted.pub\nAuthorizedKeysFile none");
    keygen(&sshd.path("user_ca"), "ed25519", "");
    keygen(&sshd.path("user_ca_rsa"), "rsa", "");
    for (kind, ca) in [("ed25519", "user_ca"), ("ecdsa", "user_ca"), ("rsa", "user_ca"), ("rsa", "user_ca_rsa")] {
        std::fs::copy(sshd.path(&format!("{ca}.pub")), sshd.path("trusted.pub")).unwrap();
        let key = sshd.path(&format!("by_{ca}_{kind}"));
        keygen(&key, kind, "");
        let settings = Settings { keys: vec![key.clone()], ..sshd.settings() };
        fails(&sshd, &settings).await;
        certify(&sshd.path(ca), &["-I", "test", "-n", &sshd.user], &key);
        // Beside the key, as `ssh` finds it.
        works(&sshd, &settings).await;
        // Named by CertificateFile.
        let (beside, named) = (sshd.path(&format!("by_{ca}_{kind}-cert.pub")), sshd.path("named"));
        std::fs::rename(beside, &named).unwrap();
        works(&sshd, &Settings { certificates: vec![named], ..settings }).await;
    }
}

#[tokio::test]
async fn a_certificate_in_the_agent_and_one_for_a_key_of_the_agent() {
    let sshd = Sshd::with("TrustedUserCAKeys {dir}/user_ca.pub\nAuthorizedKeysFile none");
    keygen(&sshd.path("user_ca"), "ed25519", "");
    for kind in ["ed25519", "rsa"] {
        let key = sshd.path(kind);
        keygen(&key, kind, "");
        let agent = Agent::start(&sshd);
        agent.add(&key);
        let settings = Settings { keys: vec![], keys_only: false, agent: Some(agent.1.clone()), ..sshd.settings() };
        fails(&sshd, &settings).await;
        certify(&sshd.path("user_ca"), &["-I", "test", "-n", &sshd.user], &key);
        // The agent has the key alone, the certificate comes from a file.
        let certificates = vec![sshd.path(&format!("{kind}-cert.pub"))];
        works(&sshd, &Settings { certificates, ..settings.clone() }).await;
        agent.add(&key);
        works(&sshd, &settings).await;
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let sshd = Sshd::with("TrustedUserCAKeys {dir}/user_ca.pub\nAuthorizedKeysFile none");
    keygen(&sshd.path("user_ca"), "ed25519", "");
    keygen(&sshd.path("mine"), "ed25519", "");
    certify(&sshd.path("user_ca"), &["-I", "t", "-n", &sshd.user, "-V", "20200101:20200102"], &sshd.path("mine"));
    let (error, _) = fails(&sshd, &Settings { keys: vec![sshd.path("mine")], ..sshd.settings() }).await;
    assert!(error.contains("mine-cert.pub: refused") && error.contains("mine: refused"), "{error}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_password_only() {
    let sshd = Sshd::with("PubkeyAuthentication no\nPasswordAuthentication yes");
    let expected = "the host takes no keys for this user, only: password. windlass logs in with keys or certificates, never \
                    with a password: set PubkeyAuthentication yes in sshd_config there";
    let (error, hint) = fails(&sshd, &sshd.settings()).await;
    assert!(error.ends_with(&format!("tried: {}: refused", sshd.path("id").display())), "{error}");
    assert_eq!(hint, expected);
    // The same without any key to try.
    let (error, hint) = fails(&sshd, &Settings { keys: vec![], ..sshd.settings() }).await;
    assert!(error.contains("tried: no key at all"), "{error}");
    assert_eq!(hint, expected);
}

#[tokio::test]
async fn a_second_factor_is_refused_clearly() {
    let sshd = Sshd::with("AuthenticationMethods publickey,password\nPasswordAuthentication yes");
    let (error, hint) = fails(&sshd, &sshd.settings()).await;
    assert!(error.contains("accepted, but not enough"), "{error}");
    assert!(hint.contains("wants a second factor (password)"), "{hint}");
}
