//! No input, however broken, makes the loader panic; and what it says never holds a password.

use crate::config::{Problems, testing};
use proptest::prelude::*;
use std::path::Path;

/// Loads bytes as the configuration of a project that also has a destination.
fn load(bytes: &[u8]) -> Result<String, Problems> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("deploy.yml"), bytes).unwrap();
    std::fs::write(dir.path().join("deploy.d.yml"), "registry: {password: h1dden}\n").unwrap();
    let file = Path::new("deploy.yml");
    let _ = testing::load_in(dir.path(), file, Some("d"));
    testing::load_in(dir.path(), file, None).map(|config| config.redacted().to_string())
}

/// The texts that mutations start from: the documentation covers every key.
fn seeds() -> Vec<&'static str> {
    let docs = crate::config::docs::SECTIONS.iter().flat_map(crate::config::docs::examples);
    docs.chain([include_str!("../../../templates/deploy.yml")]).collect()
}

/// Pieces that break things in interesting places.
const PIECES: &[&str] = &[
    "\t",
    "\n",
    ": ",
    "- ",
    "*a",
    "&a ",
    "<<: *a",
    "[",
    "{",
    "}",
    "]",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "!!int ",
    "!x ",
    "%",
    "~",
    "<%= ENV[\"X\"] %>",
    "<%",
    "%>",
    "---\n",
    "...\n",
    "# ",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "é",
    "😀",
    "\r",
    "? ",
    "22:22",
    "2024-01-01",
    "99999999999999999999",
    "-",
    "@",
    "`",
    ".inf",
    "0x",
    "1_",
    "null",
    "yes",
];

fn mutated() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..PIECES.len(), 0_usize..12);
    (0..seeds().len(), prop::collection::vec(edit, 1..6)).prop_map(|(seed, edits)| {
        let mut chars: Vec<char> = seeds()[seed].chars().collect();
        for (at, piece, cut) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, PIECES[piece].chars());
        }
        // a random command must not run
        chars.into_iter().map(|c| if c == '`' { '\'' } else { c }).collect::<String>().replace("%x", "%q")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused_or_loaded(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = load(&bytes);
    }

    #[test]
    fn random_text_is_refused_or_loaded(text in "[ -~\n\t:{}\\[\\]&*!|>'\"%@`#,?<-]{0,300}") {
        let _ = load(text.as_bytes());
    }

    #[test]
    fn mutated_configurations_are_refused_with_a_place_or_loaded(text in mutated()) {
        if let Err(problems) = load(text.as_bytes()) {
            prop_assert!(!problems.0.is_empty());
            for problem in &problems.0 {
                prop_assert!(problem.place.file.starts_with("deploy.yml"), "{}", problem);
                prop_assert!(problem.place.line <= text.split(['\n', '\r']).count(), "{}", problem);
                prop_assert!(!problem.message.is_empty());
            }
        }
    }

    #[test]
    fn a_password_never_shows(password in "[a-z]{3}SECRET[0-9]{3}", key in "[a-z]{1,6}", text in mutated()) {
        let text = format!("{text}\nregistry: {{username: {password}, password: [{password}, {{{key}: {password}}}]}}\n");
        let text2 = format!("service: a\nimage: b\nservers: [h]\nregistry: {{username: u, password: {password}}}\n");
        for text in [text, text2] {
            let shown = match load(text.as_bytes()) {
                Ok(shown) => shown,
                Err(problems) => problems.to_string(),
            };
            prop_assert!(!shown.contains(&password), "{}", shown);
        }
    }

    #[test]
    fn secrets_files_never_panic(text in "[ -~\n\t='\"\\\\${}()#:]{0,200}") {
        // commands are cut out: a random one must not run
        let text = text.replace("$(", "$ (");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets");
        std::fs::write(&path, &text).unwrap();
        let _ = crate::config::Secrets::load(&[path], dir.path(), &|_| None);
    }
}

/// Inputs of the largest size that is read, made to be slow. Far more time than any should need.
#[test]
fn large_inputs_end_soon() {
    let size = 1 << 20;
    for piece in [
        "[",
        "{a: ",
        "- ",
        "a: b\n",
        "? ",
        "\"",
        "'",
        "a\n",
        "<% x %>",
        "<%= ENV['X'] %>",
        "&a ",
        "- &a 1\n- *a\n",
        "|",
        "%",
        "a: |\n",
        "\\",
        "#",
        "k1: [\n",
        "!a ",
    ] {
        let started = std::time::Instant::now();
        let _ = load(piece.repeat(size / piece.len()).as_bytes());
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{piece:?} took {:?}", started.elapsed());
        println!("{piece:?} {:?}", started.elapsed());
    }
    let keys: String = (0..9_000).map(|n| format!("kez{n}: {n}\n")).collect();
    let started = std::time::Instant::now();
    let said = load(keys.as_bytes()).unwrap_err().to_string();
    assert!(
        said.lines().count() < 200 && started.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}
