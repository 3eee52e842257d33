/// The words of commands, as far as they say where a command ends: a `)` that ends a pattern of `case`
/// closes nothing.
#[derive(Debug, Default)]
pub(super) struct Words {
    word: String,
    /// Whether a word has ended since the command began.
    in_arguments: bool,
    parentheses: usize,
    cases: Vec<usize>,
}

impl Words {
    pub(super) fn at_start(&self) -> bool {
        self.word.is_empty()
    }

    pub(super) fn push(&mut self, c: char) {
        self.word.push(c);
    }

    /// Ends the word before the mark `c`.
    pub(super) fn end(&mut self, c: char) {
        let word = std::mem::take(&mut self.word);
        let mut begins = matches!(c, '\n' | ';' | '&' | '|' | '(' | ')');
        if !word.is_empty() && !self.in_arguments {
            match word.as_str() {
                "case" => self.cases.push(self.parentheses),
                "esac" => {
                    self.cases.pop();
                }
                "then" | "do" | "else" | "elif" | "if" | "while" | "until" | "!" | "{" | "time" => {
                    begins = true;
                }
                _ => {}
            }
        }
        self.in_arguments = !begins && (self.in_arguments || !word.is_empty());
    }

    pub(super) fn open(&mut self) {
        self.end('(');
        self.parentheses += 1;
    }

    /// Returns whether the `)` closes what surrounds these commands.
    pub(super) fn close(&mut self) -> bool {
        self.end(')');
        if self.cases.last() == Some(&self.parentheses) {
            return false;
        }
        if self.parentheses == 0 {
            return true;
        }
        self.parentheses -= 1;
        false
    }
}
