//! The ERB that Kamal files really use, without Ruby: a small interpreter of its expressions, conditions and loops.
//!
//! What it does not know stops with its file, line and tag. Nothing is ever passed through as text, since Kamal would have
//! run it. Commands (`` `git rev-parse HEAD` ``) run by the local shell, as in Kamal, and each is said.

mod eval;
mod lexer;
mod list_methods;
mod methods;
mod parser;
mod primary;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod text_methods;
mod value;
mod world;

use super::problem::{Problem, Problems};
use eval::{Failure, Machine};
use template::Template;

pub use template::Rendered;
pub use world::{Surroundings, World};

/// Replaces the tags of a file. All output tags that fail are reported at once.
pub fn render(text: &str, file: &str, world: &mut World) -> Result<Rendered, Problems> {
    let template = Template::read(text, file)?;
    let unreadable = |tag: &usize| (*tag, Failure::NotUnderstood(String::new()));
    let program = template.program();
    let mut failures: Vec<_> = template.unreadable.iter().chain(program.as_ref().err()).map(unreadable).collect();
    let mut machine = Machine::new(world, &template);
    if let Ok(program) = program
        && failures.is_empty()
    {
        machine.run(&program);
    }
    failures.append(&mut machine.failures);
    let rendered = machine.out;
    if failures.is_empty() {
        return Ok(rendered);
    }
    failures.sort_by_key(|(tag, _)| *tag);
    failures.dedup_by_key(|(tag, _)| *tag);
    Err(Problems(failures.into_iter().map(|(tag, failure)| problem(&template, tag, failure)).collect()))
}

const SUPPORTED: &str = "windlass runs no Ruby; it knows ENV, strings, lists and hashes, File.read, JSON.parse, Dotenv.load, `commands`, \
if, case and each (windlass docs erb): set a variable before the call instead";

fn problem(template: &Template, tag: usize, failure: Failure) -> Problem {
    let (at, shown) = (template.place(tag), template.shown(tag));
    match failure {
        Failure::NotSet(name) => {
            let message = format!("the ERB tag `{shown}` needs the environment variable {name}, which is not set");
            Problem::new(&at, "", message)
                .hint(format!("set {name}, or give a default: ENV.fetch(\"{name}\", \"default\")"))
        }
        Failure::NotUnderstood(what) => {
            let why = if what.is_empty() { String::new() } else { format!(": {what}") };
            Problem::new(&at, "", format!("the ERB tag `{shown}` is not understood{why}")).hint(SUPPORTED)
        }
        Failure::Raised(what) => {
            Problem::new(&at, "", format!("the ERB tag `{shown}` stops: {what}")).hint("it would stop Kamal too")
        }
    }
}
