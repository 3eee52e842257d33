/// The words of a command line, added one by one.
#[derive(Debug, Clone)]
pub struct Flags(Vec<String>);

impl Flags {
    /// Returns a command line that starts with `words`.
    pub fn new<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Self {
        Self(words.into_iter().map(Into::into).collect())
    }

    /// Adds one word.
    pub fn word(&mut self, word: impl Into<String>) {
        self.0.push(word.into());
    }

    /// Adds `--name=value`.
    pub fn long(&mut self, name: &str, value: impl AsRef<str>) {
        self.0.push(format!("--{name}={}", value.as_ref()));
    }

    /// Adds `--name=value` where there is a value.
    pub fn long_if(&mut self, name: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.long(name, value);
        }
    }

    /// Adds the two words `-n value`.
    pub fn short(&mut self, name: char, value: impl Into<String>) {
        self.0.push(format!("-{name}"));
        self.0.push(value.into());
    }

    /// Adds the two words `-n value` where there is a value.
    pub fn short_if(&mut self, name: char, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.short(name, value);
        }
    }

    /// Adds words as they are: the `extra` flags of the site and of the user.
    pub fn extend(&mut self, words: &[String]) {
        self.0.extend_from_slice(words);
    }

    /// Returns the command line.
    pub fn into_argv(self) -> Vec<String> {
        self.0
    }
}
