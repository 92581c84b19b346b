//! YAML text to a tree of [`Node`]s that know their lines: anchors, aliases, merge keys and duplicate keys as in Psych.

use super::erb::Rendered;
use super::node::{Entry, Map, Node, Value};
use super::problem::{Place, Problem};
use super::scalar;
use super::yaml_mapping::Mapping;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The most values that a file may come to once its aliases are expanded.
const MAX_NODES: usize = 20_000;
/// The deepest nesting.
const MAX_DEPTH: usize = 48;

/// A parsed file.
#[derive(Debug)]
pub struct Parsed {
    /// The tree; an empty file is `Null`.
    pub root: Node,
    /// Duplicate keys and the like.
    pub warnings: Vec<Problem>,
}

/// Parses a rendered file. `file` is how messages call it.
pub fn parse(rendered: &Rendered, file: &str) -> Result<Parsed, Problem> {
    let file: Arc<str> = file.into();
    let parser = Parser::new_from_str(&rendered.text);
    let mut builder =
        Builder { parser, rendered, file, warnings: Vec::new(), anchors: HashMap::new(), nodes: 0, depth: 0 };
    let root = builder.document()?;
    Ok(Parsed { root, warnings: builder.warnings })
}

type Outcome<T> = Result<T, Problem>;
type EventTag<'a> = Option<Cow<'a, Tag>>;

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    rendered: &'a Rendered,
    file: Arc<str>,
    warnings: Vec<Problem>,
    /// By the parser's number: the anchored value and how many nodes it has; `None` while it is being read.
    anchors: HashMap<usize, Option<(Node, usize)>>,
    nodes: usize,
    depth: usize,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Outcome<Node> {
        let mut root = Node { value: Value::Null, at: Place { file: self.file.clone(), line: 1, column: 1 } };
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart | Event::Nothing | Event::DocumentStart(_) => {}
                Event::DocumentEnd => break,
                other => root = self.node(other, span)?.0,
            }
        }
        if let Ok((Event::DocumentStart(_), span)) = self.next() {
            let problem = Problem::new(&self.place(span), "", "a second YAML document begins here: it is not read");
            self.warnings.push(problem.hint("remove the `---` line"));
        }
        Ok(root)
    }

    fn next(&mut self) -> Outcome<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn place(&self, span: Span) -> Place {
        let line = self.rendered.source_line(span.start.line());
        Place { file: self.file.clone(), line, column: span.start.col() + 1 }
    }

    fn error<T>(&self, span: Span, message: &str, hint: &str) -> Outcome<T> {
        Err(Problem::new(&self.place(span), "", message).hint(hint))
    }

    /// One value with its number of nodes.
    fn node(&mut self, event: Event<'a>, span: Span) -> Outcome<(Node, usize)> {
        let before = self.nodes;
        self.nodes += 1;
        self.depth += 1;
        if self.nodes > MAX_NODES {
            return self.error(
                span,
                "more than 20000 values, aliases included",
                "look for aliases that repeat each other",
            );
        }
        if self.depth > MAX_DEPTH {
            return self.error(span, "nested more than 48 levels deep", "no setting is that deep");
        }
        let (anchor, value) = match event {
            Event::Alias(id) => {
                let node = self.alias(id, span)?;
                self.depth -= 1;
                return Ok((node, self.nodes - before));
            }
            Event::Scalar(text, style, anchor, tag) => (anchor, self.scalar(&text, style, tag, span)?),
            Event::SequenceStart(anchor, tag) => (anchor, self.collection(anchor, tag, "seq", span, Self::sequence)?),
            Event::MappingStart(anchor, tag) => (anchor, self.collection(anchor, tag, "map", span, Self::mapping)?),
            _ => return self.error(span, "the YAML ends in the middle of a value", "complete the last line"),
        };
        self.depth -= 1;
        let node = Node { value, at: self.place(span) };
        let size = self.nodes - before;
        if anchor != 0 {
            self.anchors.insert(anchor, Some((node.clone(), size)));
        }
        Ok((node, size))
    }

    fn alias(&mut self, id: usize, span: Span) -> Outcome<Node> {
        match self.anchors.get(&id) {
            Some(Some((node, size))) => {
                self.nodes += size;
                Ok(node.clone())
            }
            _ => self.error(
                span,
                "an alias stands inside the value that it refers to",
                "take the alias out of the anchored block",
            ),
        }
    }

    fn collection(
        &mut self,
        anchor: usize,
        tag: EventTag<'a>,
        kind: &str,
        span: Span,
        read: fn(&mut Self) -> Outcome<Value>,
    ) -> Outcome<Value> {
        if tag.is_some_and(|t| !(t.is_yaml_core_schema() && t.suffix == kind)) {
            return self.error(span, "YAML tags (`!…`) are not allowed here", "remove the tag");
        }
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        read(self)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: EventTag<'a>, span: Span) -> Outcome<Value> {
        let core = tag.as_ref().map(|t| if t.is_yaml_core_schema() { t.suffix.as_str() } else { "" });
        match (core, style) {
            (None, ScalarStyle::Plain) => Ok(scalar::resolve(text)),
            (None | Some("str"), _) => Ok(Value::String(text.to_string())),
            (Some("int" | "float" | "bool" | "null"), _) => Ok(scalar::resolve(text)),
            _ => self.error(span, "YAML tags (`!…`) are not allowed here", "remove the tag"),
        }
    }

    fn sequence(&mut self) -> Outcome<Value> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Seq(items)),
                (event, span) => items.push(self.node(event, span)?.0),
            }
        }
    }

    fn mapping(&mut self) -> Outcome<Value> {
        let mut mapping = Mapping::default();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Map(mapping.map));
            }
            let key_at = self.place(span);
            let (key, merges) = self.key(event, span)?;
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span)?.0;
            if merges {
                self.merge(&mut mapping, value, value_span)?;
            } else {
                mapping.set(Entry { key, key_at, value }, &mut self.warnings);
            }
        }
    }

    /// A key's text as written, and whether it is the merge key.
    fn key(&mut self, event: Event<'a>, span: Span) -> Outcome<(String, bool)> {
        const HINT: &str = "write the key as text, in quotes if need be";
        let written = match &event {
            Event::Scalar(text, ScalarStyle::Plain, _, tag) => Some((text.to_string(), tag.is_none() && text == "<<")),
            _ => None,
        };
        let node = self.node(event, span)?.0;
        match (written, node.text()) {
            (Some((text, merges)), _) if !text.is_empty() => {
                if matches!(node.value, Value::Bool(_)) {
                    let message = format!("YAML reads the key `{text}` as a boolean; it is taken as the text `{text}`");
                    self.warnings.push(Problem::new(&node.at, "", message).hint("put it in quotes"));
                }
                let text = text.strip_prefix(':').filter(|t| !t.is_empty()).unwrap_or(&text).to_string();
                Ok((text, merges))
            }
            (None, Some(text)) => Ok((text, false)),
            (Some(_), _) => self.error(span, "there is no key before `:`", HINT),
            (None, None) => self.error(span, "a list or mapping cannot be a key", HINT),
        }
    }

    /// `<<: mapping` or `<<: [mapping, …]`, where the first of several wins. As in Psych, `<<` overrides the keys above it.
    fn merge(&mut self, mapping: &mut Mapping, value: Node, span: Span) -> Outcome<()> {
        const HINT: &str = "write `<<: *name`, where &name stands before a mapping";
        let sources = match value.value {
            Value::Map(map) => vec![map],
            Value::Seq(items) => {
                let maps: Option<Vec<Map>> = items
                    .into_iter()
                    .rev()
                    .map(|item| if let Value::Map(map) = item.value { Some(map) } else { None })
                    .collect();
                match maps {
                    Some(maps) => maps,
                    None => return self.error(span, "`<<` needs a mapping or a list of mappings", HINT),
                }
            }
            _ => return self.error(span, "`<<` needs a mapping or a list of mappings", HINT),
        };
        let at = self.place(span);
        for entry in sources.into_iter().flat_map(|map| map.0) {
            mapping.merge(entry, &at, &mut self.warnings);
        }
        Ok(())
    }

    fn scan_error(&self, error: &ScanError) -> Problem {
        let number = error.marker().line().max(1);
        let at = Place::line(&self.file, self.rendered.source_line(number));
        let mut near = self.rendered.text.lines().skip(number.saturating_sub(2)).take(2);
        let tab = near.clone().any(|l| l[..l.len() - l.trim_start().len()].contains('\t'));
        if tab {
            let line = if near.next().is_some_and(|l| l.trim_start_matches(' ').starts_with('\t')) {
                number - 1
            } else {
                number
            };
            let at = Place::line(&self.file, self.rendered.source_line(line.max(1)));
            return Problem::new(&at, "", "a tab is used to indent")
                .hint("YAML allows only spaces there: replace the tab by spaces");
        }
        let problem = Problem::new(&at, "", format!("is not valid YAML: {}", error.info()));
        if error.info().contains("unknown anchor") {
            return problem
                .hint("`*name` stands for a value that has `&name` in front of it, further up in the same file");
        }
        problem.hint("check the indentation and quotes of this line and the line above: keys of one level begin in the same column")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Parsed {
        parse(&Rendered::plain(text), "deploy.yml").unwrap_or_else(|p| panic!("{p}"))
    }

    fn refused(text: &str) -> String {
        parse(&Rendered::plain(text), "deploy.yml").unwrap_err().to_string()
    }

    /// A tree as JSON-like text, for comparing.
    fn show(node: &Node) -> String {
        match &node.value {
            Value::Seq(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
            Value::Map(map) => {
                let entries: Vec<_> = map.0.iter().map(|e| format!("{}: {}", e.key, show(&e.value))).collect();
                format!("{{{}}}", entries.join(", "))
            }
            _ => node.text().unwrap_or_else(|| "null".into()),
        }
    }

    #[test]
    fn aliases_and_merge_keys() {
        let text = "base: &b {a: 1, b: 2}\nmore: &m {b: 3, c: 4}\none: {<<: *b, b: 9}\nlist: {<<: [*b, *m]}\nref: *b";
        assert_eq!(
            show(&parsed(text).root),
            "{base: {a: 1, b: 2}, more: {b: 3, c: 4}, one: {a: 1, b: 9}, list: {b: 2, c: 4, a: 1}, ref: {a: 1, b: 2}}"
        );
    }

    #[test]
    fn merge_below_a_key_overrides_it_and_is_said() {
        let result = parsed("x: &x {a: 1}\ny:\n  a: 2\n  <<: *x");
        assert_eq!(show(&result.root), "{x: {a: 1}, y: {a: 1}}");
        assert!(result.warnings[0].to_string().starts_with("deploy.yml:4: `<<` stands below the key `a` (line 3)"));
    }

    #[test]
    fn every_value_knows_its_line() {
        let root = parsed("a: 1\nb:\n  - x\n  - y: z\n").root;
        let list = &root.map().unwrap().get("b").unwrap().value;
        let Value::Seq(items) = &list.value else { panic!("a list") };
        assert_eq!((items[0].at.line, items[1].at.line, items[1].at.column), (3, 4, 5));
    }

    #[test]
    fn a_duplicate_key_is_said_with_both_lines() {
        let result = parsed("a: 1\nb: 2\na: 3");
        assert_eq!(show(&result.root), "{a: 3, b: 2}");
        insta::assert_snapshot!(result.warnings[0], @r"
        deploy.yml:3: the key `a` is already on line 1; the later one (line 3) wins
          remove one of them
        ");
    }

    #[test]
    fn quoted_scalars_are_text_and_tags_are_limited() {
        assert_eq!(parsed("a: 'yes'").root.map().unwrap().0[0].value.value, Value::String("yes".into()));
        assert_eq!(parsed("a: !!str 12").root.map().unwrap().0[0].value.value, Value::String("12".into()));
        assert_eq!(parsed("a: {verbose: :sym}").root.map().unwrap().0.len(), 1);
        assert!(refused("a: !ruby/object:Object {}").contains("YAML tags"));
        assert_eq!(parsed("").root.value, Value::Null);
        assert_eq!(parsed("on: 1\n").warnings.len(), 1);
        assert_eq!(parsed("a: 1\n---\nb: 2").warnings.len(), 1);
    }

    #[test]
    fn broken_yaml_names_line_and_way_out() {
        insta::assert_snapshot!(refused("a: 1\nb:\n\tc: 2\n"), @r"
        deploy.yml:3: a tab is used to indent
          YAML allows only spaces there: replace the tab by spaces
        ");
        insta::assert_snapshot!(refused("service: app\n image: x\n"), @r"
        deploy.yml:2: is not valid YAML: mapping values are not allowed in this context
          check the indentation and quotes of this line and the line above: keys of one level begin in the same column
        ");
        insta::assert_snapshot!(refused("a: &a\n  b: *a\n"), @r"
        deploy.yml:2: an alias stands inside the value that it refers to
          take the alias out of the anchored block
        ");
        assert!(refused("a: *nowhere").starts_with("deploy.yml:1: is not valid YAML"));
        assert!(refused("[a, b]: 1").contains("cannot be a key"));
        assert!(refused("a: {<<: 1}").contains("`<<` needs a mapping"));
    }

    #[test]
    fn an_alias_bomb_ends_early() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_string();
        for i in 1..12 {
            let alias = format!("*a{}", i - 1);
            text += &format!("a{i}: &a{i} [{}]\n", [alias.as_str(); 9].join(", "));
        }
        assert!(refused(&text).contains("more than 20000 values"));
        assert!(refused(&"[".repeat(100)).contains("48 levels"));
    }
}
