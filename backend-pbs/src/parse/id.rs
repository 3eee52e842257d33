/// Which part of a job an id is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// A plain job: `20.server`.
    Job,
    /// A whole array: `20[].server`.
    Array,
    /// One element of an array: `20[3].server`.
    Element(u32),
}

/// A job id of PBS, taken apart. Its server may be missing: commands take the short form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id<'a> {
    /// The sequence number; `0` is one.
    pub(crate) number: &'a str,
    /// Which part.
    pub(crate) part: Part,
    /// The server, or empty.
    pub(crate) server: &'a str,
}

impl<'a> Id<'a> {
    /// Reads an id, or none when it is not one of PBS.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // `39.localhost@localhost` names the server that has it as well.
        let text = text.split('@').next()?;
        let (job, server) = text.split_once('.').unwrap_or((text, ""));
        let (number, part) = match job.split_once('[') {
            None => (job, Part::Job),
            Some((number, "]")) => (number, Part::Array),
            Some((number, index)) => (
                number,
                Part::Element(index.strip_suffix(']')?.parse().ok()?),
            ),
        };
        is_number(number).then_some(Self {
            number,
            part,
            server,
        })
    }

    /// Returns whether both are parts of one job: a server that is missing, or cut at a dot, is the same.
    pub(crate) fn is_same_job(&self, other: &Id<'_>) -> bool {
        let is_array = |part| part != Part::Job;
        self.number == other.number
            && is_array(self.part) == is_array(other.part)
            && is_same_server(self.server, other.server)
    }

    /// Returns the id of the whole job.
    pub(crate) fn whole(&self) -> String {
        let brackets = if self.part == Part::Job { "" } else { "[]" };
        self.with(brackets)
    }

    /// Returns the id with `brackets` after its number.
    pub(crate) fn with(&self, brackets: &str) -> String {
        let dot = if self.server.is_empty() { "" } else { "." };
        format!("{}{brackets}{dot}{}", self.number, self.server)
    }
}

fn is_same_server(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    short.is_empty()
        || long
            .strip_prefix(short)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_apart_and_put_together_whole() {
        for (text, number, part, server) in [
            ("0.localhost", "0", Part::Job, "localhost"),
            ("20[].localhost", "20", Part::Array, "localhost"),
            ("20[2].pbs.site.org", "20", Part::Element(2), "pbs.site.org"),
            ("123[]", "123", Part::Array, ""),
            ("39.localhost@localhost", "39", Part::Job, "localhost"),
        ] {
            let id = Id::parse(text).expect(text);
            assert_eq!((id.number, id.part, id.server), (number, part, server));
        }
        assert_eq!(
            Id::parse("20[2].localhost").map(|id| id.whole()),
            Some("20[].localhost".into())
        );
        for bad in ["", "x", "7;a", "7[", "7[x].a", "[3].a", "-1.a"] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn short_forms_are_the_same_job_and_other_servers_are_not() {
        let same = |a, b| {
            Id::parse(a)
                .expect("is an id")
                .is_same_job(&Id::parse(b).expect("is an id"))
        };
        assert!(same("7", "7.localhost"));
        assert!(same("7.pbs", "7.pbs.site.org"));
        assert!(same("7[].pbs", "7[3].pbs"));
        assert!(!same("7.pbs", "7.pbs2"));
        assert!(!same("7.pbs", "7[].pbs"));
    }
}
