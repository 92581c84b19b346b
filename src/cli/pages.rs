//! Error pages of the project (`error_pages_path`): `4xx` and `5xx` files, named by the status as in Kamal.

use crate::cli::Failure;
use crate::secret::Secret;
use crate::spec::{EdgeFile, LONGEST_PAGE, PAGES};
use sha2::Digest;
use std::collections::BTreeMap;
use std::path::Path;

/// What windlass shows for maintenance when the project has no `503.html`.
const MAINTENANCE: &str = include_str!("../../templates/maintenance.html");

/// The pages of a project by status.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pages: BTreeMap<u16, String>,
    /// What was found and cannot be shown.
    pub(crate) notes: Vec<String>,
}

/// The digest of a page.
pub(crate) fn digest(page: &str) -> String {
    hex::encode(sha2::Sha256::digest(page))
}

/// Reads `4??.html` and `5??.html` of a directory.
pub(crate) fn read(dir: &Path) -> Result<Pages, Failure> {
    let shown = dir.display();
    let unreadable = |error: std::io::Error| {
        Failure::config(format!("error_pages_path: {shown} cannot be read: {error}"))
            .hint("name a directory with files such as 503.html, or take `error_pages_path` out")
    };
    let mut pages = Pages::default();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let Some(status) = path.file_name().and_then(|n| n.to_str()).and_then(status) else { continue };
        if PAGES.contains(&status) {
            pages.pages.insert(status, page(&path)?);
        } else {
            let all: Vec<_> = PAGES.iter().map(ToString::to_string).collect();
            pages.notes.push(format!(
                "{}: the proxy never answers {status} by itself, so it never shows this page (it can show {})",
                path.display(),
                all.join(", ")
            ));
        }
    }
    pages.notes.sort();
    Ok(pages)
}

/// `503` of `503.html`.
fn status(name: &str) -> Option<u16> {
    let digits = name.strip_suffix(".html").filter(|d| d.len() == 3)?;
    digits.parse().ok().filter(|status| (400..600).contains(status))
}

fn page(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| Failure::config(format!("{shown} cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::config(format!("{shown} is not UTF-8")))?;
    if text.len() > LONGEST_PAGE {
        let error = format!("{shown} has {} bytes; the proxy can show pages of up to {LONGEST_PAGE}", text.len());
        return Err(Failure::config(error).hint("make it smaller: move images and styles out of it"));
    }
    if let Some((line, action)) = foreign_action(&text) {
        let error = format!("{shown}:{line}: `{action}` is not understood: only `{{{{ .Message }}}}` is");
        return Err(Failure::config(error).hint("take it out, or write the text itself"));
    }
    Ok(text)
}

/// kamal-proxy's pages are Go templates: the first action that is not the message, with its line.
fn foreign_action(text: &str) -> Option<(usize, String)> {
    let (at, _) = text.match_indices("{{").find(|(at, _)| message_at(&text[*at..]).is_none())?;
    let action: String = text[at..].chars().take_while(|c| *c != '\n').take(40).collect();
    Some((text[..at].matches('\n').count() + 1, action))
}

/// The length of `{{ .Message }}` at the beginning of a text.
fn message_at(text: &str) -> Option<usize> {
    let inner = &text[2..text.find("}}")?];
    (inner.trim_matches('-').trim() == ".Message").then_some(inner.len() + 4)
}

/// A page with its message in place of `{{ .Message }}`, and whether there was such a place.
fn with_message(page: &str, message: &str) -> (String, bool) {
    let (mut out, mut rest, mut placed) = (String::new(), page, false);
    while let Some(at) = rest.find("{{") {
        let Some(length) = message_at(&rest[at..]) else { break };
        out.push_str(&rest[..at]);
        out.push_str(&escaped(message));
        rest = &rest[at + length..];
        placed = true;
    }
    out.push_str(rest);
    (out, placed)
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        out
    })
}

impl Pages {
    fn plain(&self) -> impl Iterator<Item = (u16, String)> {
        self.pages.iter().map(|(status, page)| (*status, with_message(page, "").0))
    }

    /// Status → digest.
    pub(crate) fn shown(&self) -> BTreeMap<u16, String> {
        self.plain().map(|(status, page)| (status, digest(&page))).collect()
    }

    /// Their contents.
    pub(crate) fn contents(&self) -> BTreeMap<EdgeFile, Secret<String>> {
        self.plain().map(|(_, page)| (EdgeFile::page(&digest(&page)), Secret::new(page))).collect()
    }

    /// The page that is shown during maintenance, and what is worth saying about it.
    pub(crate) fn maintenance(&self, message: Option<&str>) -> Result<(String, Option<String>), Failure> {
        let own = self.pages.get(&503);
        let (page, placed) = with_message(own.map_or(MAINTENANCE, String::as_str), message.unwrap_or_default());
        if page.len() > LONGEST_PAGE {
            return Err(Failure::usage(format!("with this message the page has more than {LONGEST_PAGE} bytes")));
        }
        let lost = message.is_some() && !placed;
        let note = "your 503.html has no {{ .Message }}: it is shown as it is, without the message";
        Ok((page, lost.then(|| note.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_text_and_never_markup() {
        let pages = Pages { pages: [(503, "<p>{{ .Message }}</p>{{- .Message -}}".to_string())].into(), notes: vec![] };
        let (page, note) = pages.maintenance(Some("<script>&\"'")).unwrap();
        assert_eq!(page, "<p>&lt;script&gt;&amp;&quot;&#39;</p>&lt;script&gt;&amp;&quot;&#39;");
        assert_eq!(note, None);
        assert_eq!(pages.plain().collect::<Vec<_>>(), [(503, "<p></p>".to_string())]);
    }

    #[test]
    fn without_a_page_of_its_own_a_project_has_one() {
        let (page, note) = Pages::default().maintenance(Some("back at 3 pm")).unwrap();
        assert!(page.contains("back at 3 pm") && note.is_none(), "{page}");
        let mute = Pages { pages: [(503, "<p>closed</p>".to_string())].into(), notes: vec![] };
        let (page, note) = mute.maintenance(Some("x")).unwrap();
        assert!(page == "<p>closed</p>" && note.is_some());
    }

    #[test]
    fn files_are_found_by_their_names_and_bad_ones_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        for name in ["503.html", "404.html", "index.html", "50.html", "599.txt", "200.html"] {
            write(name, "<p>x</p>");
        }
        let pages = read(dir.path()).unwrap();
        assert_eq!(pages.shown().into_keys().collect::<Vec<_>>(), [503]);
        assert!(pages.notes.len() == 1 && pages.notes[0].contains("404.html"), "{:?}", pages.notes);
        write("502.html", "<p>\n{{ if .Message }}x{{ end }}</p>");
        let error = read(dir.path()).unwrap_err();
        assert!(error.error.contains("502.html:2: `{{ if .Message }}"), "{error:?}");
        write("502.html", &"x".repeat(LONGEST_PAGE + 1));
        assert!(read(dir.path()).unwrap_err().error.contains("502.html has 15001 bytes"));
        assert!(read(&dir.path().join("nowhere")).unwrap_err().error.contains("error_pages_path"));
    }
}
