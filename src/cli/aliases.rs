//! Aliases of the configuration: an unknown command that is one is replaced by the words it stands for.

use crate::cli::Failure;
use crate::cli::args::Cli;
use crate::cli::project::environment;
use crate::config::{self, DEFAULT_FILE, OPTIONS_WITH_VALUE};
use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Why there is no command line to run.
pub(crate) enum NoCommand {
    /// clap's own words: a mistake, or help.
    Clap(clap::Error),
    /// The configuration, which has the aliases, is wrong.
    Failure(Failure),
}

/// Parses a command line, with the aliases of the configuration that it names.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Cli, Box<NoCommand>> {
    let mut arguments = arguments;
    let mut seen: Vec<String> = Vec::new();
    loop {
        let error = match Cli::try_parse_from(&arguments) {
            Ok(cli) => return Ok(cli),
            Err(error) => error,
        };
        let Some((at, word)) = unknown_command(&arguments, &error) else {
            return Err(Box::new(NoCommand::Clap(error)));
        };
        let aliases = match load(&arguments, &word) {
            Ok(aliases) => aliases,
            Err(failure) => return Err(Box::new(NoCommand::Failure(failure))),
        };
        let words = aliases.get(&word).and_then(|line| shlex::split(line));
        let Some(words) = words else { return Err(Box::new(NoCommand::Clap(error))) };
        seen.push(word.clone());
        // Another destination may have other aliases, so that no single file goes round.
        if seen.iter().filter(|name| **name == word).count() > 1 {
            let failure = Failure::config(format!("the aliases lead back to themselves: {}", seen.join(" -> ")));
            return Err(Box::new(NoCommand::Failure(failure)));
        }
        arguments.splice(at..=at, words.into_iter().map(OsString::from));
    }
}

/// Where the command stands that clap does not know, if that is what it complains of.
fn unknown_command(arguments: &[OsString], error: &clap::Error) -> Option<(usize, String)> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let at = first_word(arguments)?;
    // The complaint may be about the command of a command: `app conatiners`.
    (arguments[at] == **word).then(|| (at, word.clone()))
}

/// The first argument that is neither an option nor an option's value.
fn first_word(arguments: &[OsString]) -> Option<usize> {
    let mut at = 1;
    while let Some(argument) = arguments.get(at) {
        let text = argument.to_string_lossy();
        match text.starts_with('-') {
            false => return Some(at),
            true if OPTIONS_WITH_VALUE.contains(&&*text) => at += 2,
            true => at += 1,
        }
    }
    None
}

/// The aliases of the configuration that the command line names; none where there is no configuration.
fn load(arguments: &[OsString], word: &str) -> Result<BTreeMap<String, String>, Failure> {
    let Ok(root) = std::env::current_dir() else { return Ok(BTreeMap::new()) };
    let file = option(arguments, "-c", "--config-file").map_or_else(|| PathBuf::from(DEFAULT_FILE), PathBuf::from);
    if !root.join(&file).exists() {
        return Ok(BTreeMap::new());
    }
    let destination = option(arguments, "-d", "--destination");
    let request =
        config::Request { root: &root, file: Path::new(&file), destination: destination.as_deref(), env: &environment };
    config::load(&request).map(|config| config.aliases).map_err(|problems| {
        let shown = word.escape_debug();
        Failure::from(problems)
            .hint(format!("`{shown}` is no command; whether it is an alias is not known until the configuration loads"))
    })
}

/// The last value of an option, in any of its spellings, wherever it stands.
fn option(arguments: &[OsString], short: &str, long: &str) -> Option<String> {
    let texts: Vec<String> = arguments.iter().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let before_dashes = texts.iter().position(|text| text == "--").unwrap_or(texts.len());
    let mut found = None;
    let mut at = 0;
    while at < before_dashes {
        let text = &texts[at];
        let joined = text.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
        let stuck = text.strip_prefix(short).filter(|rest| !rest.is_empty() && !text.starts_with("--"));
        if let Some(value) = joined.or(stuck.map(|rest| rest.strip_prefix('=').unwrap_or(rest))) {
            found = Some(value.to_string());
        } else if (text == short || text == long) && at + 1 < before_dashes {
            at += 1;
            found = Some(texts[at].clone());
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn no_alias_can_shadow_a_command() {
        for command in Cli::command().get_subcommands() {
            for name in std::iter::once(command.get_name()).chain(command.get_all_aliases()) {
                assert!(config::COMMANDS.contains(&name), "config::COMMANDS lacks `{name}`");
            }
        }
    }

    #[test]
    fn options_with_a_value_are_those_of_the_command_line() {
        let command = Cli::command();
        let takes_value = command.get_arguments().filter(|a| a.get_action().takes_values());
        for argument in takes_value {
            let long = format!("--{}", argument.get_long().expect("a long name"));
            assert!(OPTIONS_WITH_VALUE.contains(&long.as_str()), "{long}");
            if let Some(short) = argument.get_short() {
                assert!(OPTIONS_WITH_VALUE.contains(&format!("-{short}").as_str()), "-{short}");
            }
        }
    }

    #[test]
    fn the_command_is_the_first_word_that_no_option_takes() {
        assert_eq!(first_word(&words("windlass -d console console -i")), Some(3));
        assert_eq!(first_word(&words("windlass -v --config-file=x shell")), Some(3));
        assert_eq!(first_word(&words("windlass -v")), None);
    }

    #[test]
    fn options_are_found_in_every_spelling() {
        let destination = |line: &str| option(&words(line), "-d", "--destination");
        for line in
            ["w -d eu shell", "w shell -deu", "w shell --destination=eu", "w --destination eu shell", "w -d=eu s"]
        {
            assert_eq!(destination(line).as_deref(), Some("eu"), "{line}");
        }
        assert_eq!(destination("w shell"), None);
        assert_eq!(destination("w shell -- -d eu"), None);
    }
}
