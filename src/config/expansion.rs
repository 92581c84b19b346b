//! Words that Kamal leaves to the host's shell. windlass has no shell on the way, so they are named, not passed through.

use super::reader::{Field, Findings};
use super::types::VerbKind;

/// How Kamal writes a value into its command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// In double quotes, where only `${…}` is left to the shell: the host is asked (see `spec::shell`).
    Quoted,
    /// The same for one of docker's flags, whose value is read here.
    Flag,
    /// Bare, where the host is asked for `$`, backticks, a leading `~` and paths that begin with `.`.
    Bare,
    /// A command: bare, and its operators work too.
    Command,
}

/// Records a value that the host's shell would change and that windlass does not ask the host for.
pub(super) fn check(field: &Field, text: &str, quoting: Quoting, found: &mut Findings) {
    let what = match quoting {
        Quoting::Flag if text.contains("${") => "`${…}`",
        Quoting::Bare if bare_operator(text) => "`;`, `&`, `|`, `<`, `>` or a parenthesis",
        Quoting::Command => match command_operator(text) {
            Some(operator) => operator,
            None => return,
        },
        _ => return,
    };
    let reason = match quoting {
        Quoting::Command => format!(
            "{what} outside of quotes is left to the host's shell by Kamal; windlass has none there: write sh -c '…'"
        ),
        _ => {
            format!("{what} is left to the host's shell by Kamal; windlass does not do so here: write the value itself")
        }
    };
    // A rollback asks the hosts' shells about volumes too, and an operator there would run.
    let verbs: &[VerbKind] = match quoting {
        Quoting::Bare => &[VerbKind::Setup, VerbKind::Deploy, VerbKind::Rollback],
        _ => &[VerbKind::Setup, VerbKind::Deploy],
    };
    found.not_yet(field, verbs, reason);
}

/// Whether a bare word holds what would end the command, outside of `$(…)`.
fn bare_operator(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '(' if before == '$' || depth > 0 => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ';' | '&' | '|' | '<' | '>' | '(' | ')' | '\n' if depth == 0 => return true,
            _ => {}
        }
        before = c;
    }
    depth > 0
}

/// What a shell would act on in a command line, outside of single quotes (and, but for `$`, of double quotes).
fn command_operator(text: &str) -> Option<&'static str> {
    let (mut quote, mut chars) = (None, text.chars());
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => drop(chars.next()),
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(q)) if q == c => quote = None,
            ('$' | '`', None | Some('"')) => return Some("`$` or a backtick"),
            (';' | '&' | '|' | '<' | '>' | '(' | ')', None) => return Some("`;`, `&`, `|`, `<`, `>` or a parenthesis"),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_act_on_is_found() {
        for plain in ["bundle exec sidekiq -q 'a b'", "sh -c 'a && $b'", r"echo \$x", "a \"b;c\""] {
            assert_eq!(command_operator(plain), None, "{plain}");
        }
        for shell in ["a && b", "a $B", "a \"$B\"", "a > b", "`a`"] {
            assert!(command_operator(shell).is_some(), "{shell}");
        }
    }
}
