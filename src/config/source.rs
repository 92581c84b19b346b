//! Reading a configuration file as text: what cannot be one is refused with its reason.

use super::problem::{Place, Problem, Problems};
use std::io::Read;
use std::path::Path;

/// The largest file that is read, in bytes. The largest of 191 public configurations has 9 kB.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// Reads a file as UTF-8 text without byte order mark and with `\n` line ends. `name` is how messages call it.
pub fn read(path: &Path, name: &str) -> Result<String, Problems> {
    let failed = |error: std::io::Error| unreadable(name, &error);
    let file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        let problem = Problem::new(&Place::file(name), "", "is a directory, expected a file");
        return Err(problem.hint("name the file itself, such as config/deploy.yml (-c, --config-file)").into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    decode(bytes, name)
}

/// What is said of a file that the system does not let us read.
pub(super) fn unreadable(name: &str, error: &std::io::Error) -> Problem {
    let hint = match error.kind() {
        std::io::ErrorKind::PermissionDenied => format!("let this user read it: ls -l {name}, then chmod or chown"),
        std::io::ErrorKind::NotFound => "it is a link that leads nowhere, or was just removed".to_string(),
        _ => format!("try: cat {name}"),
    };
    Problem::new(&Place::file(name), "", format!("cannot be read: {error}")).hint(hint)
}

/// The same for bytes that are already here.
pub fn decode(bytes: Vec<u8>, name: &str) -> Result<String, Problems> {
    let at = Place::file(name);
    if bytes.len() as u64 > MAX_BYTES {
        let problem = Problem::new(&at, "", "is larger than 1 MiB, which no configuration is");
        return Err(problem.hint("check that this is the file you meant (-c, --config-file)").into());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        not_text(&Place::line(&at.file, line), "is not UTF-8 text")
    })?;
    if let Some(control) = text.find(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) {
        let line = 1 + text[..control].matches('\n').count();
        return Err(
            not_text(&Place::line(&at.file, line), "holds a control character, so it is not a text file").into()
        );
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

fn not_text(at: &Place, what: &str) -> Problem {
    Problem::new(at, "", what).hint("check that this is the file you meant, or save it again as UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        decode(bytes.to_vec(), "deploy.yml").unwrap_err().to_string()
    }

    #[test]
    fn byte_order_mark_and_line_ends_of_other_systems_are_fine() {
        assert_eq!(decode(b"\xef\xbb\xbfa: 1\r\nb: 2\rc: 3".to_vec(), "f").unwrap(), "a: 1\nb: 2\nc: 3");
    }

    #[test]
    fn what_is_not_a_text_file_is_named_with_its_line() {
        insta::assert_snapshot!(refused(b"a: 1\n\x7fELF"), @r"
        deploy.yml:2: holds a control character, so it is not a text file
          check that this is the file you meant, or save it again as UTF-8
        ");
        insta::assert_snapshot!(refused(b"a: 1\nb: \xff\xfe"), @r"
        deploy.yml:2: is not UTF-8 text
          check that this is the file you meant, or save it again as UTF-8
        ");
        insta::assert_snapshot!(refused(&vec![b'#'; 10_000_000]), @r"
        deploy.yml: is larger than 1 MiB, which no configuration is
          check that this is the file you meant (-c, --config-file)
        ");
        let dir = tempfile::tempdir().unwrap();
        assert!(
            read(dir.path(), "config").unwrap_err().to_string().starts_with("config: is a directory, expected a file")
        );
    }
}
