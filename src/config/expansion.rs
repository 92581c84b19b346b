//! Words that Kamal leaves to the host's shell. windlass has no shell on the way, so they are named, not passed through.

use super::reader::{Field, Findings};
use super::types::VerbKind;

/// How Kamal writes a value into its command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// In double quotes, where only `${…}` is left to the shell.
    Quoted,
    /// Bare, where `$`, backticks and a leading `~` are.
    Bare,
    /// A command: bare, and its operators work too.
    Command,
}

/// Records a value that the host's shell would change.
pub(super) fn check(field: &Field, text: &str, quoting: Quoting, found: &mut Findings) {
    let what = match quoting {
        Quoting::Quoted if text.contains("${") => "`${…}`",
        Quoting::Bare if text.contains(['$', '`']) || text.starts_with('~') => "`$`, `~` or backticks",
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
        _ => format!(
            "{what} is expanded by the host's shell in Kamal; windlass does not do so yet: write the value itself"
        ),
    };
    found.not_yet(field, &[VerbKind::Setup, VerbKind::Deploy], reason);
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
