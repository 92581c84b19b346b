//! The ERB that Kamal files really use, without Ruby: values from the environment and plain text.
//!
//! Every other tag stops with its file and line. None is ever passed through as text, since Kamal would have run it.

use super::erb_expr;
use super::problem::{Place, Problem, Problems};

/// What the tags can see of the outside world.
pub struct Surroundings<'a> {
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// This machine's architecture as Docker names it, for `Kamal::Utils.docker_arch`.
    pub docker_arch: &'a str,
}

impl Surroundings<'_> {
    /// The architecture that this program was built for, as Docker names it.
    pub fn own_arch() -> &'static str {
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    }
}

/// A file after its tags were replaced. A value of several lines does not shift the lines below it.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// For each line of the text, the line of the file that it came from.
    lines: Vec<usize>,
    /// Things worth saying: variables that are not set.
    pub warnings: Vec<Problem>,
}

impl Rendered {
    /// The line of the file that a line of the text (from 1) came from.
    pub fn source_line(&self, line: usize) -> usize {
        self.lines.get(line.saturating_sub(1)).or(self.lines.last()).copied().unwrap_or(1)
    }

    /// Text without any tags: every line is its own.
    pub fn plain(text: &str) -> Self {
        let mut rendered = Self { lines: vec![1], ..Self::default() };
        rendered.push(text, &mut 1, true);
        rendered
    }

    fn push(&mut self, text: &str, line: &mut usize, from_file: bool) {
        for c in text.chars() {
            self.text.push(c);
            if c == '\n' {
                *line += usize::from(from_file);
                self.lines.push(*line);
            }
        }
    }
}

/// Replaces the tags of a file. All tags that are not understood are reported at once.
pub fn render(text: &str, file: &str, around: &Surroundings) -> Result<Rendered, Problems> {
    let mut out = Rendered { lines: vec![1], ..Rendered::default() };
    let (mut rest, mut line, mut problems) = (text, 1, Vec::new());
    while let Some(start) = rest.find("<%") {
        out.push(&rest[..start], &mut line, true);
        rest = &rest[start..];
        if let Some(after) = rest.strip_prefix("<%%") {
            out.push("<%", &mut line, true);
            rest = after;
            continue;
        }
        let at = Place::line(&file.into(), line);
        let Some(end) = rest.find("%>") else {
            problems.push(Problem::new(&at, "", "the ERB tag `<%` is never closed").hint("close it with `%>`"));
            return Err(Problems(problems));
        };
        let (tag, after) = rest.split_at(end + 2);
        match value_of(tag, around) {
            Ok(value) => {
                out.push(&value.text, &mut line, false);
                out.warnings.extend(value.unset.into_iter().map(|name| unset_note(&at, &name)));
            }
            Err(why) => problems.push(Problem::new(&at, "", why).hint(SUPPORTED)),
        }
        line += tag.matches('\n').count();
        rest = after;
        if tag.ends_with("-%>") && rest.starts_with('\n') {
            rest = &rest[1..];
            line += 1;
        }
        if let Some(current) = out.lines.last_mut() {
            *current = if out.text.is_empty() || out.text.ends_with('\n') { line } else { *current };
        }
    }
    out.push(rest, &mut line, true);
    if problems.is_empty() { Ok(out) } else { Err(Problems(problems)) }
}

const SUPPORTED: &str = "windlass runs no Ruby; it knows <%= ENV[\"X\"] %>, <%= ENV.fetch(\"X\") %>, <%= ENV.fetch(\"X\", \"default\") %> \
and <%= ENV[\"A\"] || \"b\" %>: set a variable before the call, or use $(command) in the secrets file";

fn unset_note(at: &Place, name: &str) -> Problem {
    Problem::new(at, "", format!("the environment variable {name} is not set: the ERB tag is replaced by nothing"))
        .hint(format!("set {name}, or give a default: ENV.fetch(\"{name}\", \"default\")"))
}

fn value_of(tag: &str, around: &Surroundings) -> Result<erb_expr::Evaluated, String> {
    let inner = tag.trim_start_matches("<%").trim_end_matches("%>");
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    if inner.starts_with('#') {
        return Ok(erb_expr::Evaluated::default());
    }
    let shown: String = tag
        .chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect::<String>()
        .replace("\\\"", "\"")
        .replace("\\'", "'");
    let Some(expression) = inner.strip_prefix('=') else {
        return Err(format!("the ERB tag `{shown}` runs Ruby"));
    };
    erb_expr::evaluate(expression, around).map_err(|why| match why {
        erb_expr::Failure::NotSet(name) => {
            format!("the ERB tag `{shown}` needs the environment variable {name}, which is not set")
        }
        erb_expr::Failure::NotUnderstood => format!("the ERB tag `{shown}` is not understood"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "TOKEN" => Some("t0ken".into()),
            "LINES" => Some("one\ntwo".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn run(text: &str) -> Result<Rendered, Problems> {
        render(text, "deploy.yml", &Surroundings { env: &env, docker_arch: "amd64" })
    }

    #[test]
    fn the_known_forms_are_replaced() {
        for (text, expected) in [
            (r#"a: <%= ENV["TOKEN"] %>"#, "a: t0ken"),
            ("a: <%= ENV['TOKEN'] -%>\nb: 1", "a: t0kenb: 1"),
            (r#"a: <%= ENV.fetch("TOKEN") %>"#, "a: t0ken"),
            (r#"a: <%= ENV.fetch 'NONE', 'd' %>"#, "a: d"),
            (r#"a: <%= ENV.fetch("NONE", ENV["TOKEN"]) %>"#, "a: t0ken"),
            (r#"a: <%= ENV["NONE"] || "b" %>"#, "a: b"),
            (r#"a: <%= ENV["EMPTY"] || "b" %>"#, "a: "),
            (r#"a: <%= ENV["NONE"] || ENV["TOKEN"] || "b" %>"#, "a: t0ken"),
            (r#"a: <%= "my-user" %>"#, "a: my-user"),
            (r#"a: <%= Kamal::Utils.docker_arch == "arm64" ? "amd64" : "arm64" %>"#, "a: arm64"),
            ("<%# a comment\nover lines -%>\na: 1", "a: 1"),
            ("a: <%% b", "a: <% b"),
        ] {
            assert_eq!(run(text).unwrap().text, expected, "{text}");
        }
    }

    #[test]
    fn lines_below_a_tag_keep_their_numbers() {
        let rendered = run("a: <%= ENV['LINES'] %>\nb: 1\n<%# one\ntwo -%>\nc: 2\n").unwrap();
        assert_eq!(rendered.text, "a: one\ntwo\nb: 1\nc: 2\n");
        let lines: Vec<_> = (1..=4).map(|l| rendered.source_line(l)).collect();
        assert_eq!(lines, [1, 1, 2, 5]);
    }

    #[test]
    fn an_unset_variable_is_nothing_and_said() {
        let rendered = run("x: 1\na: <%= ENV['NONE'] %>").unwrap();
        assert_eq!(rendered.text, "x: 1\na: ");
        assert!(rendered.warnings[0].to_string().starts_with("deploy.yml:2: the environment variable NONE is not set"));
    }

    #[test]
    fn everything_else_stops_with_line_and_tag() {
        let text = "a: 1\nb: <%= `git rev-parse HEAD` %>\n<% require \"dotenv\" %>\nc: <%= ENV.fetch('NONE') %>\nd: <%= File.read(\"x\") %>\ne: <%= ENV[";
        insta::assert_snapshot!(run(text).unwrap_err().to_string().replace(SUPPORTED, "(what is supported)"), @r#"
        deploy.yml:2: the ERB tag `<%= `git rev-parse HEAD` %>` is not understood
          (what is supported)
        deploy.yml:3: the ERB tag `<% require "dotenv" %>` runs Ruby
          (what is supported)
        deploy.yml:4: the ERB tag `<%= ENV.fetch('NONE') %>` needs the environment variable NONE, which is not set
          (what is supported)
        deploy.yml:5: the ERB tag `<%= File.read("x") %>` is not understood
          (what is supported)
        deploy.yml:6: the ERB tag `<%` is never closed
          close it with `%>`
        "#);
        for bad in [
            "<%= \"a#{1}\" %>",
            "<%= ENV['A'].strip %>",
            "<%= %>",
            "<%= 1 + 1 %>",
            "<%= ENV[X] %>",
            "<%= \"a\" \"b\" %>",
        ] {
            assert!(run(bad).is_err(), "{bad}");
        }
    }
}
