//! As much of Markdown as the tests of the documentation need.
#![allow(dead_code, missing_docs, unreachable_pub)]

/// A fenced block, without the indentation of its fence.
#[derive(Debug, Clone)]
pub struct Block {
    /// The line of its opening fence, from 1.
    pub line: usize,
    /// The word after the opening fence.
    pub lang: String,
    pub lines: Vec<String>,
}

impl Block {
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

const FENCE: &str = "```";

pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(Block, usize)> = None;
    for (at, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix(FENCE)) {
            (None, Some(lang)) => {
                open = Some((Block { line: at + 1, lang: lang.trim().to_string(), lines: Vec::new() }, indent));
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(block, _)| block)),
            (Some((block, outer)), None) => block.lines.push(line.get(indent.min(*outer)..).unwrap_or("").to_string()),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed: {open:?}");
    blocks
}

/// The lines outside of fenced blocks, numbered from 1.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let fence = line.trim_start().starts_with(FENCE);
        inside ^= fence;
        !inside && !fence
    });
    lines.map(|(at, line)| (at + 1, line)).collect()
}

/// What stands between single backticks on one line.
pub fn code_spans(text: &str) -> Vec<(usize, String)> {
    let spans = |(line, text): (usize, &str)| {
        let inside = text.split('`').skip(1).step_by(2);
        inside.map(|span| (line, span.to_string())).collect::<Vec<_>>()
    };
    prose(text).into_iter().flat_map(spans).collect()
}

/// The targets of `[text](target)`.
pub fn links(text: &str) -> Vec<(usize, String)> {
    let targets = |(line, text): (usize, &str)| {
        let after = text.split("](").skip(1);
        after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| (line, target.to_string())).collect::<Vec<_>>()
    };
    prose(text).into_iter().flat_map(targets).collect()
}
