//! Takes secret values out of text that others wrote: excerpts of container logs, hook output, error messages.
//!
//! Types keep windlass itself from printing a secret; they cannot stop an application that prints its own password.

use crate::secret::Secret;
use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;
use std::fmt;

/// What stands in the place of a secret.
pub const MASK: &str = "[secret]";

/// Values shorter than this are masked where they stand as a whole word only, and not in encoded forms: a secret `1`
/// would otherwise take every digit 1 out of a log.
const SHORT: usize = 4;

/// Base64 of a value inside a longer text is recognised from this length on; below it the part that does not depend on
/// the neighbours is too short to be told from ordinary words.
const INNER: usize = 8;

/// Replaces every secret value it knows by [`MASK`]: plain, each line of a value with several lines, JSON-escaped,
/// percent-encoded, and base64 (standard and URL-safe, with or without padding, also as a part of a longer encoded text
/// such as an `Authorization: Basic` header).
#[derive(Clone)]
pub struct Masker {
    long: Option<AhoCorasick>,
    short: BTreeSet<String>,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masker")
    }
}

impl Default for Masker {
    fn default() -> Self {
        Self::new([])
    }
}

impl Masker {
    /// A masker of these values. Blank ones are ignored.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a Secret<String>>) -> Self {
        let mut patterns = BTreeSet::new();
        let mut short = BTreeSet::new();
        for value in values.into_iter().flat_map(|v| whole_and_lines(v.expose())) {
            if value.chars().count() < SHORT {
                short.insert(value.to_string());
            } else {
                patterns.extend(forms(value));
            }
        }
        let build = || AhoCorasick::builder().match_kind(MatchKind::Standard).build(&patterns).ok();
        Self { long: (!patterns.is_empty()).then(build).flatten(), short }
    }

    /// The text without any secret value. Works on whole texts or whole lines; see [`MaskedLines`] for a stream.
    pub fn mask(&self, text: &str) -> String {
        let mut spans = self.long_spans(text);
        spans.extend(self.short_spans(text));
        if spans.is_empty() { text.to_string() } else { replace(text, spans) }
    }

    /// Overlapping matches are all found, so that a part of one secret never survives because another began before it.
    fn long_spans(&self, text: &str) -> Vec<(usize, usize)> {
        let Some(long) = &self.long else { return Vec::new() };
        long.find_overlapping_iter(text).map(|m| (m.start(), m.end())).collect()
    }

    fn short_spans(&self, text: &str) -> Vec<(usize, usize)> {
        if self.short.is_empty() {
            return Vec::new();
        }
        words(text).into_iter().filter(|(from, to)| self.short.contains(&text[*from..*to])).collect()
    }
}

/// Cuts a stream of chunks into lines and masks each, so that a value that is split between chunks is still found.
#[derive(Debug)]
pub struct MaskedLines {
    masker: Masker,
    rest: Vec<u8>,
}

impl MaskedLines {
    /// Longer lines are cut here, so that a stream without newlines does not fill the memory.
    const LONGEST: usize = 64 * 1024;

    /// An empty stream.
    pub fn new(masker: Masker) -> Self {
        Self { masker, rest: Vec::new() }
    }

    /// Takes the next chunk and gives back the lines that are complete now.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(chunk);
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            lines.push(self.text(&line[..end]));
        }
        if self.rest.len() > Self::LONGEST {
            lines.extend(self.finish());
        }
        lines
    }

    /// The last line, if the stream did not end with a newline.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.rest);
        (!rest.is_empty()).then(|| self.text(&rest))
    }

    fn text(&self, line: &[u8]) -> String {
        let text = String::from_utf8_lossy(line);
        self.masker.mask(text.trim_end_matches('\r'))
    }
}

fn whole_and_lines(value: &str) -> BTreeSet<&str> {
    let lines = value.lines().map(str::trim).filter(|line| value.lines().count() > 1 && line.len() >= SHORT);
    [value.trim()].into_iter().chain(lines).filter(|part| !part.is_empty()).collect()
}

fn forms(value: &str) -> BTreeSet<String> {
    let mut forms: BTreeSet<String> = [value.to_string(), percent(value, true), percent(value, false)].into();
    forms.insert(percent(value, true).replace("%20", "+"));
    if let Ok(json) = serde_json::to_string(value) {
        forms.insert(json.trim_matches('"').to_string());
    }
    // Without padding: the padded form contains it, and what remains of it is one or two `=`.
    forms.insert(STANDARD_NO_PAD.encode(value));
    forms.insert(URL_SAFE_NO_PAD.encode(value));
    if value.len() >= INNER {
        for before in 0..3 {
            forms.insert(inner(&STANDARD_NO_PAD, value, before));
            forms.insert(inner(&URL_SAFE_NO_PAD, value, before));
        }
    }
    forms
}

/// The characters of a longer base64 text that depend on this value alone, when `before` bytes (modulo 3) precede it.
fn inner(engine: &impl base64::Engine, value: &str, before: usize) -> String {
    let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(value.bytes()).collect();
    let whole = bytes.len() / 3 * 4;
    let skip = if before == 0 { 0 } else { 4 };
    engine.encode(&bytes)[skip..whole].to_string()
}

fn percent(value: &str, upper: bool) -> String {
    value
        .bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
            _ if upper => format!("%{b:02X}"),
            _ => format!("%{b:02x}"),
        })
        .collect()
}

/// The words of a text: longest runs without white space, quotes and the separators that stand around values.
fn words(text: &str) -> Vec<(usize, usize)> {
    let separates = |c: char| c.is_whitespace() || "\"'`=:,;()[]{}<>|&@/".contains(c);
    let mut spans = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if separates(c) {
            spans.push((start, at));
            start = at + c.len_utf8();
        }
    }
    spans
}

fn replace(text: &str, mut spans: Vec<(usize, usize)>) -> String {
    spans.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (from, to) in spans {
        if from >= done {
            out.push_str(&text[done..from]);
            out.push_str(MASK);
        }
        done = done.max(to);
    }
    out.push_str(&text[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn masker(values: &[&str]) -> Masker {
        let secrets: Vec<_> = values.iter().map(|v| Secret::new(v.to_string())).collect();
        Masker::new(&secrets)
    }

    #[test]
    fn plain_and_encoded_forms_are_masked() {
        let m = masker(&["p@ss w/rd?>~"]);
        assert_eq!(m.mask("pw=p@ss w/rd?>~;"), "pw=[secret];");
        assert_eq!(m.mask("https://u:p%40ss%20w%2Frd%3F%3E~@h"), "https://u:[secret]@h");
        assert_eq!(m.mask("p%40ss%20w%2frd%3f%3e~"), "[secret]");
        assert_eq!(m.mask("p%40ss+w%2Frd%3F%3E~"), "[secret]");
        assert_eq!(m.mask(&STANDARD.encode("p@ss w/rd?>~")), "[secret]");
        let header = m.mask(&format!("Basic {}", STANDARD.encode("user:p@ss w/rd?>~")));
        assert!(header.contains(MASK), "{header}");
    }

    #[test]
    fn overlapping_secrets_leave_nothing_behind() {
        assert_eq!(masker(&["abcdef", "defghi"]).mask("xabcdefghix"), "x[secret]x");
    }

    #[test]
    fn short_values_are_masked_as_whole_words_only() {
        let m = masker(&["42"]);
        assert_eq!(m.mask("PIN=42, port 4242"), "PIN=[secret], port 4242");
    }

    #[test]
    fn each_line_of_a_key_is_masked() {
        let m = masker(&["-----BEGIN KEY-----\nMIIabcdefgh\n-----END KEY-----\n"]);
        assert_eq!(m.mask("> MIIabcdefgh"), "> [secret]");
    }

    #[test]
    fn a_value_split_between_chunks_is_found() {
        let mut lines = MaskedLines::new(masker(&["hunter22"]));
        assert!(lines.push(b"the pw is hun").is_empty());
        assert_eq!(lines.push(b"ter22\r\nmore"), ["the pw is [secret]"]);
        assert_eq!(lines.finish().as_deref(), Some("more"));
        assert_eq!(lines.finish(), None);
    }

    proptest! {
        #[test]
        fn no_text_around_it_makes_a_value_visible(value in "[!-~]{4,24}", before in "[ -~]{0,9}", after in "[ -~]{0,9}") {
            let masked = masker(&[&value]).mask(&format!("{before}{value}{after}"));
            prop_assume!(!before.contains(&value) && !after.contains(&value) && !MASK.contains(&value));
            prop_assert!(masked.contains(MASK));
            let rest = masked.replace(MASK, "\n");
            prop_assert!(!rest.contains(&value));
        }

        #[test]
        fn base64_of_a_longer_text_hides_the_middle(value in "[!-~]{12,24}", before in "[ -~]{0,9}", after in "[ -~]{0,9}") {
            let masked = masker(&[&value]).mask(&STANDARD.encode(format!("{before}{value}{after}")));
            prop_assert!(masked.contains(MASK));
        }
    }
}
