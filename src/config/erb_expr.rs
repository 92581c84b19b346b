//! The expressions inside ERB tags that are understood: strings, `ENV`, `||`, and a comparison that chooses.

use super::erb::Surroundings;

/// What an expression comes to.
#[derive(Debug, Default)]
pub(super) struct Evaluated {
    /// Its text; Ruby's `nil` is empty.
    pub text: String,
    /// The variable that was asked for and is not set, when the whole is therefore empty.
    pub unset: Option<String>,
}

/// Why there is no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// `ENV.fetch` of a variable that is not set.
    NotSet(String),
    /// Ruby beyond the known forms.
    NotUnderstood,
}

type Outcome<T> = Result<T, Failure>;

/// Evaluates the inside of a `<%= … %>` tag.
pub(super) fn evaluate(expression: &str, around: &Surroundings) -> Outcome<Evaluated> {
    let mut reader = Reader { rest: expression, around, unset: None };
    let value = reader.choice()?;
    reader.blank();
    if !reader.rest.is_empty() {
        return Err(Failure::NotUnderstood);
    }
    Ok(match value {
        Some(text) => Evaluated { text, unset: None },
        None => Evaluated { text: String::new(), unset: reader.unset },
    })
}

struct Reader<'a> {
    rest: &'a str,
    around: &'a Surroundings<'a>,
    unset: Option<String>,
}

impl Reader<'_> {
    /// `a`, `a || b`, `a == b ? c : d`.
    fn choice(&mut self) -> Outcome<Option<String>> {
        let left = self.alternatives()?;
        let equal = match (self.take("=="), self.rest.starts_with("!=")) {
            (true, _) => true,
            (false, true) => !self.take("!="),
            (false, false) => return Ok(left),
        };
        let right = self.alternatives()?;
        self.need("?")?;
        let when_true = self.alternatives()?;
        self.need(":")?;
        let when_false = self.alternatives()?;
        Ok(if (left == right) == equal { when_true } else { when_false })
    }

    fn alternatives(&mut self) -> Outcome<Option<String>> {
        let mut value = self.term()?;
        while self.take("||") {
            // Ruby does not evaluate what stands behind a value: an unset ENV.fetch there is no failure.
            let other = match (self.term(), &value) {
                (Err(Failure::NotSet(_)), Some(_)) => None,
                (other, _) => other?,
            };
            value = value.or(other);
        }
        Ok(value)
    }

    fn term(&mut self) -> Outcome<Option<String>> {
        self.blank();
        if self.rest.starts_with(['"', '\'']) {
            return self.string().map(Some);
        }
        if self.take("ENV.fetch") {
            return self.fetch();
        }
        if self.take("ENV[") {
            let name = self.string()?;
            self.need("]")?;
            return Ok(self.lookup(name));
        }
        if self.take("Kamal::Utils.docker_arch") {
            return Ok(Some(self.around.docker_arch.to_string()));
        }
        Err(Failure::NotUnderstood)
    }

    fn fetch(&mut self) -> Outcome<Option<String>> {
        let parenthesis = self.take("(");
        self.blank();
        let name = self.string()?;
        let default = if self.take(",") { Some(self.alternatives()) } else { None };
        if parenthesis {
            self.need(")")?;
        }
        let found = (self.around.env)(&name);
        match (found, default) {
            (_, Some(Err(Failure::NotUnderstood))) => Err(Failure::NotUnderstood),
            (Some(value), _) => Ok(Some(value)),
            (None, Some(default)) => default,
            (None, None) => Err(Failure::NotSet(name)),
        }
    }

    fn lookup(&mut self, name: String) -> Option<String> {
        let value = (self.around.env)(&name);
        if value.is_none() {
            self.unset.get_or_insert(name);
        }
        value
    }

    /// A string literal without escapes or interpolation.
    fn string(&mut self) -> Outcome<String> {
        self.blank();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(Failure::NotUnderstood)?;
        let body = &self.rest[1..];
        let end = body.find(quote).ok_or(Failure::NotUnderstood)?;
        let text = &body[..end];
        if text.contains('\\') || (quote == '"' && text.contains('#')) {
            return Err(Failure::NotUnderstood);
        }
        self.rest = &body[end + 1..];
        Ok(text.to_string())
    }

    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.blank();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, token: &str) -> Outcome<()> {
        if self.take(token) { Ok(()) } else { Err(Failure::NotUnderstood) }
    }
}
