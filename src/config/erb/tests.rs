//! What tags come to. The texts are forms that public configurations use.

use super::{Rendered, SUPPORTED, Surroundings, World, render};
use crate::config::Problems;
use std::path::Path;

fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("t0ken".into()),
        "LINES" => Some("one\ntwo".into()),
        "EMPTY" => Some(String::new()),
        "HOSTS" => Some("a, b".into()),
        "HOME" => Some("/home/me".into()),
        _ => None,
    }
}

fn run_in(root: &Path, text: &str) -> Result<Rendered, Problems> {
    render(text, "deploy.yml", &mut World::new(Surroundings { env: &env, docker_arch: "amd64", root }))
}

fn run(text: &str) -> Result<Rendered, Problems> {
    run_in(Path::new("/"), text)
}

fn text(template: &str) -> String {
    run(template).unwrap_or_else(|problems| panic!("{template}\n{problems}")).text
}

#[test]
fn the_environment_and_choices() {
    for (template, expected) in [
        (r#"a: <%= ENV["TOKEN"] %>"#, "a: t0ken"),
        ("a: <%= ENV['TOKEN'] -%>\nb: 1", "a: t0kenb: 1"),
        (r#"a: <%= ENV.fetch("TOKEN") %>"#, "a: t0ken"),
        (r#"a: <%= ENV.fetch 'NONE', 'd' %>"#, "a: d"),
        (r#"a: <%= ENV.fetch("NONE", ENV["TOKEN"]) %>"#, "a: t0ken"),
        (r#"a: <%= ENV.fetch("NONE") { "c".upcase } %>"#, "a: C"),
        (r#"a: <%= ENV["NONE"] || "b" %>"#, "a: b"),
        (r#"a: <%= ENV["EMPTY"] || "b" %>"#, "a: "),
        (r#"a: <%= ENV["NONE"] || ENV["TOKEN"] || ENV.fetch("NONE") %>"#, "a: t0ken"),
        (r#"a: <%= ENV["NONE"].presence || "b" %>"#, "a: b"),
        (r#"a: <%= ENV["NONE"]&.strip || "b" %>"#, "a: b"),
        (r#"a: <%= ENV.key?("NONE") ? 1 : 2 %>"#, "a: 2"),
        (r#"a: <%= ENV.fetch("NONE", "true") == "true" %>"#, "a: true"),
        (r#"a: <%= ENV.fetch("NONE", 365 * 24) %>"#, "a: 8760"),
        (r#"a: <%= ENV.fetch("TOKEN", '').to_s.inspect %>"#, "a: \"t0ken\""),
        (r#"a: <%= Kamal::Utils.docker_arch == "arm64" ? "amd64" : "arm64" %>"#, "a: arm64"),
        (r##"a: <%= "x-#{ENV["TOKEN"]}-#{1 + 2}" %>"##, "a: x-t0ken-3"),
        ("a: <%= 'a' 'b' %>", "a: ab"),
        ("<%# a comment\nover lines -%>\na: 1", "a: 1"),
        ("a: <%% b", "a: <% b"),
        ("a:\n  <%- x = 1 -%>\n  - <%= x %>\n", "a:\n  - 1\n"),
    ] {
        assert_eq!(text(template), expected, "{template}");
    }
}

#[test]
fn conditions_and_loops_span_tags() {
    let template = "hosts:\n<% ENV['HOSTS'].split(',').map(&:strip).each_with_index do |host, n| -%>\n  - <%= host %><%= n %>\n<% end -%>\n";
    assert_eq!(text(template), "hosts:\n  - a0\n  - b1\n");
    let template = "<% if ENV['NONE'] %>a: 1\n<% elsif ENV['TOKEN'] == 't0ken' %>a: 2\n<% else %>a: 3\n<% end %>";
    assert_eq!(text(template).trim(), "a: 2");
    assert_eq!(text("<% unless ENV['NONE'] %>a<% else %>b<% end %>"), "a");
    assert_eq!(text("<% %w[x y].each { |n| %><%= n %>;<% } %>"), "x;y;");
    assert_eq!(text("<% for n in 1..3 do %><%= n %><% end %>"), "123");
    assert_eq!(text("<%= case ENV['TOKEN'] when /^t/, 'z' then 1 else 2 end %>"), "1");
    assert_eq!(text("<% begin; raise 'x'; rescue LoadError => e; end %>a"), "a");
}

#[test]
fn programs_of_real_files() {
    let template = r#"<%
  raise "BETA must be given" unless ENV["TOKEN"]
  @data = {
    "t0ken" => { "hosts" => { "web" => ["h1", "h2"], "lb" => "l" } },
    other: [1, nil]
  }
  @hosts = @data[ENV["TOKEN"]]["hosts"]["web"]
  names = @hosts.map { |h| h.delete_prefix("h") }
    .join("+")
  list = []
  list << "x"; list += ["y"]
  pr = "".empty? ? nil : 1
  slug = pr ? "pr-#{pr}" : "sand_box"
  n ||= 4
%>
a: <%= @hosts[0] %> <%= names %> <%= list.join %> <%= slug.tr("_", "-") %> <%= @data.dig("t0ken", "hosts", "lb") %> <%= n %>"#;
    assert_eq!(text(template).trim(), "a: h1 1+2 xy sand-box l 4");
    assert_eq!(
        text(r#"<% require "json" %><%= JSON.parse('{"a": [{"ip": "1.2.3.4"}]}')["a"].map { |h| h["ip"] }.first %>"#),
        "1.2.3.4"
    );
    assert_eq!(text("<%= 'Feature/X_1'.downcase.gsub(/[^a-z0-9]+/, '-')[0, 9] %>"), "feature-x");
    assert_eq!(
        text("<%= [3, 1, 2].sort.reverse.select { |n| n > 1 }.inspect %> <%= 7 / -2 %> <%= -7 % 3 %>"),
        "[3, 2] -4 2"
    );
}

#[test]
fn files_commands_and_dotenv() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".ruby-version"), "ruby-3.4.1\n").unwrap();
    std::fs::write(dir.path().join(".env"), "A=1\nTOKEN=other\n").unwrap();
    let template = "<% require \"dotenv\"; Dotenv.load(\".env\", \".none\") %>\na: <%= File.read(\".ruby-version\").strip.delete_prefix(\"ruby-\") %>\nb: <%= `echo $A`.strip %>\nc: <%= %x(exit 3) %>\nd: <%= ENV['A'] %><%= ENV['TOKEN'] %><%= File.exist?(\"x\") %>\ne: <%= File.join(\"a/\", \"/b\") %>";
    let rendered = run_in(dir.path(), template).unwrap();
    assert_eq!(rendered.text, "\na: 3.4.1\nb: 1\nc: \nd: 1t0kenfalse\ne: a/b");
    let notes: Vec<_> = rendered.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "deploy.yml:3: the ERB tag `<%= `echo $A`.strip %>` ran a command on this machine",
            "deploy.yml:4: the ERB tag `<%= %x(exit 3) %>` ran a command on this machine, which failed (exit status: 3)"
        ]
    );
}

#[test]
fn what_one_file_sets_the_next_one_sees() {
    let mut world = World::new(Surroundings { env: &env, docker_arch: "amd64", root: Path::new("/") });
    render("<% ENV['BETA'] = '1'; @x = 2 %>", "a.yml", &mut world).unwrap();
    assert_eq!(render("<%= ENV['BETA'] %><%= @x %>", "b.yml", &mut world).unwrap().text, "12");
    assert_eq!(world.into_variables()["BETA"].expose(), "1");
}

#[test]
fn lines_below_a_tag_keep_their_numbers() {
    let rendered = run("a: <%= ENV['LINES'] %>\nb: 1\n<%# one\ntwo -%>\nc: 2\n").unwrap();
    assert_eq!(rendered.text, "a: one\ntwo\nb: 1\nc: 2\n");
    let lines: Vec<_> = (1..=4).map(|l| rendered.source_line(l)).collect();
    assert_eq!(lines, [1, 1, 2, 5]);
    let rendered = run("<% 2.times do %>\na: 1\n<% end %>\nb: 2\n").unwrap();
    let lines: Vec<_> = (1..=6).map(|l| rendered.source_line(l)).collect();
    assert_eq!(lines, [1, 2, 1, 2, 3, 4], "{:?}", rendered.text);
}

#[test]
fn an_unset_variable_is_nothing_and_said() {
    let rendered = run("x: 1\na: <%= ENV['NONE'] %>").unwrap();
    assert_eq!(rendered.text, "x: 1\na: ");
    assert!(rendered.warnings[0].to_string().starts_with("deploy.yml:2: the environment variable NONE is not set"));
}

/// Rails writes such a tag into a comment of every new deploy.yml.
#[test]
fn a_tag_in_a_comment_need_not_be_understood() {
    let rendered = run("# args: <%= ENV['NONE'] || \"#{RUBY_ENGINE}-#{RUBY_ENGINE_VERSION}\" %>\na: 1").unwrap();
    assert_eq!((rendered.text.as_str(), rendered.warnings.len()), ("# args: \na: 1", 0));
}

#[test]
fn everything_else_stops_with_line_and_tag() {
    let text = "a: 1\nb: <%= Gem::Version.new(1) %>\nc: <%= ENV.fetch('NONE') %>\nd: <%= File.read(\"none\") %>\ne: <%= ENV['NONE'].strip %>\nf: <%= \"a\".fly %>\ng: <%= 1 +* %>\n<% raise \"stop #{1}\" if true %>\nh: <%= 2 %>";
    insta::assert_snapshot!(run(text).unwrap_err().to_string().replace(SUPPORTED, "(what is supported)"));
    insta::assert_snapshot!(run("<% class A; end %>\na: <%= ENV[").unwrap_err(), @r"
    deploy.yml:2: the ERB tag `<%` is never closed
      close it with `%>`
    ");
    for bad in [
        "<%= %>",
        "<%= ENV[X] %>",
        "<% def a; end %>",
        "<% if x %>",
        "<% end %>",
        "<%= $stdout %>",
        "<%= `a %>",
        "<%= Time.now %>",
        "<% require 'aws-sdk' %>",
        "<% 1000000.times { |n| n } %>",
        "<% x = 'a'; 40.times { x += x } %>",
        "<% x = 1; 40.times { x = [x, x] } %>",
        "<% x = 'aa'; 9.times { x = x.gsub('a', x) } %>",
        "<%= eval('1') %>",
        "<% load 'x.rb' %>",
    ] {
        assert!(run(bad).is_err(), "{bad}");
    }
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    for piece in ["(", "[", "{", "!", "-", "\"#{", "if 1\n", "a { ", "1 ? "] {
        assert!(run(&format!("<%= {} %>", piece.repeat(20_000))).is_err(), "{piece}");
        let _ = run(&format!("<% {} %>{}", piece.repeat(20_000), "<% end %>".repeat(2_000)));
    }
}
