//! Dependency expressions as they are written: `-w 'done(41) && ended(42)'`.

use super::name::read_indices;

/// A dependency expression, its jobs not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    On {
        /// `done`, `ended`, `numended`, …
        word: String,
        parent: Parent,
        pick: Pick,
        /// What follows the comma: an exit code or a number with its operator.
        argument: Option<String>,
    },
}

/// The job that a condition is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parent {
    Number(u64),
    Name(String),
}

/// Which of its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pick {
    Whole,
    Indices(Vec<u32>),
    /// `[*]`
    Same,
}

/// It cannot be read: "`done(: Dependency condition syntax error. Job not submitted.`".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyntaxError;

/// Conditions on a job, by IBM's page of `bsub -w`.
const WORDS: &[&str] = &[
    "done",
    "ended",
    "exit",
    "external",
    "started",
    "post_done",
    "post_err",
];

/// Conditions on the number of elements of an array, by the same page.
const COUNTS: &[&str] = &[
    "numdone", "numended", "numexit", "numhold", "numpend", "numrun", "numstart",
];

impl Expression {
    pub(super) fn read(text: &str) -> Result<Self, SyntaxError> {
        let mut reader = Reader { rest: text };
        let expression = reader.any()?;
        reader.blanks();
        if reader.rest.is_empty() {
            Ok(expression)
        } else {
            Err(SyntaxError)
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn takes(&mut self, token: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expects(&mut self, token: &str) -> Result<(), SyntaxError> {
        self.takes(token).then_some(()).ok_or(SyntaxError)
    }

    fn any(&mut self) -> Result<Expression, SyntaxError> {
        let mut all = vec![self.all()?];
        while self.takes("||") {
            all.push(self.all()?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Expression::Any(all),
        })
    }

    fn all(&mut self) -> Result<Expression, SyntaxError> {
        let mut all = vec![self.one()?];
        while self.takes("&&") {
            all.push(self.one()?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Expression::All(all),
        })
    }

    fn one(&mut self) -> Result<Expression, SyntaxError> {
        if self.takes("!") {
            return Ok(Expression::Not(Box::new(self.one()?)));
        }
        if self.takes("(") {
            let inner = self.any()?;
            self.expects(")")?;
            return Ok(inner);
        }
        let word = self.plain(&['(', ')', '&', '|', '!', ' ', ',', '['])?;
        if self.takes("(") {
            let is_count = COUNTS.contains(&word.as_str());
            if !is_count && !WORDS.contains(&word.as_str()) {
                return Err(SyntaxError);
            }
            let (parent, pick) = self.parent()?;
            let argument = if self.takes(",") {
                let argument = self.plain(&['(', ')', '&', '|'])?;
                Some(argument.trim().to_owned())
            } else {
                None
            };
            // "`numended(43,*)`": a number is what these are about.
            if is_count != argument.is_some() && word != "exit" {
                return Err(SyntaxError);
            }
            self.expects(")")?;
            return Ok(Expression::On {
                word,
                parent,
                pick,
                argument,
            });
        }
        // "`done(41)` / `41` alone".
        let pick = self.pick()?;
        Ok(Expression::On {
            word: "done".to_owned(),
            parent: parent_of(word),
            pick,
            argument: None,
        })
    }

    fn parent(&mut self) -> Result<(Parent, Pick), SyntaxError> {
        if self.takes("\"") {
            let (name, rest) = self.rest.split_once('"').ok_or(SyntaxError)?;
            self.rest = rest;
            return match name.split_once('[') {
                None => Ok((Parent::Name(name.to_owned()), self.pick()?)),
                // "`'done("pa[*]")'`" is fine, and "`done("pa[1]")` (quoted name WITH index) |
                // `done("pa[1]"): Dependency condition syntax error. Job not submitted.`".
                Some((name, "*]")) => Ok((Parent::Name(name.to_owned()), Pick::Same)),
                Some(_) => Err(SyntaxError),
            };
        }
        let name = self.plain(&['(', ')', '&', '|', ' ', ',', '['])?;
        Ok((parent_of(name), self.pick()?))
    }

    /// Reads `[1]`, `[1-2]` or `[*]`.
    fn pick(&mut self) -> Result<Pick, SyntaxError> {
        let Some(rest) = self.rest.strip_prefix('[') else {
            return Ok(Pick::Whole);
        };
        let (list, rest) = rest.split_once(']').ok_or(SyntaxError)?;
        self.rest = rest;
        if list.trim() == "*" {
            return Ok(Pick::Same);
        }
        let indices = read_indices(list, None).map_err(|_| SyntaxError)?;
        Ok(Pick::Indices(indices))
    }

    fn plain(&mut self, ends: &[char]) -> Result<String, SyntaxError> {
        self.blanks();
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        if text.is_empty() {
            return Err(SyntaxError);
        }
        self.rest = rest;
        Ok(text.to_owned())
    }
}

fn parent_of(text: String) -> Parent {
    match text.parse() {
        Ok(number) => Parent::Number(number),
        Err(_) => Parent::Name(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(word: &str, number: u64, pick: Pick, argument: Option<&str>) -> Expression {
        Expression::On {
            word: word.to_owned(),
            parent: Parent::Number(number),
            pick,
            argument: argument.map(str::to_owned),
        }
    }

    #[test]
    fn expressions_are_read_as_observed() {
        let read = |text| Expression::read(text).unwrap();
        assert_eq!(read("done(41)"), on("done", 41, Pick::Whole, None));
        assert_eq!(read("41"), read("done(41)"));
        assert_eq!(read("exit(42,4)"), on("exit", 42, Pick::Whole, Some("4")));
        assert_eq!(
            read("numended(43, *)"),
            on("numended", 43, Pick::Whole, Some("*"))
        );
        assert_eq!(
            read("done(43[1-2])"),
            on("done", 43, Pick::Indices(vec![1, 2]), None)
        );
        assert_eq!(read("ended(43[*])"), on("ended", 43, Pick::Same, None));
        let both = [
            on("done", 104, Pick::Same, None),
            on("done", 105, Pick::Same, None),
        ];
        assert_eq!(
            read("done(104[*]) && done(105[*])"),
            Expression::All(both.to_vec())
        );
        let name = |text| match read(text) {
            Expression::On { parent, pick, .. } => (parent, pick),
            other => panic!("{other:?}"),
        };
        let pa = || Parent::Name("pa".to_owned());
        assert_eq!(name("done(\"pa\")"), (pa(), Pick::Whole));
        assert_eq!(name("done(pa)"), (pa(), Pick::Whole));
        assert_eq!(name("done(\"pa[*]\")"), (pa(), Pick::Same));
        assert_eq!(name("done(pa[1])"), (pa(), Pick::Indices(vec![1])));
    }

    #[test]
    fn and_binds_closer_than_or() {
        let one = |number| on("done", number, Pick::Whole, None);
        assert_eq!(
            Expression::read("done(1) || !done(2) && (3 || done(4))"),
            Ok(Expression::Any(vec![
                one(1),
                Expression::All(vec![
                    Expression::Not(Box::new(one(2))),
                    Expression::Any(vec![one(3), one(4)]),
                ]),
            ]))
        );
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for bad in [
            "done(",
            "",
            "done()",
            "done(1",
            "done(1))",
            "done(\"pa[1]\")",
            "nosuch(1)",
            "done(1) &&",
            "done(1) done(2)",
            "numdone(43)",
            "done(43[0])",
            "done(43[*)",
        ] {
            assert_eq!(Expression::read(bad), Err(SyntaxError), "{bad}");
        }
    }
}
